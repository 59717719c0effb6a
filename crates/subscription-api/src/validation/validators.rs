//! Validators of single JSON values. Each takes the value, its pointer and the errors to add to.

use std::ops::RangeInclusive;
use std::str::FromStr;

use domain::event::event_type::TypePattern;
use domain::limits::MAX_WEBHOOK_EVENTS;
use domain::time::Timestamp;
use domain::webhook::signature::Scheme;
use serde_json::value::RawValue;

use crate::validation::errors::ValidationErrors;
use crate::validation::fields::{Fields, truncate_key};
use crate::validation::header_patch::HeaderPatch;
use crate::validation::timestamp::{parse_bound, parse_instant};

/// Accepts any string. The other validators of text build on it.
pub fn any_text(raw: &RawValue, pointer: &str, errors: &mut ValidationErrors) -> Option<String> {
    let text = serde_json::from_str(raw.get()).ok();
    if text.is_none() {
        let is_string = raw.get().starts_with('"');
        errors.add(pointer, if is_string { "must be Unicode text" } else { "must be a string" });
    }
    text
}

/// Accepts text of at most `max_chars` characters without U+0000, which PostgreSQL cannot store.
pub fn free_text(max_chars: usize) -> impl Fn(&RawValue, &str, &mut ValidationErrors) -> Option<String> {
    move |raw, pointer, errors| {
        let text = any_text(raw, pointer, errors)?;
        if text.chars().nth(max_chars).is_some() {
            errors.add(pointer, format!("must be at most {max_chars} characters long"));
            return None;
        }
        if text.contains('\0') {
            errors.add(pointer, "must not contain U+0000");
            return None;
        }
        Some(text)
    }
}

/// Accepts [`free_text`] that is not blank.
pub fn nonempty_text(max_chars: usize) -> impl Fn(&RawValue, &str, &mut ValidationErrors) -> Option<String> {
    move |raw, pointer, errors| {
        let text = free_text(max_chars)(raw, pointer, errors)?;
        if text.trim().is_empty() {
            errors.add(pointer, "must not be empty");
            return None;
        }
        Some(text)
    }
}

/// Accepts text that parses as `T`, such as an id or a status.
pub fn parsed_text<T: FromStr>(raw: &RawValue, pointer: &str, errors: &mut ValidationErrors) -> Option<T>
where
    T::Err: std::fmt::Display,
{
    let text = any_text(raw, pointer, errors)?;
    text.parse().map_err(|error| errors.add(pointer, error)).ok()
}

/// Accepts `true` or `false`.
pub fn boolean(raw: &RawValue, pointer: &str, errors: &mut ValidationErrors) -> Option<bool> {
    let value = serde_json::from_str(raw.get()).ok();
    if value.is_none() {
        errors.add(pointer, "must be true or false");
    }
    value
}

/// Accepts an integer within bounds; `10.0` is an integer.
pub fn integer(
    bounds: RangeInclusive<i32>,
) -> impl Fn(&RawValue, &str, &mut ValidationErrors) -> Option<i32> {
    move |raw, pointer, errors| {
        let number = parse_whole_number(raw.get()).filter(|number| bounds.contains(number));
        if number.is_none() {
            errors.add(pointer, format!("must be an integer from {} to {}", bounds.start(), bounds.end()));
        }
        number
    }
}

/// Accepts a number without a fraction within bounds, which may exceed those of [`integer`]; `10.0` has no fraction.
pub fn large_integer(
    bounds: RangeInclusive<u64>,
) -> impl Fn(&RawValue, &str, &mut ValidationErrors) -> Option<u64> {
    move |raw, pointer, errors| {
        let number = parse_large_integer(raw.get()).filter(|number| bounds.contains(number));
        if number.is_none() {
            errors.add(pointer, format!("must be an integer from {} to {}", bounds.start(), bounds.end()));
        }
        number
    }
}

fn parse_large_integer(json: &str) -> Option<u64> {
    /// The largest number up to which a double holds every integer.
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    let number: serde_json::Number = serde_json::from_str(json).ok()?;
    if let Some(number) = number.as_u64() {
        return Some(number);
    }
    let number = number.as_f64().filter(|n| n.fract() == 0.0 && (0.0..=MAX_EXACT).contains(n))?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the line above checks the bounds and the fraction"
    )]
    Some(number as u64)
}

fn parse_whole_number(json: &str) -> Option<i32> {
    let number: serde_json::Number = serde_json::from_str(json).ok()?;
    if let Some(number) = number.as_i64() {
        return i32::try_from(number).ok();
    }
    let number = number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() <= f64::from(i32::MAX))?;
    #[expect(clippy::cast_possible_truncation, reason = "the line above checks the bounds and the fraction")]
    Some(number as i32)
}

