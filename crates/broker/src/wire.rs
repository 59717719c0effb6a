//! The message that a webhook's queue carries: an event on its way to one webhook, or several that were routed
//! together.
//!
//! It holds all that an attempt needs, so that delivering reads nothing from the database, and
//! what follows a failure is a message of its own with other figures.

use std::fmt::Display;

use domain::event_type::EventType;
use domain::ids::{BrandId, EventId};
use domain::outcome::Trigger;
use domain::request::EventHead;
use domain::time::{Timestamp, format};
use domain::trace::TraceParent;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Deliveries in one message at most. A message costs the broker about the same, whatever is in it; one that is
/// handed out is in hand until all of it is dealt with.
pub const MOST_DELIVERIES: usize = 8;
/// Bytes of data in a message of several at most: what a deliverer has in hand is bounded by messages.
pub const MOST_BYTES: usize = 16 * 1024;

/// How much is told of what is wrong with a message, in characters.
const TOLD_CHARS: usize = 300;

/// Where a delivery stands; the routing key names the webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The webhook's generation that it was routed in.
    pub generation: i32,
    /// Which redelivery it belongs to, from 1.
    pub round: i32,
    /// Attempts recorded before this one, over all rounds: tells a repeated message by.
    pub recorded: i32,
    /// Which attempt of the round is next, from 1.
    pub attempt: u32,
    /// Why that attempt is made.
    pub trigger: Trigger,
    /// Whether another message may be on its way for the same attempt.
    pub repeated: bool,
    /// When the round's first attempt started, once it has.
    pub first_started: Option<Timestamp>,
    /// The next attempt does not start before this.
    pub not_before: Option<Timestamp>,
    /// When the router received the event; `None` when the delivery did not come from it.
    pub received: Option<Timestamp>,
    /// The producer's trace, where it gave one.
    pub trace: Option<TraceParent>,
}

impl Progress {
    /// The first attempt of a new event.
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

/// A delivery as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryMessage {
    /// Where it stands.
    pub progress: Progress,
    /// The event, without its data.
    pub head: EventHead,
    /// The event's data, byte for byte.
    pub data: Box<str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    generation: i32,
    round: i32,
    recorded: i32,
    attempt: u32,
    trigger: Trigger,
    #[serde(default)]
    repeated: bool,
    #[serde(default, deserialize_with = "instant")]
    first_started: Option<Timestamp>,
    #[serde(default, deserialize_with = "instant")]
    not_before: Option<Timestamp>,
    #[serde(default, deserialize_with = "instant")]
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

fn instant<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    domain::time::rfc3339::deserialize(from).map(Some)
}

/// Writes a delivery. `data` is spliced in as it is; no other value has a character to escape.
#[must_use]
pub fn encode(progress: &Progress, head: &EventHead, data: &str) -> Vec<u8> {
    let optional = |key: &str, at: Option<Timestamp>| {
        at.map_or_else(String::new, |at| format!("\"{key}\":\"{}\",", format(at)))
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
            format(head.created),
            head.event_type,
        )
        .as_bytes(),
    );
    body.extend_from_slice(data.as_bytes());
    body.push(b'}');
    body
}

/// Whether a message of so many deliveries and bytes has room for one more of so many bytes.
#[must_use]
pub fn is_room(deliveries: usize, bytes: usize, more: usize) -> bool {
    deliveries < MOST_DELIVERIES && bytes + more <= MOST_BYTES
}

/// Makes one message of what [`encode`] wrote for each of some deliveries to the same webhook.
#[must_use]
pub fn join(mut deliveries: Vec<Vec<u8>>) -> Vec<u8> {
    match deliveries.len() {
        1 => deliveries.remove(0),
        _ => [&b"["[..], &deliveries.join(&b','), b"]"].concat(),
    }
}

/// Something that is no delivery.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no delivery: {0}")]
pub struct InvalidDelivery(String);

impl InvalidDelivery {
    /// What is wrong repeats the message, and goes into a header: so it is cut.
    fn new(error: impl Display) -> Self {
        Self(error.to_string().chars().take(TOLD_CHARS).collect())
    }
}

/// Reads a message: what [`encode`] or [`join`] wrote.
///
/// # Errors
/// When it is something else: nobody but us publishes there.
pub fn decode(body: &[u8]) -> Result<Vec<DeliveryMessage>, InvalidDelivery> {
    let several = body.first() == Some(&b'[');
    let wires: Vec<Wire<'_>> = match several {
        true => serde_json::from_slice(body).map_err(InvalidDelivery::new)?,
        false => vec![serde_json::from_slice(body).map_err(InvalidDelivery::new)?],
    };
    wires.into_iter().map(read).collect()
}

fn read(wire: Wire<'_>) -> Result<DeliveryMessage, InvalidDelivery> {
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
    fn what_is_written_is_read_back() {
        let at = domain::time::parse("2021-04-08T19:36:02.938Z").expect("valid");
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
        let (mut all, mut bodies) = (Vec::new(), Vec::new());
        for progress in [Progress::fresh(1), waiting, repeated] {
            for data in ["null", "12345678901234567890", r#"{"z": 1.10, "a":"\u00e4ö"}"#, "[1]"] {
                let body = encode(&progress, &head, data);
                let written =
                    DeliveryMessage { progress: progress.clone(), head: head.clone(), data: data.into() };
                assert_eq!(decode(&join(vec![body.clone()])), Ok(vec![written.clone()]));
                bodies.push(body);
                all.push(written);
            }
        }
        assert_eq!(decode(&join(bodies)), Ok(all));
        for wrong in ["{}", "[{}]", "", "[", "7"] {
            assert!(decode(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
