//! HTTP/2 frames byte by byte (RFC 9113 §6, RFC 7541), for servers that misuse them.

/// The type of a frame with data.
pub const DATA: u8 = 0;
/// Headers of a stream.
pub const HEADERS: u8 = 1;
/// Settings of the connection.
pub const SETTINGS: u8 = 4;
/// A request that the server announces.
pub const PUSH_PROMISE: u8 = 5;
/// Asks for a sign of life.
pub const PING: u8 = 6;
/// No new streams are allowed.
pub const GOAWAY: u8 = 7;
/// More may be sent.
pub const WINDOW_UPDATE: u8 = 8;
/// More headers of a stream.
pub const CONTINUATION: u8 = 9;

/// The last frame of a stream.
pub const END_STREAM: u8 = 1;
/// The last frame of the headers.
pub const END_HEADERS: u8 = 4;
/// The data carries padding.
pub const PADDED: u8 = 8;

/// Maximum payload of a frame by default.
pub const MAX_PAYLOAD: usize = 16_384;
/// The header `:status: 200`, from the static table.
pub const STATUS_200: u8 = 0x88;

/// Encodes a frame.
///
/// # Panics
/// When the payload is too long.
#[must_use]
pub fn encode_frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    assert_eq!(length[0], 0, "a payload of less than 16 MiB");
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Encodes a literal header that is not added to the table.
#[must_use]
pub fn encode_header(name: &str, value: &str) -> Vec<u8> {
    encode_literal(0x00, name, value)
}

/// Encodes a literal header that becomes the newest of the table (index 62).
#[must_use]
pub fn indexed_header(name: &str, value: &str) -> Vec<u8> {
    encode_literal(0x40, name, value)
}

/// Index 62, the header that was added to the table last.
pub const NEWEST_HEADER: u8 = 0x80 | 62;

fn encode_literal(kind: u8, name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![kind];
    for text in [name, value] {
        push_integer(&mut bytes, text.len());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

/// Appends an integer with a prefix of seven bits (RFC 7541 §5.1).
fn push_integer(bytes: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(0x7f) else {
        return bytes.push(u8::try_from(length).unwrap_or(0));
    };
    bytes.push(0x7f);
    while rest >= 0x80 {
        bytes.push(u8::try_from(rest % 0x80).unwrap_or(0) | 0x80);
        rest /= 0x80;
    }
    bytes.push(u8::try_from(rest).unwrap_or(0));
}

/// Returns the server's first frame, its settings, all at their defaults.
#[must_use]
pub fn server_settings() -> Vec<u8> {
    encode_frame(SETTINGS, 0, 0, &[])
}