/// Accepts a list of event types and groups that is not empty, and drops duplicates. An invalid pattern adds an
/// error; the others are returned, so that the caller can still look them up in the catalogue.
pub fn type_patterns(
    raw: &RawValue,
    pointer: &str,
    errors: &mut ValidationErrors,
) -> Option<Vec<TypePattern>> {
    let Ok(texts) = serde_json::from_str::<Vec<String>>(raw.get()) else {
        errors.add(pointer, "must be a list of event types and groups");
        return None;
    };
    if texts.is_empty() || texts.len() > MAX_WEBHOOK_EVENTS {
        errors.add(pointer, format!("must name 1 to {MAX_WEBHOOK_EVENTS} event types or groups"));
        return None;
    }
    let mut patterns: Vec<TypePattern> = Vec::with_capacity(texts.len());
    for text in texts {
        match text.parse() {
            Ok(pattern) if patterns.contains(&pattern) => {}
            Ok(pattern) => patterns.push(pattern),
            Err(error) => errors.add(pointer, format!("{} {error}, or *", quote_text(&text))),
        }
    }
    Some(patterns)
}

/// Accepts the signature schemes of a webhook, which include `v1`. Returns whether they include `v1a`, too.
pub fn signature_schemes(raw: &RawValue, pointer: &str, errors: &mut ValidationErrors) -> Option<bool> {
    let schemes = serde_json::from_str::<Vec<Scheme>>(raw.get()).unwrap_or_default();
    let count = |scheme| schemes.iter().filter(|own| **own == scheme).count();
    if count(Scheme::V1) != 1 || count(Scheme::V1a) > 1 {
        errors.add(pointer, r#"must be ["v1"] or ["v1","v1a"]"#);
        return None;
    }
    Some(count(Scheme::V1a) == 1)
}

/// Accepts a list of 1 to `max_items` values.
pub fn bounded_list<'a>(
    max_items: usize,
) -> impl Fn(&'a RawValue, &str, &mut ValidationErrors) -> Option<Vec<&'a RawValue>> {
    move |raw, pointer, errors| {
        let Ok(values) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) else {
            errors.add(pointer, "must be a list");
            return None;
        };
        if values.is_empty() || values.len() > max_items {
            errors.add(pointer, format!("must have 1 to {max_items} items"));
            return None;
        }
        Some(values)
    }
}

/// Accepts the RFC 3339 instant of an event, truncated to the millisecond.
pub fn instant(raw: &RawValue, pointer: &str, errors: &mut ValidationErrors) -> Option<Timestamp> {
    let text = any_text(raw, pointer, errors)?;
    parse_instant(&text).map_err(|error| errors.add(pointer, error)).ok()
}

/// Accepts an RFC 3339 instant that bounds a range, rounded up to the millisecond.
pub fn bound(raw: &RawValue, pointer: &str, errors: &mut ValidationErrors) -> Option<Timestamp> {
    let text = any_text(raw, pointer, errors)?;
    parse_bound(&text).map_err(|error| errors.add(pointer, error)).ok()
}

/// Quotes the beginning of a text, so that an error repeats little of the request.
fn quote_text(text: &str) -> String {
    format!("{:?}", truncate_key(text))
}

/// Accepts custom headers that keep the rules (contract §4).
pub fn custom_headers(raw: &RawValue, pointer: &str, errors: &mut ValidationErrors) -> Option<HeaderPatch> {
    let members = Fields::parse(raw, pointer, errors)?.take_all();
    let mut patch = HeaderPatch::default();
    for (name, value) in members {
        match serde_json::from_str::<String>(value.get()) {
            Ok(value) => patch.set(name, value),
            Err(_) => {
                errors.add(pointer, format!("the value of header {} must be a string", quote_text(&name)))
            }
        }
    }
    patch.check(pointer, errors);
    patch.check_values_given(pointer, errors);
    Some(patch)
}

/// Accepts a merge patch of custom headers, in which `null` removes a header.
pub fn header_patch(raw: &RawValue, pointer: &str, errors: &mut ValidationErrors) -> Option<HeaderPatch> {
    let members = Fields::parse(raw, pointer, errors)?.take_all();
    let mut patch = HeaderPatch::default();
    for (name, value) in members {
        match serde_json::from_str::<Option<String>>(value.get()) {
            Ok(Some(value)) => patch.set(name, value),
            Ok(None) => patch.remove(name),
            Err(_) => errors
                .add(pointer, format!("the value of header {} must be a string or null", quote_text(&name))),
        }
    }
    patch.check(pointer, errors);
    Some(patch)
}

