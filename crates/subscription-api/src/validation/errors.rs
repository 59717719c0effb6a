//! What is wrong with a request's body, field by field: all of it is found before it is told.

use std::fmt::Display;

use serde::Serialize;
use utoipa::ToSchema;

use crate::http::problem::{Problem, Result};

/// Most errors that are told of one request.
const MAX_ERRORS: usize = 200;

/// Longest detail of one fault, in characters.
pub(crate) const MAX_DETAIL_CHARS: usize = 400;

/// One field that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) to the field
    pub pointer: String,
    /// What it must be instead
    pub detail: String,
}

/// All the errors of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
pub struct ValidationErrors(Vec<FieldError>);

impl ValidationErrors {
    /// Notes a fault.
    pub fn add(&mut self, pointer: impl Into<String>, detail: impl Display) {
        if self.0.len() < MAX_ERRORS {
            // It may repeat what was sent.
            let detail = truncate_text(&detail.to_string(), MAX_DETAIL_CHARS);
            self.0.push(FieldError { pointer: pointer.into(), detail });
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
    pub fn into_result<T>(self, read: Option<T>) -> Result<T> {
        match read {
            Some(read) if self.is_empty() => Ok(read),
            _ => Err(Problem::invalid(self)),
        }
    }
}

/// The pointer to the member `key` of what `at` points to.
#[must_use]
pub fn member_pointer(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// The beginning of a text that an answer repeats.
#[must_use]
pub fn truncate_text(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_escape_what_rfc_6901_says() {
        assert_eq!(member_pointer("/headers", "a/b~c"), "/headers/a~1b~0c");
        assert_eq!(member_pointer("", ""), "/");
    }

    #[test]
    fn their_number_is_bounded() {
        let mut errors = ValidationErrors::default();
        (0..1000).for_each(|n| errors.add(format!("/{n}"), "no"));
        assert_eq!(errors.len(), MAX_ERRORS);
        assert!(errors.into_result(Some(())).is_err());
        assert!(ValidationErrors::default().into_result(Some(())).is_ok());
    }
}
