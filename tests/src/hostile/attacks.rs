//! The attacks, grouped by the layer that they misuse.

use std::time::Duration;

use super::Step::{Drip, Forever, Hear, Say, Stay};
use super::{Attack, Layer, Step};
use crate::frames::{self, frame, header};

const BYTE_A_SECOND: Duration = Duration::from_secs(1);
const LONG: usize = 64 * 1024;

/// The outcome of an attempt that waits in vain.
const TIMEOUT: &[&str] = &["timeout"];
/// Outcomes of an attempt that receives nonsense; the client may see the server's close first.
const NONSENSE: &[&str] = &["protocol", "connect"];
/// Outcomes of an attempt without a TLS session.
const NO_TLS: &[&str] = &["tls", "connect"];
/// A 2xx counts once its headers have arrived.
const DELIVERED: &[&str] = &["delivered"];

fn text(text: &str) -> Step {
    Say(text.as_bytes().to_vec())
}

fn http1(name: &'static str, outcomes: &'static [&'static str], steps: Vec<Step>) -> Attack {
    let steps = [vec![Hear], steps].concat();
    Attack { name, layer: Layer::Tls("http/1.1"), steps, outcomes }
}

/// Returns the attacks against HTTP/1.1.
#[must_use]
pub fn of_http1() -> Vec<Attack> {
    const OK: &str = "HTTP/1.1 200 OK\r\n";
    let long = |text: &str| text.repeat(LONG / text.len()).into_bytes();
    vec![
        http1("endless headers", NONSENSE, vec![text(OK), Forever(b"x-more: and more\r\n".to_vec())]),
        http1("endless header", NONSENSE, vec![text(OK), text("x-long: "), Forever(long("a"))]),
        http1("endless header name", NONSENSE, vec![text(OK), Forever(long("a"))]),
        http1("endless status line", NONSENSE, vec![text("HTTP/1.1 200 "), Forever(long("a"))]),
        http1(
            "100 Continue flood",
            &["timeout", "protocol"],
            vec![Forever(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec())],
        ),
        http1(
            "103 Early Hints flood",
            &["timeout", "protocol"],
            vec![Forever(b"HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n".to_vec())],
        ),
        http1("endless body", DELIVERED, vec![text(OK), text("\r\n"), Forever(long("a"))]),
        http1(
            "endless chunks",
            DELIVERED,
            vec![
                text(OK),
                text("transfer-encoding: chunked\r\n\r\n"),
                Forever(b"400\r\n".iter().copied().chain([b'a'; 0x400]).chain(*b"\r\n").collect()),
            ],
        ),
        http1(
            "chunks of a byte",
            DELIVERED,
            vec![text(OK), text("transfer-encoding: chunked\r\n\r\n"), Forever(b"1\r\na\r\n".to_vec())],
        ),
        http1(
            "endless chunk extension",
            DELIVERED,
            vec![text(OK), text("transfer-encoding: chunked\r\n\r\n1;x="), Forever(long("a"))],
        ),
        http1(
            "endless trailers",
            DELIVERED,
            vec![
                text(OK),
                text("transfer-encoding: chunked\r\n\r\n0\r\n"),
                Forever(b"x-more: and more\r\n".to_vec()),
            ],
        ),
        http1(
            "compressed body",
            DELIVERED,
            vec![text(OK), text("content-encoding: gzip\r\n\r\n"), Say(bomb()), Stay],
        ),
        http1("head, a byte a second", TIMEOUT, vec![Drip(OK.as_bytes().to_vec(), BYTE_A_SECOND)]),
        http1(
            "body, a byte a second",
            DELIVERED,
            vec![text(OK), text("\r\n"), Drip(vec![b'a'], BYTE_A_SECOND)],
        ),
        http1("no answer", TIMEOUT, vec![Stay]),
        http1("closed without an answer", NONSENSE, vec![]),
        http1("closed within the head", NONSENSE, vec![text("HTTP/1.1 200 OK\r\nx-a")]),
        http1("closed within the body", DELIVERED, vec![text(OK), text("content-length: 1000\r\n\r\nfew")]),
        http1(
            "longer than it says",
            DELIVERED,
            vec![text(OK), text("content-length: 1\r\n\r\n"), Forever(long("a"))],
        ),
        http1(
            "always shorter than it says",
            DELIVERED,
            vec![text(OK), text("content-length: 999999999999\r\n\r\na"), Stay],
        ),
        http1("a negative length", NONSENSE, vec![text(OK), text("content-length: -1\r\n\r\na"), Stay]),
        http1(
            "two lengths",
            NONSENSE,
            vec![text(OK), text("content-length: 1\r\ncontent-length: 2\r\n\r\nab"), Stay],
        ),
        http1(
            "an excessive length",
            NONSENSE,
            vec![text(OK), text("content-length: 99999999999999999999999\r\n\r\na"), Stay],
        ),
        http1(
            "a length and chunks",
            DELIVERED,
            vec![
                text(OK),
                text("content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"),
                Stay,
            ],
        ),
        http1(
            "an excessive chunk",
            DELIVERED,
            vec![
                text(OK),
                text("transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n"),
                Forever(long("a")),
            ],
        ),
        http1(
            "another protocol",
            &["http_status"],
            vec![
                text("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
                Forever(long("a")),
            ],
        ),
        http1(
            "unrequested answers",
            DELIVERED,
            vec![Forever(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec())],
        ),
        http1("HTTP/0.9", NONSENSE, vec![text("<html>hello</html>\r\n\r\n")]),
    ]
}

fn http2(name: &'static str, outcomes: &'static [&'static str], steps: Vec<Step>) -> Attack {
    let steps = [vec![Hear, Say(frames::hello())], steps].concat();
    Attack { name, layer: Layer::Tls("h2"), steps, outcomes }
}

/// Returns an endless series of informational answers over HTTP/2, for a client that does not offer it, so
/// that TLS finds no protocol.
#[must_use]
pub fn http2_informational_flood() -> Attack {
    let informational = header(":status", "103");
    let flood = frame(frames::HEADERS, frames::END_HEADERS, 1, &informational);
    http2("h2: informational flood", &["connect", "tls"], vec![Forever(flood)])
}

/// Returns the attacks against HTTP/2, most of them on the first stream.
#[must_use]
pub fn of_http2() -> Vec<Attack> {
    use frames::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, LARGEST, NEWEST, PADDED, PING,
        PUSH_PROMISE, SETTINGS, STATUS_200, WINDOW_UPDATE,
    };
    const FAILED: &[&str] = &["timeout", "protocol", "connect"];
    const ANY: &[&str] = &["timeout", "protocol", "connect", "delivered"];
    let ok = || Say(frame(HEADERS, END_HEADERS, 1, &[STATUS_200]));
    let open = || Say(frame(HEADERS, 0, 1, &[STATUS_200]));
    let more = header("x-more", &"a".repeat(1000)).repeat(LARGEST / 1024);
    let bomb = [frames::remembered("x-bomb", &"a".repeat(4000)), vec![NEWEST; LARGEST - 4100]].concat();
    vec![
        http2("h2: endless CONTINUATION", FAILED, vec![open(), Forever(frame(CONTINUATION, 0, 1, &more))]),
        http2("h2: empty CONTINUATION flood", FAILED, vec![open(), Forever(frame(CONTINUATION, 0, 1, &[]))]),
        http2(
            "h2: a growing table",
            FAILED,
            vec![Say(frame(HEADERS, END_HEADERS, 1, &[&[STATUS_200], bomb.as_slice()].concat())), Stay],
        ),
        http2("h2: PING flood", FAILED, vec![Forever(frame(PING, 0, 0, &[0; 8]))]),
        http2("h2: SETTINGS flood", FAILED, vec![Forever(frame(SETTINGS, 0, 0, &[]))]),
        http2("h2: table sizes flood", FAILED, vec![Forever(frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 16, 0]))]),
        http2("h2: WINDOW_UPDATE flood", FAILED, vec![Forever(frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]))]),
        http2("h2: GOAWAY flood", FAILED, vec![Forever(frame(GOAWAY, 0, 0, &[0; 8]))]),
        http2(
            "h2: PUSH_PROMISE",
            FAILED,
            vec![Forever(frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x82]))],
        ),
        http2("h2: endless body", ANY, vec![ok(), Forever(frame(DATA, 0, 1, &[b'a'; 1024]))]),
        http2("h2: empty DATA flood", ANY, vec![ok(), Forever(frame(DATA, 0, 1, &[]))]),
        http2(
            "h2: padding alone",
            ANY,
            vec![ok(), Forever(frame(DATA, PADDED, 1, &[[255].as_slice(), &[0; 255]].concat()))],
        ),
        http2(
            "h2: headers again and again",
            ANY,
            vec![ok(), Forever(frame(HEADERS, END_HEADERS, 1, &[STATUS_200]))],
        ),
        http2(
            "h2: endless trailers",
            ANY,
            vec![ok(), Say(frame(HEADERS, END_STREAM, 1, &more)), Forever(frame(CONTINUATION, 0, 1, &more))],
        ),
        http2(
            "h2: unrequested streams",
            FAILED,
            vec![Forever(frame(HEADERS, END_HEADERS, 4_001, &[STATUS_200]))],
        ),
        http2(
            "h2: an excessive frame",
            FAILED,
            vec![
                Say([[0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1].as_slice()].concat()),
                Forever(vec![b'a'; LONG]),
            ],
        ),
        http2("h2: unknown frames", FAILED, vec![Forever(frame(0xbe, 0, 1, &[0; 64]))]),
        http2(
            "h2: a byte a second",
            FAILED,
            vec![Drip(frame(HEADERS, END_HEADERS, 1, &[STATUS_200]), BYTE_A_SECOND)],
        ),
        http2("h2: no answer", FAILED, vec![Stay]),
    ]
}

