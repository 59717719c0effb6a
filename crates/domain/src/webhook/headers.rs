//! The custom headers of a webhook: which names and values a brand may choose.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::limits::{MAX_CUSTOM_HEADERS, MAX_CUSTOM_HEADERS_BYTES};

/// Stands for the value of a custom header wherever the value is not shown, because it may be a credential.
pub const HIDDEN_HEADER_VALUE: &str = "(hidden)";

/// Header names that no webhook may set, because the platform sets them or they control the connection.
const RESERVED_NAMES: [&str; 9] = [
    "host",
    "user-agent",
    "connection",
    "keep-alive",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
];
/// Prefixes of header names that no webhook may set.
const RESERVED_PREFIXES: [&str; 3] = ["content-", "webhook-", "proxy-"];

/// The custom headers of a webhook, names and values. Its `Debug` shows the names alone, because the values may be
/// credentials.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CustomHeaders(pub BTreeMap<String, String>);

impl CustomHeaders {
    /// Returns the names in their order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

impl fmt::Debug for CustomHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A violation of the rules for custom headers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeaders {
    /// There are too many headers.
    #[error("at most {MAX_CUSTOM_HEADERS} custom headers are allowed")]
    TooMany,
    /// The headers together are too large.
    #[error("custom headers may have at most {MAX_CUSTOM_HEADERS_BYTES} bytes together")]
    TooLarge,
    /// HTTP does not allow this name.
    #[error("header name {0:?} is not an HTTP token")]
    Name(String),
    /// The platform reserves this name.
    #[error("header {0:?} is set by Postrider or steers the connection; choose another name")]
    Reserved(String),
    /// Two headers have this name, because names ignore case.
    #[error("header {0:?} is given twice (names ignore case)")]
    Twice(String),
    /// The value of this header contains a control character.
    #[error("the value of header {0:?} holds a control character")]
    Value(String),
}

impl InvalidHeaders {
    /// Returns the name of the invalid header, if the error concerns a single header.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::TooMany | Self::TooLarge => None,
            Self::Name(name) | Self::Reserved(name) | Self::Twice(name) | Self::Value(name) => Some(name),
        }
    }
}

/// Checks custom headers (contract §4) and reports every error.
///
/// # Errors
/// Every violation, each once.
pub fn check_headers(headers: &BTreeMap<String, String>) -> Result<(), Vec<InvalidHeaders>> {
    let mut errors = Vec::new();
    if headers.len() > MAX_CUSTOM_HEADERS {
        errors.push(InvalidHeaders::TooMany);
    }
    if headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MAX_CUSTOM_HEADERS_BYTES
    {
        errors.push(InvalidHeaders::TooLarge);
    }
    let mut seen = std::collections::BTreeSet::new();
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        if is_reserved(&lower) {
            errors.push(InvalidHeaders::Reserved(name.clone()));
        } else if HeaderName::from_str(name).is_err() {
            errors.push(InvalidHeaders::Name(name.clone()));
        } else if !seen.insert(lower) {
            errors.push(InvalidHeaders::Twice(name.clone()));
        }
        if value.chars().any(char::is_control) || HeaderValue::from_bytes(value.as_bytes()).is_err() {
            errors.push(InvalidHeaders::Value(name.clone()));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn is_reserved(lower: &str) -> bool {
    lower.starts_with(':')
        || RESERVED_NAMES.contains(&lower)
        || RESERVED_PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&str, &str)]) -> Result<(), Vec<InvalidHeaders>> {
        check_headers(&pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn debug_output_hides_the_values() {
        let headers = CustomHeaders([("X-A".to_owned(), "hush".to_owned())].into());
        assert_eq!(format!("{headers:?}"), r#"{"X-A"}"#);
    }

    #[test]
    fn ordinary_headers_are_accepted() {
        assert_eq!(
            check(&[
                ("Authorization", "Bearer x"),
                ("X-Tenant", "ä 1"),
                ("accept", "*/*"),
                ("contents", "1")
            ]),
            Ok(())
        );
        assert_eq!(check(&[]), Ok(()));
    }

    #[test]
    fn every_reserved_name_is_rejected_in_any_case() {
        for name in [
            "Host",
            "CONTENT-TYPE",
            "content-length",
            "Content-Anything",
            "User-Agent",
            "webhook-id",
            "Webhook-X",
            "Connection",
            "Transfer-Encoding",
            "TE",
            "Trailer",
            "Upgrade",
            "Expect",
            "Proxy-Authorization",
            ":authority",
            "keep-alive",
        ] {
            assert_eq!(check(&[(name, "x")]), Err(vec![InvalidHeaders::Reserved(name.to_owned())]));
        }
    }

    #[test]
    fn injection_is_rejected_and_every_error_is_reported() {
        for value in ["a\r\nX: y", "a\nb", "a\0", "\u{7f}", "tab\there", "\u{85}"] {
            assert_eq!(
                check(&[("X-A", value)]),
                Err(vec![InvalidHeaders::Value("X-A".to_owned())]),
                "{value:?}"
            );
        }
        for name in ["", "a b", "a\r\n", "ä", "a:b"] {
            assert_eq!(check(&[(name, "x")]), Err(vec![InvalidHeaders::Name(name.to_owned())]), "{name:?}");
        }
        assert_eq!(check(&[("X-A", "1"), ("x-a", "2")]).map_err(|f| f.len()), Err(1));
        assert_eq!(check(&[("host", "\n"), ("te", "x")]).map_err(|f| f.len()), Err(3));
    }

    #[test]
    fn number_and_size_of_headers_are_bounded() {
        let many: BTreeMap<_, _> = (0..21).map(|n| (format!("x-{n}"), String::new())).collect();
        assert_eq!(check_headers(&many), Err(vec![InvalidHeaders::TooMany]));
        let full =
            |extra| BTreeMap::from([("x".to_owned(), "y".repeat(MAX_CUSTOM_HEADERS_BYTES - 1 + extra))]);
        assert_eq!(check_headers(&full(0)), Ok(()));
        assert_eq!(check_headers(&full(1)), Err(vec![InvalidHeaders::TooLarge]));
    }
}
