//! Instants in requests: RFC 3339, rounded up to the millisecond.

use chrono::{DateTime, Datelike, TimeDelta};
use domain::time::Timestamp;

/// Reads an instant and rounds it up to a whole millisecond.
///
/// Stored instants have whole milliseconds, so a bound between two of them means the later one. A space before the
/// offset is read as `+`, because form decoding turns an unescaped `+` into a space.
///
/// # Errors
/// When the text is not RFC 3339.
pub(crate) fn parse_timestamp(text: &str) -> Result<Timestamp, &'static str> {
    let text = restore_plus(text);
    let whole = domain::time::parse_timestamp(&text).filter(|at| has_four_digit_year(*at));
    let (Some(whole), Ok(exact)) = (whole, DateTime::parse_from_rfc3339(&text)) else {
        return Err("must be an RFC 3339 date and time, such as 2021-04-08T19:36:02.938Z");
    };
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
    fn instants_are_rounded_up_to_the_millisecond() {
        let read = |text| parse_timestamp(text).map(domain::time::format_timestamp);
        assert_eq!(read("2021-04-08T19:36:02.938Z").as_deref(), Ok("2021-04-08T19:36:02.938Z"));
        assert_eq!(read("2021-04-08T19:36:02.9380001Z").as_deref(), Ok("2021-04-08T19:36:02.939Z"));
        assert_eq!(read("2021-04-08T21:36:02+02:00").as_deref(), Ok("2021-04-08T19:36:02.000Z"));
        assert_eq!(read("2021-04-08T21:36:02 02:00").as_deref(), Ok("2021-04-08T19:36:02.000Z"));
        for bad in
            ["", "2021-04-08", "yesterday", "1617910562", "2021-13-01T00:00:00Z", "0000-01-01T00:00:00Z"]
        {
            assert!(parse_timestamp(bad).is_err(), "{bad}");
        }
    }
}
