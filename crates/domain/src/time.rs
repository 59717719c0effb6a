//! Instants as the contract writes them: RFC 3339 UTC with milliseconds.

use chrono::{DateTime, Datelike, SecondsFormat, SubsecRound, Utc};

/// An instant in UTC. Everything that is stored or sent has whole milliseconds.
pub type Timestamp = DateTime<Utc>;

/// Writes an instant as `2021-04-08T19:36:02.938Z`.
#[must_use]
pub fn format(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Reads an RFC 3339 instant with any offset, cut to whole milliseconds. `None` if it is not one,
/// or lies outside the years 0–9999 that RFC 3339 can write.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    let at = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    // An offset leads out of the years that four digits write.
    (0..=9999).contains(&at.year()).then(|| whole_millis(at))
}

/// Cuts an instant to whole milliseconds, so that what is stored, listed and sent agree.
#[must_use]
pub fn whole_millis(at: Timestamp) -> Timestamp {
    at.trunc_subsecs(3)
}

/// Serde for [`Timestamp`] in the contract's form: `#[serde(with = "domain::time::rfc3339")]`.
pub mod rfc3339 {
    use super::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the contract's form.
    ///
    /// # Errors
    /// Only those of the serializer.
    pub fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::format(*at))
    }

    /// Reads RFC 3339 with any offset.
    ///
    /// # Errors
    /// When the text is not RFC 3339.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        super::parse(&text).ok_or_else(|| {
            D::Error::custom("must be an RFC 3339 date and time, such as 2021-04-08T19:36:02.938Z")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_become_utc_and_digits_beyond_milliseconds_are_cut() {
        let at = parse("2021-04-08T21:36:02.938999+02:00").expect("valid");
        assert_eq!(format(at), "2021-04-08T19:36:02.938Z");
        assert_eq!(format(parse("2021-04-08T19:36:02Z").expect("valid")), "2021-04-08T19:36:02.000Z");
        assert!(parse("2021-04-08").is_none());
    }

    #[test]
    fn what_is_read_can_be_written() {
        for beyond in ["9999-12-31T23:59:59.999-23:59", "0000-01-01T00:00:00+23:59"] {
            assert!(parse(beyond).is_none(), "{beyond}");
        }
    }
}
