//! What is wrong with a request's body, field by field: all of it is found before it is told.

use std::fmt::Display;

use serde::Serialize;
use utoipa::ToSchema;

use crate::http::problem::{Problem, Result};

/// Most faults that are told of one request.
const MOST: usize = 200;

/// Longest detail of one fault, in characters.
pub(crate) const LONGEST_DETAIL: usize = 400;

/// One field that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// JSON pointer (RFC 6901) to the field
    pub pointer: String,
    /// What it must be instead
    pub detail: String,
}

/// All the faults of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Notes a fault.
    pub fn add(&mut self, pointer: impl Into<String>, detail: impl Display) {
        if self.0.len() < MOST {
            // It may repeat what was sent.
            let detail = shortened(&detail.to_string(), LONGEST_DETAIL);
            self.0.push(Fault { pointer: pointer.into(), detail });
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Goes on with what was read if nothing is wrong with it.
    ///
    /// # Errors
    /// A 422 that names every fault.
    pub fn or<T>(self, read: Option<T>) -> Result<T> {
        match read {
            Some(read) if self.is_empty() => Ok(read),
            _ => Err(Problem::invalid(self)),
        }
    }
}

/// The pointer to the member `key` of what `at` points to.
#[must_use]
pub fn member(at: &str, key: &str) -> String {
    format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// The beginning of a text that an answer repeats.
#[must_use]
pub fn shortened(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_escape_what_rfc_6901_says() {
        assert_eq!(member("/headers", "a/b~c"), "/headers/a~1b~0c");
        assert_eq!(member("", ""), "/");
    }

    #[test]
    fn their_number_is_bounded() {
        let mut faults = Faults::default();
        (0..1000).for_each(|n| faults.add(format!("/{n}"), "no"));
        assert_eq!(faults.len(), MOST);
        assert!(faults.or(Some(())).is_err());
        assert!(Faults::default().or(Some(())).is_ok());
    }
}
