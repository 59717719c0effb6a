//! Fuzz tests of the parsers of outside bytes, with a corpus of hostile inputs, intact and mutated.
//!
//! No input makes a parser panic. An accepted input is valid and is parsed back from its own text. A rejected input
//! gets a reason, and no reason is longer than a line.

mod endpoints;
mod events;
mod words;

/// Maximum size of the reason of a rejection, because it goes into headers, logs and responses.
const MAX_REASON_BYTES: usize = 600;

fn assert_reason(reason: &str) {
    assert!((1..=MAX_REASON_BYTES).contains(&reason.len()), "{} bytes: {reason:.200}", reason.len());
    assert!(!reason.chars().any(char::is_control), "{reason:?}");
}
