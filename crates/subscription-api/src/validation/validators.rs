//! Readers of single JSON values: each takes the value, where it stands, and where to note a fault.

use std::ops::RangeInclusive;
use std::str::FromStr;

use domain::event_type::TypePattern;
use domain::limits::WEBHOOK_EVENTS;
use domain::signature::Scheme;
use domain::time::Timestamp;
use serde_json::value::RawValue;

use crate::validation::errors::Faults;
use crate::validation::fields::Fields;
use crate::validation::header_patch::HeaderPatch;

/// Any text: what the others build on.
pub fn any_text(raw: &RawValue, at: &str, faults: &mut Faults) -> Option<String> {
    let text = serde_json::from_str(raw.get()).ok();
    if text.is_none() {
        faults.add(at, if raw.get().starts_with('"') { "must be Unicode text" } else { "must be a string" });
    }
    text
}

/// Text of people: at most `longest` characters, and without U+0000, which PostgreSQL cannot hold.
pub fn free_text(longest: usize) -> impl Fn(&RawValue, &str, &mut Faults) -> Option<String> {
    move |raw, at, faults| {
        let text = any_text(raw, at, faults)?;
        if text.chars().nth(longest).is_some() {
            faults.add(at, format!("must be at most {longest} characters long"));
            return None;
        }
        if text.contains('\0') {
            faults.add(at, "must not contain U+0000");
            return None;
        }
        Some(text)
    }
}

/// [`free_text`] that says something.
pub fn text(longest: usize) -> impl Fn(&RawValue, &str, &mut Faults) -> Option<String> {
    move |raw, at, faults| {
        let text = free_text(longest)(raw, at, faults)?;
        if text.trim().is_empty() {
            faults.add(at, "must not be empty");
            return None;
        }
        Some(text)
    }
}

/// Text that is one of our words or ids.
pub fn word<T: FromStr>(raw: &RawValue, at: &str, faults: &mut Faults) -> Option<T>
where
    T::Err: std::fmt::Display,
{
    let text = any_text(raw, at, faults)?;
    text.parse().map_err(|error| faults.add(at, error)).ok()
}

/// `true` or `false`.
pub fn boolean(raw: &RawValue, at: &str, faults: &mut Faults) -> Option<bool> {
    let read = serde_json::from_str(raw.get()).ok();
    if read.is_none() {
        faults.add(at, "must be true or false");
    }
    read
}

/// An integer within bounds; `10.0` is one.
pub fn integer(bounds: RangeInclusive<i32>) -> impl Fn(&RawValue, &str, &mut Faults) -> Option<i32> {
    move |raw, at, faults| {
        let number = whole(raw.get()).filter(|number| bounds.contains(number));
        if number.is_none() {
            faults.add(at, format!("must be an integer from {} to {}", bounds.start(), bounds.end()));
        }
        number
    }
}

fn whole(json: &str) -> Option<i32> {
    let number: serde_json::Number = serde_json::from_str(json).ok()?;
    if let Some(number) = number.as_i64() {
        return i32::try_from(number).ok();
    }
    let number = number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() <= f64::from(i32::MAX))?;
    // Within bounds and without a fraction, so that nothing is cut.
    #[expect(clippy::cast_possible_truncation, reason = "checked in the line above")]
    Some(number as i32)
}

/// A list of types and groups: not empty, each once. What is no type is a fault; the others go on,
/// to be looked up in the catalogue.
pub fn patterns(raw: &RawValue, at: &str, faults: &mut Faults) -> Option<Vec<TypePattern>> {
    let Ok(texts) = serde_json::from_str::<Vec<String>>(raw.get()) else {
        faults.add(at, "must be a list of event types and groups");
        return None;
    };
    if texts.is_empty() || texts.len() > WEBHOOK_EVENTS {
        faults.add(at, format!("must name 1 to {WEBHOOK_EVENTS} event types or groups"));
        return None;
    }
    let mut patterns: Vec<TypePattern> = Vec::with_capacity(texts.len());
    for text in texts {
        match text.parse() {
            Ok(pattern) if patterns.contains(&pattern) => {}
            Ok(pattern) => patterns.push(pattern),
            Err(error) => faults.add(at, format!("{} {error}, or *", quoted(&text))),
        }
    }
    Some(patterns)
}

/// How requests are signed, `v1` among them: whether `v1a` is, too.
pub fn signatures(raw: &RawValue, at: &str, faults: &mut Faults) -> Option<bool> {
    let schemes = serde_json::from_str::<Vec<Scheme>>(raw.get()).unwrap_or_default();
    let count = |scheme| schemes.iter().filter(|own| **own == scheme).count();
    if count(Scheme::V1) != 1 || count(Scheme::V1a) > 1 {
        faults.add(at, r#"must be ["v1"] or ["v1","v1a"]"#);
        return None;
    }
    Some(count(Scheme::V1a) == 1)
}

/// A list of 1 to `most` values.
pub fn list<'a>(most: usize) -> impl Fn(&'a RawValue, &str, &mut Faults) -> Option<Vec<&'a RawValue>> {
    move |raw, at, faults| {
        let Ok(values) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) else {
            faults.add(at, "must be a list");
            return None;
        };
        if values.is_empty() || values.len() > most {
            faults.add(at, format!("must have 1 to {most} items"));
            return None;
        }
        Some(values)
    }
}

/// An instant, up to the next whole millisecond.
pub fn instant(raw: &RawValue, at: &str, faults: &mut Faults) -> Option<Timestamp> {
    let text = any_text(raw, at, faults)?;
    crate::http::query::instant(&text).map_err(|error| faults.add(at, error)).ok()
}

