//! The wire format of messages in a webhook's queue. A message carries one delivery, or several of the same webhook.
//!
//! A delivery holds everything that an attempt needs, so that delivering reads nothing from the database. Only event data
//! above [`MAX_INLINE_BYTES`] stays there: the message carries its size, and the deliverer loads it when the attempt is
//! due. So no message is larger than [`MAX_MESSAGE_BYTES`], and a fan-out copies no large data. After a failed attempt
//! the deliverer publishes a new message with another [`Progress`].
//!
//! ```json
//! {"generation":1,"round":1,…,"id":"01F2…","brandId":"acme","created":"2021-…","type":"A.B","data":{"a":1}}
//! {"generation":1,"round":1,…,"id":"01F2…","brandId":"acme","created":"2021-…","type":"A.B","dataBytes":262000}
//! ```

use std::fmt::Display;

use domain::delivery::attempt::Trigger;
use domain::delivery::envelope::{EventData, EventHead};
use domain::event::event_type::EventType;
use domain::ids::{BrandId, EventId};
use domain::time::{Timestamp, format_timestamp};
use domain::trace::TraceParent;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Most deliveries in one message. A message costs RabbitMQ about the same with one delivery as with several, but it
/// stays unacknowledged until all of its deliveries are handled.
pub const MAX_DELIVERIES: usize = 8;
/// Most bytes of event data in a message, because a deliverer bounds its memory by messages.
pub const MAX_BATCH_BYTES: usize = 16 * 1024;
/// Largest event data that a message contains. Nearly all events are smaller and need no read; half of a message still
/// has room for a second delivery.
pub const MAX_INLINE_BYTES: usize = 8 * 1024;
/// Most bytes of a delivery in a message beside its data: the longest brand id, type and trace, and every optional field.
pub const MAX_HEAD_BYTES: usize = 640;
/// Most bytes of a message. The deliverer's memory for messages in hand is this size times their number.
pub const MAX_MESSAGE_BYTES: usize = MAX_BATCH_BYTES + MAX_DELIVERIES * MAX_HEAD_BYTES;

const _: () = assert!(MAX_INLINE_BYTES <= MAX_BATCH_BYTES);

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
    /// The event's data.
    pub data: EventData,
}

/// The data of an event as a message contains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireData<'a> {
    /// The data, byte for byte.
    Inline(&'a str),
    /// The size of data that stays in the database.
    Stored {
        /// The size.
        bytes: usize,
    },
}

impl<'a> WireData<'a> {
    /// Chooses how a message contains this data.
    #[must_use]
    pub fn new(data: &'a str) -> Self {
        if data.len() <= MAX_INLINE_BYTES { Self::Inline(data) } else { Self::Stored { bytes: data.len() } }
    }

    /// Returns the data of a delivery that was read before.
    #[must_use]
    pub fn of(data: &'a EventData) -> Self {
        match data {
            EventData::Inline(data) => Self::new(data),
            EventData::Stored { bytes } => Self::Stored { bytes: *bytes },
        }
    }

    /// Returns how many bytes of data the message contains.
    #[must_use]
    pub fn inline_bytes(self) -> usize {
        match self {
            Self::Inline(data) => data.len(),
            Self::Stored { .. } => 0,
        }
    }
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
    #[serde(default, borrow, deserialize_with = "some_data")]
    data: Option<&'a RawValue>,
    #[serde(default)]
    data_bytes: Option<u32>,
}

/// Reads data that may be `null`, which is not the same as no data.
fn some_data<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

fn some_timestamp<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    domain::time::rfc3339::deserialize(from).map(Some)
}

