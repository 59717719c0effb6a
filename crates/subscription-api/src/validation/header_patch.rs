//! What a request says of custom headers: a merge patch (RFC 7396) of names that ignore case.

use std::collections::BTreeMap;

use domain::webhook::check_headers;

use crate::validation::errors::ValidationErrors;

/// Headers to set and to take away.
// No Debug: the values may be secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HeaderPatch {
    set: BTreeMap<String, String>,
    removed: Vec<String>,
}

impl HeaderPatch {
    /// Sets a header, whatever it was.
    pub fn set(&mut self, name: String, value: String) {
        self.set.insert(name, value);
    }

    /// Takes a header away, if it is there.
    pub fn remove(&mut self, name: String) {
        self.removed.push(name);
    }

    /// Notes what is wrong with the headers that it sets.
    pub fn check(&self, pointer: &str, errors: &mut ValidationErrors) {
        add_header_errors(&self.set, pointer, errors);
    }

    /// Does it to headers, and notes what is wrong with the whole then.
    pub fn apply(self, headers: &mut BTreeMap<String, String>, pointer: &str, errors: &mut ValidationErrors) {
        let gone = |name: &String| {
            let same = |other: &String| other.eq_ignore_ascii_case(name);
            self.removed.iter().any(same) || self.set.keys().any(same)
        };
        headers.retain(|name, _| !gone(name));
        headers.extend(self.set);
        add_header_errors(headers, pointer, errors);
    }
}

fn add_header_errors(headers: &BTreeMap<String, String>, pointer: &str, errors: &mut ValidationErrors) {
    for fault in check_headers(headers).err().unwrap_or_default() {
        errors.add(pointer, fault);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(names: &[&str]) -> BTreeMap<String, String> {
        names.iter().map(|name| ((*name).to_owned(), "old".to_owned())).collect()
    }

    #[test]
    fn what_is_named_changes_and_the_rest_stays() {
        let mut patch = HeaderPatch::default();
        patch.set("x-a".to_owned(), "new".to_owned());
        patch.remove("X-b".to_owned());
        let (mut now, mut errors) = (headers(&["X-A", "X-B", "X-C"]), ValidationErrors::default());
        patch.apply(&mut now, "/headers", &mut errors);
        assert!(errors.is_empty());
        let wanted =
            [("x-a", "new"), ("X-C", "old")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(now, wanted.into());
    }

    #[test]
    fn the_whole_keeps_its_bounds() {
        let mut patch = HeaderPatch::default();
        patch.set("x-one-more".to_owned(), String::new());
        let many: Vec<String> = (0..20).map(|n| format!("x-{n}")).collect();
        let mut now = headers(&many.iter().map(String::as_str).collect::<Vec<_>>());
        let mut errors = ValidationErrors::default();
        patch.apply(&mut now, "/headers", &mut errors);
        assert_eq!(errors.len(), 1);
    }
}