fn tcp(name: &'static str, outcomes: &'static [&'static str], steps: Vec<Step>) -> Attack {
    Attack { name, layer: Layer::Tcp, steps, outcomes }
}

/// Returns the attacks against TLS.
#[must_use]
pub fn of_tls() -> Vec<Attack> {
    const NO_TLS_IN_TIME: &[&str] = &["tls", "connect", "timeout"];
    let record = |kind: u8, payload: &[u8]| {
        let length = u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes();
        [&[kind, 3, 3], length.as_slice(), payload].concat()
    };
    // A certificate message of 16 MiB, sent bit by bit without end.
    let endless = record(22, &[&[11, 0xff, 0xff, 0xff], vec![0; 16_000].as_slice()].concat());
    vec![
        tcp("tls: closed at once", NO_TLS, vec![]),
        tcp("tls: closed after the hello", NO_TLS, vec![Hear]),
        tcp("tls: no answer", NO_TLS_IN_TIME, vec![Hear, Stay]),
        tcp("tls: plain text", NO_TLS, vec![Hear, text("HTTP/1.1 400 Bad Request\r\n\r\n"), Stay]),
        tcp("tls: noise", NO_TLS, vec![Hear, Forever(vec![0x5a; LONG])]),
        tcp("tls: an endless message", NO_TLS, vec![Hear, Say(endless), Forever(record(22, &[0; 16_000]))]),
        tcp("tls: empty records", NO_TLS_IN_TIME, vec![Hear, Forever(record(22, &[]))]),
        tcp("tls: warnings", NO_TLS_IN_TIME, vec![Hear, Forever(record(21, &[1, 90]))]),
        tcp("tls: changes of cipher", NO_TLS_IN_TIME, vec![Hear, Forever(record(20, &[1]))]),
        tcp(
            "tls: a byte a second",
            NO_TLS_IN_TIME,
            vec![Hear, Drip(record(22, &[2, 0, 0, 70, 3, 3]), BYTE_A_SECOND)],
        ),
        tcp("tls: an alert", NO_TLS, vec![Hear, Say(record(21, &[2, 40])), Stay]),
        tcp("tls: TLS 1.0", NO_TLS, vec![Hear, Say(hello_of_tls_1_0()), Stay]),
        tcp("tls: data without a key", NO_TLS, vec![Hear, Forever(record(23, &[0; 16_000]))]),
    ]
}

/// Returns a server's hello that chooses TLS 1.0.
fn hello_of_tls_1_0() -> Vec<u8> {
    let body = [[3, 1].as_slice(), &[7; 32], &[0, 0x00, 0x2f, 0]].concat();
    let length = u8::try_from(body.len()).unwrap_or(0);
    let message = [[2, 0, 0, length].as_slice(), &body].concat();
    [[22, 3, 1, 0, length + 4].as_slice(), &message].concat()
}

/// Bytes of a bomb that are sent; every thirteen bits of them are 258 zero bytes.
const BOMB: usize = 256 * 1024;

/// Returns a gzip stream that grows 150-fold (RFC 1951 §3.2.6, RFC 1952), which is one literal zero, then its
/// longest repetition again and again.
fn bomb() -> Vec<u8> {
    // The block's header (last, fixed codes), the literal 0; a length of 258 (code 285), a distance of 1 (code 0).
    let start = "1".to_owned() + "10" + "00110000";
    let again = "11000101".to_owned() + "00000";
    let bits: Vec<u8> =
        (start + &again.repeat(BOMB * 8 / again.len())).bytes().map(|bit| bit - b'0').collect();
    let packed = bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |all, bit| all << 1 | bit));
    [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3].into_iter().chain(packed).collect()
}
