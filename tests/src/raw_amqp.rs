//! An AMQP 0-9-1 client that sends and reads any bytes, because a proper client refuses a careless producer's
//! messages: short strings that are not UTF-8, tables nested thousands deep, header values of any type.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long RabbitMQ may take to answer; a large message on a busy machine takes seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// The largest frame, as RabbitMQ proposes it; the headers of a message have to fit into one.
pub const MAX_FRAME_BYTES: usize = 131_072;
/// Bytes of a frame around its payload.
pub(crate) const FRAME_OVERHEAD: usize = 8;
/// The last byte of a frame.
const FRAME_END: u8 = 0xCE;
/// The channel that is used.
const CHANNEL: u16 = 1;
/// The class `basic`.
const BASIC: u16 = 60;
/// The delivery mode that survives a restart of the broker.
const PERSISTENT: u8 = 2;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;

/// The reason of a failure.
pub type Failure = String;

/// A property of a message that is a short string of any bytes, at most 255.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// `content_type`.
    ContentType = 15,
    /// `content_encoding`.
    ContentEncoding = 14,
    /// `correlation_id`.
    CorrelationId = 10,
    /// `reply_to`.
    ReplyTo = 9,
    /// `expiration`; RabbitMQ refuses everything except digits, which are milliseconds.
    Expiration = 8,
    /// `message_id`.
    MessageId = 7,
    /// `type`.
    Type = 5,
    /// `app_id`.
    AppId = 3,
    /// `cluster_id`.
    ClusterId = 2,
}

const HEADERS_BIT: u8 = 13;
const DELIVERY_MODE_BIT: u8 = 12;

/// The properties of a message, each in its encoded form.
#[derive(Debug, Clone)]
pub struct Properties(BTreeMap<u8, Vec<u8>>);

impl Default for Properties {
    /// Returns the properties of a persistent message.
    fn default() -> Self {
        Self(BTreeMap::from([(DELIVERY_MODE_BIT, vec![PERSISTENT])]))
    }
}

impl Properties {
    /// Adds this short string.
    #[must_use]
    pub fn text(mut self, property: Text, value: &[u8]) -> Self {
        self.0.insert(property as u8, short_string(value));
        self
    }

    /// Adds these headers, the encoded fields of a table without their length in front.
    #[must_use]
    pub fn headers(mut self, fields: &[u8]) -> Self {
        self.0.insert(HEADERS_BIT, long_string(fields));
        self
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let flags = self.0.keys().fold(0_u16, |flags, bit| flags | 1 << bit);
        let mut encoded = flags.to_be_bytes().to_vec();
        self.0.values().rev().for_each(|value| encoded.extend(value));
        encoded
    }
}

/// Encodes a field of a table from its name, its type and its encoded value.
#[must_use]
pub fn encode_field(name: &[u8], kind: u8, value: &[u8]) -> Vec<u8> {
    [short_string(name), vec![kind], value.to_vec()].concat()
}

/// Encodes a field whose value is text.
#[must_use]
pub fn text_field(name: &[u8], value: &[u8]) -> Vec<u8> {
    encode_field(name, b'S', &long_string(value))
}

/// Encodes a field whose value is an array in an array and so on, this number of levels deep.
#[must_use]
pub fn nested_arrays(name: &[u8], depth: usize) -> Vec<u8> {
    const LEVEL_BYTES: usize = 5;
    let mut encoded = encode_field(name, b'A', &[]);
    for level in 0..depth {
        let inside = u32::try_from((depth - 1 - level) * LEVEL_BYTES).expect("a length of 32 bits");
        encoded.extend(inside.to_be_bytes());
        if level + 1 < depth {
            encoded.push(b'A');
        }
    }
    encoded
}

/// Encodes a field whose value is a table in a table and so on, this number of levels deep.
#[must_use]
pub fn nested_tables(name: &[u8], depth: usize) -> Vec<u8> {
    const LEVEL_BYTES: usize = 7;
    let mut encoded = encode_field(name, b'F', &[]);
    for level in 0..depth {
        let inside = u32::try_from((depth - 1 - level) * LEVEL_BYTES).expect("a length of 32 bits");
        encoded.extend(inside.to_be_bytes());
        if level + 1 < depth {
            encoded.extend(encode_field(b"t", b'F', &[]));
        }
    }
    encoded
}

pub(crate) fn short_string(value: &[u8]) -> Vec<u8> {
    let length = u8::try_from(value.len()).expect("a short string has 255 bytes at most");
    [&[length], value].concat()
}

