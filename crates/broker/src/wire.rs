//! The wire format of messages in a webhook's queue. A message carries one delivery, or several of the same webhook.
//!
//! A delivery holds everything that an attempt needs, so that delivering reads nothing from the database. After a
//! failed attempt the deliverer publishes a new message with another [`Progress`].

use std::fmt::Display;

use domain::delivery::attempt::Trigger;
use domain::delivery::envelope::EventHead;
use domain::event::event_type::EventType;
use domain::ids::{BrandId, EventId};
use domain::time::{Timestamp, format_timestamp};
use domain::trace::TraceParent;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Most deliveries in one message. A message costs RabbitMQ about the same with one delivery as with several, but it
/// stays unacknowledged until all of its deliveries are handled.
pub const MAX_DELIVERIES: usize = 8;
/// Most bytes of event data in a message of several deliveries, because a deliverer bounds its memory by messages.
pub const MAX_BATCH_BYTES: usize = 16 * 1024;

/// Longest detail of an error, in characters.
const MAX_DETAIL_CHARS: usize = 300;

/// The progress of a delivery. The routing key names the webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The webhook's generation in which the delivery's round began.
    pub generation: i32,
    /// Number of the round, from 1. Each redelivery starts a new round.
    pub round: i32,
    /// Attempts recorded so far, over all rounds. If the database has more, this message is a duplicate.
    pub recorded: i32,
    /// Number of the next attempt in the round, from 1.
    pub attempt: u32,
    /// Why that attempt is made.
    pub trigger: Trigger,
    /// Whether there may be another message for the same attempt.
    pub repeated: bool,
    /// When the round's first attempt started, if it has started.
    pub first_started: Option<Timestamp>,
    /// Earliest start of the next attempt.
    pub not_before: Option<Timestamp>,
    /// When the router received the event; `None` if the router did not publish the delivery.
    pub received: Option<Timestamp>,
    /// The producer's trace, if the event has one.
    pub trace: Option<TraceParent>,
}

impl Progress {
    /// Creates the progress of a new event before its first attempt.
    #[must_use]
    pub fn fresh(generation: i32) -> Self {
        Self {
            generation,
            round: 1,
            recorded: 0,
            attempt: 1,
            trigger: Trigger::Fresh,
            repeated: false,
            first_started: None,
            not_before: None,
            received: None,
            trace: None,
        }
    }
}

/// A delivery in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryMessage {
    /// The delivery's progress.
    pub progress: Progress,
    /// The event, without its data.
    pub head: EventHead,
    /// The event's data, byte for byte.
    pub data: Box<str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDelivery<'a> {
    generation: i32,
    round: i32,
    recorded: i32,
    attempt: u32,
    trigger: Trigger,
    #[serde(default)]
    repeated: bool,
    #[serde(default, deserialize_with = "some_timestamp")]
    first_started: Option<Timestamp>,
    #[serde(default, deserialize_with = "some_timestamp")]
    not_before: Option<Timestamp>,
    #[serde(default, deserialize_with = "some_timestamp")]
    received: Option<Timestamp>,
    #[serde(default)]
    traceparent: Option<&'a str>,
    id: EventId,
    brand_id: BrandId,
    #[serde(deserialize_with = "domain::time::rfc3339::deserialize")]
    created: Timestamp,
    r#type: &'a str,
    data: &'a RawValue,
}

fn some_timestamp<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    domain::time::rfc3339::deserialize(from).map(Some)
}

/// Writes a delivery. `data` is inserted unchanged, and no other value contains characters that JSON escapes.
#[must_use]
pub fn encode(progress: &Progress, head: &EventHead, data: &str) -> Vec<u8> {
    let optional = |key: &str, at: Option<Timestamp>| {
        at.map_or_else(String::new, |at| format!("\"{key}\":\"{}\",", format_timestamp(at)))
    };
    let mut body = Vec::with_capacity(384 + data.len());
    body.extend_from_slice(
        format!(
            "{{\"generation\":{},\"round\":{},\"recorded\":{},\"attempt\":{},\"trigger\":\"{}\",{}{}{}{}{}\"id\":\"{}\",\"brandId\":\"{}\",\"created\":\"{}\",\"type\":\"{}\",\"data\":",
            progress.generation,
            progress.round,
            progress.recorded,
            progress.attempt,
            progress.trigger,
            if progress.repeated { "\"repeated\":true," } else { "" },
            optional("firstStarted", progress.first_started),
            optional("notBefore", progress.not_before),
            optional("received", progress.received),
            progress.trace.as_ref().map_or_else(String::new, |trace| format!("\"traceparent\":\"{trace}\",")),
            head.id,
            head.brand_id,
            format_timestamp(head.created),
            head.event_type,
        )
        .as_bytes(),
    );
    body.extend_from_slice(data.as_bytes());
    body.push(b'}');
    body
}

