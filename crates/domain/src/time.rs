//! Timestamps in the form of the contract: RFC 3339 in UTC with milliseconds.

use chrono::{DateTime, Datelike, SecondsFormat, SubsecRound, Utc};

/// An instant in UTC; stored and sent timestamps have whole milliseconds.
pub type Timestamp = DateTime<Utc>;

/// Formats a timestamp as `2021-04-08T19:36:02.938Z`.
#[must_use]
pub fn format_timestamp(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Parses an RFC 3339 timestamp with any offset and truncates it to whole milliseconds.
///
/// Returns `None` if the text is invalid or its year in UTC is outside 0–9999, which RFC 3339 cannot write.
#[must_use]
pub fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let at = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    // The offset may move the timestamp to a year with more than four digits.
    (0..=9999).contains(&at.year()).then(|| truncate_to_millis(at))
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
    /// # Errors
    /// When the text is not RFC 3339.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        super::parse_timestamp(&text).ok_or_else(|| {
            D::Error::custom("must be an RFC 3339 date and time, such as 2021-04-08T19:36:02.938Z")
        })
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
    fn timestamps_that_cannot_be_formatted_are_rejected() {
        for beyond in ["9999-12-31T23:59:59.999-23:59", "0000-01-01T00:00:00+23:59"] {
            assert!(parse_timestamp(beyond).is_none(), "{beyond}");
        }
    }
}
