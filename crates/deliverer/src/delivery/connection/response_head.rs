//! Reads the head of a response: its header lines, which are stored, and its status, if the HTTP library refuses the head.
//!
//! The library decides what a head means as long as it accepts it. It refuses some heads whatever its options, such as one
//! with a NUL or with more headers than the limit. The endpoint has answered nevertheless, and its status decides
//! (contract §3). This scanner sees the same bytes, and keeps the status, `Retry-After`, and the header lines as they arrived.
//!
//! A response whose lengths contradict each other has no status, because a client has to discard it (RFC 9112 §6.3).

use domain::limits::MAX_RESPONSE_HEADERS_KEPT_BYTES;

/// Bytes of a line that are kept, which is enough for a status and for `Retry-After`.
const MAX_LINE_BYTES: usize = 128;
/// The only interim status that ends the response.
const SWITCHING_PROTOCOLS: u16 = 101;

/// The part of a response head that decides about an attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ResponseHead {
    /// The final status.
    pub(super) status: u16,
    /// The value of `Retry-After`.
    pub(super) retry_after: Option<String>,
    /// Whether the empty line after the headers arrived.
    pub(super) is_complete: bool,
}

/// The header lines of a response.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct HeaderLines {
    /// At most [`MAX_RESPONSE_HEADERS_KEPT_BYTES`], without the status line and the empty line.
    pub(super) block: Vec<u8>,
    /// Whether there were more.
    pub(super) is_cut: bool,
}

impl HeaderLines {
    /// Keeps as much of these bytes as there is room for.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = MAX_RESPONSE_HEADERS_KEPT_BYTES - self.block.len();
        self.block.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.is_cut |= bytes.len() > room;
    }
}

/// Reads a response head byte by byte. Interim heads (1xx) before the final one are skipped.
#[derive(Debug, Default)]
pub(super) struct HeadScanner {
    /// The beginning of the current line.
    line: Vec<u8>,
    state: State,
    /// The value of `Content-Length` so far.
    length: Option<u64>,
    lines: HeaderLines,
}

#[derive(Debug, Default)]
enum State {
    /// Before the status line, or within it.
    #[default]
    Status,
    /// Within the headers after an interim status.
    Interim,
    /// Within the headers after the final status.
    Final(ResponseHead),
    /// The response has no status line.
    Invalid,
}

impl HeadScanner {
    /// Returns the head so far, once its status line has arrived.
    pub(super) fn head(&self) -> Option<&ResponseHead> {
        match &self.state {
            State::Final(head) => Some(head),
            State::Status | State::Interim | State::Invalid => None,
        }
    }

    /// Takes the header lines after the final status line so far.
    pub(super) fn take_lines(&mut self) -> HeaderLines {
        std::mem::take(&mut self.lines)
    }

    /// Reads further bytes of the response. Bytes after the head are ignored.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match &self.state {
                State::Invalid => return,
                State::Final(head) if head.is_complete => return,
                _ => {}
            }
            if matches!(self.state, State::Final(_)) {
                self.keep_byte(*byte);
            }
            match byte {
                b'\n' => self.end_line(),
                _ if self.line.len() < MAX_LINE_BYTES => self.line.push(*byte),
                _ => {}
            }
        }
    }

    /// Keeps a byte of a header line. The empty line that ends the head is not kept: its `\r` is the first byte of a line.
    fn keep_byte(&mut self, byte: u8) {
        let is_end = matches!(byte, b'\r' | b'\n') && matches!(self.line[..], [] | [b'\r']);
        if !is_end {
            self.lines.push(&[byte]);
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        match &mut self.state {
            // Empty lines before the status line are allowed (RFC 9112 §2.2).
            State::Status if line.is_empty() => {}
            State::Status => {
                self.state = match parse_status_line(line) {
                    None => State::Invalid,
                    Some(status @ 100..200) if status != SWITCHING_PROTOCOLS => State::Interim,
                    Some(status) => State::Final(ResponseHead { status, ..ResponseHead::default() }),
                };
            }
            State::Interim if line.is_empty() => self.state = State::Status,
            State::Final(head) if line.is_empty() => head.is_complete = true,
            State::Final(head) => match parse_header(line) {
                Some((name, value)) if name.eq_ignore_ascii_case("retry-after") => {
                    // Of several, hyper's caller reads the first too.
                    head.retry_after.get_or_insert_with(|| value.to_owned());
                }
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    for length in value.split(',') {
                        let length = length.trim().parse().ok();
                        if length.is_none() || self.length.is_some_and(|other| Some(other) != length) {
                            self.state = State::Invalid;
                            return;
                        }
                        self.length = length;
                    }
                }
                _ => {}
            },
            State::Interim | State::Invalid => {}
        }
    }
}

/// Parses `HTTP/1.1 200 OK`. The reason may be anything.
fn parse_status_line(line: &[u8]) -> Option<u16> {
    let [minor, rest @ ..] = line.strip_prefix(b"HTTP/1.")? else { return None };
    let code = rest.trim_ascii_start();
    let (digits, after) = code.split_at_checked(3)?;
    let has_form = minor.is_ascii_digit()
        && code.len() < rest.len()
        && digits.iter().all(u8::is_ascii_digit)
        && !after.first().is_some_and(u8::is_ascii_digit);
    let status = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (has_form && status >= 100).then_some(status)
}