pub(crate) fn long_string(value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len()).expect("a length of 32 bits");
    [&length.to_be_bytes(), value].concat()
}

/// A message that was taken from a queue and is not acknowledged yet.
#[derive(Debug)]
pub struct RawMessage {
    /// Its delivery tag.
    pub tag: u64,
    /// The fields of its headers, encoded.
    pub headers: Vec<u8>,
    /// Its body.
    pub body: Vec<u8>,
}

impl RawMessage {
    /// Returns a header that is text. It searches only the outermost table, however deep the others are.
    #[must_use]
    pub fn header(&self, name: &[u8]) -> Option<Vec<u8>> {
        let mut reader = Reader(&self.headers);
        loop {
            let field = reader.short_string()?;
            let kind = reader.byte()?;
            let value = reader.value(kind)?;
            if field == name {
                return (kind == b'S').then(|| value.to_vec());
            }
        }
    }
}

/// A connection with one channel that is in confirm mode.
#[derive(Debug)]
pub struct RawClient {
    stream: TcpStream,
    published: u64,
}

impl RawClient {
    /// Connects to the broker of a URL such as `amqp://guest:guest@127.0.0.1:5672/%2f`.
    ///
    /// # Errors
    /// When the broker is unreachable or refuses.
    pub async fn connect(amqp_url: &str) -> Result<Self, Failure> {
        let target = BrokerUrl::parse(amqp_url).ok_or_else(|| format!("{amqp_url} is no URL of a broker"))?;
        let stream = TcpStream::connect(&target.address).await.map_err(to_failure)?;
        stream.set_nodelay(true).map_err(to_failure)?;
        let mut client = Self { stream, published: 0 };
        client.shake_hands(&target).await?;
        Ok(client)
    }

    async fn shake_hands(&mut self, target: &BrokerUrl) -> Result<(), Failure> {
        self.stream.write_all(b"AMQP\x00\x00\x09\x01").await.map_err(to_failure)?;
        self.expect_method(0, (10, 10)).await?;
        let login = format!("\0{}\0{}", target.user, target.password);
        let start_ok =
            [long_string(b""), short_string(b"PLAIN"), long_string(login.as_bytes()), short_string(b"en_US")];
        self.send_method(0, (10, 11), &start_ok.concat()).await?;
        self.expect_method(0, (10, 30)).await?;
        // Two channels; frames of the default size; no heartbeats, because this client ignores them.
        let frame = u32::try_from(MAX_FRAME_BYTES).expect("a size of 32 bits");
        let tune_ok = [&2_u16.to_be_bytes()[..], &frame.to_be_bytes(), &0_u16.to_be_bytes()].concat();
        self.send_method(0, (10, 31), &tune_ok).await?;
        let open = [short_string(target.vhost.as_bytes()), short_string(b""), vec![0]].concat();
        self.send_method(0, (10, 40), &open).await?;
        self.expect_method(0, (10, 41)).await?;
        self.send_method(CHANNEL, (20, 10), &short_string(b"")).await?;
        self.expect_method(CHANNEL, (20, 11)).await?;
        self.send_method(CHANNEL, (85, 10), &[0]).await?;
        self.expect_method(CHANNEL, (85, 11)).await.map(|_| ())
    }

    /// Publishes a message, `mandatory`, and waits for the confirm.
    ///
    /// # Errors
    /// When it is not confirmed, so that nobody knows whether the broker has it. The connection may be
    /// closed.
    pub async fn publish(
        &mut self,
        exchange: &str,
        key: &[u8],
        properties: &Properties,
        body: &[u8],
    ) -> Result<(), Failure> {
        let publish = [vec![0, 0], short_string(exchange.as_bytes()), short_string(key), vec![1]].concat();
        self.send_method(CHANNEL, (BASIC, 40), &publish).await?;
        let header = [
            &BASIC.to_be_bytes()[..],
            &0_u16.to_be_bytes(),
            &(body.len() as u64).to_be_bytes(),
            &properties.encode(),
        ];
        self.send_frame(HEADER, CHANNEL, &header.concat()).await?;
        for part in body.chunks(MAX_FRAME_BYTES - FRAME_OVERHEAD) {
            self.send_frame(BODY, CHANNEL, part).await?;
        }
        self.published += 1;
        self.wait_confirm(self.published).await
    }

