//! A received request in a form for people.

use std::fmt::Write;

use http::HeaderMap;
use http::request::Parts;

use super::json::indent_json;
use crate::signature;

/// A request and the result of its verification.
pub(super) struct Record {
    /// The text.
    pub(super) text: String,
    /// The event's id, if the signature is valid.
    pub(super) verified: Option<String>,
}

impl Record {
    /// Describes a request; `secret` is the known secret, or the reason why it is unknown.
    pub(super) fn of(head: &Parts, body: &[u8], secret: Result<String, String>) -> Self {
        let checked =
            secret.and_then(|secret| signature::verify(&secret, &head.headers, body, signature::unix_now()));
        let verdict = match &checked {
            Ok(()) => "signature: verified".to_owned(),
            Err(why) => format!("signature: NOT verified: {why}"),
        };
        let shown = indent_json(&String::from_utf8_lossy(body));
        let text = format!(
            "{} {} {:?}\n{}\n{shown}\n\n{verdict}\n",
            head.method,
            head.uri,
            head.version,
            format_headers(&head.headers)
        );
        let id = head.headers.get("webhook-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        Self { text, verified: id.filter(|_| checked.is_ok()) }
    }
}

fn format_headers(headers: &HeaderMap) -> String {
    headers.iter().fold(String::new(), |mut text, (name, value)| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
        text
    })
}
