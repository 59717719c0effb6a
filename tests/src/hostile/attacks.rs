//! The attacks, grouped by the layer that they misuse.

use std::time::Duration;

use super::Step::{Drip, KeepOpen, Receive, Send, SendForever};
use super::{Attack, Layer, Step};
use crate::frames::{self, encode_frame, encode_header};

const BYTE_A_SECOND: Duration = Duration::from_secs(1);
const LONG_BYTES: usize = 64 * 1024;

const OK: &str = "HTTP/1.1 200 OK\r\n";

/// The outcome of an attempt that waits in vain.
const TIMEOUT: &[&str] = &["timeout"];
/// Outcomes of an attempt that receives nonsense; the client may see the server's close first.
const NONSENSE: &[&str] = &["protocol", "connect"];
/// Outcomes of an attempt without a TLS session.
const NO_TLS: &[&str] = &["tls", "connect"];
/// Outcomes of an attempt that HTTP/2 frames ruin.
const FAILED: &[&str] = &["timeout", "protocol", "connect"];
/// A 2xx counts once its headers have arrived.
const DELIVERED: &[&str] = &["delivered"];

fn text(text: &str) -> Step {
    Send(text.as_bytes().to_vec())
}

fn http1(name: &'static str, outcomes: &'static [&'static str], steps: Vec<Step>) -> Attack {
    let steps = [vec![Receive], steps].concat();
    Attack { name, layer: Layer::Tls("http/1.1"), steps, outcomes }
}

/// Returns the attacks against HTTP/1.1.
#[must_use]
pub fn http1_attacks() -> Vec<Attack> {
    [endless_http1_answers(), slow_or_cut_http1_answers(), contradictory_http1_answers()].concat()
}

/// Returns the attacks that never end an answer.
fn endless_http1_answers() -> Vec<Attack> {
    let long = |text: &str| text.repeat(LONG_BYTES / text.len()).into_bytes();
    vec![
        http1("endless headers", NONSENSE, vec![text(OK), SendForever(b"x-more: and more\r\n".to_vec())]),
        http1("endless header", NONSENSE, vec![text(OK), text("x-long: "), SendForever(long("a"))]),
        http1("endless header name", NONSENSE, vec![text(OK), SendForever(long("a"))]),
        http1("endless status line", NONSENSE, vec![text("HTTP/1.1 200 "), SendForever(long("a"))]),
        http1(
            "100 Continue flood",
            &["timeout", "protocol"],
            vec![SendForever(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec())],
        ),
        http1(
            "103 Early Hints flood",
            &["timeout", "protocol"],
            vec![SendForever(b"HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n".to_vec())],
        ),
        http1("endless body", DELIVERED, vec![text(OK), text("\r\n"), SendForever(long("a"))]),
        http1(
            "endless chunks",
            DELIVERED,
            vec![
                text(OK),
                text("transfer-encoding: chunked\r\n\r\n"),
                SendForever(b"400\r\n".iter().copied().chain([b'a'; 0x400]).chain(*b"\r\n").collect()),
            ],
        ),
        http1(
            "chunks of a byte",
            DELIVERED,
            vec![text(OK), text("transfer-encoding: chunked\r\n\r\n"), SendForever(b"1\r\na\r\n".to_vec())],
        ),
        http1(
            "endless chunk extension",
            DELIVERED,
            vec![text(OK), text("transfer-encoding: chunked\r\n\r\n1;x="), SendForever(long("a"))],
        ),
        http1(
            "endless trailers",
            DELIVERED,
            vec![
                text(OK),
                text("transfer-encoding: chunked\r\n\r\n0\r\n"),
                SendForever(b"x-more: and more\r\n".to_vec()),
            ],
        ),
        http1(
            "compressed body",
            DELIVERED,
            vec![text(OK), text("content-encoding: gzip\r\n\r\n"), Send(gzip_bomb()), KeepOpen],
        ),
    ]
}

/// Returns the attacks that answer slowly or close the connection early.
fn slow_or_cut_http1_answers() -> Vec<Attack> {
    vec![
        http1("head, a byte a second", TIMEOUT, vec![Drip(OK.as_bytes().to_vec(), BYTE_A_SECOND)]),
        http1(
            "body, a byte a second",
            DELIVERED,
            vec![text(OK), text("\r\n"), Drip(vec![b'a'], BYTE_A_SECOND)],
        ),
        http1("no answer", TIMEOUT, vec![KeepOpen]),
        http1("closed without an answer", NONSENSE, vec![]),
        http1("closed within the head", NONSENSE, vec![text("HTTP/1.1 200 OK\r\nx-a")]),
        http1("closed within the body", DELIVERED, vec![text(OK), text("content-length: 1000\r\n\r\nfew")]),
    ]
}

/// Returns the attacks whose answers contradict themselves.
fn contradictory_http1_answers() -> Vec<Attack> {
    let long = |text: &str| text.repeat(LONG_BYTES / text.len()).into_bytes();
    vec![
        http1(
            "longer than it says",
            DELIVERED,
            vec![text(OK), text("content-length: 1\r\n\r\n"), SendForever(long("a"))],
        ),
        http1(
            "always shorter than it says",
            DELIVERED,
            vec![text(OK), text("content-length: 999999999999\r\n\r\na"), KeepOpen],
        ),
        http1("a negative length", NONSENSE, vec![text(OK), text("content-length: -1\r\n\r\na"), KeepOpen]),
        http1(
            "two lengths",
            NONSENSE,
            vec![text(OK), text("content-length: 1\r\ncontent-length: 2\r\n\r\nab"), KeepOpen],
        ),
        http1(
            "an excessive length",
            NONSENSE,
            vec![text(OK), text("content-length: 99999999999999999999999\r\n\r\na"), KeepOpen],
        ),
        http1(
            "a length and chunks",
            DELIVERED,
            vec![
                text(OK),
                text("content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"),
                KeepOpen,
            ],
        ),
        http1(
            "an excessive chunk",
            DELIVERED,
            vec![
                text(OK),
                text("transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n"),
                SendForever(long("a")),
            ],
        ),
        http1(
            "another protocol",
            &["http_status"],
            vec![
                text("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
                SendForever(long("a")),
            ],
        ),
        http1(
            "unrequested answers",
            DELIVERED,
            vec![SendForever(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec())],
        ),
        http1("HTTP/0.9", NONSENSE, vec![text("<html>hello</html>\r\n\r\n")]),
    ]
}

fn http2(name: &'static str, outcomes: &'static [&'static str], steps: Vec<Step>) -> Attack {
    let steps = [vec![Receive, Send(frames::server_settings())], steps].concat();
    Attack { name, layer: Layer::Tls("h2"), steps, outcomes }
}

/// Returns an endless series of informational answers over HTTP/2, for a client that does not offer it, so
/// that TLS finds no protocol.
#[must_use]
pub fn http2_informational_flood() -> Attack {
    let informational = encode_header(":status", "103");
    let flood = encode_frame(frames::HEADERS, frames::END_HEADERS, 1, &informational);
    http2("h2: informational flood", &["connect", "tls"], vec![SendForever(flood)])
}

/// Returns the attacks against HTTP/2, most of them on the first stream.
#[must_use]
pub fn http2_attacks() -> Vec<Attack> {
    [http2_header_floods(), http2_control_floods(), http2_bad_answers()].concat()
}

fn more_headers() -> Vec<u8> {
    encode_header("x-more", &"a".repeat(1000)).repeat(frames::MAX_PAYLOAD / 1024)
}

/// Returns the attacks that never end their headers, or let the header table grow.
fn http2_header_floods() -> Vec<Attack> {
    use frames::{CONTINUATION, END_HEADERS, HEADERS, MAX_PAYLOAD, NEWEST_HEADER, STATUS_200};
    let open = || Send(encode_frame(HEADERS, 0, 1, &[STATUS_200]));
    let more = more_headers();
    let bomb = [frames::indexed_header("x-bomb", &"a".repeat(4000)), vec![NEWEST_HEADER; MAX_PAYLOAD - 4100]]
        .concat();
    vec![
        http2(
            "h2: endless CONTINUATION",
            FAILED,
            vec![open(), SendForever(encode_frame(CONTINUATION, 0, 1, &more))],
        ),
        http2(
            "h2: empty CONTINUATION flood",
            FAILED,
            vec![open(), SendForever(encode_frame(CONTINUATION, 0, 1, &[]))],
        ),
        http2(
            "h2: a growing table",
            FAILED,
            vec![
                Send(encode_frame(HEADERS, END_HEADERS, 1, &[&[STATUS_200], bomb.as_slice()].concat())),
                KeepOpen,
            ],
        ),
    ]
}

/// Returns the attacks that flood the client with control frames.
fn http2_control_floods() -> Vec<Attack> {
    use frames::{END_HEADERS, GOAWAY, PING, PUSH_PROMISE, SETTINGS, WINDOW_UPDATE};
    vec![
        http2("h2: PING flood", FAILED, vec![SendForever(encode_frame(PING, 0, 0, &[0; 8]))]),
        http2("h2: SETTINGS flood", FAILED, vec![SendForever(encode_frame(SETTINGS, 0, 0, &[]))]),
        http2(
            "h2: table sizes flood",
            FAILED,
            vec![SendForever(encode_frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 16, 0]))],
        ),
        http2(
            "h2: WINDOW_UPDATE flood",
            FAILED,
            vec![SendForever(encode_frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]))],
        ),
        http2("h2: GOAWAY flood", FAILED, vec![SendForever(encode_frame(GOAWAY, 0, 0, &[0; 8]))]),
        http2(
            "h2: PUSH_PROMISE",
            FAILED,
            vec![SendForever(encode_frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x82]))],
        ),
    ]
}

