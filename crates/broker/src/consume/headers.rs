//! Readers of the headers that RabbitMQ and producers set. A header that does not have the expected form counts as
//! absent, because it comes from outside.

use domain::limits::MAX_REJECT_DETAIL_BYTES;
use domain::trace::{TRACEPARENT, TraceParent};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use crate::publish::{PROBE_HEADER, SENT_ON_HEADER};

/// Header with the number of times that a message was returned to its quorum queue.
const DELIVERY_COUNT_HEADER: &str = "x-delivery-count";
/// Header with the reasons why RabbitMQ dead-lettered a message, the latest first.
const DEATHS_HEADER: &str = "x-death";
/// Entries of `x-death` that are read, because a producer may send a list of any length.
const MAX_DEATHS: usize = 16;
/// Longest name of a queue in bytes, as AMQP has it. Producers may send longer texts.
const MAX_QUEUE_NAME_BYTES: usize = 255;
/// Longest word for a reason that is read, in bytes. RabbitMQ's and the router's words are shorter.
const MAX_REASON_BYTES: usize = 64;

/// The reason why RabbitMQ dead-lettered a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// The queue that the message left.
    pub queue: String,
    /// RabbitMQ's word for the reason.
    pub reason: String,
}

impl Death {
    /// RabbitMQ's reason for a message whose `expiration` passed.
    pub const EXPIRED: &str = "expired";

    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.queue.len() + self.reason.len()
    }
}

pub(crate) fn read_trace(properties: &BasicProperties) -> Option<TraceParent> {
    as_text(header(properties, TRACEPARENT)?)?.parse().ok()
}

pub(crate) fn count_returns(properties: &BasicProperties) -> i64 {
    match header(properties, DELIVERY_COUNT_HEADER) {
        Some(AMQPValue::LongLongInt(count)) => *count,
        Some(AMQPValue::LongInt(count)) => i64::from(*count),
        Some(AMQPValue::ShortInt(count)) => i64::from(*count),
        Some(AMQPValue::ShortShortInt(count)) => i64::from(*count),
        Some(AMQPValue::ShortShortUInt(count)) => i64::from(*count),
        _ => 0,
    }
}

pub(crate) fn read_rejection(properties: &BasicProperties) -> Option<(String, String)> {
    let text_of = |name, max| as_short_text(header(properties, name)?, max);
    Some((
        text_of("x-reject-reason", MAX_REASON_BYTES)?,
        text_of("x-reject-detail", MAX_REJECT_DETAIL_BYTES)?,
    ))
}

pub(crate) fn has_probe_mark(properties: &BasicProperties) -> bool {
    header(properties, PROBE_HEADER).is_some()
}

pub(crate) fn has_sent_on_mark(properties: &BasicProperties) -> bool {
    header(properties, SENT_ON_HEADER).is_some()
}

pub(crate) fn read_deaths(properties: &BasicProperties) -> Vec<Death> {
    let Some(AMQPValue::FieldArray(entries)) = header(properties, DEATHS_HEADER) else { return Vec::new() };
    let tables = entries.as_slice().iter().take(MAX_DEATHS).filter_map(|entry| match entry {
        AMQPValue::FieldTable(table) => Some(table),
        _ => None,
    });
    tables.filter_map(read_death).collect()
}

fn read_death(table: &FieldTable) -> Option<Death> {
    let field = |name: &str, max| as_short_text(table.inner().get(name)?, max);
    Some(Death { queue: field("queue", MAX_QUEUE_NAME_BYTES)?, reason: field("reason", MAX_REASON_BYTES)? })
}

fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref()?.inner().get(name)
}

/// Returns a text of at most `max` bytes, because the message keeps it while it is in memory.
fn as_short_text(value: &AMQPValue, max: usize) -> Option<String> {
    as_text(value).filter(|text| text.len() <= max).map(str::to_owned)
}

fn as_text(value: &AMQPValue) -> Option<&str> {
    match value {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
        AMQPValue::ShortString(text) => Some(text.as_str()),
        _ => None,
    }
}
