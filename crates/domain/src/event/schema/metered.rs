//! A view of a JSON document that counts the steps of its evaluation.
//!
//! The validator reads a value only through [`MeteredNode`], and each reading costs steps. After the last step every
//! value looks like `null`, so that all loops of the validator end. No panic and no thread is needed to stop it.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::ops::ControlFlow;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, Node, NodeIdentity, Object, cmp};
use serde_json::Value;

use super::document::{Document, Part};
use super::number::{DataNumber, Decimal};
use super::preview::preview;

/// Bytes of a text that a validator reads in one step, because lengths and patterns read the whole text.
const TEXT_BYTES_PER_STEP: usize = 64;
/// Steps of a preview, which copies some hundred bytes into an error.
const PREVIEW_STEPS: u64 = 4;

static NULL: Part<'static> = Part::Null;

/// Counts the steps of one evaluation.
#[derive(Debug)]
pub(super) struct Meter {
    left: Cell<u64>,
    max_depth: usize,
    is_too_deep: Cell<bool>,
}

impl Meter {
    /// Creates a meter for a number of steps and a depth of nested values.
    pub(super) fn new(steps: u64, max_depth: usize) -> Self {
        Self { left: Cell::new(steps), max_depth, is_too_deep: Cell::new(false) }
    }

    /// Returns whether the evaluation used all of its steps, so that its result means nothing.
    pub(super) fn is_exhausted(&self) -> bool {
        self.left.get() == 0
    }

    /// Returns whether the evaluation ended because it reached a value that is nested too deeply.
    pub(super) fn is_too_deep(&self) -> bool {
        self.is_too_deep.get()
    }

    /// Returns the steps that are left.
    pub(super) fn left(&self) -> u64 {
        self.left.get()
    }

    /// Takes steps, and returns whether any are left.
    fn spend(&self, steps: u64) -> bool {
        let left = self.left.get().saturating_sub(steps);
        self.left.set(left);
        left > 0
    }

    /// Takes the steps for reading a text of this size, and returns whether any are left.
    pub(super) fn spend_text(&self, bytes: usize) -> bool {
        self.spend(1 + (bytes / TEXT_BYTES_PER_STEP) as u64)
    }
}

/// The representation of values for the validator.
pub(super) struct Metered;

/// The part that a node shows.
#[derive(Debug, Clone, Copy)]
enum Shown<'a> {
    /// The value of this number in the document.
    Value(u32),
    /// A text that is no value of the document, such as the name of a member.
    Text(&'a str),
}

/// A value, the meter of its evaluation, and its depth below the root.
#[derive(Debug, Clone, Copy)]
pub(super) struct MeteredNode<'a> {
    document: &'a Document<'a>,
    shown: Shown<'a>,
    meter: &'a Meter,
    depth: usize,
}

impl<'a> MeteredNode<'a> {
    /// Shows the root of a document.
    pub(super) fn new(document: &'a Document<'a>, meter: &'a Meter) -> Self {
        Self { document, shown: Shown::Value(0), meter, depth: 0 }
    }

    /// Takes a step and returns the value, or `null` when no steps are left. A text has no part.
    fn read(&self) -> Option<&'a Part<'a>> {
        if !self.meter.spend(1) {
            return Some(&NULL);
        }
        match self.shown {
            Shown::Value(number) => Some(self.document.part(number)),
            Shown::Text(_) => None,
        }
    }