    async fn wait_confirm(&mut self, tag: u64) -> Result<(), Failure> {
        loop {
            match self.next_method(CHANNEL).await? {
                ((BASIC, 80), arguments) if covers_tag(&arguments, tag) => return Ok(()),
                ((BASIC, 80), _) => {}
                ((class, method), arguments) => {
                    return Err(format!(
                        "{class}.{method} instead of a confirm: {}",
                        describe_close(&arguments)
                    ));
                }
            }
        }
    }

    /// Takes the next message of a queue without acknowledging it; `None` when nothing is ready.
    ///
    /// # Errors
    /// When the broker refuses or is unreachable.
    pub async fn get(&mut self, queue: &str) -> Result<Option<RawMessage>, Failure> {
        let get = [vec![0, 0], short_string(queue.as_bytes()), vec![0]].concat();
        self.send_method(CHANNEL, (BASIC, 70), &get).await?;
        let arguments = match self.next_method(CHANNEL).await? {
            ((BASIC, 71), arguments) => arguments,
            ((BASIC, 72), _) => return Ok(None),
            ((class, method), arguments) => {
                return Err(format!("{class}.{method} instead of a message: {}", describe_close(&arguments)));
            }
        };
        let tag = Reader(&arguments).number().ok_or("no delivery tag")?;
        let (kind, header) = self.next_frame(CHANNEL).await?;
        if kind != HEADER {
            return Err(format!("a frame of kind {kind} instead of a header"));
        }
        let (size, headers) = read_header(&header).ok_or("an unreadable header")?;
        let mut body = Vec::new();
        while (body.len() as u64) < size {
            let (_, part) = self.next_frame(CHANNEL).await?;
            body.extend(part);
        }
        Ok(Some(RawMessage { tag, headers, body }))
    }

    /// Acknowledges a taken message.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn ack(&mut self, message: &RawMessage) -> Result<(), Failure> {
        let ack = [&message.tag.to_be_bytes()[..], &[0]].concat();
        self.send_method(CHANNEL, (BASIC, 80), &ack).await
    }

    async fn expect_method(&mut self, channel: u16, wanted: (u16, u16)) -> Result<Vec<u8>, Failure> {
        match self.next_method(channel).await? {
            (seen, arguments) if seen == wanted => Ok(arguments),
            (seen, arguments) => {
                Err(format!("{seen:?} instead of {wanted:?}: {}", describe_close(&arguments)))
            }
        }
    }

    async fn next_method(&mut self, channel: u16) -> Result<((u16, u16), Vec<u8>), Failure> {
        let (kind, payload) = self.next_frame(channel).await?;
        let mut reader = Reader(&payload);
        match (kind, reader.short(), reader.short()) {
            (METHOD, Some(class), Some(method)) => Ok(((class, method), reader.0.to_vec())),
            _ => Err(format!("a frame of kind {kind} instead of a method")),
        }
    }

    /// Reads the next frame of a channel, or the broker's close on channel 0.
    async fn next_frame(&mut self, channel: u16) -> Result<(u8, Vec<u8>), Failure> {
        let reading = async {
            loop {
                let kind = self.stream.read_u8().await?;
                let on = self.stream.read_u16().await?;
                let size = self.stream.read_u32().await?;
                let mut payload = vec![0; usize::try_from(size).expect("a frame's size")];
                self.stream.read_exact(&mut payload).await?;
                let _end = self.stream.read_u8().await?;
                if kind != HEARTBEAT && (on == channel || on == 0) {
                    return Ok::<_, std::io::Error>((kind, payload));
                }
            }
        };
        timeout(ANSWER_TIMEOUT, reading).await.map_err(|_| "no answer".to_owned())?.map_err(to_failure)
    }

    async fn send_method(
        &mut self,
        channel: u16,
        method: (u16, u16),
        arguments: &[u8],
    ) -> Result<(), Failure> {
        let payload = [&method.0.to_be_bytes()[..], &method.1.to_be_bytes(), arguments].concat();
        self.send_frame(METHOD, channel, &payload).await
    }

    async fn send_frame(&mut self, kind: u8, channel: u16, payload: &[u8]) -> Result<(), Failure> {
        let size = u32::try_from(payload.len()).expect("a frame's size");
        let frame =
            [&[kind][..], &channel.to_be_bytes(), &size.to_be_bytes(), payload, &[FRAME_END]].concat();
        let sending = self.stream.write_all(&frame);
        timeout(ANSWER_TIMEOUT, sending)
            .await
            .map_err(|_| "the broker does not accept the frame".to_owned())?
            .map_err(to_failure)
    }
}

