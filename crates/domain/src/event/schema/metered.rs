//! A view of a JSON value that counts the steps of its evaluation.
//!
//! The validator reads a value only through [`MeteredNode`], and each reading costs steps. After the last step every
//! value looks like `null`, so that all loops of the validator end. No panic and no thread is needed to stop it.

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::ControlFlow;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, Node, NodeIdentity, Object, cmp, unique};
use serde_json::{Map, Number, Value};

/// Bytes of a text that a validator reads in one step, because lengths and patterns read the whole text.
const TEXT_BYTES_PER_STEP: usize = 64;

static NULL: Value = Value::Null;

/// Counts the steps of one evaluation.
#[derive(Debug)]
pub(super) struct Meter {
    left: Cell<u64>,
    max_depth: usize,
}

impl Meter {
    /// Creates a meter for a number of steps and a depth of nested values.
    pub(super) fn new(steps: u64, max_depth: usize) -> Self {
        Self { left: Cell::new(steps), max_depth }
    }

    /// Returns whether the evaluation used all of its steps, so that its result means nothing.
    pub(super) fn is_exhausted(&self) -> bool {
        self.left.get() == 0
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
}

/// The representation of values for the validator.
pub(super) struct Metered;

/// A value, the meter of its evaluation, and its depth below the root.
#[derive(Debug, Clone, Copy)]
pub(super) struct MeteredNode<'a> {
    value: &'a Value,
    meter: &'a Meter,
    depth: usize,
}

impl<'a> MeteredNode<'a> {
    /// Shows the root of a value.
    pub(super) fn new(value: &'a Value, meter: &'a Meter) -> Self {
        Self { value, meter, depth: 0 }
    }

    /// Takes steps and returns the value, or `null` when no steps are left.
    fn read(&self, steps: u64) -> &'a Value {
        if self.meter.spend(steps) { self.value } else { &NULL }
    }

    /// Takes steps for each part of the value, for operations that read all of it.
    fn read_whole(&self) -> &'a Value {
        if spend_whole(self.value, self.meter) { self.value } else { &NULL }
    }
}

/// Takes the steps for reading all parts of a value. Returns false, without looking further, when none are left.
fn spend_whole(value: &Value, meter: &Meter) -> bool {
    if !meter.spend(1) {
        return false;
    }
    match value {
        Value::Array(items) => items.iter().all(|item| spend_whole(item, meter)),
        Value::Object(members) => {
            members.iter().all(|(name, value)| meter.spend(text_steps(name)) && spend_whole(value, meter))
        }
        Value::String(text) => meter.spend(text_steps(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

fn text_steps(text: &str) -> u64 {
    1 + (text.len() / TEXT_BYTES_PER_STEP) as u64
}

impl Json for Metered {
    type Node<'a> = MeteredNode<'a>;
    type PreparedKey = String;
    type StringBuffer = ();

    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    /// Never called by the validator, because the names of members come from [`Object::try_for_each_name_node`].
    fn with_string_node<T>((): &mut (), string: &str, f: impl FnOnce(MeteredNode<'_>) -> T) -> T {
        let meter = Meter::new(text_steps(string) * TEXT_BYTES_PER_STEP as u64, 1);
        f(MeteredNode::new(&Value::String(string.to_owned()), &meter))
    }
}

impl<'a> Node<'a, Metered> for MeteredNode<'a> {
    type Object = MeteredMembers<'a>;
    type Array = MeteredItems<'a>;
    type Number = &'a Number;

    fn as_object(&self) -> Option<MeteredMembers<'a>> {
        let members = self.read(1).as_object()?;
        Some(MeteredMembers { members, parent: *self })
    }

    fn as_array(&self) -> Option<MeteredItems<'a>> {
        let items = self.read(1).as_array()?;
        Some(MeteredItems { items, parent: *self })
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        let text = self.read(1).as_str()?;
        self.meter.spend(text_steps(text)).then_some(Cow::Borrowed(text))
    }

    fn as_number(&self) -> Option<&'a Number> {
        match self.read(1) {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        self.read(1).as_bool()
    }

    fn is_null(&self) -> bool {
        self.read(1).is_null()
    }

    fn json_type(&self) -> JsonType {
        match self.read(1) {
            Value::Null => JsonType::Null,
            Value::Bool(_) => JsonType::Boolean,
            Value::Number(_) => JsonType::Number,
            Value::String(_) => JsonType::String,
            Value::Array(_) => JsonType::Array,
            Value::Object(_) => JsonType::Object,
        }
    }

    fn equals_value(&self, expected: &Value) -> bool {
        cmp::equal(self.read_whole(), expected)
    }

    /// Costs one step, because it copies nothing. The validator calls it when it creates an error.
    fn to_value(&self) -> Cow<'a, Value> {
        self.meter.spend(1);
        Cow::Borrowed(self.value)
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::new(std::ptr::from_ref(self.value) as usize))
    }
}

/// The members of an object.
pub(super) struct MeteredMembers<'a> {
    members: &'a Map<String, Value>,
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
        self.members.get(key).map(|value| self.parent.child(value))
    }

    fn members(&self) -> MemberIter<'a> {
        MemberIter { members: self.members.iter(), parent: self.parent }
    }

    fn try_for_each_name_node<B>(
        &self,
        (): &mut (),
        mut f: impl FnMut(MeteredNode<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        for (name, _) in self.members() {
            let name = Value::String(name.to_owned());
            f(MeteredNode { value: &name, ..self.parent })?;
        }
        ControlFlow::Continue(())
    }
}

/// An iterator over the members of an object.
pub(super) struct MemberIter<'a> {
    members: serde_json::map::Iter<'a>,
    parent: MeteredNode<'a>,
}

impl<'a> Iterator for MemberIter<'a> {
    type Item = (&'a str, MeteredNode<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.members.next()?;
        let has_steps = self.parent.meter.spend(text_steps(name));
        has_steps.then(|| (name.as_str(), self.parent.child(value)))
    }
}

/// The items of an array.
pub(super) struct MeteredItems<'a> {
    items: &'a [Value],
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

    /// Compares hashes, so that the cost is proportional to the size of the array.
    fn is_unique(&self) -> bool {
        !spend_whole(self.parent.value, self.parent.meter) || unique::is_unique(self.items)
    }
}

/// An iterator over the items of an array.
pub(super) struct ItemIter<'a> {
    items: std::slice::Iter<'a, Value>,
    parent: MeteredNode<'a>,
}

impl<'a> Iterator for ItemIter<'a> {
    type Item = MeteredNode<'a>;

    fn next(&mut self) -> Option<MeteredNode<'a>> {
        let value = self.items.next()?;
        self.parent.meter.spend(1).then(|| self.parent.child(value))
    }
}

impl<'a> MeteredNode<'a> {
    /// Shows a part of the value. A part that is nested too deeply ends the evaluation, because each level needs stack.
    fn child(&self, value: &'a Value) -> Self {
        let depth = self.depth + 1;
        if depth > self.meter.max_depth {
            self.meter.spend(u64::MAX);
        }
        Self { value, meter: self.meter, depth }
    }
}
