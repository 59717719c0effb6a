//! Reads JSON without changing it.
//!
//! Data of events may contain numbers beyond a double, lone surrogates and deep nesting, which no parsed value can hold.
//! The tool therefore parses only the objects around the data and keeps every value as the text of its sender.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The fields of an object in the order of the text, each value as text.
#[derive(Debug)]
pub(crate) struct Fields<'a>(pub(crate) Vec<(String, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// Parses an object. Returns `None` for every other value.
    pub(crate) fn parse(value: &'a RawValue) -> Option<Self> {
        serde_json::from_str(value.get()).ok()
    }

    fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().rfind(|(own, _)| own == name).map(|(_, value)| *value)
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// Returns the value at a JSON pointer whose segments need no unescaping, such as `/delivery/status`.
pub(crate) fn find_value<'a>(value: &'a RawValue, pointer: &str) -> Option<&'a RawValue> {
    pointer.split('/').skip(1).try_fold(value, |value, name| Fields::parse(value)?.get(name))
}

/// Whether a value is an object with members, or a list of other values than strings.
pub(crate) fn is_nested(value: &RawValue) -> bool {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'{') => Fields::parse(value).is_some_and(|fields| !fields.0.is_empty()),
        Some(b'[') => format_strings(text).is_none(),
        _ => false,
    }
}

/// Formats a value on one line: a string without its quotes, a list of strings as words, null and an empty list as `-`.
///
/// Every other value is printed as its sender wrote it, except that line breaks and tabs become spaces.
pub(crate) fn format_value(value: &RawValue) -> String {
    let text = value.get();
    let words = match text.as_bytes().first() {
        Some(b'n') => Some("-".to_owned()),
        // A string with a lone surrogate has no characters to print, so its text is printed instead.
        Some(b'"') => serde_json::from_str(text).ok(),
        Some(b'[') => format_strings(text),
        _ => None,
    };
    words.unwrap_or_else(|| text.to_owned()).replace(['\n', '\r', '\t'], " ")
}

/// Formats a list of strings as words, and an empty list as `-`. Returns `None` for every other list.
fn format_strings(text: &str) -> Option<String> {
    let strings: Vec<String> = serde_json::from_str(text).ok()?;
    Some(if strings.is_empty() { "-".to_owned() } else { strings.join(" ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        serde_json::from_str(text).expect("JSON")
    }

    /// Texts that a parsed value would change or refuse.
    fn odd_texts() -> [String; 7] {
        [
            "1e400".to_owned(),
            r#""\ud800""#.to_owned(),
            r#"{"\ud800":1}"#.to_owned(),
            format!("{}{}", "[".repeat(200), "]".repeat(200)),
            r#"{"n":12345678901234567890123,"z":1,"a":1.10}"#.to_owned(),
            r#"{"a":1,"a":2}"#.to_owned(),
            r#"[1e400,"\ud800"]"#.to_owned(),
        ]
    }

    #[test]
    fn values_keep_their_text() {
        for odd in odd_texts() {
            let event = raw(&format!(r#"{{"id":"E","data":{odd},"delivery":{{"status":"held"}}}}"#));
            let data = find_value(&event, "/data").expect("data");
            assert_eq!(data.get(), odd);
            assert_eq!(format_value(data), odd);
            assert_eq!(find_value(&event, "/delivery/status").map(format_value).as_deref(), Some("held"));
        }
    }

    #[test]
    fn missing_values_are_none() {
        let event = raw(r#"{"a":{"b":null},"c":[1]}"#);
        for pointer in ["/b", "/a/c", "/c/0", "/a/b/c"] {
            assert!(find_value(&event, pointer).is_none(), "{pointer}");
        }
    }

    #[test]
    fn fields_keep_their_order() {
        let value = raw(r#"{"z":1, "a":{"b": 2}}"#);
        let fields = Fields::parse(&value).expect("an object").0;
        let names: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.get())).collect();
        assert_eq!(names, [("z", "1"), ("a", r#"{"b": 2}"#)]);
        assert!(Fields::parse(&raw("[1]")).is_none());
    }

    #[test]
    fn value_fits_on_one_line() {
        for (value, wanted) in [
            ("null", "-"),
            ("[]", "-"),
            (r#""a\nb\tc""#, "a b c"),
            (r#"["A","B.C"]"#, "A B.C"),
            (r#"[1, "A"]"#, r#"[1, "A"]"#),
            ("{\n\"a\": 1}", r#"{ "a": 1}"#),
            ("true", "true"),
        ] {
            assert_eq!(format_value(&raw(value)), wanted, "{value}");
        }
    }
}