fn to_failure(error: impl std::fmt::Display) -> Failure {
    error.to_string()
}

fn describe_close(arguments: &[u8]) -> String {
    String::from_utf8_lossy(arguments).into_owned()
}

/// Returns whether the arguments of an `ack` cover this tag.
fn covers_tag(arguments: &[u8], tag: u64) -> bool {
    let mut reader = Reader(arguments);
    let acked = reader.number();
    let multiple = reader.byte();
    acked.is_some_and(|acked| acked == tag || (multiple == Some(1) && (acked == 0 || acked > tag)))
}

/// Returns the size of the body, and the fields of the headers.
fn read_header(payload: &[u8]) -> Option<(u64, Vec<u8>)> {
    let mut reader = Reader(payload);
    let _class_and_weight = reader.take(4)?;
    let size = reader.number()?;
    let flags = reader.short()?;
    for before in [Text::ContentType, Text::ContentEncoding] {
        if flags & (1 << before as u8) != 0 {
            reader.short_string()?;
        }
    }
    let headers = if flags & (1 << HEADERS_BIT) == 0 { &[] } else { reader.long_string()? };
    Some((size, headers.to_vec()))
}

/// The unread bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|taken| taken[0])
    }

    fn short(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    fn number(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_be_bytes)
    }

    fn short_string(&mut self) -> Option<&'a [u8]> {
        let length = self.byte()?;
        self.take(length.into())
    }

    fn long_string(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_be_bytes(self.take(4)?.try_into().ok()?);
        self.take(usize::try_from(length).ok()?)
    }

    /// Skips a value of a table. Tables and arrays begin with their length, so that none is entered.
    fn value(&mut self, kind: u8) -> Option<&'a [u8]> {
        match kind {
            b'V' => self.take(0),
            b't' | b'b' | b'B' => self.take(1),
            b's' | b'u' | b'U' => self.take(2),
            b'I' | b'i' | b'f' => self.take(4),
            b'D' => self.take(5),
            b'l' | b'L' | b'd' | b'T' => self.take(8),
            b'S' | b'x' | b'A' | b'F' => self.long_string(),
            _ => None,
        }
    }
}

/// The parts of a broker's URL.
struct BrokerUrl {
    address: String,
    user: String,
    password: String,
    vhost: String,
}

impl BrokerUrl {
    fn parse(url: &str) -> Option<Self> {
        let (account, rest) = url.strip_prefix("amqp://")?.split_once('@')?;
        let (user, password) = account.split_once(':')?;
        let (address, vhost) = rest.split_once('/').unwrap_or((rest, "%2f"));
        let vhost = vhost.replace("%2f", "/").replace("%2F", "/");
        let [address, user, password] = [address, user, password].map(str::to_owned);
        Some(Self { address, user, password, vhost })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_arrays_and_tables_are_complete() {
        for depth in [1, 2, 3, 300] {
            for (kind, inner_name, encoded) in
                [(b'A', 0, nested_arrays(b"deep", depth)), (b'F', 2, nested_tables(b"deep", depth))]
            {
                let mut reader = Reader(&encoded);
                assert_eq!(reader.short_string(), Some(&b"deep"[..]));
                for _ in 0..depth {
                    assert_eq!(reader.byte(), Some(kind));
                    let inside = reader.long_string().expect("as long as it says");
                    assert!(reader.0.is_empty(), "nothing is behind it");
                    reader = Reader(inside);
                    if !inside.is_empty() {
                        reader.take(inner_name).expect("a name");
                    }
                }
                assert!(reader.0.is_empty(), "{depth} levels");
            }
        }
    }

    #[test]
    fn a_header_is_found_beside_all_others() {
        let headers = [
            nested_tables(b"deep", 3),
            encode_field(b"\xff", b'l', &7_u64.to_be_bytes()),
            text_field(b"x-reject-reason", b"invalid_json"),
        ];
        let properties = Properties::default().text(Text::ContentType, b"\xfc").headers(&headers.concat());
        let payload = [&[0; 4], &9_u64.to_be_bytes()[..], &properties.encode()].concat();
        let (size, headers) = read_header(&payload).expect("a header");
        let message = RawMessage { tag: 1, headers, body: Vec::new() };
        assert_eq!((size, message.header(b"x-reject-reason")), (9, Some(b"invalid_json".to_vec())));
        assert_eq!(message.header(b"deep"), None);
    }
}
