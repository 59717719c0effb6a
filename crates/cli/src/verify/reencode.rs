//! Undoes changes that receivers commonly make to a body before they verify it.
//!
//! The platform signs a compact envelope of seven keys around the data as its producer wrote it. A framework that parses
//! the JSON and prints it again changes white space, key order or escapes; these are undone here. A number that was
//! printed anew, such as 1.10 as 1.1, cannot be undone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use crate::raw_json::Fields;

/// The envelope's keys, in their order (contract §3).
const KEYS: [&str; 7] = ["id", "brandId", "webhookId", "attemptId", "created", "type", "data"];

/// A body that may have been sent, and the change that made the received body of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) change: &'static str,
    pub(super) body: Vec<u8>,
}

/// Returns bodies that may have been sent, given the received one.
pub(super) fn undo_changes(received: &[u8]) -> Vec<Candidate> {
    let mut found = Vec::new();
    let mut add = |change, body: Vec<u8>| {
        if body != received {
            found.push(Candidate { change, body });
        }
    };
    add("white space was added around it", received.trim_ascii().to_vec());
    if let Some(rest) = received.strip_prefix(b"\xef\xbb\xbf") {
        add("a byte order mark was added", rest.to_vec());
    }
    if let Ok(decoded) = STANDARD.decode(received.trim_ascii()) {
        add("it was encoded as base64, as API gateways do", decoded);
    }
    let Ok(text) = std::str::from_utf8(received) else { return found };
    if let Some(bytes) = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect::<Option<Vec<u8>>>() {
        add("its UTF-8 was read as Latin-1 and encoded again", bytes);
    }
    if let Ok(inner) = serde_json::from_str::<String>(text) {
        add("it was encoded as a JSON string", inner.into_bytes());
    }
    if let Ok(value) = serde_json::from_str::<&RawValue>(text.trim()) {
        undo_json(value, &mut add);
    }
    found
}

/// Undoes a JSON parser and printer.
fn undo_json(value: &RawValue, add: &mut impl FnMut(&'static str, Vec<u8>)) {
    const SPACE: &str = "it was parsed as JSON and printed with other white space";
    const ESCAPES: &str = "it was parsed as JSON and printed with other escapes";
    const ORDER: &str = "it was parsed as JSON and printed with its keys in another order";
    add(SPACE, rewrite(value.get(), Space::Compact, Escapes::Keep).into_bytes());
    add(ESCAPES, rewrite(value.get(), Space::Compact, Escapes::Minimal).into_bytes());
    let Some(Fields(fields)) = Fields::parse(value) else { return };
    let get = |key: &str| fields.iter().find(|(name, _)| name == key).map(|(_, value)| value.get());
    let Some(values) = KEYS.iter().map(|key| get(key)).collect::<Option<Vec<_>>>() else { return };
    let in_order = fields.iter().map(|(name, _)| name.as_str()).eq(KEYS);
    let data = values[6];
    for (space, escapes) in [
        (None, Escapes::Keep),
        (Some(Space::Compact), Escapes::Keep),
        (Some(Space::Compact), Escapes::Minimal),
        (Some(Space::Python), Escapes::Keep),
        (Some(Space::Python), Escapes::Minimal),
        (Some(Space::Python), Escapes::Ascii),
        (Some(Space::Compact), Escapes::Ascii),
    ] {
        let data = space.map_or_else(|| data.to_owned(), |space| rewrite(data, space, escapes));
        let members = KEYS.iter().zip(&values).map(|(key, value)| match *key {
            "data" => format!("\"data\":{data}"),
            key => format!("\"{key}\":{}", rewrite(value, Space::Compact, Escapes::Minimal)),
        });
        let change = match (in_order, escapes) {
            (false, _) => ORDER,
            (true, Escapes::Keep) => SPACE,
            (true, _) => ESCAPES,
        };
        add(change, format!("{{{}}}", members.collect::<Vec<_>>().join(",")).into_bytes());
    }
}

/// The white space between tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Space {
    /// None.
    Compact,
    /// A space after `,` and `:`, as Python's `json.dumps` prints it.
    Python,
}

