//! Times on the command line: an instant, a day, or a distance from now. All of them are in UTC.

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};

/// The accepted forms, for error messages.
const FORMS: &str = "write an instant such as 2026-11-24T08:00:00Z, a day such as 2026-11-24, now, today, yesterday, \
                     or a distance such as 90m or \"2h30m ago\"";
/// Longest distance from now. Nothing is kept for so long, so a longer one is a mistake.
const MAX_DISTANCE: TimeDelta = TimeDelta::days(3660);

/// Parses a time at which something happened: a distance such as `1h` lies before now.
pub(crate) fn parse_past(text: &str) -> Result<String, String> {
    parse(text, Utc::now(), Direction::Past)
}

/// Parses a time at which something will happen: a distance such as `90d` lies after now.
pub(crate) fn parse_future(text: &str) -> Result<String, String> {
    parse(text, Utc::now(), Direction::Future)
}

/// Where a distance without a word lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Past,
    Future,
}

fn parse(text: &str, now: DateTime<Utc>, direction: Direction) -> Result<String, String> {
    let text = text.trim();
    // An instant goes to the API as it was written, so that the API decides about its digits.
    if DateTime::parse_from_rfc3339(text).is_ok() {
        return Ok(text.to_owned());
    }
    let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
    let at = match text {
        "now" => Some(now),
        "today" => Some(midnight(now.date_naive())),
        "yesterday" => now.date_naive().pred_opt().map(midnight),
        _ => match NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10) {
            Some(day) => Some(midnight(day)),
            None => apply_distance(text, now, direction),
        },
    };
    let at = at.ok_or_else(|| FORMS.to_owned())?;
    Ok(at.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// Parses `1h`, `1h ago` or `in 1h`.
fn apply_distance(text: &str, now: DateTime<Utc>, direction: Direction) -> Option<DateTime<Utc>> {
    let ago = text.strip_suffix(" ago");
    let ahead = text.strip_prefix("in ");
    let (distance, direction) = match (ago, ahead) {
        (Some(distance), None) => (distance, Direction::Past),
        (None, Some(distance)) => (distance, Direction::Future),
        (None, None) => (text, direction),
        (Some(_), Some(_)) => return None,
    };
    let distance = parse_distance(distance)?;
    match direction {
        Direction::Past => now.checked_sub_signed(distance),
        Direction::Future => now.checked_add_signed(distance),
    }
}

/// Parses numbers with units, the largest unit first, such as `2h30m` or `1 hour 5 minutes`.
fn parse_distance(text: &str) -> Option<TimeDelta> {
    let mut rest = text.trim();
    let mut total = TimeDelta::zero();
    let mut smallest = i64::MAX;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: i64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start_matches(' ');
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let seconds = unit_seconds(&rest[..letters])?;
        rest = rest[letters..].trim_start_matches(' ');
        if seconds >= smallest {
            return None;
        }
        smallest = seconds;
        total = total.checked_add(&TimeDelta::try_seconds(count.checked_mul(seconds)?)?)?;
    }
    (total <= MAX_DISTANCE).then_some(total)
}

fn unit_seconds(unit: &str) -> Option<i64> {
    Some(match unit {
        "s" | "sec" | "secs" | "second" | "seconds" => 1,
        "m" | "min" | "mins" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3_600,
        "d" | "day" | "days" => 86_400,
        "w" | "week" | "weeks" => 604_800,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::parse_from_rfc3339("2026-03-01T13:47:02.125Z").expect("a time").to_utc()
    }

    #[test]
    fn distances_lie_before_now_or_after_it() {
        for (text, wanted) in [
            ("1h", "2026-03-01T12:47:02.125Z"),
            ("2h30m ago", "2026-03-01T11:17:02.125Z"),
            ("2h 30m ago", "2026-03-01T11:17:02.125Z"),
            ("1 hour ago", "2026-03-01T12:47:02.125Z"),
            ("90 minutes", "2026-03-01T12:17:02.125Z"),
            ("1d", "2026-02-28T13:47:02.125Z"),
            ("1w2d", "2026-02-20T13:47:02.125Z"),
            ("0s", "2026-03-01T13:47:02.125Z"),
            ("in 5m", "2026-03-01T13:52:02.125Z"),
        ] {
            assert_eq!(parse(text, now(), Direction::Past).as_deref(), Ok(wanted), "{text}");
        }
        assert_eq!(parse("90d", now(), Direction::Future).as_deref(), Ok("2026-05-30T13:47:02.125Z"));
        assert_eq!(parse("1h ago", now(), Direction::Future).as_deref(), Ok("2026-03-01T12:47:02.125Z"));
    }

    #[test]
    fn words_and_days_begin_at_midnight_in_utc() {
        for (text, wanted) in [
            ("now", "2026-03-01T13:47:02.125Z"),
            ("today", "2026-03-01T00:00:00.000Z"),
            ("yesterday", "2026-02-28T00:00:00.000Z"),
            ("2026-02-27", "2026-02-27T00:00:00.000Z"),
            (" 2026-02-27 ", "2026-02-27T00:00:00.000Z"),
        ] {
            assert_eq!(parse(text, now(), Direction::Past).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn instants_are_passed_on_as_they_were_written() {
        for text in ["2026-11-24T08:00:00Z", "2026-11-24T08:00:00.1234567+01:00"] {
            assert_eq!(parse(text, now(), Direction::Past).as_deref(), Ok(text));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "1",
            "h",
            "1x",
            "-1h",
            "1.5h",
            "1h1h",
            "30m2h",
            "1h ago ago",
            "in 1h ago",
            "ago",
            "in ",
            "later",
            "tomorrow",
            "24.11.2026",
            "2026-11-4",
            "2026-13-01",
            "99999999999999999999h",
            "9999w",
            "1h,",
            "１h",
            "9223372036854775807w",
            "Now",
        ] {
            assert!(parse(text, now(), Direction::Past).is_err(), "{text}");
        }
    }
}
