//! What reads outside bytes takes any: a corpus of nasty inputs, whole and damaged. Nothing panics, what
//! is accepted is sound and reads back the same, what is refused gets a reason, and no reason is longer
//! than a line.

mod endpoints;
mod events;
mod words;

/// Longest text of a refusal, in bytes: it goes into headers, logs and answers.
const LONGEST_REASON: usize = 600;

fn assert_reason(reason: &str) {
    assert!((1..=LONGEST_REASON).contains(&reason.len()), "{} bytes: {reason:.200}", reason.len());
    assert!(!reason.chars().any(char::is_control), "{reason:?}");
}
