//! Changes of custom headers: a merge patch (RFC 7396) by name, in which the case of names does not matter.

use std::collections::BTreeMap;

use domain::webhook::check_headers;

use crate::validation::errors::ValidationErrors;

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

    /// Adds an error for each header to set that is not valid.
    pub(crate) fn check(&self, pointer: &str, errors: &mut ValidationErrors) {
        add_header_errors(&self.set, pointer, errors);
    }

    /// Applies the patch to `headers`, then checks the result as a whole.
    pub(crate) fn apply(
        self,
        headers: &mut BTreeMap<String, String>,
        pointer: &str,
        errors: &mut ValidationErrors,
    ) {
        let is_changed = |name: &String| {
            let same = |other: &String| other.eq_ignore_ascii_case(name);
            self.removed.iter().any(same) || self.set.keys().any(same)
        };
        headers.retain(|name, _| !is_changed(name));
        headers.extend(self.set);
        add_header_errors(headers, pointer, errors);
    }
}

fn add_header_errors(headers: &BTreeMap<String, String>, pointer: &str, errors: &mut ValidationErrors) {
    for error in check_headers(headers).err().unwrap_or_default() {
        errors.add(pointer, error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(names: &[&str]) -> BTreeMap<String, String> {
        names.iter().map(|name| ((*name).to_owned(), "old".to_owned())).collect()
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
        assert_eq!(patched, expected.into());
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
