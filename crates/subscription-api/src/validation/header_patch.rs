//! Changes of custom headers: a merge patch (RFC 7396) by name, in which the case of names does not matter.
//!
//! A client that sends back the headers that it has read keeps their values: [`HIDDEN_HEADER_VALUE`] stands for the value
//! that a header has.

use std::collections::BTreeMap;

use domain::webhook::{CustomHeaders, HIDDEN_HEADER_VALUE, check_headers};

use crate::validation::errors::ValidationErrors;
use crate::validation::fields::truncate_key;

/// Headers to set and headers to remove.
// No Debug: the values may be secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HeaderPatch {
    set: BTreeMap<String, String>,
    removed: Vec<String>,
}

impl HeaderPatch {
    /// Sets a header and replaces its old value, if any.
    pub(crate) fn set(&mut self, name: String, value: String) {
        self.set.insert(name, value);
    }

    /// Removes a header, if it exists.
    pub(crate) fn remove(&mut self, name: String) {
        self.removed.push(name);
    }

    /// Adds an error for each header without a value of its own, because a new webhook has none to keep.
    pub(crate) fn check_values_given(&self, pointer: &str, errors: &mut ValidationErrors) {
        let hidden = self.set.iter().filter(|(_, value)| *value == HIDDEN_HEADER_VALUE);
        hidden.for_each(|(name, _)| add_no_value(name, pointer, errors));
    }

    /// Adds an error for each header to set that is not valid.
    pub(crate) fn check(&self, pointer: &str, errors: &mut ValidationErrors) {
        add_header_errors(&self.set, pointer, errors);
    }

    /// Applies the patch to `headers`, then checks the result as a whole.
    pub(crate) fn apply(
        mut self,
        CustomHeaders(headers): &mut CustomHeaders,
        pointer: &str,
        errors: &mut ValidationErrors,
    ) {
        self.set.retain(|name, value| {
            let keeps = value == HIDDEN_HEADER_VALUE;
            if keeps && !headers.keys().any(|other| other.eq_ignore_ascii_case(name)) {
                add_no_value(name, pointer, errors);
            }
            !keeps
        });
        let is_changed = |name: &String| {
            let same = |other: &String| other.eq_ignore_ascii_case(name);
            self.removed.iter().any(same) || self.set.keys().any(same)
        };
        headers.retain(|name, _| !is_changed(name));
        headers.extend(self.set);
        add_header_errors(headers, pointer, errors);
    }
}

fn add_no_value(name: &str, pointer: &str, errors: &mut ValidationErrors) {
    let name = truncate_key(name);
    errors.add(
        pointer,
        format!("header {name:?} has no value that {HIDDEN_HEADER_VALUE} could stand for; give its value"),
    );
}

fn add_header_errors(headers: &BTreeMap<String, String>, pointer: &str, errors: &mut ValidationErrors) {
    for error in check_headers(headers).err().unwrap_or_default() {
        errors.add(pointer, error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(names: &[&str]) -> CustomHeaders {
        CustomHeaders(names.iter().map(|name| ((*name).to_owned(), "old".to_owned())).collect())
    }

    #[test]
    fn named_headers_change_and_the_others_stay() {
        let mut patch = HeaderPatch::default();
        patch.set("x-a".to_owned(), "new".to_owned());
        patch.remove("X-b".to_owned());
        let mut patched = headers(&["X-A", "X-B", "X-C"]);
        let mut errors = ValidationErrors::default();
        patch.apply(&mut patched, "/headers", &mut errors);
        assert!(errors.is_empty());
        let expected =
            [("x-a", "new"), ("X-C", "old")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(patched.0, expected.into());
    }

    #[test]
    fn a_hidden_value_stands_for_the_value_that_a_header_has() {
        let mut patch = HeaderPatch::default();
        patch.set("x-a".to_owned(), HIDDEN_HEADER_VALUE.to_owned());
        let mut patched = headers(&["X-A"]);
        let mut errors = ValidationErrors::default();
        patch.clone().apply(&mut patched, "/headers", &mut errors);
        assert!(errors.is_empty() && patched == headers(&["X-A"]));

        let mut other = headers(&["X-B"]);
        patch.clone().apply(&mut other, "/headers", &mut errors);
        assert!(errors.len() == 1 && other == headers(&["X-B"]), "there is no value to keep");
        patch.check_values_given("/headers", &mut errors);
        assert_eq!(errors.len(), 2, "a new webhook has none");
    }

    #[test]
    fn the_patched_headers_are_checked_as_a_whole() {
        let mut patch = HeaderPatch::default();
        patch.set("x-one-more".to_owned(), String::new());
        let many: Vec<String> = (0..20).map(|n| format!("x-{n}")).collect();
        let mut patched = headers(&many.iter().map(String::as_str).collect::<Vec<_>>());
        let mut errors = ValidationErrors::default();
        patch.apply(&mut patched, "/headers", &mut errors);
        assert_eq!(errors.len(), 1);
    }
}
