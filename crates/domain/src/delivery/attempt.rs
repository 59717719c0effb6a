//! The facts of one attempt: how it ended and why it was made.
//!
//! The client reports facts and decides nothing. [`super::judge_attempt`] decides what follows from them.

use crate::vocabulary::vocabulary;

vocabulary! {
    /// How an attempt ended (contract §3).
    Outcome {
        /// The endpoint answered with a 2xx status.
        Delivered = "delivered",
        /// The endpoint answered with any other status, redirects included.
        HttpStatus = "http_status",
        /// The endpoint did not accept the connection or send a status in time.
        Timeout = "timeout",
        /// The host name could not be resolved.
        Dns = "dns",
        /// The connection was refused or reset, or the host is unreachable.
        Connect = "connect",
        /// The TLS handshake or the certificate failed.
        Tls = "tls",
        /// The address is forbidden ([`crate::webhook::address`]).
        Blocked = "blocked",
        /// The response was not valid HTTP.
        Protocol = "protocol",
    }
}

vocabulary! {
    /// Why an attempt was made (contract §3).
    Trigger {
        /// The first attempt of a new event.
        Fresh = "fresh",
        /// A retry after a failed attempt.
        Retry = "retry",
        /// A user requested a redelivery.
        Redeliver = "redeliver",
        /// The webhook was re-enabled, and its held events are sent.
        Held = "held",
        /// A test event.
        Test = "test",
    }
}

/// The facts of one attempt, as the client saw them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// How the attempt ended.
    pub outcome: Outcome,
    /// The HTTP status, if the endpoint sent one.
    pub status_code: Option<u16>,
    /// The error message; `None` when the event was delivered.
    pub error: Option<String>,
    /// The beginning of the response body as text, if there was a body.
    pub response_body: Option<String>,
    /// `Retry-After` of a 429 or 503, in seconds from the arrival of the response.
    pub retry_after_seconds: Option<u64>,
    /// Whether this machine caused the failure, for example because it has no file handle or no network.
    ///
    /// Such an attempt is retried like any other, but does not count against the webhook.
    pub caused_locally: bool,
}

impl Facts {
    /// Returns the facts of an attempt that received no HTTP status.
    #[must_use]
    pub fn without_status(outcome: Outcome, error: String) -> Self {
        Self {
            outcome,
            status_code: None,
            error: Some(error),
            response_body: None,
            retry_after_seconds: None,
            caused_locally: false,
        }
    }

    /// Returns the facts that follow from a status (contract §3): 2xx is delivered, any other status failed.
    #[must_use]
    pub fn from_status(status: u16) -> Self {
        let delivered = (200..300).contains(&status);
        let outcome = if delivered { Outcome::Delivered } else { Outcome::HttpStatus };
        let error = match status {
            _ if delivered => None,
            300..400 => Some(format!("answered {status}; redirects are never followed")),
            410 => Some("answered 410 Gone".to_owned()),
            _ => Some(format!("answered {status}")),
        };
        let status_code = Some(status);
        Self {
            outcome,
            status_code,
            error,
            response_body: None,
            retry_after_seconds: None,
            caused_locally: false,
        }
    }
}

/// Parses a `Retry-After` value (RFC 9110 §10.2.3): a number of seconds or a date.
///
/// A number that does not fit becomes the largest one. A date in the past becomes zero.
#[must_use]
pub fn parse_retry_after(value: &str, now: crate::time::Timestamp) -> Option<u64> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        return Some(value.parse().unwrap_or(u64::MAX));
    }
    let at = httpdate::parse_http_date(value).ok()?;
    let delay_millis =
        chrono::DateTime::<chrono::Utc>::from(at).signed_duration_since(now).num_milliseconds();
    Some(u64::try_from(delay_millis).unwrap_or(0).div_ceil(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_2xx_status_is_delivered() {
        for status in 100..=599u16 {
            let facts = Facts::from_status(status);
            assert_eq!(facts.outcome == Outcome::Delivered, (200..300).contains(&status), "{status}");
            assert_eq!(facts.error.is_none(), (200..300).contains(&status), "{status}");
        }
    }

    #[test]
    fn retry_after_is_parsed_in_both_forms() {
        let now = crate::time::parse_timestamp("2015-10-21T07:27:30Z").expect("valid");
        assert_eq!(parse_retry_after("120", now), Some(120));
        assert_eq!(parse_retry_after(" 7 ", now), Some(7));
        assert_eq!(parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT", now), Some(30));
        assert_eq!(parse_retry_after("Wed, 21 Oct 2015 07:27:00 GMT", now), Some(0));
        assert_eq!(parse_retry_after("99999999999999999999999", now), Some(u64::MAX));
        for nonsense in ["", "-1", "1.5", "soon"] {
            assert_eq!(parse_retry_after(nonsense, now), None, "{nonsense}");
        }
    }

    #[test]
    fn words_are_parsed_back_to_their_variants() {
        assert!(Outcome::ALL.iter().all(|o| o.as_str().parse() == Ok(*o)));
        assert!(Trigger::ALL.iter().all(|t| t.as_str().parse() == Ok(*t)));
        assert!("nope".parse::<Outcome>().is_err());
    }
}
