//! Reads a JSON object field by field.
//!
//! Every error is recorded with the pointer to its field, and reading goes on after it, so that one response names
//! all errors. An unknown field is an error, too, because ignoring it would hide a typo.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::validation::errors::{ValidationErrors, member_pointer, truncate_text};
use crate::validation::patch::Patch;

/// Longest part of an unknown key that an error repeats, in characters.
const MAX_KEY_CHARS: usize = 64;

/// A JSON object. Each field is read once.
pub struct Fields<'a, 'e> {
    pointer: String,
    members: BTreeMap<String, &'a RawValue>,
    errors: &'e mut ValidationErrors,
}

impl<'a, 'e> Fields<'a, 'e> {
    /// Parses the object at `pointer`. Any other JSON value is an error.
    pub fn parse(raw: &'a RawValue, pointer: &str, errors: &'e mut ValidationErrors) -> Option<Self> {
        let Ok(pairs) = serde_json::from_str::<Pairs<'a>>(raw.get()) else {
            errors.add(pointer, "must be a JSON object");
            return None;
        };
        let mut members = BTreeMap::new();
        for (key, value) in pairs.0 {
            let member = member_pointer(pointer, &truncate_key(&key));
            if members.insert(key, value).is_some() {
                errors.add(member, "must be given only once");
            }
        }
        Some(Self { pointer: pointer.to_owned(), members, errors })
    }

    /// Reads a required field.
    pub fn required<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&'a RawValue, &str, &mut ValidationErrors) -> Option<T>,
    ) -> Option<T> {
        if !self.members.contains_key(key) {
            self.add_error(key, "is required");
            return None;
        }
        self.optional(key, read)
    }

    /// Reads a field that may be absent. `null` is an error unless `read` accepts it.
    pub fn optional<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&'a RawValue, &str, &mut ValidationErrors) -> Option<T>,
    ) -> Option<T> {
        read(self.members.remove(key)?, &member_pointer(&self.pointer, key), self.errors)
    }

    /// Reads a field that may be absent, or `null` to clear it.
    pub fn clearable<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&'a RawValue, &str, &mut ValidationErrors) -> Option<T>,
    ) -> Patch<T> {
        let pointer = member_pointer(&self.pointer, key);
        match self.members.remove(key) {
            None => Patch::Keep,
            Some(raw) if raw.get() == "null" => Patch::Clear,
            // An invalid value adds an error, so the result of the whole request is discarded anyway.
            Some(raw) => read(raw, &pointer, self.errors).map_or(Patch::Keep, Patch::Set),
        }
    }

    /// Whether a field that was not read yet is present and not `null`.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.members.get(key).is_some_and(|raw| raw.get() != "null")
    }

    /// Adds an error to a field.
    pub fn add_error(&mut self, key: &str, detail: &str) {
        self.errors.add(member_pointer(&self.pointer, key), detail);
    }

    /// Takes all fields that were not read, for objects whose keys are free.
    pub fn take_all(&mut self) -> BTreeMap<String, &'a RawValue> {
        std::mem::take(&mut self.members)
    }

    /// Finishes reading: every field that was not read is unknown and thus an error.
    pub fn finish(self) {
        for key in self.members.keys() {
            let member = member_pointer(&self.pointer, &truncate_key(key));
            self.errors.add(member, "is not a field of this request; is it misspelled?");
        }
    }
}

/// Shortens a key, so that an error repeats little of the request.
pub(crate) fn truncate_key(key: &str) -> String {
    truncate_text(key, MAX_KEY_CHARS)
}

/// The members of an object in their order, duplicate keys included.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        from.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validation::validators;

    type Sample = (Option<String>, Option<bool>, Patch<String>);

    fn read_sample(json: &str) -> (Option<Sample>, Vec<(String, String)>) {
        let raw: Box<RawValue> = serde_json::from_str(json).expect("JSON");
        let mut errors = ValidationErrors::default();
        let read = Fields::parse(&raw, "", &mut errors).map(|mut fields| {
            let name = fields.required("name", validators::nonempty_text(4));
            let on = fields.optional("on", validators::boolean);
            let note = fields.clearable("note", validators::nonempty_text(4));
            fields.finish();
            (name, on, note)
        });
        let listed = serde_json::to_value(&errors).expect("errors");
        let listed = listed.as_array().expect("list").iter().map(|error| {
            let text = |key: &str| error[key].as_str().expect("text").to_owned();
            (text("pointer"), text("detail"))
        });
        (read, listed.collect())
    }

    #[test]
    fn valid_fields_are_read() {
        let (read, errors) = read_sample(r#"{"name":"a","on":true,"note":null}"#);
        assert_eq!(read, Some((Some("a".to_owned()), Some(true), Patch::Clear)));
        assert_eq!(errors, []);
        let (read, _) = read_sample(r#"{"name":"a","note":"b"}"#);
        assert_eq!(read, Some((Some("a".to_owned()), None, Patch::Set("b".to_owned()))));
    }

    #[test]
    fn every_error_is_collected() {
        let (_, errors) = read_sample(r#"{"on":null,"note":"too long","nmae":"x","on":1,"a/b":{}}"#);
        let pointers: Vec<_> = errors.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(pointers, ["/on", "/name", "/on", "/note", "/a~1b", "/nmae"]);
    }

    #[test]
    fn only_an_object_has_fields() {
        for json in ["[]", "null", "1", "\"{}\"", "[[\"name\",1]]"] {
            assert_eq!(
                read_sample(json),
                (None, vec![(String::new(), "must be a JSON object".to_owned())]),
                "{json}"
            );
        }
    }
}
