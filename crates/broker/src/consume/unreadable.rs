//! Parts of a message that nobody can read: AMQP's short strings are any bytes, and its tables nest without a bound.

use std::fmt;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, MAX_NESTING, MAX_VALUES, ShortString};

/// How deep arrays and tables may lie in headers, because each level costs stack. RabbitMQ's own (`x-death`) lie 3 deep.
pub const MAX_HEADER_NESTING: usize = 32;

// The client skips deeper levels: it must see one more than may be there.
const _: () = assert!(MAX_HEADER_NESTING + 1 < MAX_NESTING);

/// Something of a message that cannot be read.
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
    /// The client left some of the headers out: they are malformed, or more than [`MAX_VALUES`].
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
    /// The first that a message with this routing key and these properties has, if any.
    pub(crate) fn find(routing_key: &ShortString, properties: &BasicProperties) -> Option<Self> {
        if !routing_key.is_utf8() {
            return Some(Self::RoutingKey);
        }
        Self::in_properties(properties)
    }

    /// The first among these properties, if any.
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
        let garbled = |text: &&ShortString| !text.is_utf8();
        texts
            .into_iter()
            .find(|(_, text)| text.as_ref().filter(garbled).is_some())
            .map(|(name, _)| Self::Property(name))
            .or_else(|| properties.headers().as_ref().and_then(|headers| in_table(headers, 0)))
    }
}

/// The property `message_id`, if it is UTF-8: of two others the replacements may be alike.
pub(crate) fn message_id(properties: &BasicProperties) -> Option<String> {
    properties.message_id().as_ref().filter(|id| id.is_utf8()).map(ToString::to_string)
}

fn in_table(table: &FieldTable, depth: usize) -> Option<Unreadable> {
    if depth > MAX_HEADER_NESTING {
        return Some(Unreadable::Nesting);
    }
    if table.is_truncated() {
        return Some(Unreadable::Headers);
    }
    table.into_iter().find_map(|(name, value)| {
        if name.is_utf8() { in_value(value, depth + 1) } else { Some(Unreadable::HeaderName) }
    })
}

fn in_value(value: &AMQPValue, depth: usize) -> Option<Unreadable> {
    match value {
        AMQPValue::FieldTable(table) => in_table(table, depth),
        AMQPValue::FieldArray(_) if depth > MAX_HEADER_NESTING => Some(Unreadable::Nesting),
        AMQPValue::FieldArray(array) if array.is_truncated() => Some(Unreadable::Headers),
        AMQPValue::FieldArray(array) => array.as_slice().iter().find_map(|value| in_value(value, depth + 1)),
        AMQPValue::ShortString(text) if !text.is_utf8() => Some(Unreadable::Headers),
        _ => None,
    }
}
