//! A producer of messages that client libraries refuse, for tests that panic when the broker refuses one.

use crate::raw_amqp::{FRAME_OVERHEAD, Failure, Properties, RawClient, Text, long_string, short_string};

/// Bytes of a content header before its properties: class, weight and the length of the body.
const CONTENT_HEADER_BYTES: usize = 2 + 2 + 8;

/// The properties of a message that are short strings.
const TEXTS: [(&str, Text); 9] = [
    ("content_type", Text::ContentType),
    ("content_encoding", Text::ContentEncoding),
    ("correlation_id", Text::CorrelationId),
    ("reply_to", Text::ReplyTo),
    ("expiration", Text::Expiration),
    ("message_id", Text::MessageId),
    ("type", Text::Type),
    ("app_id", Text::AppId),
    ("cluster_id", Text::ClusterId),
];

/// A persistent message of any bytes.
#[derive(Debug, Clone, Default)]
pub struct RawMessage {
    key: Vec<u8>,
    properties: Properties,
    body: Vec<u8>,
}

impl RawMessage {
    /// Creates a message without further properties.
    #[must_use]
    pub fn new(key: &[u8], body: &[u8]) -> Self {
        Self { key: key.to_vec(), properties: Properties::default(), body: body.to_vec() }
    }

    /// Adds a property that is a short string.
    ///
    /// # Panics
    /// When there is no such property.
    #[must_use]
    pub fn text(self, name: &str, value: &[u8]) -> Self {
        let (_, text) = TEXTS.iter().find(|(known, _)| *known == name).expect("a property of this name");
        Self { properties: self.properties.text(*text, value), ..self }
    }

    /// Adds headers, each encoded by [`encode_header`].
    #[must_use]
    pub fn headers(self, headers: &[u8]) -> Self {
        Self { properties: self.properties.headers(headers), ..self }
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the size of its content header's frame.
    #[must_use]
    pub fn header_frame_bytes(&self) -> usize {
        FRAME_OVERHEAD + CONTENT_HEADER_BYTES + self.properties.encode().len()
    }
}

/// Encodes a long string, or the content of an array or a table, with its length in four bytes.
///
/// # Panics
/// When it is longer than 4 GiB.
#[must_use]
pub fn encode_long(bytes: &[u8]) -> Vec<u8> {
    long_string(bytes)
}

/// Encodes a header of this name, with the value's type in front of the value.
#[must_use]
pub fn encode_header(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&short_string(name), value].concat()
}

/// Encodes a void value in this number of arrays.
#[must_use]
pub fn nested_arrays(depth: usize) -> Vec<u8> {
    (0..depth).fold(b"V".to_vec(), |inner, _| [&b"A"[..], &encode_long(&inner)].concat())
}

/// Encodes a void value in this number of tables.
#[must_use]
pub fn nested_tables(depth: usize) -> Vec<u8> {
    (0..depth).fold(b"V".to_vec(), |inner, _| [&b"F"[..], &encode_long(&encode_header(b"", &inner))].concat())
}

/// A connection that publishes to the events of a namespace.
#[derive(Debug)]
pub struct RawProducer {
    client: RawClient,
    exchange: String,
}

impl RawProducer {
    /// Connects to the broker, to publish to `{namespace}.events`.
    ///
    /// # Panics
    /// When the broker refuses the connection.
    pub async fn connect(amqp_url: &str, namespace: &str) -> Self {
        let client = RawClient::connect(amqp_url).await.expect("a broker");
        Self { client, exchange: format!("{namespace}.events") }
    }

    /// Publishes a message that must find a queue, and waits for the confirm.
    ///
    /// # Panics
    /// When the broker does not accept it.
    pub async fn publish(&mut self, message: &RawMessage) {
        self.try_publish(message).await.expect("a confirm");
    }

    /// Publishes a message that must find a queue, and waits for the confirm.
    ///
    /// # Errors
    /// When it is not confirmed.
    pub async fn try_publish(&mut self, message: &RawMessage) -> Result<(), Failure> {
        let RawMessage { key, properties, body } = message;
        self.client.publish(&self.exchange, key, properties, body).await
    }
}