    fn read_text(&self) -> Option<&'a str> {
        match (self.read(), self.shown) {
            (None, Shown::Text(text)) => Some(text),
            (Some(Part::Text(text)), _) => Some(text.as_ref()),
            _ => None,
        }
    }

    /// Shows a part of the value. A part that is nested too deeply ends the evaluation, because each level needs stack.
    fn child(&self, number: u32) -> Self {
        let depth = self.depth + 1;
        if depth > self.meter.max_depth {
            self.meter.is_too_deep.set(true);
            self.meter.spend(u64::MAX);
        }
        Self { shown: Shown::Value(number), depth, ..*self }
    }

    /// Compares the value with one of a schema. The recursion is as deep as the value of the schema.
    fn equals(&self, expected: &Value) -> bool {
        match (self.json_type(), expected) {
            (JsonType::Null, Value::Null) => true,
            (JsonType::Boolean, Value::Bool(expected)) => self.as_boolean() == Some(*expected),
            (JsonType::Number, Value::Number(expected)) => {
                self.as_number().is_some_and(|number| cmp::equal_numbers(&number, expected))
            }
            (JsonType::String, Value::String(expected)) => {
                self.as_string().is_some_and(|text| text == *expected)
            }
            (JsonType::Array, Value::Array(expected)) => self.as_array().is_some_and(|items| {
                items.len() == expected.len()
                    && items.elements().zip(expected).all(|(item, expected)| item.equals(expected))
            }),
            (JsonType::Object, Value::Object(expected)) => self.as_object().is_some_and(|members| {
                members.len() == expected.len()
                    && expected.iter().all(|(name, expected)| {
                        members.get(name).is_some_and(|member| member.equals(expected))
                    })
            }),
            _ => false,
        }
    }

    /// Appends a text that is the same for equal values. Returns false when no steps are left. It has no recursion,
    /// because the value may have any depth.
    fn write_canonical(&self, to: &mut Vec<u8>) -> bool {
        let Shown::Value(root) = self.shown else { return true };
        let mut next = vec![CanonicalStep::Value(root)];
        while let Some(step) = next.pop() {
            let number = match step {
                CanonicalStep::Value(number) => number,
                CanonicalStep::Member(number) => {
                    write_text(self.document.name(number), to);
                    number
                }
                CanonicalStep::End => {
                    to.push(b')');
                    continue;
                }
            };
            let has_steps = match self.document.part(number) {
                Part::Null => self.write_word("null", to),
                Part::Bool(true) => self.write_word("true", to),
                Part::Bool(false) => self.write_word("false", to),
                Part::Number(text) => {
                    write_text(&Decimal::read(text).canonical_text(), to);
                    self.meter.spend_text(text.len())
                }
                Part::Text(text) => {
                    to.push(b'"');
                    write_text(text, to);
                    self.meter.spend_text(text.len())
                }
                Part::Array(place) => {
                    next.push(CanonicalStep::End);
                    let items = self.document.children(place);
                    next.extend(items.iter().rev().map(|item| CanonicalStep::Value(*item)));
                    self.write_word("[", to)
                }
                Part::Object(place) => {
                    next.push(CanonicalStep::End);
                    let members = self.document.children(place);
                    next.extend(members.iter().rev().map(|member| CanonicalStep::Member(*member)));
                    let names: usize = members.iter().map(|member| self.document.name(*member).len()).sum();
                    self.write_word("{", to) && self.meter.spend_text(names)
                }
            };
            if !has_steps {
                return false;
            }
        }
        true
    }

    fn write_word(&self, word: &str, to: &mut Vec<u8>) -> bool {
        to.extend_from_slice(word.as_bytes());
        self.meter.spend(1)
    }
}

/// The next value to write.
enum CanonicalStep {
    Value(u32),
    /// A value after its name.
    Member(u32),
    /// The end of an array or object.
    End,
}

/// Appends a text after its length, so that no two lists of texts look the same.
fn write_text(text: &str, to: &mut Vec<u8>) {
    to.extend_from_slice(text.len().to_string().as_bytes());
    to.push(b':');
    to.extend_from_slice(text.as_bytes());
}

impl Json for Metered {
    type Node<'a> = MeteredNode<'a>;
    type PreparedKey = String;
    type StringBuffer = (Document<'static>, Option<Meter>);

    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    /// Never called by the validator, because the names of members come from [`Object::try_for_each_name_node`].
    fn with_string_node<T>(
        (document, meter): &mut Self::StringBuffer,
        string: &str,
        f: impl FnOnce(MeteredNode<'_>) -> T,
    ) -> T {
        let meter = meter.insert(Meter::new(2 + string.len() as u64, 1));
        f(MeteredNode { document, shown: Shown::Text(string), meter, depth: 0 })
    }
}

impl<'a> Node<'a, Metered> for MeteredNode<'a> {
    type Object = MeteredMembers<'a>;
    type Array = MeteredItems<'a>;
    type Number = DataNumber<'a>;

    fn as_object(&self) -> Option<MeteredMembers<'a>> {
        match self.read()? {
            Part::Object(place) => {
                Some(MeteredMembers { members: self.document.children(place), parent: *self })
            }
            _ => None,
        }
    }

