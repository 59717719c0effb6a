//! JSON Schemas (2020-12) for the `data` of events.

use std::fmt::Write as _;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use crate::text::truncate_text;

/// Maximum number of reported violations of one value.
const MAX_VIOLATIONS: usize = 3;
/// Maximum size of the text of one violation, which repeats the invalid value.
const MAX_VIOLATION_BYTES: usize = 300;
/// Maximum size of the pointer to a violation, which repeats keys of the value.
const MAX_PATH_BYTES: usize = 150;

/// A schema for the `data` of events.
#[derive(Debug, Clone)]
pub struct DataSchema(Validator);

/// An error about a text that is not a valid schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSchema(String);

/// The reasons why a value does not match a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(String);

impl DataSchema {
    /// Parses a schema of the draft that its `$schema` names, or else of 2020-12.
    ///
    /// References to other documents are rejected, so that nothing is fetched. Patterns that cannot be matched in
    /// linear time are rejected, so that no value can stall the router.
    ///
    /// # Errors
    /// When the text is not JSON or not a valid schema of its draft.
    pub fn parse(text: &str) -> Result<Self, InvalidSchema> {
        let schema: Value = serde_json::from_str(text).map_err(|error| InvalidSchema(error.to_string()))?;
        let options = jsonschema::options()
            .with_draft(Draft::Draft202012.detect(&schema))
            .with_pattern_options(PatternOptions::regex());
        options.build(&schema).map(Self).map_err(|error| {
            let message = format!("{error} (at {:?})", error.instance_path().to_string());
            InvalidSchema(truncate_text(&message, MAX_VIOLATION_BYTES).into_owned())
        })
    }

    /// Checks whether a JSON text matches the schema.
    ///
    /// # Errors
    /// The first few violations, each with a pointer to the invalid value.
    pub fn check(&self, json: &str) -> Result<(), Violation> {
        let value: Value = serde_json::from_str(json).map_err(|error| Violation(error.to_string()))?;
        let mut violations = String::new();
        for error in self.0.iter_errors(&value).take(MAX_VIOLATIONS) {
            let gap = if violations.is_empty() { "" } else { "; " };
            let at = error.instance_path().to_string();
            let at = if at.is_empty() { "the whole" } else { &truncate_text(&at, MAX_PATH_BYTES) };
            // Writing to a String does not fail.
            let _ =
                write!(violations, "{gap}{at}: {}", truncate_text(&error.to_string(), MAX_VIOLATION_BYTES));
        }
        if violations.is_empty() { Ok(()) } else { Err(Violation(violations)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMS: &str = r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object",
        "required":["phoneNumber"],"properties":{"phoneNumber":{"type":"string","pattern":"^\\+[0-9]+$"}}}"#;

    #[test]
    fn a_value_matches_or_its_violations_are_reported() {
        let schema = DataSchema::parse(SMS).expect("a schema");
        assert_eq!(schema.check(r#"{"phoneNumber":"+123","more":1}"#), Ok(()));
        let violation = |json| schema.check(json).expect_err("does not fit").to_string();
        assert!(violation("{}").contains("phoneNumber"));
        assert!(violation(r#"{"phoneNumber":"12"}"#).starts_with("/phoneNumber: "));
        assert!(violation("[]").starts_with("the whole: "));
        assert!(violation(&format!("{:?}", "x".repeat(10_000))).chars().count() < 400);
    }

    #[test]
    fn a_long_key_is_truncated_in_the_text() {
        let schema = DataSchema::parse(r#"{"additionalProperties":{"type":"string"}}"#).expect("a schema");
        let key = "k".repeat(200_000);
        let violation = schema.check(&format!("{{\"{key}\":1}}")).expect_err("does not fit").to_string();
        assert!(violation.starts_with("/kkk") && violation.contains("kk…: 1 is not"), "{violation}");
        assert!(violation.len() <= MAX_PATH_BYTES + 2 + MAX_VIOLATION_BYTES, "{} bytes", violation.len());
    }

    #[test]
    fn invalid_schemas_are_rejected() {
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
    fn references_to_other_documents_are_rejected() {
        for outside in ["https://example.com/schema.json", "file:///etc/passwd", "other.json"] {
            assert!(DataSchema::parse(&format!(r#"{{"$ref":"{outside}"}}"#)).is_err(), "{outside}");
        }
        assert!(DataSchema::parse(r##"{"$ref":"#/$defs/a","$defs":{"a":{"type":"string"}}}"##).is_ok());
    }

    #[test]
    fn patterns_are_matched_in_linear_time() {
        let schema = DataSchema::parse(r#"{"pattern":"^(a+)+$"}"#).expect("a schema");
        assert!(schema.check(&format!("\"{}b\"", "a".repeat(50_000))).is_err());
        assert!(DataSchema::parse(r#"{"pattern":"^(?=a)"}"#).is_err(), "look-around is not linear");
    }
}