/// Accepts JSON of at most `max_bytes` bytes and keeps its text; `null` means none. Its depth, numbers and strings
/// must be such that every later reader can parse them.
pub fn raw_json(
    max_bytes: usize,
) -> impl Fn(&RawValue, &str, &mut ValidationErrors) -> Option<Box<RawValue>> {
    move |raw, pointer, errors| {
        if raw.get().len() > max_bytes {
            errors.add(pointer, format!("must be at most {max_bytes} bytes of JSON"));
            return None;
        }
        if let Err(error) = serde_json::from_str::<serde_json::Value>(raw.get()) {
            errors.add(pointer, format!("must be plain JSON: {error}"));
            return None;
        }
        Some(raw.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(
        validator: impl Fn(&RawValue, &str, &mut ValidationErrors) -> Option<T>,
        json: &str,
    ) -> Result<T, Vec<String>> {
        let raw: Box<RawValue> = serde_json::from_str(json).expect("JSON");
        let mut errors = ValidationErrors::default();
        let value = validator(&raw, "/f", &mut errors);
        let listed = serde_json::to_value(&errors).expect("errors");
        let pointers = listed
            .as_array()
            .expect("list")
            .iter()
            .map(|f| f["pointer"].as_str().expect("text").to_owned())
            .collect();
        value.filter(|_| errors.is_empty()).ok_or(pointers)
    }

    #[test]
    fn text_is_bounded_in_characters_and_not_blank() {
        assert_eq!(read(nonempty_text(3), "\"äöü\""), Ok("äöü".to_owned()));
        for bad in ["\"abcd\"", "\"\"", "\" \\t\"", "1", "null", "\"a\\u0000\"", "\"\\ud800\"", "[\"a\"]"] {
            assert!(read(nonempty_text(3), bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_integer_is_whole_and_within_bounds() {
        for (json, expected) in [("1", 1), ("100", 100), ("10.0", 10), ("1e1", 10)] {
            assert_eq!(read(integer(1..=100), json), Ok(expected), "{json}");
        }
        for bad in ["0", "101", "1.5", "\"1\"", "null", "true", "99999999999999999999", "1e300", "-1"] {
            assert!(read(integer(1..=100), bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn duplicate_patterns_are_dropped() {
        let patterns = read(type_patterns, r#"["A","B","A","*"]"#).expect("valid");
        assert_eq!(patterns.iter().map(TypePattern::as_str).collect::<Vec<_>>(), ["A", "B", "*"]);
        assert_eq!(read(type_patterns, r#"["A","a.b","x"]"#).map(|_| ()), Err(vec!["/f".to_owned(); 2]));
        for bad in ["[]", "null", "\"A\"", "{}", "[7]", &format!("[{}]", vec!["\"A\""; 101].join(","))] {
            assert_eq!(read(type_patterns, bad).map(|_| ()), Err(vec!["/f".to_owned()]), "{bad}");
        }
    }

    #[test]
    fn every_invalid_header_is_an_error() {
        assert!(read(custom_headers, r#"{"X-A":"1"}"#).is_ok());
        assert!(
            read(custom_headers, r#"{"X-A":null}"#).is_err() && read(header_patch, r#"{"X-A":null}"#).is_ok()
        );
        let errors =
            read(custom_headers, r#"{"Host":"x","X-A":1,"X-B":"\n","content-type":"x"}"#).map(|_| ());
        assert_eq!(errors, Err(vec!["/f".to_owned(); 4]));
        assert_eq!(read(custom_headers, "[]").map(|_| ()), Err(vec!["/f".to_owned()]));
        assert_eq!(
            read(custom_headers, r#"{"X-A":"1","X-A":"2"}"#).map(|_| ()),
            Err(vec!["/f/X-A".to_owned()])
        );
    }

    #[test]
    fn raw_json_stays_as_it_is_and_has_a_bounded_depth() {
        let odd = r#"{"b" : 1.10, "a": 12345678901234567890}"#;
        assert_eq!(read(raw_json(100), odd).map(|raw| raw.get().to_owned()), Ok(odd.to_owned()));
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        assert!(read(raw_json(10_000), &deep).is_err());
        assert!(read(raw_json(3), "\"abc\"").is_err());
        assert!(read(raw_json(100), r#""\ud800""#).is_err());
    }
}