    fn as_array(&self) -> Option<MeteredItems<'a>> {
        match self.read()? {
            Part::Array(place) => Some(MeteredItems { items: self.document.children(place), parent: *self }),
            _ => None,
        }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        let text = self.read_text()?;
        self.meter.spend_text(text.len()).then_some(Cow::Borrowed(text))
    }

    fn as_number(&self) -> Option<DataNumber<'a>> {
        match self.read()? {
            Part::Number(text) => {
                self.meter.spend_text(text.len()).then(|| DataNumber::read(text, self.meter))
            }
            _ => None,
        }
    }

    fn is_number(&self) -> bool {
        self.json_type() == JsonType::Number
    }

    fn as_boolean(&self) -> Option<bool> {
        match self.read()? {
            Part::Bool(is_true) => Some(*is_true),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        matches!(self.read(), Some(Part::Null))
    }

    fn json_type(&self) -> JsonType {
        match self.read() {
            Some(Part::Null) => JsonType::Null,
            Some(Part::Bool(_)) => JsonType::Boolean,
            Some(Part::Number(_)) => JsonType::Number,
            Some(Part::Text(_)) | None => JsonType::String,
            Some(Part::Array(_)) => JsonType::Array,
            Some(Part::Object(_)) => JsonType::Object,
        }
    }

    fn equals_value(&self, expected: &Value) -> bool {
        self.equals(expected)
    }

    /// Returns the beginning of the value. The validator calls this when it creates an error, whose text is truncated.
    fn to_value(&self) -> Cow<'a, Value> {
        self.meter.spend(PREVIEW_STEPS);
        Cow::Owned(match self.shown {
            Shown::Value(number) => preview(self.document, number),
            Shown::Text(text) => Value::String(text.to_owned()),
        })
    }

    fn identity(&self) -> Option<NodeIdentity> {
        match self.shown {
            Shown::Value(number) => {
                Some(NodeIdentity::tagged(std::ptr::from_ref(self.document) as usize, number))
            }
            // A name has no parts, so that nothing recurs below it.
            Shown::Text(_) => None,
        }
    }
}

/// The members of an object.
pub(super) struct MeteredMembers<'a> {
    members: &'a [u32],
    parent: MeteredNode<'a>,
}

impl<'a> Object<'a, Metered> for MeteredMembers<'a> {
    type Node = MeteredNode<'a>;
    type MemberName = &'a str;
    type MembersIter = MemberIter<'a>;

    fn len(&self) -> usize {
        self.members.len()
    }

    fn get(&self, key: &String) -> Option<MeteredNode<'a>> {
        if !self.parent.meter.spend(1) {
            return None;
        }
        self.parent.document.find_member(self.members, key).map(|member| self.parent.child(member))
    }

    fn members(&self) -> MemberIter<'a> {
        MemberIter { members: self.members.iter(), parent: self.parent }
    }

    fn try_for_each_name_node<B>(
        &self,
        _: &mut <Metered as Json>::StringBuffer,
        mut f: impl FnMut(MeteredNode<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        for (name, _) in self.members() {
            f(MeteredNode { shown: Shown::Text(name), ..self.parent })?;
        }
        ControlFlow::Continue(())
    }
}

/// An iterator over the members of an object.
pub(super) struct MemberIter<'a> {
    members: std::slice::Iter<'a, u32>,
    parent: MeteredNode<'a>,
}

impl<'a> Iterator for MemberIter<'a> {
    type Item = (&'a str, MeteredNode<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let member = *self.members.next()?;
        let name = self.parent.document.name(member);
        let has_steps = self.parent.meter.spend_text(name.len());
        has_steps.then(|| (name, self.parent.child(member)))
    }
}

/// The items of an array.
pub(super) struct MeteredItems<'a> {
    items: &'a [u32],
    parent: MeteredNode<'a>,
}

impl<'a> Array<'a, Metered> for MeteredItems<'a> {
    type Node = MeteredNode<'a>;
    type ElementsIter = ItemIter<'a>;

    fn len(&self) -> usize {
        self.items.len()
    }

    fn elements(&self) -> ItemIter<'a> {
        ItemIter { items: self.items.iter(), parent: self.parent }
    }

    /// Compares canonical texts, so that the cost is proportional to the size of the array.
    fn is_unique(&self) -> bool {
        let mut seen = HashSet::new();
        self.items.iter().all(|item| {
            let mut canonical = Vec::new();
            let item = MeteredNode { shown: Shown::Value(*item), ..self.parent };
            // Without steps the result means nothing.
            !item.write_canonical(&mut canonical) || seen.insert(canonical)
        })
    }
}

/// An iterator over the items of an array.
pub(super) struct ItemIter<'a> {
    items: std::slice::Iter<'a, u32>,
    parent: MeteredNode<'a>,
}

impl<'a> Iterator for ItemIter<'a> {
    type Item = MeteredNode<'a>;

    fn next(&mut self) -> Option<MeteredNode<'a>> {
        let item = *self.items.next()?;
        self.parent.meter.spend(1).then(|| self.parent.child(item))
    }
}
