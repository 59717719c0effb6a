//! The subschemas of a schema, and the references between them.
//!
//! A reference that the graph cannot follow is an error, so that the limits of [`super::limits`] hold for each schema
//! that passes. `$dynamicRef` and `$recursiveRef` count as references to all anchors that they may reach.

use std::collections::HashMap;

use serde_json::{Map, Value};
use url::Url;

use super::InvalidSchema;

/// The base URI of a schema without `$id`.
const DEFAULT_BASE: &str = "json-schema:///";
/// Keywords whose value is a schema for the same value.
const IN_PLACE: [&str; 4] = ["not", "if", "then", "else"];
/// Keywords whose value is a list of schemas for the same value.
const IN_PLACE_LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];
/// Keywords whose value maps names to schemas for the same value.
const IN_PLACE_MAPS: [&str; 2] = ["dependentSchemas", "dependencies"];
/// Keywords that evaluate the other keywords of their schema once more.
const UNEVALUATED: [&str; 2] = ["unevaluatedProperties", "unevaluatedItems"];
/// Keywords whose value maps names to schemas that only references reach.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// The part of a value that a subschema applies to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Target {
    /// The same value.
    Same,
    /// The member of this name.
    Member(String),
    /// Members whose names match a pattern.
    MatchingMembers,
    /// Members that no other keyword of the schema names.
    OtherMembers,
    /// The names of members.
    Names,
    /// Items.
    Items,
    /// Items once more, for `contains`.
    ContainedItems,
}

/// A subschema.
#[derive(Debug, Default)]
pub(super) struct Subschema {
    /// The subschemas that it applies, by index.
    pub(super) edges: Vec<(Target, usize)>,
    /// Whether it has `unevaluatedProperties` or `unevaluatedItems`, which evaluate the other keywords once more.
    pub(super) evaluates_twice: bool,
}

/// A schema as a graph. The first subschema is the root.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) subschemas: Vec<Subschema>,
    /// Number of regular expressions.
    pub(super) patterns: usize,
}

#[derive(Default)]
struct Builder<'a> {
    /// The keyword of a schema's URI, which differs between drafts.
    id_keyword: &'static str,
    graph: Graph,
    /// Indexes by the address of the subschema.
    indexes: HashMap<*const Value, usize>,
    /// Schema resources by their URI.
    resources: HashMap<String, &'a Value>,
    /// Subschemas by the URI of their anchor.
    anchors: HashMap<String, usize>,
    /// Subschemas with a dynamic anchor, by its name; the empty name is that of `$recursiveAnchor`.
    dynamic_anchors: HashMap<String, Vec<usize>>,
    references: Vec<Reference>,
}

struct Reference {
    from: usize,
    base: Url,
    text: String,
    dynamic: bool,
}

impl Graph {
    /// Reads the graph of a schema.
    ///
    /// # Errors
    /// When a reference leads to another document, or to a place that is not a schema.
    pub(super) fn read(schema: &Value) -> Result<Self, InvalidSchema> {
        let base = Url::parse(DEFAULT_BASE).map_err(|error| InvalidSchema(error.to_string()))?;
        let draft = schema.get("$schema").and_then(Value::as_str).unwrap_or_default();
        let id_keyword = if draft.contains("draft-04") { "id" } else { "$id" };
        let mut builder = Builder { id_keyword, ..Builder::default() };
        builder.resources.insert(base.as_str().to_owned(), schema);
        builder.visit(schema, &base);
        builder.connect_references()?;
        Ok(builder.graph)
    }
}

impl<'a> Builder<'a> {
    /// Adds a subschema and all schemas below it, and returns its index.
    fn visit(&mut self, schema: &'a Value, base: &Url) -> usize {
        if let Some(index) = self.indexes.get(&std::ptr::from_ref(schema)) {
            return *index;
        }
        let index = self.graph.subschemas.len();
        self.graph.subschemas.push(Subschema::default());
        self.indexes.insert(std::ptr::from_ref(schema), index);
        let Some(keywords) = schema.as_object() else { return index };
        let base = self.read_identity(keywords, schema, index, base);
        self.visit_in_place(keywords, index, &base);
        self.visit_members(keywords, index, &base);
        self.visit_items(keywords, index, &base);
        for definitions in DEFINITIONS.iter().filter_map(|name| keywords.get(*name)?.as_object()) {
            definitions.values().for_each(|schema| {
                self.visit(schema, &base);
            });
        }
        self.read_references(keywords, index, &base);
        index
    }

    /// Registers the ids and anchors of a subschema, and returns the base of the references in it.
    fn read_identity(
        &mut self,
        keywords: &Map<String, Value>,
        schema: &'a Value,
        index: usize,
        base: &Url,
    ) -> Url {
        let mut base = base.clone();
        let id = keywords.get(self.id_keyword).and_then(Value::as_str);
        if let Some(mut joined) = id.and_then(|id| base.join(id).ok()) {
            if let Some(anchor) = joined.fragment().filter(|fragment| !fragment.is_empty()) {
                self.anchors.insert(format!("{}#{anchor}", without_fragment(&joined)), index);
            }
            joined.set_fragment(None);
            self.resources.insert(joined.as_str().to_owned(), schema);
            base = joined;
        }
        let text = |name: &str| keywords.get(name).and_then(Value::as_str);
        for anchor in ["$anchor", "$dynamicAnchor"].into_iter().filter_map(text) {
            self.anchors.insert(format!("{base}#{anchor}"), index);
        }
        if let Some(anchor) = text("$dynamicAnchor") {
            self.dynamic_anchors.entry(anchor.to_owned()).or_default().push(index);
        }
        if keywords.get("$recursiveAnchor") == Some(&Value::Bool(true)) {
            self.dynamic_anchors.entry(String::new()).or_default().push(index);
        }
        base
    }