/// The escapes in strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escapes {
    /// As they are.
    Keep,
    /// Only the escapes that JSON requires.
    Minimal,
    /// Also of every character beyond ASCII, as Python prints them.
    Ascii,
}

/// Prints JSON with other white space and escapes. Numbers and the order of keys stay.
fn rewrite(text: &str, space: Space, escapes: Escapes) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c == '"' {
            let (string, after) = split_string(rest);
            out.push_str(&rewrite_string(string, escapes));
            rest = after;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            c if c.is_ascii_whitespace() => {}
            ',' | ':' if space == Space::Python => {
                out.push(c);
                out.push(' ');
            }
            c => out.push(c),
        }
    }
    out
}

/// Splits a text behind the string with which it begins.
fn split_string(text: &str) -> (&str, &str) {
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return text.split_at(index + 1),
            _ => {}
        }
    }
    (text, "")
}

/// Prints a string with other escapes. A string with a lone surrogate stays as it is.
fn rewrite_string(string: &str, escapes: Escapes) -> String {
    let Some(text) =
        (escapes != Escapes::Keep).then(|| serde_json::from_str::<String>(string).ok()).flatten()
    else {
        return string.to_owned();
    };
    let minimal = serde_json::to_string(&text).unwrap_or_else(|_| string.to_owned());
    if escapes == Escapes::Minimal {
        return minimal;
    }
    let mut ascii = String::with_capacity(minimal.len());
    for c in minimal.chars() {
        if c.is_ascii() && c != '\u{7f}' {
            ascii.push(c);
        } else {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().for_each(|unit| ascii.push_str(&format!("\\u{unit:04x}")));
        }
    }
    ascii
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &str = r#"{"id":"E","brandId":"acme","webhookId":"W","attemptId":"A","created":"T","type":"A.B","data":{"z":1.10,"a":"é/<"}}"#;

    fn change_of(received: &str, sent: &str) -> Option<&'static str> {
        undo_changes(received.as_bytes())
            .into_iter()
            .find(|candidate| candidate.body == sent.as_bytes())
            .map(|candidate| candidate.change)
    }

    #[test]
    fn common_changes_are_undone() {
        let pretty = crate::output::pretty::spread_json(SENT);
        let ascii = SENT.replace('é', "\\u00e9");
        let php = SENT.replace('/', "\\/");
        let go = SENT.replace('<', "\\u003c");
        let latin: String = SENT.bytes().map(char::from).collect();
        let string = serde_json::to_string(SENT).expect("JSON");
        for (received, words) in [
            (format!("{SENT}\n"), "white space was added"),
            (format!("\u{feff}{SENT}"), "byte order mark"),
            (STANDARD.encode(SENT), "base64"),
            (latin, "Latin-1"),
            (string, "JSON string"),
            (pretty, "other white space"),
            (SENT.replace(':', ": ").replace(',', ", "), "other white space"),
            (ascii, "other escapes"),
            (php, "other escapes"),
            (go, "other escapes"),
        ] {
            let change = change_of(&received, SENT).unwrap_or_else(|| panic!("not undone: {received}"));
            assert!(change.contains(words), "{received}: {change}");
        }
    }

    #[test]
    fn keys_are_put_into_the_order_of_the_envelope() {
        let sorted = r#"{"attemptId":"A","brandId":"acme","created":"T","data":{"z":1.10,"a":"é/<"},"id":"E","type":"A.B","webhookId":"W"}"#;
        assert!(change_of(sorted, SENT).is_some_and(|change| change.contains("another order")));
    }

    #[test]
    fn data_of_a_producer_in_python_is_reproduced() {
        let sent = SENT.replace(r#"{"z":1.10,"a":"é/<"}"#, r#"{"z": 1.10, "a": "\u00e9\ud83d\ude00/<"}"#);
        let received = SENT.replace('é', "é😀");
        assert!(change_of(&received, &sent).is_some());
    }

    #[test]
    fn other_bytes_yield_no_panic_and_no_received_body() {
        for received in [&b""[..], b"\xff\xfe", b"null", b"\"\\ud800\"", b"{\"a", b"[[[", b"1e400"] {
            assert!(undo_changes(received).iter().all(|candidate| candidate.body != received));
        }
    }
}
