//! A producer that writes AMQP 0-9-1 by hand, so that it can send what no client library lets through.

use lapin::uri::AMQPUri;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::PATIENCE;

/// The largest frame that RabbitMQ allows unless told otherwise.
pub const FRAME_MAX: usize = 131_072;
/// Bytes of a frame beside its payload.
const FRAME_OVERHEAD: usize = 8;
/// Bytes of a content header before its properties.
const CONTENT_HEADER: usize = 2 + 2 + 8;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
const FRAME_END: u8 = 0xce;
const CHANNEL: u16 = 1;
/// The channels of a connection that RabbitMQ allows unless told otherwise.
const CHANNEL_MAX: u16 = 2047;

const CONNECTION: u16 = 10;
const CHANNEL_CLASS: u16 = 20;
const BASIC: u16 = 60;
const CONFIRM: u16 = 85;

/// The properties of a message that are short strings, each with its bit among the flags.
const TEXTS: [(&str, u16); 10] = [
    ("content_type", 15),
    ("content_encoding", 14),
    ("correlation_id", 10),
    ("reply_to", 9),
    ("expiration", 8),
    ("message_id", 7),
    ("type", 5),
    ("user_id", 4),
    ("app_id", 3),
    ("cluster_id", 2),
];
/// The bit of the property `headers`.
const HEADERS: u16 = 13;

/// A message of any bytes.
#[derive(Debug, Clone, Default)]
pub struct RawMessage {
    key: Vec<u8>,
    /// By descending bit, as they are written.
    properties: Vec<(u16, Vec<u8>)>,
    body: Vec<u8>,
}

impl RawMessage {
    /// A message without properties.
    #[must_use]
    pub fn new(key: &[u8], body: &[u8]) -> Self {
        Self { key: key.to_vec(), properties: Vec::new(), body: body.to_vec() }
    }

    /// With a property that is a short string.
    ///
    /// # Panics
    /// When there is no such property.
    #[must_use]
    pub fn text(self, name: &str, value: &[u8]) -> Self {
        let (_, bit) = TEXTS.iter().find(|(known, _)| *known == name).expect("a property of this name");
        self.property(*bit, short(value))
    }

    /// With headers, each written by [`header`].
    #[must_use]
    pub fn headers(self, headers: &[u8]) -> Self {
        self.property(HEADERS, long(headers))
    }

    fn property(mut self, bit: u16, value: Vec<u8>) -> Self {
        self.properties.push((bit, value));
        self.properties.sort_by_key(|(bit, _)| std::cmp::Reverse(*bit));
        self
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The size of its content header's frame.
    #[must_use]
    pub fn header_frame(&self) -> usize {
        FRAME_OVERHEAD + self.content_header().len()
    }

    fn content_header(&self) -> Vec<u8> {
        let flags: u16 = self.properties.iter().map(|(bit, _)| 1 << bit).sum();
        let mut bytes = [BASIC.to_be_bytes(), [0, 0]].concat();
        bytes.extend((self.body.len() as u64).to_be_bytes());
        debug_assert_eq!(bytes.len(), CONTENT_HEADER);
        bytes.extend(flags.to_be_bytes());
        bytes.extend(self.properties.iter().flat_map(|(_, value)| value));
        bytes
    }
}

/// A short string: its length in one byte.
///
/// # Panics
/// When it is longer than 255 bytes.
#[must_use]
pub fn short(bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).expect("at most 255 bytes");
    [&[length], bytes].concat()
}

/// A long string, or the content of an array or a table: its length in four bytes.
///
/// # Panics
/// When it is longer than 4 GiB.
#[must_use]
pub fn long(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("at most 4 GiB");
    [&length.to_be_bytes(), bytes].concat()
}

/// A header of this name, whose value is written with its type.
#[must_use]
pub fn header(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&short(name), value].concat()
}

/// The value nothing in as many arrays.
#[must_use]
pub fn nested_arrays(depth: usize) -> Vec<u8> {
    (0..depth).fold(b"V".to_vec(), |inner, _| [&b"A"[..], &long(&inner)].concat())
}