/// A text as a fault repeats it.
fn quoted(text: &str) -> String {
    format!("{:?}", crate::validation::fields::shortened(text))
}

/// Custom headers, within the rules of the contract (§4).
pub fn headers(raw: &RawValue, at: &str, faults: &mut Faults) -> Option<HeaderPatch> {
    let members = Fields::of(raw, at, faults)?.take_all();
    let mut patch = HeaderPatch::default();
    for (name, value) in members {
        match serde_json::from_str::<String>(value.get()) {
            Ok(value) => patch.set(name, value),
            Err(_) => faults.add(at, format!("the value of header {} must be a string", quoted(&name))),
        }
    }
    patch.check(at, faults);
    Some(patch)
}

/// A merge patch of custom headers: those that are null go.
pub fn header_patch(raw: &RawValue, at: &str, faults: &mut Faults) -> Option<HeaderPatch> {
    let members = Fields::of(raw, at, faults)?.take_all();
    let mut patch = HeaderPatch::default();
    for (name, value) in members {
        match serde_json::from_str::<Option<String>>(value.get()) {
            Ok(Some(value)) => patch.set(name, value),
            Ok(None) => patch.remove(name),
            Err(_) => {
                faults.add(at, format!("the value of header {} must be a string or null", quoted(&name)))
            }
        }
    }
    patch.check(at, faults);
    Some(patch)
}

/// JSON that is kept as it came in, `null` for none: at most `longest` bytes, of a depth and with
/// numbers and text that every reader of it can take.
pub fn kept_json(longest: usize) -> impl Fn(&RawValue, &str, &mut Faults) -> Option<Box<RawValue>> {
    move |raw, at, faults| {
        if raw.get().len() > longest {
            faults.add(at, format!("must be at most {longest} bytes of JSON"));
            return None;
        }
        if let Err(error) = serde_json::from_str::<serde_json::Value>(raw.get()) {
            faults.add(at, format!("must be plain JSON: {error}"));
            return None;
        }
        Some(raw.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T>(
        read: impl Fn(&RawValue, &str, &mut Faults) -> Option<T>,
        json: &str,
    ) -> Result<T, Vec<String>> {
        let raw: Box<RawValue> = serde_json::from_str(json).expect("JSON");
        let mut faults = Faults::default();
        let read = read(&raw, "/f", &mut faults);
        let told = serde_json::to_value(&faults).expect("faults");
        let pointers = told
            .as_array()
            .expect("list")
            .iter()
            .map(|f| f["pointer"].as_str().expect("text").to_owned())
            .collect();
        read.filter(|_| faults.is_empty()).ok_or(pointers)
    }

    #[test]
    fn text_is_bounded_in_characters_and_has_something_in_it() {
        assert_eq!(check(text(3), "\"äöü\""), Ok("äöü".to_owned()));
        for bad in ["\"abcd\"", "\"\"", "\" \\t\"", "1", "null", "\"a\\u0000\"", "\"\\ud800\"", "[\"a\"]"] {
            assert!(check(text(3), bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn integers_are_whole_and_within_bounds() {
        for (json, expected) in [("1", 1), ("100", 100), ("10.0", 10), ("1e1", 10)] {
            assert_eq!(check(integer(1..=100), json), Ok(expected), "{json}");
        }
        for bad in ["0", "101", "1.5", "\"1\"", "null", "true", "99999999999999999999", "1e300", "-1"] {
            assert!(check(integer(1..=100), bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn patterns_lose_their_twins() {
        let read = check(patterns, r#"["A","B","A","*"]"#).expect("valid");
        assert_eq!(read.iter().map(TypePattern::as_str).collect::<Vec<_>>(), ["A", "B", "*"]);
        assert_eq!(check(patterns, r#"["A","a.b","x"]"#).map(|_| ()), Err(vec!["/f".to_owned(); 2]));
        for bad in ["[]", "null", "\"A\"", "{}", "[7]", &format!("[{}]", vec!["\"A\""; 101].join(","))] {
            assert_eq!(check(patterns, bad).map(|_| ()), Err(vec!["/f".to_owned()]), "{bad}");
        }
    }

    #[test]
    fn headers_are_told_one_by_one() {
        assert!(check(headers, r#"{"X-A":"1"}"#).is_ok());
        assert!(check(headers, r#"{"X-A":null}"#).is_err() && check(header_patch, r#"{"X-A":null}"#).is_ok());
        let faults = check(headers, r#"{"Host":"x","X-A":1,"X-B":"\n","content-type":"x"}"#).map(|_| ());
        assert_eq!(faults, Err(vec!["/f".to_owned(); 4]));
        assert_eq!(check(headers, "[]").map(|_| ()), Err(vec!["/f".to_owned()]));
        assert_eq!(check(headers, r#"{"X-A":"1","X-A":"2"}"#).map(|_| ()), Err(vec!["/f/X-A".to_owned()]));
    }

    #[test]
    fn kept_json_stays_as_it_is_and_is_not_too_deep() {
        let odd = r#"{"b" : 1.10, "a": 12345678901234567890}"#;
        assert_eq!(check(kept_json(100), odd).map(|raw| raw.get().to_owned()), Ok(odd.to_owned()));
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        assert!(check(kept_json(10_000), &deep).is_err());
        assert!(check(kept_json(3), "\"abc\"").is_err());
        assert!(check(kept_json(100), r#""\ud800""#).is_err());
    }
}