/// Writes a delivery. Its data is inserted unchanged, and no other value contains characters that JSON escapes.
#[must_use]
pub fn encode(progress: &Progress, head: &EventHead, data: WireData<'_>) -> Vec<u8> {
    let optional = |key: &str, at: Option<Timestamp>| {
        at.map_or_else(String::new, |at| format!("\"{key}\":\"{}\",", format_timestamp(at)))
    };
    let mut body = Vec::with_capacity(384 + data.inline_bytes());
    body.extend_from_slice(
        format!(
            "{{\"generation\":{},\"round\":{},\"recorded\":{},\"attempt\":{},\"trigger\":\"{}\",{}{}{}{}{}\"id\":\"{}\",\"brandId\":\"{}\",\"created\":\"{}\",\"type\":\"{}\",",
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
    match data {
        WireData::Inline(data) => {
            body.extend_from_slice(b"\"data\":");
            body.extend_from_slice(data.as_bytes());
        }
        WireData::Stored { bytes } => body.extend_from_slice(format!("\"dataBytes\":{bytes}").as_bytes()),
    }
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

/// Reads a message that [`encode`] or [`join_deliveries`] wrote. Larger data, which routers of earlier versions wrote, is
/// not kept, because the database has it.
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
    let data = match (wire.data, wire.data_bytes) {
        (Some(data), None) => EventData::keep(data.get(), MAX_INLINE_BYTES),
        (None, Some(bytes)) => {
            EventData::Stored { bytes: usize::try_from(bytes).map_err(InvalidDelivery::new)? }
        }
        (None, None) => return Err(InvalidDelivery::new("missing field `data` or `dataBytes`")),
        (Some(_), Some(_)) => return Err(InvalidDelivery::new("both `data` and `dataBytes`")),
    };
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
        data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        domain::time::parse_timestamp("2021-04-08T19:36:02.938Z").expect("valid")
    }

    fn head(brand_id: &str, event_type: &str) -> EventHead {
        EventHead {
            id: "01F2SFVYVD0H873S2VRT8VQSPM".parse().expect("id"),
            brand_id: brand_id.parse().expect("brand"),
            created: now(),
            event_type: event_type.parse().expect("type"),
        }
    }

    fn waiting() -> Progress {
        Progress {
            recorded: 3,
            attempt: 2,
            round: 2,
            trigger: Trigger::Retry,
            repeated: true,
            first_started: Some(now()),
            not_before: Some(now()),
            received: Some(now()),
            trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().ok(),
            ..Progress::fresh(7)
        }
    }

    #[test]
    fn written_deliveries_are_read_back() {
        let head = head("acme", "A.B");
        let repeated = Progress { repeated: true, ..Progress::fresh(2) };
        let mut all = Vec::new();
        let mut bodies = Vec::new();
        for progress in [Progress::fresh(1), waiting(), repeated] {
            let inline = ["null", "12345678901234567890", r#"{"z": 1.10, "a":"\u00e4ö"}"#, "[1]"];
            let stored = EventData::Stored { bytes: 200_000 };
            for data in inline.map(|data| EventData::Inline(data.into())).into_iter().chain([stored]) {
                let body = encode(&progress, &head, WireData::of(&data));
                let written = DeliveryMessage { progress: progress.clone(), head: head.clone(), data };
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

    #[test]
    fn a_delivery_has_data_or_its_size() {
        let body = encode(&Progress::fresh(1), &head("acme", "A.B"), WireData::Inline("1"));
        let body = String::from_utf8(body).expect("UTF-8");
        assert!(decode(body.as_bytes()).is_ok());
        for (wrong, what) in [("\"data\":1,\"dataBytes\":1}", "both"), ("\"none\":1}", "missing")] {
            let refused = decode(body.replace("\"data\":1}", wrong).as_bytes()).expect_err(wrong).to_string();
            assert!(refused.contains(what), "{refused}");
        }
    }

    #[test]
    fn large_data_is_neither_written_nor_kept() {
        let data = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
        let (largest, larger) = (data(MAX_INLINE_BYTES), data(MAX_INLINE_BYTES + 1));
        assert_eq!(WireData::new(&largest), WireData::Inline(&largest));
        assert_eq!(WireData::new(&larger), WireData::Stored { bytes: larger.len() });
        // As a router of an earlier version wrote it.
        let body = encode(&Progress::fresh(1), &head("acme", "A.B"), WireData::Inline(&larger));
        let read = decode(&body).expect("a delivery").remove(0);
        assert_eq!(read.data, EventData::Stored { bytes: larger.len() });
    }

    #[test]
    fn the_longest_head_fits_its_bound() {
        let segment = "A".repeat(15);
        let longest_type = vec![segment; 8].join(".") + "A";
        let longest = Progress {
            generation: i32::MIN,
            round: i32::MIN,
            recorded: i32::MIN,
            attempt: u32::MAX,
            trigger: Trigger::Redeliver,
            ..waiting()
        };
        let head = head(&"b".repeat(64), &longest_type);
        assert_eq!(head.event_type.as_str().len(), domain::limits::MAX_EVENT_TYPE_CHARS);
        let length = encode(&longest, &head, WireData::Stored { bytes: usize::MAX }).len();
        // A comma or a bracket joins it to the next delivery.
        assert!((MAX_HEAD_BYTES / 2..MAX_HEAD_BYTES).contains(&length), "{length}");
    }
}