/// The value nothing in as many tables.
#[must_use]
pub fn nested_tables(depth: usize) -> Vec<u8> {
    (0..depth).fold(b"V".to_vec(), |inner, _| [&b"F"[..], &long(&header(b"", &inner))].concat())
}

/// A connection with one channel that confirms.
#[derive(Debug)]
pub struct RawProducer {
    stream: TcpStream,
    exchange: String,
}

impl RawProducer {
    /// Connects to the broker; publishes to `{namespace}.events`.
    ///
    /// # Panics
    /// When the broker does not let it in.
    pub async fn connect(amqp_url: &str, namespace: &str) -> Self {
        let uri: AMQPUri = amqp_url.parse().expect("an AMQP URL");
        let at = (uri.authority.host.as_str(), uri.authority.port);
        let stream = TcpStream::connect(at).await.expect("a broker");
        let mut producer = Self { stream, exchange: format!("{namespace}.events") };
        producer.stream.write_all(b"AMQP\0\0\x09\x01").await.expect("the broker hears");
        producer.expect(CONNECTION, 10).await;
        let user = &uri.authority.userinfo;
        let login = format!("\0{}\0{}", user.username, user.password);
        let start = [long(b""), short(b"PLAIN"), long(login.as_bytes()), short(b"en_US")].concat();
        producer.method(0, CONNECTION, 11, &start).await;
        producer.expect(CONNECTION, 30).await;
        let frame_max = u32::try_from(FRAME_MAX).expect("it fits");
        let tune = [&CHANNEL_MAX.to_be_bytes()[..], &frame_max.to_be_bytes(), &[0, 0]].concat();
        producer.method(0, CONNECTION, 31, &tune).await;
        let open = [short(uri.vhost.as_bytes()), vec![0, 0]].concat();
        producer.method(0, CONNECTION, 40, &open).await;
        producer.expect(CONNECTION, 41).await;
        producer.method(CHANNEL, CHANNEL_CLASS, 10, &[0]).await;
        producer.expect(CHANNEL_CLASS, 11).await;
        producer.method(CHANNEL, CONFIRM, 10, &[0]).await;
        producer.expect(CONFIRM, 11).await;
        producer
    }

    /// Publishes a message that must find a queue, and waits for the confirm.
    ///
    /// # Panics
    /// When the broker does not take it.
    pub async fn publish(&mut self, message: &RawMessage) {
        const MANDATORY: u8 = 1;
        let exchange = short(self.exchange.as_bytes());
        let publish = [&[0, 0], &exchange[..], &short(&message.key), &[MANDATORY]].concat();
        self.method(CHANNEL, BASIC, 40, &publish).await;
        self.frame(HEADER, CHANNEL, &message.content_header()).await;
        for chunk in message.body.chunks(FRAME_MAX - FRAME_OVERHEAD) {
            self.frame(BODY, CHANNEL, chunk).await;
        }
        self.expect(BASIC, 80).await;
    }

    async fn method(&mut self, channel: u16, class: u16, method: u16, arguments: &[u8]) {
        let payload = [&class.to_be_bytes(), &method.to_be_bytes(), arguments].concat();
        self.frame(METHOD, channel, &payload).await;
    }

    async fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let bytes = [&[kind], &channel.to_be_bytes()[..], &long(payload), &[FRAME_END]].concat();
        self.stream.write_all(&bytes).await.expect("the broker hears");
    }

    /// Reads the next method, which must be this one.
    async fn expect(&mut self, class: u16, method: u16) {
        let reading = async {
            loop {
                let (kind, payload) = self.read().await.expect("an answer of the broker");
                if kind != HEARTBEAT {
                    return payload;
                }
            }
        };
        let payload = tokio::time::timeout(PATIENCE, reading).await.expect("the broker answers");
        let expected = [class.to_be_bytes(), method.to_be_bytes()].concat();
        assert!(payload.starts_with(&expected), "{class}.{method} and not {}", payload.escape_ascii());
    }

    async fn read(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        let kind = self.stream.read_u8().await?;
        self.stream.read_u16().await?;
        let length = self.stream.read_u32().await?;
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).await?;
        self.stream.read_u8().await?;
        Ok((kind, payload))
    }
}