/// Returns the attacks with endless, malformed, slow or missing answers.
fn http2_bad_answers() -> Vec<Attack> {
    use frames::{CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, STATUS_200};
    const ANY: &[&str] = &["timeout", "protocol", "connect", "delivered"];
    let ok = || Send(encode_frame(HEADERS, END_HEADERS, 1, &[STATUS_200]));
    let more = more_headers();
    vec![
        http2("h2: endless body", ANY, vec![ok(), SendForever(encode_frame(DATA, 0, 1, &[b'a'; 1024]))]),
        http2("h2: empty DATA flood", ANY, vec![ok(), SendForever(encode_frame(DATA, 0, 1, &[]))]),
        http2(
            "h2: padding alone",
            ANY,
            vec![ok(), SendForever(encode_frame(DATA, PADDED, 1, &[[255].as_slice(), &[0; 255]].concat()))],
        ),
        http2(
            "h2: headers again and again",
            ANY,
            vec![ok(), SendForever(encode_frame(HEADERS, END_HEADERS, 1, &[STATUS_200]))],
        ),
        http2(
            "h2: endless trailers",
            ANY,
            vec![
                ok(),
                Send(encode_frame(HEADERS, END_STREAM, 1, &more)),
                SendForever(encode_frame(CONTINUATION, 0, 1, &more)),
            ],
        ),
        http2(
            "h2: unrequested streams",
            FAILED,
            vec![SendForever(encode_frame(HEADERS, END_HEADERS, 4_001, &[STATUS_200]))],
        ),
        http2(
            "h2: an excessive frame",
            FAILED,
            vec![
                Send([[0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1].as_slice()].concat()),
                SendForever(vec![b'a'; LONG_BYTES]),
            ],
        ),
        http2("h2: unknown frames", FAILED, vec![SendForever(encode_frame(0xbe, 0, 1, &[0; 64]))]),
        http2(
            "h2: a byte a second",
            FAILED,
            vec![Drip(encode_frame(HEADERS, END_HEADERS, 1, &[STATUS_200]), BYTE_A_SECOND)],
        ),
        http2("h2: no answer", FAILED, vec![KeepOpen]),
    ]
}

