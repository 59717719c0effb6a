//! The format of the messages in the backlog of a brand: many events in one message.
//!
//! A message has a line of JSON, with an entry for each event, and then the bodies of the events one after another.

use bytes::Bytes;
use domain::time::Timestamp;
use domain::trace::TraceParent;
use serde::{Deserialize, Serialize};

/// An event that a router moved into the backlog of its brand, with the parts of its message that routing needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedEvent {
    /// The body, byte for byte as the producer published it.
    pub body: Bytes,
    /// The AMQP property `message_id`.
    pub message_id: Option<String>,
    /// The producer's trace.
    pub trace: Option<TraceParent>,
    /// When a router received the event first, to the millisecond.
    pub received: Timestamp,
    /// Whether RabbitMQ delivered the event before it was moved. A router may have stored it then without publishing
    /// its deliveries.
    pub redelivered: bool,
    /// Whether the platform itself published the event.
    pub is_from_platform: bool,
}

/// A message that has not the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message has not the format of a backlog")]
pub struct InvalidBacklogMessage;

/// The entry of an event.
#[derive(Serialize, Deserialize)]
struct Head {
    bytes: usize,
    received: i64,
    #[serde(rename = "messageId", default, skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    redelivered: bool,
    #[serde(rename = "platform", default, skip_serializing_if = "std::ops::Not::not")]
    is_from_platform: bool,
}

impl From<&MovedEvent> for Head {
    fn from(event: &MovedEvent) -> Self {
        Self {
            bytes: event.body.len(),
            received: event.received.timestamp_millis(),
            message_id: event.message_id.clone(),
            trace: event.trace.as_ref().map(ToString::to_string),
            redelivered: event.redelivered,
            is_from_platform: event.is_from_platform,
        }
    }
}

/// Copies the body of an event.
#[must_use]
pub fn copy_body(body: &[u8]) -> Bytes {
    Bytes::copy_from_slice(body)
}

/// Encodes events as the body of one message.
#[must_use]
pub fn encode_moved(events: &[MovedEvent]) -> Vec<u8> {
    let heads: Vec<Head> = events.iter().map(Head::from).collect();
    // Text and numbers are always written.
    let mut message = serde_json::to_vec(&heads).unwrap_or_default();
    message.reserve(1 + events.iter().map(|event| event.body.len()).sum::<usize>());
    message.push(b'\n');
    events.iter().for_each(|event| message.extend_from_slice(&event.body));
    message
}

/// Decodes the events of a message. Their bodies share its memory.
///
/// # Errors
/// When the message has another format.
pub fn decode_moved(message: Vec<u8>) -> Result<Vec<MovedEvent>, InvalidBacklogMessage> {
    let line = message.iter().position(|byte| *byte == b'\n').ok_or(InvalidBacklogMessage)?;
    let heads: Vec<Head> = serde_json::from_slice(&message[..line]).map_err(|_| InvalidBacklogMessage)?;
    let mut bodies = Bytes::from(message).split_off(line + 1);
    let mut events = Vec::with_capacity(heads.len());
    for head in heads {
        if head.bytes > bodies.len() {
            return Err(InvalidBacklogMessage);
        }
        events.push(MovedEvent {
            body: bodies.split_to(head.bytes),
            message_id: head.message_id,
            trace: head.trace.and_then(|trace| trace.parse().ok()),
            received: Timestamp::from_timestamp_millis(head.received).ok_or(InvalidBacklogMessage)?,
            redelivered: head.redelivered,
            is_from_platform: head.is_from_platform,
        });
    }
    if bodies.is_empty() { Ok(events) } else { Err(InvalidBacklogMessage) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn event() -> impl Strategy<Value = MovedEvent> {
        let body = prop::collection::vec(any::<u8>(), 0..200);
        let flags = any::<(bool, bool, bool)>();
        (body, prop::option::of(".{0,20}"), 0..4_000_000_000_000i64, flags).prop_map(
            |(body, message_id, received, (is_traced, redelivered, is_from_platform))| MovedEvent {
                body: body.into(),
                message_id,
                trace: is_traced.then(|| TRACE.parse().expect("a trace")),
                received: Timestamp::from_timestamp_millis(received).expect("a time"),
                redelivered,
                is_from_platform,
            },
        )
    }

    proptest! {
        #[test]
        fn events_come_back_unchanged(events in prop::collection::vec(event(), 0..20)) {
            prop_assert_eq!(decode_moved(encode_moved(&events)), Ok(events));
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_moved(bytes);
        }

        #[test]
        fn a_truncated_message_is_refused(event in event(), cut in 1..100usize) {
            let mut message = encode_moved(&[event]);
            message.truncate(message.len().saturating_sub(cut));
            prop_assert_eq!(decode_moved(message), Err(InvalidBacklogMessage));
        }
    }
}
