//! The beginning of a value, for the text of an error.

use serde_json::{Map, Number, Value};

use super::MAX_VIOLATION_BYTES;
use super::document::{Document, Part};
use super::number::clamp;
use crate::text::truncate_text;

/// Nested arrays and objects that are copied, because each level needs stack.
const MAX_LEVELS: usize = 16;
/// Stands for the content of an array or object at a deeper level.
const DEEPER: &str = "…";

/// Copies the beginning of a value, so much that its text is longer than that of a violation.
pub(super) fn preview(document: &Document<'_>, number: u32) -> Value {
    let mut left = MAX_VIOLATION_BYTES;
    copy(document, number, MAX_LEVELS, &mut left)
}

/// Copies some levels of a value until its text has taken the bytes that are left.
fn copy(document: &Document<'_>, number: u32, levels: usize, left: &mut usize) -> Value {
    *left = left.saturating_sub(1);
    match document.part(number) {
        Part::Array(_) | Part::Object(_) if levels == 0 => Value::String(DEEPER.to_owned()),
        Part::Null => Value::Null,
        Part::Bool(is_true) => Value::Bool(*is_true),
        Part::Number(text) => {
            let value: Option<Number> = serde_json::from_str(text).ok();
            Value::Number(value.unwrap_or_else(|| clamp(text)))
        }
        Part::Text(text) => Value::String(copy_text(text, left)),
        Part::Array(place) => {
            let mut items = Vec::new();
            for item in document.children(place) {
                if *left == 0 {
                    break;
                }
                items.push(copy(document, *item, levels - 1, left));
            }
            Value::Array(items)
        }
        Part::Object(place) => {
            let mut members = Map::new();
            for member in document.children(place) {
                if *left == 0 {
                    break;
                }
                let name = copy_text(document.name(*member), left);
                members.insert(name, copy(document, *member, levels - 1, left));
            }
            Value::Object(members)
        }
    }
}

fn copy_text(text: &str, left: &mut usize) -> String {
    // With room for the ellipsis, so that a text that is cut is longer than the bytes that are left.
    let kept = truncate_text(text, *left + "…".len()).into_owned();
    *left = left.saturating_sub(text.len());
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview_of(json: &str) -> String {
        preview(&Document::parse(json).expect("JSON"), 0).to_string()
    }

    #[test]
    fn a_small_value_is_copied_whole() {
        for json in [r#"{"a":[1,"x",null],"b":{"c":true}}"#, "1.5", r#""text""#, "[]"] {
            assert_eq!(preview_of(json), json);
        }
        assert_eq!(preview_of("-1e400"), "-1.7976931348623157e+308");
    }

    #[test]
    fn a_large_value_is_copied_in_part() {
        for json in [
            format!("[{}0]", "1,".repeat(100_000)),
            format!("{:?}", "x".repeat(100_000)),
            format!(r#"{{"{}":1,"b":2}}"#, "k".repeat(100_000)),
        ] {
            let bytes = preview_of(&json).len();
            assert!((MAX_VIOLATION_BYTES + 1..2_000).contains(&bytes), "{bytes} bytes of {}", &json[..20]);
        }
        let deep = preview_of(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)));
        assert_eq!(deep, format!("{}\"…\"{}", "[".repeat(MAX_LEVELS), "]".repeat(MAX_LEVELS)));
    }
}
