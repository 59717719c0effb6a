//! The exchange of an attempt: the request as it was sent, the head of the response, and the phases in between.
//!
//! It is stored with each attempt, so that it contains only what cannot be computed again. The body of a request is not
//! part of it, because it is a pure function of the event, the webhook and the attempt ([`super::envelope`]). Header values
//! that follow from the attempt are stored as a code ([`SentValue`]). The value of a custom header is a secret and is never
//! stored.

mod codec;
mod request_head;
mod response_head;

pub use codec::UnknownExchange;
pub use request_head::{HIDDEN_VALUE, HeaderContext, SentHeader, SentValue};
pub use response_head::parse_headers;

use crate::limits::{MAX_CUSTOM_HEADERS_BYTES, MAX_ENDPOINT_CHARS, MAX_RESPONSE_HEADERS_KEPT_BYTES};

/// Maximum length of a stored URL. Only a URL whose characters have to be percent-encoded is longer, because each of them
/// becomes up to 12 bytes.
pub const MAX_URL_BYTES: usize = MAX_ENDPOINT_CHARS;
/// Maximum length of the target of a redirect that is stored beside headers that were cut.
pub const MAX_LOCATION_BYTES: usize = 2048;
/// Maximum length of the text about a problem of TLS.
pub const MAX_PROBLEM_BYTES: usize = 512;
/// Maximum length of the addresses of an endpoint as text: four of them, each at most 47 characters.
pub const MAX_REMOTE_BYTES: usize = 200;
/// Room for everything else: the platform's headers with up to four signatures, names of headers as codes, times.
const MAX_OTHER_BYTES: usize = 1024;
/// Maximum size of an encoded exchange, which bounds the memory of an attempt that waits to be recorded.
pub const MAX_EXCHANGE_BYTES: usize = MAX_URL_BYTES
    + MAX_CUSTOM_HEADERS_BYTES
    + MAX_RESPONSE_HEADERS_KEPT_BYTES
    + MAX_LOCATION_BYTES
    + MAX_PROBLEM_BYTES
    + MAX_REMOTE_BYTES
    + MAX_OTHER_BYTES;

/// The exchange of one attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exchange {
    /// Whether a connection was open and the request was handed to it.
    pub is_sent: bool,
    /// Whether the connection spoke HTTP/2.
    pub is_http2: bool,
    /// The URL. At most [`MAX_URL_BYTES`] of it are stored.
    pub url: String,
    /// Whether `url` is only the beginning of the URL.
    pub is_url_cut: bool,
    /// The headers of the request, in the order in which they were sent.
    pub headers: Vec<SentHeader>,
    /// The headers of the response; `None` if no response arrived.
    pub response: Option<ResponseHeaders>,
    /// Whether the stored beginning of the response body is not the whole body.
    pub is_body_cut: bool,
    /// The duration of each phase.
    pub timing: Timing,
    /// Whether the connection had served a request before.
    pub is_reused: bool,
    /// The address that answered, or the addresses that were tried, separated by a comma and a space. `None` if no
    /// connection was tried.
    pub remote_address: Option<String>,
    /// The version of TLS.
    pub tls_version: Option<TlsVersion>,
    /// The reason why TLS failed, in words.
    pub tls_problem: Option<String>,
}

/// The headers of a response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseHeaders {
    /// The lines as they arrived, at most [`MAX_RESPONSE_HEADERS_KEPT_BYTES`] ([`parse_headers`]).
    pub block: Vec<u8>,
    /// Whether there were more.
    pub is_cut: bool,
    /// The target of a redirect if `block` may lack it, because it was cut.
    pub location: Option<String>,
}

/// The duration of each phase in milliseconds. `None` if the phase did not happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// The lookup of the name.
    pub dns_ms: Option<u32>,
    /// The TCP connection.
    pub connect_ms: Option<u32>,
    /// The TLS handshake.
    pub tls_ms: Option<u32>,
    /// From the request to the first byte of the response.
    pub first_byte_ms: Option<u32>,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl TlsVersion {
    /// Returns the name that users see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        }
    }
}

impl ResponseHeaders {
    /// Returns the target of a redirect with this status.
    #[must_use]
    pub fn location(&self, status: u16) -> Option<String> {
        if !(300..400).contains(&status) {
            return None;
        }
        let listed = parse_headers(&self.block, self.is_cut);
        let named = listed.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("location"));
        self.location.clone().or_else(|| named.map(|(_, value)| value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_redirect_has_a_location() {
        let headers =
            ResponseHeaders { block: b"LOCATION: /next\r\nx: y\r\n".to_vec(), ..ResponseHeaders::default() };
        assert_eq!(headers.location(302).as_deref(), Some("/next"));
        assert_eq!(headers.location(201), None);
        let cut = ResponseHeaders { location: Some("/whole".to_owned()), is_cut: true, ..headers };
        assert_eq!(cut.location(308).as_deref(), Some("/whole"));
        assert_eq!(ResponseHeaders::default().location(302), None);
    }
}
