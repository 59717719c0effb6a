//! Headers of messages as RabbitMQ and producers set them. All of it is somebody else's text: what does not have the
//! expected form counts as absent.

use domain::trace::{TRACEPARENT, TraceParent};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use crate::publisher::PROBE_HEADER;

/// Counts how often a message was returned to its quorum queue.
const DELIVERY_COUNT: &str = "x-delivery-count";
/// Lists why the broker took a message out of queues, the latest first.
const DEATHS: &str = "x-death";
/// Entries of the list that are read: a producer may have sent one of any length.
const MAX_DEATHS: usize = 16;

/// Why the broker took a message out of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// The queue.
    pub queue: String,
    /// RabbitMQ's word for the reason.
    pub reason: String,
}

impl Death {
    /// The reason of a message whose `expiration` passed.
    pub const EXPIRED: &str = "expired";
}

pub(crate) fn trace(properties: &BasicProperties) -> Option<TraceParent> {
    text(header(properties, TRACEPARENT)?)?.parse().ok()
}

pub(crate) fn returns(properties: &BasicProperties) -> i64 {
    match header(properties, DELIVERY_COUNT) {
        Some(AMQPValue::LongLongInt(count)) => *count,
        Some(AMQPValue::LongInt(count)) => i64::from(*count),
        Some(AMQPValue::ShortInt(count)) => i64::from(*count),
        Some(AMQPValue::ShortShortInt(count)) => i64::from(*count),
        Some(AMQPValue::ShortShortUInt(count)) => i64::from(*count),
        _ => 0,
    }
}

pub(crate) fn refusal(properties: &BasicProperties) -> Option<(String, String)> {
    let text_of = |name| header(properties, name).and_then(text).map(str::to_owned);
    Some((text_of("x-reject-reason")?, text_of("x-reject-detail")?))
}

pub(crate) fn is_probe(properties: &BasicProperties) -> bool {
    header(properties, PROBE_HEADER).is_some()
}

pub(crate) fn deaths(properties: &BasicProperties) -> Vec<Death> {
    let Some(AMQPValue::FieldArray(entries)) = header(properties, DEATHS) else { return Vec::new() };
    let tables = entries.as_slice().iter().take(MAX_DEATHS).filter_map(|entry| match entry {
        AMQPValue::FieldTable(table) => Some(table),
        _ => None,
    });
    tables.filter_map(death).collect()
}

fn death(table: &FieldTable) -> Option<Death> {
    let field = |name: &str| table.inner().get(name).and_then(text).map(str::to_owned);
    Some(Death { queue: field("queue")?, reason: field("reason")? })
}

fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref()?.inner().get(name)
}

fn text(value: &AMQPValue) -> Option<&str> {
    match value {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
        AMQPValue::ShortString(text) => Some(text.as_str()),
        _ => None,
    }
}
