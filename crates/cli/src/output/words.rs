//! Numbers, times and durations in words.

use chrono::{DateTime, TimeDelta, Utc};

/// Formats a number with separators, such as `12,040`.
pub(crate) fn format_count(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Formats a number of things, such as `1 event` or `12,040 events`.
pub(crate) fn format_number_of(count: u64, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    match thing.strip_suffix('y').filter(|_| count != 1) {
        Some(stem) => format!("{} {stem}ies", format_count(count)),
        None => format!("{} {thing}{plural}", format_count(count)),
    }
}

/// Formats the largest two units of a duration, such as `2 h 5 min`. Its sign does not count.
pub(crate) fn format_duration(duration: TimeDelta) -> String {
    let seconds = duration.num_seconds().unsigned_abs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut parts = Vec::new();
    let mut left = seconds;
    for (size, name) in units {
        let count = left / size;
        left %= size;
        if count > 0 {
            parts.push(format!("{count} {name}"));
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

/// Formats an instant as seen from `now`, such as `12 min ago` or `in 3 min`.
pub(crate) fn format_age(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let age = now - at;
    match age.num_seconds() {
        // Clocks of two machines differ a little.
        -1..=1 => "now".to_owned(),
        seconds if seconds < 0 => format!("in {}", format_duration(age)),
        _ => format!("{} ago", format_duration(age)),
    }
}

/// Formats a share, such as `98.2 %`. A share below one never rounds to `100 %`.
pub(crate) fn format_share(part: u64, total: u64) -> String {
    if total == 0 {
        return "-".to_owned();
    }
    let tenths = u128::from(part) * 1000 / u128::from(total);
    if tenths.is_multiple_of(10) {
        format!("{} %", tenths / 10)
    } else {
        format!("{}.{} %", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_separators_and_plurals() {
        for (count, wanted) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (12_040, "12,040"), (1_234_567, "1,234,567")]
        {
            assert_eq!(format_count(count), wanted);
        }
        assert_eq!(format_number_of(1, "event"), "1 event");
        assert_eq!(format_number_of(1_000, "event"), "1,000 events");
        assert_eq!(format_number_of(1, "delivery"), "1 delivery");
        assert_eq!(format_number_of(0, "delivery"), "0 deliveries");
    }

    #[test]
    fn durations_have_their_largest_two_units() {
        for (seconds, wanted) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (125, "2 min 5 s"),
            (3_600, "1 h"),
            (3_605, "1 h"),
            (7_500, "2 h 5 min"),
            (259_200, "3 d"),
            (-90, "1 min 30 s"),
        ] {
            assert_eq!(format_duration(TimeDelta::seconds(seconds)), wanted, "{seconds}");
        }
    }

    #[test]
    fn instants_are_told_from_now() {
        let now = Utc::now();
        assert_eq!(format_age(now, now), "now");
        assert_eq!(format_age(now + TimeDelta::milliseconds(900), now), "now");
        assert_eq!(format_age(now - TimeDelta::minutes(12), now), "12 min ago");
        assert_eq!(format_age(now + TimeDelta::minutes(3), now), "in 3 min");
    }

    #[test]
    fn share_is_rounded_down() {
        assert_eq!(format_share(0, 0), "-");
        assert_eq!(format_share(1, 1), "100 %");
        assert_eq!(format_share(9_999, 10_000), "99.9 %");
        assert_eq!(format_share(1, 3), "33.3 %");
        assert_eq!(format_share(0, 3), "0 %");
    }
}