/// Parses a header whose line is text.
fn parse_header(line: &[u8]) -> Option<(&str, &str)> {
    let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
    Some((name.trim_end(), value.trim()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scan(bytes: &[u8]) -> Option<ResponseHead> {
        let mut scanner = HeadScanner::default();
        scanner.read(bytes);
        scanner.head().cloned()
    }

    fn complete(status: u16) -> Option<ResponseHead> {
        Some(ResponseHead { status, retry_after: None, is_complete: true })
    }

    #[test]
    fn the_final_status_is_read_whatever_the_headers_are() {
        for (head, status) in [
            (&b"HTTP/1.1 200 OK\r\n\r\n"[..], 200),
            (b"\r\nHTTP/1.0 204\n\n", 204),
            (
                b"HTTP/1.1  503 \xff\x00\x01\r\nx-a: \x00\r\nno colon\r\n:\r\n: x\r\n\xe4: y\r\n\r\nbody\r\n",
                503,
            ),
            (b"HTTP/1.1 100 Continue\r\nx: 1\r\n\r\nHTTP/1.1 103 \r\n\r\nHTTP/1.1 201 Created\r\n\r\n", 201),
            (b"HTTP/1.1 101 Switching\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 101),
            (b"HTTP/1.1 999 \r\n\r\n", 999),
        ] {
            assert_eq!(scan(head), complete(status), "{}", String::from_utf8_lossy(head));
        }
    }

    #[test]
    fn a_head_is_complete_only_with_its_empty_line() {
        let cut = scan(b"HTTP/1.1 200 OK\r\nx: y\r\n").expect("a status");
        assert_eq!((cut.status, cut.is_complete), (200, false));
        for nothing in
            [&b""[..], b"HTTP/1.1 200 OK", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 C\r\nx: y\r\n"]
        {
            assert_eq!(scan(nothing), None);
        }
    }

    #[test]
    fn what_is_no_status_line_has_no_status() {
        for bytes in [
            &b"SSH-2.0-OpenSSH_9.2\r\n\r\n"[..],
            b"HTTP/1.1 abc\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\n\r\n",
            b"HTTP/1.1 000 OK\r\n\r\n",
            b"HTTP/1.1200 OK\r\n\r\n",
            b"HTTP/2 200\r\n\r\n",
            b"HTTP/1.x 200 OK\r\n\r\n",
            b"<html>\r\nHTTP/1.1 200 OK\r\n\r\n",
        ] {
            assert_eq!(scan(bytes), None, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_response_with_contradictory_lengths_has_no_status() {
        let with = |headers: &str| scan(format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n").as_bytes());
        for contradictory in [
            "content-length: -1",
            "Content-Length: 1\r\nx\0: y\r\ncontent-length : 2",
            "content-length: 1, 2",
            "content-length: 99999999999999999999999",
            "content-length:",
        ] {
            assert_eq!(with(contradictory), None, "{contradictory}");
        }
        assert_eq!(with("content-length: 5, 5\r\ncontent-length: 5"), complete(200));
    }

    #[test]
    fn header_lines_are_kept_as_they_arrived_without_those_of_interim_heads() {
        let lines = |bytes: &[u8]| {
            let mut scanner = HeadScanner::default();
            scanner.read(bytes);
            scanner.take_lines()
        };
        let kept = |block: &[u8]| HeaderLines { block: block.to_vec(), is_cut: false };
        let head = b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 302 Found\r\nLocation: /a\r\n b\r\nX:\0\xe4\n\r\nbody: no\r\n";
        assert_eq!(lines(head), kept(b"Location: /a\r\n b\r\nX:\0\xe4\n"));
        assert_eq!(lines(b"HTTP/1.1 200 OK\r\n\r\n"), kept(b""));
        assert_eq!(lines(b"HTTP/1.1 200 OK\n\nbody"), kept(b""));
        assert_eq!(lines(b"HTTP/1.1 100 Continue\r\nx: y\r\n"), kept(b""));
        let long = [b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &[b'a'; 5000], b"\r\n\r\n"].concat();
        assert_eq!((lines(&long).block.len(), lines(&long).is_cut), (MAX_RESPONSE_HEADERS_KEPT_BYTES, true));
    }

    #[test]
    fn retry_after_is_kept_and_the_memory_is_bounded() {
        let head = scan(b"HTTP/1.1 503 Busy\r\nbroken\0\r\nRetry-After : 120 \r\n\r\n").expect("a head");
        assert_eq!(head.retry_after.as_deref(), Some("120"));
        let mut scanner = HeadScanner::default();
        scanner.read(b"HTTP/1.1 200 OK\r\nx: ");
        scanner.read(&[b'a'; 100_000]);
        assert!(scanner.line.capacity() <= 2 * MAX_LINE_BYTES, "{}", scanner.line.capacity());
    }

    proptest! {
        #[test]
        fn the_pieces_in_which_a_head_arrives_do_not_matter(
            bytes in r"(HTTP/1\.1 [1-5]0[0-4]( OK)?\r?\n(a: b\r?\n|c\r\n)*\r?\n){0,3}",
            cut in 0..100_usize,
        ) {
            let (first, second) = bytes.as_bytes().split_at(cut.min(bytes.len()));
            let mut scanner = HeadScanner::default();
            scanner.read(first);
            scanner.read(second);
            prop_assert_eq!(scanner.head().cloned(), scan(bytes.as_bytes()));
        }
    }
}
