//! Reading a JSON object field by field. Every fault is noted with its pointer, nothing stops at the
//! first, and what nobody asked for is a fault too, so that a typo is not silently ignored.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::validation::errors::{self, ValidationErrors, member_pointer};
use crate::validation::patch::Patch;

/// Longest part of an unknown key that a fault repeats, in characters.
const MAX_KEY_CHARS: usize = 64;

/// An object that is being read.
pub struct Fields<'a, 'f> {
    pointer: String,
    members: BTreeMap<String, &'a RawValue>,
    errors: &'f mut ValidationErrors,
}

impl<'a, 'f> Fields<'a, 'f> {
    /// Begins to read the object at `at`; what is none is a fault.
    pub fn parse(raw: &'a RawValue, pointer: &str, errors: &'f mut ValidationErrors) -> Option<Self> {
        let Ok(pairs) = serde_json::from_str::<Pairs<'a>>(raw.get()) else {
            errors.add(pointer, "must be a JSON object");
            return None;
        };
        let mut members = BTreeMap::new();
        for (key, value) in pairs.0 {
            let pointer = member_pointer(pointer, &truncate_key(&key));
            if members.insert(key, value).is_some() {
                errors.add(pointer, "must be given once only");
            }
        }
        Some(Self { pointer: pointer.to_owned(), members, errors })
    }

    /// A field that must be there.
    pub fn required<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&'a RawValue, &str, &mut ValidationErrors) -> Option<T>,
    ) -> Option<T> {
        if !self.members.contains_key(key) {
            self.errors.add(member_pointer(&self.pointer, key), "is required");
            return None;
        }
        self.optional(key, read)
    }

    /// A field that may be left out, but not be null unless `read` takes it.
    pub fn optional<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&'a RawValue, &str, &mut ValidationErrors) -> Option<T>,
    ) -> Option<T> {
        read(self.members.remove(key)?, &member_pointer(&self.pointer, key), self.errors)
    }

    /// A field that may be left out, or be null to be cleared.
    pub fn clearable<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&'a RawValue, &str, &mut ValidationErrors) -> Option<T>,
    ) -> Patch<T> {
        match self.members.remove(key) {
            None => Patch::Keep,
            Some(raw) if raw.get() == "null" => Patch::Clear,
            // A fault is noted with it; what is kept then is never used.
            Some(raw) => {
                read(raw, &member_pointer(&self.pointer, key), self.errors).map_or(Patch::Keep, Patch::Set)
            }
        }
    }

    /// Whether a field is there and not null.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.members.get(key).is_some_and(|raw| raw.get() != "null")
    }

    /// Notes a fault of a field that was read.
    pub fn add_error(&mut self, key: &str, detail: &str) {
        self.errors.add(member_pointer(&self.pointer, key), detail);
    }

    /// All that is left, key by key: for objects whose keys are free.
    pub fn take_all(&mut self) -> BTreeMap<String, &'a RawValue> {
        std::mem::take(&mut self.members)
    }

    /// Ends the reading: what is left is unknown.
    pub fn finish(self) {
        for key in self.members.keys() {
            self.errors.add(
                member_pointer(&self.pointer, &truncate_key(key)),
                "is no field of this request; is it misspelt?",
            );
        }
    }
}

/// The beginning of a key that a fault repeats.
pub(crate) fn truncate_key(key: &str) -> String {
    errors::truncate_text(key, MAX_KEY_CHARS)
}

/// The members of an object as they come, the same key twice included.
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

    fn read_all(json: &str) -> (Option<Sample>, Vec<(String, String)>) {
        let raw: Box<RawValue> = serde_json::from_str(json).expect("JSON");
        let mut errors = ValidationErrors::default();
        let read = Fields::parse(&raw, "", &mut errors).map(|mut fields| {
            let name = fields.required("name", validators::nonempty_text(4));
            let on = fields.optional("on", validators::boolean);
            let note = fields.clearable("note", validators::nonempty_text(4));
            fields.finish();
            (name, on, note)
        });
        let told = serde_json::to_value(&errors).expect("errors");
        let told = told.as_array().expect("list").iter().map(|fault| {
            let text = |key: &str| fault[key].as_str().expect("text").to_owned();
            (text("pointer"), text("detail"))
        });
        (read, told.collect())
    }

    #[test]
    fn what_is_right_is_read() {
        let (read, errors) = read_all(r#"{"name":"a","on":true,"note":null}"#);
        assert_eq!(read, Some((Some("a".to_owned()), Some(true), Patch::Clear)));
        assert_eq!(errors, []);
        let (read, _) = read_all(r#"{"name":"a","note":"b"}"#);
        assert_eq!(read, Some((Some("a".to_owned()), None, Patch::Set("b".to_owned()))));
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let (_, errors) = read_all(r#"{"on":null,"note":"too long","nmae":"x","on":1,"a/b":{}}"#);
        let pointers: Vec<_> = errors.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(pointers, ["/on", "/name", "/on", "/note", "/a~1b", "/nmae"]);
    }

    #[test]
    fn only_objects_have_fields() {
        for json in ["[]", "null", "1", "\"{}\"", "[[\"name\",1]]"] {
            assert_eq!(
                read_all(json),
                (None, vec![(String::new(), "must be a JSON object".to_owned())]),
                "{json}"
            );
        }
    }
}
