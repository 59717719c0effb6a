//! Parts of a message that cannot be read, because AMQP's short strings may hold any bytes and its tables may nest
//! without a limit.

use std::fmt;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, MAX_NESTING, MAX_VALUES, ShortString};

/// Deepest nesting of arrays and tables in headers, because each level costs stack. RabbitMQ's own header `x-death` is
/// nested 3 levels deep.
pub const MAX_HEADER_NESTING: usize = 32;

// The client skips deeper levels, so it must read one level more than is allowed.
const _: () = assert!(MAX_HEADER_NESTING + 1 < MAX_NESTING);

/// A part of a message that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// The routing key is not UTF-8.
    RoutingKey,
    /// The property of this name is not UTF-8.
    Property(&'static str),
    /// The name of a header is not UTF-8.
    HeaderName,
    /// Headers are nested deeper than [`MAX_HEADER_NESTING`].
    Nesting,
    /// The client left out some of the headers, because they are malformed or have more than [`MAX_VALUES`] values.
    Headers,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RoutingKey => f.write_str("the routing key is not UTF-8"),
            Self::Property(name) => write!(f, "the property {name} is not UTF-8"),
            Self::HeaderName => f.write_str("the name of a header is not UTF-8"),
            Self::Nesting => write!(f, "headers are nested deeper than {MAX_HEADER_NESTING} levels"),
            Self::Headers => write!(f, "headers are malformed or have more than {MAX_VALUES} values"),
        }
    }
}

impl Unreadable {
    /// Returns the first unreadable part of a message with this routing key and these properties.
    pub(crate) fn find(routing_key: &ShortString, properties: &BasicProperties) -> Option<Self> {
        if !routing_key.is_utf8() {
            return Some(Self::RoutingKey);
        }
        Self::in_properties(properties)
    }

    /// Returns the first unreadable part of these properties.
    #[must_use]
    pub fn in_properties(properties: &BasicProperties) -> Option<Self> {
        let texts = [
            ("content_type", properties.content_type()),
            ("content_encoding", properties.content_encoding()),
            ("correlation_id", properties.correlation_id()),
            ("reply_to", properties.reply_to()),
            ("expiration", properties.expiration()),
            ("message_id", properties.message_id()),
            ("type", properties.kind()),
            ("user_id", properties.user_id()),
            ("app_id", properties.app_id()),
            ("cluster_id", properties.cluster_id()),
        ];
        let is_not_utf8 = |text: &&ShortString| !text.is_utf8();
        texts
            .into_iter()
            .find(|(_, text)| text.as_ref().filter(is_not_utf8).is_some())
            .map(|(name, _)| Self::Property(name))
            .or_else(|| properties.headers().as_ref().and_then(|headers| find_in_table(headers, 0)))
    }
}

/// Returns the property `message_id` if it is UTF-8. Replacing other bytes could make two different ids equal.
pub(crate) fn utf8_message_id(properties: &BasicProperties) -> Option<String> {
    properties.message_id().as_ref().filter(|id| id.is_utf8()).map(ToString::to_string)
}

fn find_in_table(table: &FieldTable, depth: usize) -> Option<Unreadable> {
    if depth > MAX_HEADER_NESTING {
        return Some(Unreadable::Nesting);
    }
    if table.is_truncated() {
        return Some(Unreadable::Headers);
    }
    table.into_iter().find_map(|(name, value)| {
        if name.is_utf8() { find_in_value(value, depth + 1) } else { Some(Unreadable::HeaderName) }
    })
}

fn find_in_value(value: &AMQPValue, depth: usize) -> Option<Unreadable> {
    match value {
        AMQPValue::FieldTable(table) => find_in_table(table, depth),
        AMQPValue::FieldArray(_) if depth > MAX_HEADER_NESTING => Some(Unreadable::Nesting),
        AMQPValue::FieldArray(array) if array.is_truncated() => Some(Unreadable::Headers),
        AMQPValue::FieldArray(array) => {
            array.as_slice().iter().find_map(|value| find_in_value(value, depth + 1))
        }
        AMQPValue::ShortString(text) if !text.is_utf8() => Some(Unreadable::Headers),
        _ => None,
    }
}
