//! A webhook request as somebody recorded it: the headers that belong to the signature, and the body.

/// Separates the head of a raw request from its body.
const HEAD_ENDS: [&[u8]; 2] = [b"\r\n\r\n", b"\n\n"];

/// The parts of a request that the signature covers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) id: Option<String>,
    pub(super) timestamp: Option<String>,
    pub(super) signature: Option<String>,
    pub(super) body: Vec<u8>,
    /// Observations about the recording itself.
    pub(super) notes: Vec<String>,
}

impl Recorded {
    /// Parses a raw HTTP/1.1 request: request line, headers, an empty line, and the body.
    pub(super) fn parse_raw(raw: &[u8]) -> Result<Self, String> {
        let end = HEAD_ENDS.iter().filter_map(|end| Some((find(raw, end)?, end.len()))).min();
        let (end, gap) = end.ok_or("there is no empty line between the headers and the body")?;
        let head = std::str::from_utf8(&raw[..end]).map_err(|_| "the headers are not text")?;
        let mut request = Self { body: raw[end + gap..].to_vec(), ..Self::default() };
        let mut length = None;
        for line in head.lines() {
            // The request line has no colon before its first space.
            let Some((name, value)) = line.split_once(':').filter(|(name, _)| !name.contains(' ')) else {
                continue;
            };
            request.add_header(name, value);
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse::<usize>().ok();
            }
        }
        if let Some(length) = length {
            request.apply_length(length);
        }
        Ok(request)
    }

    /// Takes a header. Names do not depend on case; other headers are ignored.
    pub(super) fn add_header(&mut self, name: &str, value: &str) {
        let place = match name.trim().to_ascii_lowercase().as_str() {
            "webhook-id" => &mut self.id,
            "webhook-timestamp" => &mut self.timestamp,
            "webhook-signature" => &mut self.signature,
            _ => return,
        };
        *place = Some(value.trim().to_owned());
    }

    /// Compares the body with the header `content-length`.
    fn apply_length(&mut self, length: usize) {
        let found = self.body.len();
        if found > length {
            // Editors and shells add a line break at the end of a file.
            self.body.truncate(length);
            self.notes.push(format!("{} bytes after the body were ignored", found - length));
        } else if found < length {
            self.notes.push(format!("the body has {found} bytes instead of the {length} of content-length"));
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_request_has_headers_and_the_bytes_of_its_body() {
        for end in ["\r\n", "\n"] {
            let head = [
                "POST /hooks?a=b:c HTTP/1.1",
                "Host: example.com",
                "Webhook-Id: msg_1",
                "WEBHOOK-TIMESTAMP:1614265330",
                "webhook-signature: v1,a v1,b ",
                "content-length: 6",
            ];
            let raw = format!("{}{end}{end}{{\n\n\r\n}}\n", head.join(end));
            let request = Recorded::parse_raw(raw.as_bytes()).expect("a request");
            assert_eq!(request.id.as_deref(), Some("msg_1"));
            assert_eq!(request.timestamp.as_deref(), Some("1614265330"));
            assert_eq!(request.signature.as_deref(), Some("v1,a v1,b"));
            assert_eq!(request.body, b"{\n\n\r\n}"[..6].to_vec());
            assert_eq!(request.notes, ["1 bytes after the body were ignored"]);
        }
    }

    #[test]
    fn body_that_was_cut_is_noticed() {
        let request = Recorded::parse_raw(b"content-length: 10\n\nabc").expect("a request");
        assert_eq!(request.notes, ["the body has 3 bytes instead of the 10 of content-length"]);
        assert!(Recorded::parse_raw(b"webhook-id: a\n{}").is_err());
    }
}
