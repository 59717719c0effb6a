//! Validation errors of a request body: all of them are collected, so that one response names every field.

use std::fmt::Display;

use serde::Serialize;
use utoipa::ToSchema;

/// Most errors that a response names, so that a hostile body gets a short response.
const MAX_ERRORS: usize = 200;
/// Longest detail of one error, in characters, because a detail may repeat parts of the request.
pub(crate) const MAX_DETAIL_CHARS: usize = 400;

/// A field that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// JSON pointer (RFC 6901) to the field
    pub(crate) pointer: String,
    /// Why the value is not valid
    pub(crate) detail: String,
}

/// All fields of a request that are not valid.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
pub struct ValidationErrors(Vec<FieldError>);

impl ValidationErrors {
    /// Adds an error.
    pub fn add(&mut self, pointer: impl Into<String>, detail: impl Display) {
        if self.0.len() < MAX_ERRORS {
            let detail = truncate_text(&detail.to_string(), MAX_DETAIL_CHARS);
            self.0.push(FieldError { pointer: pointer.into(), detail });
        }
    }

    /// Whether there is no error.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of errors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns `value` if there is no error.
    ///
    /// # Errors
    /// The collected errors, if there are any or if there is no value.
    pub fn into_result<T>(self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.is_empty() => Ok(value),
            _ => Err(self),
        }
    }
}

/// The JSON pointer to the member `key` of the object at `pointer`.
#[must_use]
pub(crate) fn member_pointer(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Shortens a text to `max_chars` characters, so that a response repeats little of the request.
#[must_use]
pub(crate) fn truncate_text(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_escaped_as_rfc_6901_says() {
        assert_eq!(member_pointer("/headers", "a/b~c"), "/headers/a~1b~0c");
        assert_eq!(member_pointer("", ""), "/");
    }

    #[test]
    fn the_number_of_errors_is_bounded() {
        let mut errors = ValidationErrors::default();
        (0..1000).for_each(|n| errors.add(format!("/{n}"), "no"));
        assert_eq!(errors.len(), MAX_ERRORS);
        assert!(errors.into_result(Some(())).is_err());
        assert!(ValidationErrors::default().into_result(Some(())).is_ok());
    }
}
