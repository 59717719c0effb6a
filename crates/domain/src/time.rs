//! Timestamps in the form of the contract: RFC 3339 in UTC with milliseconds.

use chrono::{DateTime, Datelike, SecondsFormat, SubsecRound, Timelike, Utc};

/// Nanoseconds of a second. chrono gives the second 60 more of them.
const NANOS_PER_SECOND: u32 = 1_000_000_000;

/// The rule of a timestamp in a message or request, to follow the name of its field.
pub const TIMESTAMP_RULE: &str =
    "must be an RFC 3339 date and time that is not a leap second, such as 2021-04-08T19:36:02.938Z";

/// An instant in UTC; stored and sent timestamps have whole milliseconds.
pub type Timestamp = DateTime<Utc>;

/// Formats a timestamp as `2021-04-08T19:36:02.938Z`.
#[must_use]
pub fn format_timestamp(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Parses an RFC 3339 timestamp with any offset and truncates it to whole milliseconds.
///
/// Returns `None` if the text is invalid, if its year in UTC is outside 0–9999, which RFC 3339 cannot write, or if it is
/// a leap second (`:60`), because many libraries cannot read one, and the others disagree about its instant.
#[must_use]
pub fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let at = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    // The offset may move the timestamp to a year with more than four digits.
    let is_plain = (0..=9999).contains(&at.year()) && at.nanosecond() < NANOS_PER_SECOND;
    is_plain.then(|| truncate_to_millis(at))
}

/// Parses a timestamp of an earlier version, and returns the second after it if it is a leap second.
fn parse_leap_second(text: &str) -> Option<Timestamp> {
    let at = DateTime::parse_from_rfc3339(text).ok()?;
    // The count of milliseconds goes on to the next second.
    DateTime::from_timestamp_millis(at.timestamp_millis()).filter(|at| (0..=9999).contains(&at.year()))
}

/// Truncates a timestamp to whole milliseconds, so that stored, listed and sent timestamps are equal.
#[must_use]
pub fn truncate_to_millis(at: Timestamp) -> Timestamp {
    at.trunc_subsecs(3)
}

/// Serde for [`Timestamp`] in the contract's form: `#[serde(with = "domain::time::rfc3339")]`.
pub mod rfc3339 {
    use super::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Serializes a timestamp in the form of the contract.
    ///
    /// # Errors
    /// When the serializer fails.
    pub fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::format_timestamp(*at))
    }

    /// Deserializes an RFC 3339 timestamp with any offset.
    ///
    /// A leap second becomes the second after it, as in PostgreSQL, because earlier versions accepted events with one and
    /// their messages may still be queued.
    ///
    /// # Errors
    /// When the text is not RFC 3339.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        let invalid = || D::Error::custom(super::TIMESTAMP_RULE);
        match super::parse_timestamp(&text) {
            Some(at) => Ok(at),
            None => super::parse_leap_second(&text).ok_or_else(invalid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_converted_and_further_digits_are_truncated() {
        let at = parse_timestamp("2021-04-08T21:36:02.938999+02:00").expect("valid");
        assert_eq!(format_timestamp(at), "2021-04-08T19:36:02.938Z");
        assert_eq!(
            format_timestamp(parse_timestamp("2021-04-08T19:36:02Z").expect("valid")),
            "2021-04-08T19:36:02.000Z"
        );
        assert!(parse_timestamp("2021-04-08").is_none());
    }

    #[test]
    fn a_leap_second_is_refused_at_any_minute() {
        for leap in [
            "2026-11-28T13:22:60Z",
            "2016-12-31T23:59:60Z",
            "2017-01-01T05:29:60.5+05:30",
            "2016-12-31T23:59:60.999999999Z",
        ] {
            assert!(parse_timestamp(leap).is_none(), "{leap}");
        }
        assert!(parse_timestamp("2016-12-31T23:59:59.999999999Z").is_some());
    }

    #[test]
    fn a_leap_second_of_an_earlier_version_is_the_second_after_it() {
        #[derive(serde::Deserialize)]
        struct Queued(#[serde(with = "rfc3339")] Timestamp);
        let read = |text: &str| {
            serde_json::from_str(&format!("\"{text}\"")).map(|Queued(at)| format_timestamp(at)).ok()
        };
        assert_eq!(read("2026-11-28T13:22:60.000Z").as_deref(), Some("2026-11-28T13:23:00.000Z"));
        assert_eq!(read("2026-11-28T13:22:59.938Z").as_deref(), Some("2026-11-28T13:22:59.938Z"));
        assert_eq!(read("9999-12-31T23:59:60.000Z"), None);
        assert_eq!(read("2026-11-28T13:22:61Z"), None);
    }

    #[test]
    fn timestamps_that_cannot_be_formatted_are_rejected() {
        for beyond in ["9999-12-31T23:59:59.999-23:59", "0000-01-01T00:00:00+23:59"] {
            assert!(parse_timestamp(beyond).is_none(), "{beyond}");
        }
    }
}
