//! JSON Schemas (2020-12) that the `data` of events may have to fit.

use std::fmt::Write as _;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use crate::text::shortened;

/// Violations that are told of one value.
const TOLD: usize = 3;
/// Longest text of one violation, in bytes: it repeats the value at fault.
const MAX_VIOLATION_BYTES: usize = 300;
/// Longest pointer to a violation, in bytes: it repeats keys of the value.
const MAX_PATH_BYTES: usize = 150;

/// A schema that values are checked against.
#[derive(Debug, Clone)]
pub struct DataSchema(Validator);

/// Why something is no schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSchema(String);

/// How a value does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(String);

impl DataSchema {
    /// Reads a schema: of the draft that its `$schema` names, else of 2020-12. It may refer to nothing
    /// outside itself, and its patterns take linear time whatever they are matched against.
    ///
    /// # Errors
    /// When it is not JSON or no schema of its draft.
    pub fn parse(text: &str) -> Result<Self, InvalidSchema> {
        let schema: Value = serde_json::from_str(text).map_err(|error| InvalidSchema(error.to_string()))?;
        let options = jsonschema::options()
            .with_draft(Draft::Draft202012.detect(&schema))
            .with_pattern_options(PatternOptions::regex());
        options.build(&schema).map(Self).map_err(|error| {
            let told = format!("{error} (at {:?})", error.instance_path().to_string());
            InvalidSchema(shortened(&told, MAX_VIOLATION_BYTES).into_owned())
        })
    }

    /// Checks a JSON text.
    ///
    /// # Errors
    /// What does not fit, each with the pointer to it; the first few.
    pub fn check(&self, json: &str) -> Result<(), Violation> {
        let value: Value = serde_json::from_str(json).map_err(|error| Violation(error.to_string()))?;
        let mut told = String::new();
        for error in self.0.iter_errors(&value).take(TOLD) {
            let (gap, at) = (if told.is_empty() { "" } else { "; " }, error.instance_path().to_string());
            let at = if at.is_empty() { "the whole" } else { &shortened(&at, MAX_PATH_BYTES) };
            // Writing to a String does not fail.
            let _ = write!(told, "{gap}{at}: {}", shortened(&error.to_string(), MAX_VIOLATION_BYTES));
        }
        if told.is_empty() { Ok(()) } else { Err(Violation(told)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMS: &str = r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object",
        "required":["phoneNumber"],"properties":{"phoneNumber":{"type":"string","pattern":"^\\+[0-9]+$"}}}"#;

    #[test]
    fn a_value_fits_or_is_told_what_does_not() {
        let schema = DataSchema::parse(SMS).expect("a schema");
        assert_eq!(schema.check(r#"{"phoneNumber":"+123","more":1}"#), Ok(()));
        let told = |json| schema.check(json).expect_err("does not fit").to_string();
        assert!(told("{}").contains("phoneNumber"));
        assert!(told(r#"{"phoneNumber":"12"}"#).starts_with("/phoneNumber: "));
        assert!(told("[]").starts_with("the whole: "));
        assert!(told(&format!("{:?}", "x".repeat(10_000))).chars().count() < 400);
    }

    #[test]
    fn a_long_key_does_not_make_a_long_text() {
        let schema = DataSchema::parse(r#"{"additionalProperties":{"type":"string"}}"#).expect("a schema");
        let key = "k".repeat(200_000);
        let told = schema.check(&format!("{{\"{key}\":1}}")).expect_err("does not fit").to_string();
        assert!(told.starts_with("/kkk") && told.contains("kk…: 1 is not"), "{told}");
        assert!(told.len() <= MAX_PATH_BYTES + 2 + MAX_VIOLATION_BYTES, "{} bytes", told.len());
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        for bad in [
            r#"{"type":"strin"}"#,
            r#"{"minimum":"1"}"#,
            r#"{"pattern":"("}"#,
            "{",
            "1",
            r#"{"required":"a"}"#,
        ] {
            assert!(DataSchema::parse(bad).is_err(), "{bad}");
        }
        assert!(DataSchema::parse("true").is_ok() && DataSchema::parse("false").is_ok());
        let nothing = DataSchema::parse("false").expect("a schema");
        assert!(nothing.check("1").is_err());
    }

    #[test]
    fn nothing_outside_is_referred_to() {
        for outside in ["https://example.com/schema.json", "file:///etc/passwd", "other.json"] {
            assert!(DataSchema::parse(&format!(r#"{{"$ref":"{outside}"}}"#)).is_err(), "{outside}");
        }
        assert!(DataSchema::parse(r##"{"$ref":"#/$defs/a","$defs":{"a":{"type":"string"}}}"##).is_ok());
    }

    #[test]
    fn patterns_take_linear_time() {
        let schema = DataSchema::parse(r#"{"pattern":"^(a+)+$"}"#).expect("a schema");
        assert!(schema.check(&format!("\"{}b\"", "a".repeat(50_000))).is_err());
        assert!(DataSchema::parse(r#"{"pattern":"^(?=a)"}"#).is_err(), "look-around is not linear");
    }
}
