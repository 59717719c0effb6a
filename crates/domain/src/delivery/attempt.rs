//! How one attempt ended, as plain facts.

use crate::vocabulary::vocabulary;

vocabulary! {
    /// How an attempt ended (contract §3).
    Outcome {
        /// The endpoint answered 2xx.
        Delivered = "delivered",
        /// The endpoint answered with any other status, redirects included.
        HttpStatus = "http_status",
        /// No connection or no status in time.
        Timeout = "timeout",
        /// The name could not be resolved.
        Dns = "dns",
        /// Refused, reset or unreachable.
        Connect = "connect",
        /// The TLS handshake or the certificate failed.
        Tls = "tls",
        /// The address is one that is never called.
        Blocked = "blocked",
        /// The answer was not HTTP as it should be.
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
        /// Someone asked for one more delivery.
        Redeliver = "redeliver",
        /// The webhook was re-enabled and its held events sent.
        Held = "held",
        /// A test event.
        Test = "test",
    }
}

/// The facts of one attempt, as the client saw them. What follows is decided elsewhere
/// ([`super::after_attempt`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// How it ended.
    pub outcome: Outcome,
    /// The HTTP status, where one was received.
    pub status_code: Option<u16>,
    /// What went wrong, in words; `None` when delivered.
    pub error: Option<String>,
    /// The start of the response body, as text, where there was one.
    pub response_body: Option<String>,
    /// `Retry-After` in seconds from the answer's arrival, of 429 and 503 only.
    pub retry_after_seconds: Option<u64>,
    /// Whether the cause lies with this machine and not with the endpoint, such as no file handle left or
    /// no network: it is retried like everything else, and does not count against the webhook.
    pub ours: bool,
}

impl Facts {
    /// The facts of an attempt that got no HTTP status.
    #[must_use]
    pub fn failed(outcome: Outcome, error: String) -> Self {
        Self {
            outcome,
            status_code: None,
            error: Some(error),
            response_body: None,
            retry_after_seconds: None,
            ours: false,
        }
    }

    /// The facts that a status line settles (contract §3): 2xx delivered, all else failed.
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
        Self { outcome, status_code, error, response_body: None, retry_after_seconds: None, ours: false }
    }
}

/// Reads a `Retry-After` value (RFC 9110 §10.2.3): seconds, or a date in the future.
/// Seconds beyond what fits are taken for the longest; a date that is past is zero.
#[must_use]
pub fn retry_after_seconds(value: &str, now: crate::time::Timestamp) -> Option<u64> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        return Some(value.parse().unwrap_or(u64::MAX));
    }
    let at = httpdate::parse_http_date(value).ok()?;
    let wait_millis = chrono::DateTime::<chrono::Utc>::from(at).signed_duration_since(now).num_milliseconds();
    Some(u64::try_from(wait_millis).unwrap_or(0).div_ceil(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_2xx_is_delivered() {
        for status in 100..=599u16 {
            let facts = Facts::from_status(status);
            assert_eq!(facts.outcome == Outcome::Delivered, (200..300).contains(&status), "{status}");
            assert_eq!(facts.error.is_none(), (200..300).contains(&status), "{status}");
        }
    }

    #[test]
    fn retry_after_in_both_forms() {
        let now = crate::time::parse("2015-10-21T07:27:30Z").expect("valid");
        assert_eq!(retry_after_seconds("120", now), Some(120));
        assert_eq!(retry_after_seconds(" 7 ", now), Some(7));
        assert_eq!(retry_after_seconds("Wed, 21 Oct 2015 07:28:00 GMT", now), Some(30));
        assert_eq!(retry_after_seconds("Wed, 21 Oct 2015 07:27:00 GMT", now), Some(0));
        assert_eq!(retry_after_seconds("99999999999999999999999", now), Some(u64::MAX));
        for nonsense in ["", "-1", "1.5", "soon"] {
            assert_eq!(retry_after_seconds(nonsense, now), None, "{nonsense}");
        }
    }

    #[test]
    fn words_read_back() {
        assert!(Outcome::ALL.iter().all(|o| o.as_str().parse() == Ok(*o)));
        assert!(Trigger::ALL.iter().all(|t| t.as_str().parse() == Ok(*t)));
        assert!("nope".parse::<Outcome>().is_err());
    }
}
