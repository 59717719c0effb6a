//! Instants in requests, which are RFC 3339.
//!
//! An instant of an event is truncated to the millisecond, as it is over AMQP. A bound of a range is rounded up.

use chrono::{DateTime, Datelike, TimeDelta};
use domain::time::{TIMESTAMP_RULE, Timestamp};

/// Reads the instant of an event and truncates it to a whole millisecond, as the router does.
///
/// # Errors
/// When the text is not RFC 3339, or a leap second.
pub(crate) fn parse_instant(text: &str) -> Result<Timestamp, &'static str> {
    domain::time::parse_timestamp(text).filter(|at| has_four_digit_year(*at)).ok_or(TIMESTAMP_RULE)
}

/// Reads a bound of a range and rounds it up to a whole millisecond.
///
/// Stored instants have whole milliseconds, so a bound between two of them means the later one. A space before the
/// offset is read as `+`, because form decoding turns an unescaped `+` into a space.
///
/// # Errors
/// When the text is not RFC 3339, or a leap second.
pub(crate) fn parse_bound(text: &str) -> Result<Timestamp, &'static str> {
    let text = restore_plus(text);
    let whole = parse_instant(&text)?;
    let exact = DateTime::parse_from_rfc3339(&text).map_err(|_| TIMESTAMP_RULE)?;
    Ok(if exact > whole { whole + TimeDelta::milliseconds(1) } else { whole })
}

fn restore_plus(text: &str) -> String {
    match text.rsplit_once(' ') {
        Some((time, offset)) if offset.len() == "00:00".len() && time.contains(['T', 't']) => {
            format!("{time}+{offset}")
        }
        _ => text.to_owned(),
    }
}

/// Outside of these years PostgreSQL and RFC 3339 write an instant differently.
fn has_four_digit_year(at: Timestamp) -> bool {
    (1..=9998).contains(&at.year())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_rounded_up_to_the_millisecond() {
        let read = |text| parse_bound(text).map(domain::time::format_timestamp);
        assert_eq!(read("2021-04-08T19:36:02.938Z").as_deref(), Ok("2021-04-08T19:36:02.938Z"));
        assert_eq!(read("2021-04-08T19:36:02.9380001Z").as_deref(), Ok("2021-04-08T19:36:02.939Z"));
        assert_eq!(read("2021-04-08T21:36:02+02:00").as_deref(), Ok("2021-04-08T19:36:02.000Z"));
        assert_eq!(read("2021-04-08T21:36:02 02:00").as_deref(), Ok("2021-04-08T19:36:02.000Z"));
        for bad in
            ["", "2021-04-08", "yesterday", "1617910562", "2021-13-01T00:00:00Z", "0000-01-01T00:00:00Z"]
        {
            assert!(parse_bound(bad).is_err() && parse_instant(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_bound("2021-04-08T19:36:60Z"), Err(TIMESTAMP_RULE));
    }

    #[test]
    fn instants_of_events_are_truncated_to_the_millisecond() {
        let read = |text| parse_instant(text).map(domain::time::format_timestamp);
        assert_eq!(read("2021-04-08T19:36:07.999999999Z").as_deref(), Ok("2021-04-08T19:36:07.999Z"));
        assert_eq!(read("2021-04-08T19:36:60Z"), Err(TIMESTAMP_RULE));
        assert!(read("2021-04-08T19:36:07 00:00").is_err(), "a body has no form decoding");
    }
}