    fn visit_in_place(&mut self, keywords: &'a Map<String, Value>, index: usize, base: &Url) {
        let single = IN_PLACE.iter().filter_map(|name| keywords.get(*name));
        let lists = IN_PLACE_LISTS.iter().filter_map(|name| keywords.get(*name)?.as_array()).flatten();
        let maps = IN_PLACE_MAPS.iter().filter_map(|name| keywords.get(*name)?.as_object());
        for schema in single.chain(lists).chain(maps.flat_map(Map::values)) {
            self.add_edge(index, Target::Same, schema, base);
        }
    }

    fn visit_members(&mut self, keywords: &'a Map<String, Value>, index: usize, base: &Url) {
        let members = |name: &str| keywords.get(name).and_then(Value::as_object).into_iter().flatten();
        for (name, schema) in members("properties") {
            self.add_edge(index, Target::Member(name.clone()), schema, base);
        }
        for (_, schema) in members("patternProperties") {
            self.graph.patterns += 1;
            self.add_edge(index, Target::MatchingMembers, schema, base);
        }
        self.graph.patterns += usize::from(keywords.contains_key("pattern"));
        for schema in
            ["additionalProperties", "unevaluatedProperties"].iter().filter_map(|name| keywords.get(*name))
        {
            self.add_edge(index, Target::OtherMembers, schema, base);
        }
        if let Some(schema) = keywords.get("propertyNames") {
            self.add_edge(index, Target::Names, schema, base);
        }
        self.graph.subschemas[index].evaluates_twice =
            UNEVALUATED.iter().any(|name| keywords.contains_key(*name));
    }

    fn visit_items(&mut self, keywords: &'a Map<String, Value>, index: usize, base: &Url) {
        for name in ["prefixItems", "items", "additionalItems", "unevaluatedItems"] {
            match keywords.get(name) {
                Some(Value::Array(schemas)) => {
                    schemas.iter().for_each(|schema| self.add_edge(index, Target::Items, schema, base));
                }
                Some(schema) => self.add_edge(index, Target::Items, schema, base),
                None => {}
            }
        }
        if let Some(schema) = keywords.get("contains") {
            self.add_edge(index, Target::ContainedItems, schema, base);
        }
    }

    fn add_edge(&mut self, index: usize, target: Target, schema: &'a Value, base: &Url) {
        if schema.is_object() || schema.is_boolean() {
            let to = self.visit(schema, base);
            self.graph.subschemas[index].edges.push((target, to));
        }
    }

    fn read_references(&mut self, keywords: &Map<String, Value>, from: usize, base: &Url) {
        for name in ["$ref", "$dynamicRef", "$recursiveRef"] {
            if let Some(text) = keywords.get(name).and_then(Value::as_str) {
                let dynamic = name != "$ref";
                self.references.push(Reference { from, base: base.clone(), text: text.to_owned(), dynamic });
            }
        }
    }

    /// Adds the edges of all references. A reference may lead to a place that no keyword leads to, which may have
    /// references of its own.
    fn connect_references(&mut self) -> Result<(), InvalidSchema> {
        while let Some(reference) = self.references.pop() {
            let mut targets = vec![self.resolve(&reference)?];
            if reference.dynamic {
                let name = reference.text.rsplit('#').next().unwrap_or_default();
                targets.extend(self.dynamic_anchors.get(name).into_iter().flatten());
            }
            targets.sort_unstable();
            targets.dedup();
            let edges = &mut self.graph.subschemas[reference.from].edges;
            edges.extend(targets.into_iter().map(|target| (Target::Same, target)));
        }
        Ok(())
    }

    fn resolve(&mut self, reference: &Reference) -> Result<usize, InvalidSchema> {
        let text = &reference.text;
        let unknown = || {
            InvalidSchema(format!(
                "the reference {text:?} leads nowhere in this schema; use \"#/$defs/…\" and put the definition there"
            ))
        };
        let target = reference.base.join(text).map_err(|_| unknown())?;
        if let Some(index) = self.anchors.get(target.as_str()) {
            return Ok(*index);
        }
        let resource = without_fragment(&target);
        let root = *self.resources.get(&resource).ok_or_else(unknown)?;
        let pointer = percent_decode(target.fragment().unwrap_or_default()).ok_or_else(unknown)?;
        let schema = root.pointer(&pointer).ok_or_else(unknown)?;
        let base = Url::parse(&resource).map_err(|_| unknown())?;
        Ok(self.visit(schema, &base))
    }
}

fn without_fragment(url: &Url) -> String {
    let mut url = url.clone();
    url.set_fragment(None);
    url.into()
}

/// Decodes the fragment of a URL; `None` if it is not UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = text_of_escape(after).filter(|_| *first == b'%');
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).ok()
}

fn text_of_escape(after: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(after.get(..2)?).ok()?;
    u8::from_str_radix(digits, 16).ok()
}
