//! JSON Schemas (2020-12) for the `data` of events.
//!
//! The router evaluates schemas that support wrote, on data that brands send. So that neither can stall it:
//!
//! - [`graph`] and [`limits`] refuse a schema whose evaluation could explode, before it is compiled.
//! - [`metered`] counts the steps of each evaluation, and ends it after a number that grows with the size of the data.
//! - [`document`] reads data of any depth, with numbers and texts that `serde_json` refuses, because none of these is a
//!   violation by itself.
//! - Patterns are matched in linear time, and references never leave the schema.

mod document;
mod graph;
mod limits;
mod metered;
mod number;
mod preview;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use self::document::Document;
use self::graph::Graph;
use self::limits::MAX_PATTERN_BYTES;
use self::metered::{Meter, Metered, MeteredNode};
use crate::text::truncate_text;

/// Maximum size of the text of a violation, which repeats the invalid value.
const MAX_VIOLATION_BYTES: usize = 300;
/// Maximum size of the pointer to a violation, which repeats keys of the value.
const MAX_PATH_BYTES: usize = 150;
/// Steps that every evaluation may take. The largest accepted schema takes some 20,000 for a small value.
const MIN_STEPS: u64 = 100_000;
/// Further steps for each byte of data, so that the work for an event is proportional to its size. A value of 256 KiB
/// may take 4 million, which is about a tenth of a second.
const STEPS_PER_BYTE: u64 = 16;
/// Steps for finding the first violation. Each may create an error that takes half a kilobyte, so the memory is a few
/// megabytes at most.
const MAX_EXPLANATION_STEPS: u64 = 10_000;
/// Nested values times nested subschemas, because each evaluation of one within the other needs up to 1.5 KiB of stack,
/// and a thread has 2 MiB.
const MAX_NESTED_EVALUATIONS: usize = 512;

/// A schema for the `data` of events.
#[derive(Debug, Clone)]
pub struct DataSchema {
    validator: Validator<Metered>,
    /// Depth of nested values that an evaluation reaches at most.
    max_depth: usize,
}

/// An error about a text that is not a valid schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSchema(String);

/// The reason why a value does not match a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(String);

impl DataSchema {
    /// Parses a schema of the draft that its `$schema` names, or else of 2020-12, and checks that its evaluation
    /// cannot explode.
    ///
    /// # Errors
    /// When the text is not JSON or not a valid schema of its draft, when it refers to another document, when a pattern
    /// cannot be matched in linear time, or when the work of an evaluation could double with each level.
    pub fn parse(text: &str) -> Result<Self, InvalidSchema> {
        let (schema, graph) = read_schema(text)?;
        let nested = graph.check_evaluable()?;
        graph.check_acceptable()?;
        Self::compile(&schema, nested)
    }

    /// Parses a schema that the catalogue has already.
    ///
    /// An earlier version may have accepted a schema that [`Self::parse`] refuses. It is still enforced if an
    /// evaluation stays within the stack and memory, because its steps are counted.
    ///
    /// # Errors
    /// When the schema is not valid, or its evaluation needs too much stack or memory.
    pub fn parse_stored(text: &str) -> Result<Self, InvalidSchema> {
        let (schema, graph) = read_schema(text)?;
        Self::compile(&schema, graph.check_evaluable()?)
    }

    /// Compiles a schema with this many nested subschemas.
    fn compile(schema: &Value, nested: usize) -> Result<Self, InvalidSchema> {
        let patterns =
            PatternOptions::regex().size_limit(MAX_PATTERN_BYTES).dfa_size_limit(MAX_PATTERN_BYTES);
        let options = jsonschema::options_for::<Metered>()
            .with_draft(Draft::Draft202012.detect(schema))
            .with_pattern_options(patterns);
        let validator = options.build(schema).map_err(|error| {
            let message = format!("{error} (at {:?})", error.instance_path().to_string());
            InvalidSchema(truncate_text(&message, MAX_VIOLATION_BYTES).into_owned())
        })?;
        Ok(Self { validator, max_depth: MAX_NESTED_EVALUATIONS / nested })
    }

    /// Checks whether a JSON text matches the schema.
    ///
    /// # Errors
    /// The first violation with a pointer to the invalid value; or that the check takes too many steps.
    pub fn check(&self, json: &str) -> Result<(), Violation> {
        self.check_counted(json, &mut 0)
    }

    /// As [`Self::check`], and adds the steps that it takes to `taken`.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn check_counted(&self, json: &str, taken: &mut u64) -> Result<(), Violation> {
        let value = Document::parse(json).map_err(|error| Violation(error.to_string()))?;
        let steps = MIN_STEPS + STEPS_PER_BYTE * json.len() as u64;
        let meter = Meter::new(steps, self.max_depth);
        let is_valid = self.validator.is_valid(MeteredNode::new(&value, &meter));
        *taken += steps - meter.left();
        if meter.is_too_deep() {
            return Err(Violation(format!(
                "the schema describes values that are nested more than {} levels deep in the data",
                self.max_depth
            )));
        }
        if meter.is_exhausted() {
            return Err(Violation(format!("the data takes more than {steps} steps to check")));
        }
        if is_valid { Ok(()) } else { Err(self.explain(&value, taken)) }
    }

    /// Describes the first violation of a value that does not match.
    fn explain(&self, value: &Document<'_>, taken: &mut u64) -> Violation {
        let meter = Meter::new(MAX_EXPLANATION_STEPS, self.max_depth);
        let first = self.validator.validate(MeteredNode::new(value, &meter)).err();
        *taken += MAX_EXPLANATION_STEPS - meter.left();
        let Some(error) = first.filter(|_| !meter.is_exhausted()) else {
            return Violation(
                "the data does not match the schema; finding the invalid part takes too many steps"
                    .to_owned(),
            );
        };
        let path = error.instance_path().to_string();
        let path = if path.is_empty() { "the whole" } else { &truncate_text(&path, MAX_PATH_BYTES) };
        Violation(format!("{path}: {}", truncate_text(&error.to_string(), MAX_VIOLATION_BYTES)))
    }
}

fn read_schema(text: &str) -> Result<(Value, Graph), InvalidSchema> {
    let schema: Value = serde_json::from_str(text).map_err(|error| InvalidSchema(error.to_string()))?;
    let graph = Graph::read(&schema)?;
    Ok((schema, graph))
}

#[cfg(test)]
mod tests;