/// Returns whether a message with `deliveries` and `bytes` of data has room for another delivery of `more` bytes.
#[must_use]
pub fn has_room(deliveries: usize, bytes: usize, more: usize) -> bool {
    deliveries < MAX_DELIVERIES && bytes + more <= MAX_BATCH_BYTES
}

/// Joins the output of [`encode`] for deliveries to the same webhook into one message.
#[must_use]
pub fn join_deliveries(mut deliveries: Vec<Vec<u8>>) -> Vec<u8> {
    match deliveries.len() {
        1 => deliveries.remove(0),
        _ => [&b"["[..], &deliveries.join(&b','), b"]"].concat(),
    }
}

/// An error in a message that should carry deliveries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no delivery: {0}")]
pub struct InvalidDelivery(String);

impl InvalidDelivery {
    /// Shortens the error, because it may repeat the message, and because it goes into a header.
    fn new(error: impl Display) -> Self {
        Self(error.to_string().chars().take(MAX_DETAIL_CHARS).collect())
    }
}

/// Reads a message that [`encode`] or [`join_deliveries`] wrote.
///
/// # Errors
/// When the message is something else. Only Postrider publishes to webhooks' queues.
pub fn decode(body: &[u8]) -> Result<Vec<DeliveryMessage>, InvalidDelivery> {
    let is_list = body.first() == Some(&b'[');
    let wires: Vec<WireDelivery<'_>> = match is_list {
        true => serde_json::from_slice(body).map_err(InvalidDelivery::new)?,
        false => vec![serde_json::from_slice(body).map_err(InvalidDelivery::new)?],
    };
    wires.into_iter().map(read_delivery).collect()
}

fn read_delivery(wire: WireDelivery<'_>) -> Result<DeliveryMessage, InvalidDelivery> {
    let event_type: EventType = wire.r#type.parse().map_err(InvalidDelivery::new)?;
    Ok(DeliveryMessage {
        progress: Progress {
            generation: wire.generation,
            round: wire.round,
            recorded: wire.recorded,
            attempt: wire.attempt,
            trigger: wire.trigger,
            repeated: wire.repeated,
            first_started: wire.first_started,
            not_before: wire.not_before,
            received: wire.received,
            trace: wire.traceparent.and_then(|text| text.parse().ok()),
        },
        head: EventHead { id: wire.id, brand_id: wire.brand_id, created: wire.created, event_type },
        data: wire.data.get().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_deliveries_are_read_back() {
        let at = domain::time::parse_timestamp("2021-04-08T19:36:02.938Z").expect("valid");
        let head = EventHead {
            id: "01F2SFVYVD0H873S2VRT8VQSPM".parse().expect("id"),
            brand_id: "acme".parse().expect("brand"),
            created: at,
            event_type: "A.B".parse().expect("type"),
        };
        let waiting = Progress {
            recorded: 3,
            attempt: 2,
            round: 2,
            trigger: Trigger::Retry,
            repeated: true,
            first_started: Some(at),
            not_before: Some(at),
            received: Some(at),
            trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().ok(),
            ..Progress::fresh(7)
        };
        let repeated = Progress { repeated: true, ..Progress::fresh(2) };
        let mut all = Vec::new();
        let mut bodies = Vec::new();
        for progress in [Progress::fresh(1), waiting, repeated] {
            for data in ["null", "12345678901234567890", r#"{"z": 1.10, "a":"\u00e4ö"}"#, "[1]"] {
                let body = encode(&progress, &head, data);
                let written =
                    DeliveryMessage { progress: progress.clone(), head: head.clone(), data: data.into() };
                assert_eq!(decode(&join_deliveries(vec![body.clone()])), Ok(vec![written.clone()]));
                bodies.push(body);
                all.push(written);
            }
        }
        assert_eq!(decode(&join_deliveries(bodies)), Ok(all));
        for wrong in ["{}", "[{}]", "", "[", "7"] {
            assert!(decode(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