fn tcp(name: &'static str, outcomes: &'static [&'static str], steps: Vec<Step>) -> Attack {
    Attack { name, layer: Layer::Tcp, steps, outcomes }
}

/// Returns the attacks against TLS.
#[must_use]
pub fn tls_attacks() -> Vec<Attack> {
    const NO_TLS_IN_TIME: &[&str] = &["tls", "connect", "timeout"];
    let record = |kind: u8, payload: &[u8]| {
        let length = u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes();
        [&[kind, 3, 3], length.as_slice(), payload].concat()
    };
    // A certificate message of 16 MiB, sent bit by bit without end.
    let endless = record(22, &[&[11, 0xff, 0xff, 0xff], vec![0; 16_000].as_slice()].concat());
    vec![
        tcp("tls: closed at once", NO_TLS, vec![]),
        tcp("tls: closed after the hello", NO_TLS, vec![Receive]),
        tcp("tls: no answer", NO_TLS_IN_TIME, vec![Receive, KeepOpen]),
        tcp("tls: plain text", NO_TLS, vec![Receive, text("HTTP/1.1 400 Bad Request\r\n\r\n"), KeepOpen]),
        tcp("tls: noise", NO_TLS, vec![Receive, SendForever(vec![0x5a; LONG_BYTES])]),
        tcp(
            "tls: an endless message",
            NO_TLS,
            vec![Receive, Send(endless), SendForever(record(22, &[0; 16_000]))],
        ),
        tcp("tls: empty records", NO_TLS_IN_TIME, vec![Receive, SendForever(record(22, &[]))]),
        tcp("tls: warnings", NO_TLS_IN_TIME, vec![Receive, SendForever(record(21, &[1, 90]))]),
        tcp("tls: changes of cipher", NO_TLS_IN_TIME, vec![Receive, SendForever(record(20, &[1]))]),
        tcp(
            "tls: a byte a second",
            NO_TLS_IN_TIME,
            vec![Receive, Drip(record(22, &[2, 0, 0, 70, 3, 3]), BYTE_A_SECOND)],
        ),
        tcp("tls: an alert", NO_TLS, vec![Receive, Send(record(21, &[2, 40])), KeepOpen]),
        tcp("tls: TLS 1.0", NO_TLS, vec![Receive, Send(tls_1_0_hello()), KeepOpen]),
        tcp("tls: data without a key", NO_TLS, vec![Receive, SendForever(record(23, &[0; 16_000]))]),
    ]
}

/// Returns a server's hello that chooses TLS 1.0.
fn tls_1_0_hello() -> Vec<u8> {
    let body = [[3, 1].as_slice(), &[7; 32], &[0, 0x00, 0x2f, 0]].concat();
    let length = u8::try_from(body.len()).unwrap_or(0);
    let message = [[2, 0, 0, length].as_slice(), &body].concat();
    [[22, 3, 1, 0, length + 4].as_slice(), &message].concat()
}

/// Bytes of a bomb that are sent; every thirteen bits of them are 258 zero bytes.
const BOMB_BYTES: usize = 256 * 1024;

/// Returns a gzip stream that grows 150-fold (RFC 1951 §3.2.6, RFC 1952), which is one literal zero, then its
/// longest repetition again and again.
fn gzip_bomb() -> Vec<u8> {
    // The block's header (last, fixed codes), the literal 0; a length of 258 (code 285), a distance of 1 (code 0).
    let start = "1".to_owned() + "10" + "00110000";
    let again = "11000101".to_owned() + "00000";
    let bits: Vec<u8> =
        (start + &again.repeat(BOMB_BYTES * 8 / again.len())).bytes().map(|bit| bit - b'0').collect();
    let packed = bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |all, bit| all << 1 | bit));
    [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3].into_iter().chain(packed).collect()
}
