//! Schemas of the OpenAPI document in words.

use serde_json::{Value, json};

use super::html::{code, escape, inline_markdown, markdown, table};
use crate::openapi::example::{REFERENCES, reference_name};

/// Keywords that bound a value, with the words that describe them.
const BOUNDS: [(&str, &str); 9] = [
    ("minimum", "at least"),
    ("maximum", "at most"),
    ("minLength", "characters, at least"),
    ("maxLength", "characters, at most"),
    ("minItems", "items, at least"),
    ("maxItems", "items, at most"),
    ("pattern", "pattern"),
    ("default", "default"),
    ("const", "always"),
];
const HEADS: [&str; 3] = ["Field", "Type", "Description"];

/// Returns the anchor of a schema.
pub(super) fn anchor(name: &str) -> String {
    format!("schema-{}", escape(name))
}

fn reference_link(schema: &Value) -> Option<String> {
    let name = reference_name(schema)?;
    Some(format!("<a href=\"#{}\">{}</a>", anchor(name), escape(name)))
}

/// Renders the type of a schema, with links to the schemas that it refers to.
pub(super) fn render_type(schema: &Value) -> String {
    if let Some(link) = reference_link(schema) {
        return link;
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(|word| code(&plain(word))).collect::<Vec<_>>().join(", ");
    }
    for (keyword, joint) in [("oneOf", " or "), ("anyOf", " or "), ("allOf", " and ")] {
        if let Some(parts) = schema[keyword].as_array() {
            let mut types: Vec<String> = parts.iter().map(render_type).collect();
            // The documents of utoipa put null first.
            types.sort_by_key(|name| name == "null");
            return types.join(joint);
        }
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => return "any JSON".to_owned(),
    };
    types.into_iter().map(|name| render_named_type(name, schema)).collect::<Vec<_>>().join(" or ")
}

fn render_named_type(name: &str, schema: &Value) -> String {
    match (name, schema["format"].as_str()) {
        ("array", _) => format!("array of {}", render_type(&schema["items"])),
        ("object", _) if schema["additionalProperties"].is_object() => {
            format!("map of {}", render_type(&schema["additionalProperties"]))
        }
        ("string", Some(format)) => format!("string ({})", escape(format)),
        _ => escape(name),
    }
}

/// Renders what a schema demands beyond its type.
pub(super) fn render_bounds(schema: &Value) -> String {
    let bounds = BOUNDS.iter().filter_map(|(keyword, words)| {
        let value = schema.get(keyword)?;
        Some(format!("{words} {}", code(&plain(value))))
    });
    bounds.collect::<Vec<_>>().join("; ")
}

/// Renders the fields of an object as a table, also if it adds them to other schemas. Other schemas have none.
pub(super) fn render_fields(name: &str, schema: &Value) -> String {
    let parts = std::iter::once(schema).chain(schema["allOf"].as_array().into_iter().flatten());
    let rows: Vec<Vec<String>> = parts.flat_map(field_rows).collect();
    table(&format!("Fields of {name}"), &HEADS, &rows)
}

fn field_rows(object: &Value) -> Vec<Vec<String>> {
    let required: Vec<&str> =
        object["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let fields = object["properties"].as_object().into_iter().flatten();
    fields.map(|(field, schema)| field_row(field, schema, required.contains(&field.as_str()))).collect()
}

/// Renders a field or parameter as a row of a table.
pub(super) fn field_row(name: &str, schema: &Value, required: bool) -> Vec<String> {
    let mark = if required { "<span class=\"required\">required</span>" } else { "" };
    let text = description_of(schema);
    vec![format!("{} {mark}", code(name)), render_type(schema), describe(text, schema)]
}

/// Returns the description of a field. utoipa puts the one of an optional object into the alternative.
fn description_of(schema: &Value) -> &str {
    let alternatives = schema["oneOf"].as_array().into_iter().flatten();
    let all = std::iter::once(schema).chain(alternatives);
    all.filter_map(|schema| schema["description"].as_str()).next().unwrap_or_default()
}

/// Renders a description together with the bounds of its schema.
pub(super) fn describe(text: &str, schema: &Value) -> String {
    let bounds = render_bounds(schema);
    let text = inline_markdown(text);
    if bounds.is_empty() { text } else { format!("{text} <span class=\"bounds\">{bounds}</span>") }
}

/// Renders a schema of the document: its description, and its fields or its type.
pub(super) fn render_schema(name: &str, schema: &Value) -> String {
    let text = markdown(schema["description"].as_str().unwrap_or_default());
    let others: Vec<String> =
        schema["allOf"].as_array().into_iter().flatten().filter_map(reference_link).collect();
    let base = match others.as_slice() {
        [] => String::new(),
        names => format!("<p>All fields of {}, and those below.</p>\n", names.join(" and ")),
    };
    let fields = render_fields(name, schema);
    let body = if fields.is_empty() {
        format!("<p>{} <span class=\"bounds\">{}</span></p>\n", render_type(schema), render_bounds(schema))
    } else {
        base + &fields
    };
    let id = anchor(name);
    format!("<h3 id=\"{id}\"><a href=\"#{id}\">{}</a></h3>\n{text}{body}", escape(name))
}

/// Replaces every object that repeats a schema of the document by a reference to it.
///
/// utoipa copies the item of a generic page into the page.
pub(super) fn name_repeated_objects(document: &mut Value) {
    let named = document["components"]["schemas"].as_object().cloned().unwrap_or_default();
    let schemas = document["components"]["schemas"].as_object_mut();
    for schema in schemas.into_iter().flat_map(serde_json::Map::values_mut) {
        let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
        for field in properties.into_iter().flat_map(serde_json::Map::values_mut) {
            let Some(items) = field.get_mut("items") else { continue };
            if let Some((name, _)) = named.iter().find(|(_, schema)| *schema == items) {
                *items = json!({"$ref": format!("{REFERENCES}{name}")});
            }
        }
    }
}

/// Returns a string without its quotes, and every other value as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_named_in_words() {
        for (schema, wanted) in [
            (json!({"type": "string", "format": "date-time"}), "string (date-time)"),
            (json!({"type": ["string", "null"]}), "string or null"),
            (json!({"type": "array", "items": {"type": "integer"}}), "array of integer"),
            (json!({"type": "object", "additionalProperties": {"type": "string"}}), "map of string"),
            (json!({"type": "object", "additionalProperties": false}), "object"),
            (json!({"$ref": "#/components/schemas/A"}), "<a href=\"#schema-A\">A</a>"),
            (
                json!({"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/A"}]}),
                "<a href=\"#schema-A\">A</a> or null",
            ),
            (json!({"enum": ["a", 1, null]}), "<code>a</code>, <code>1</code>, <code>null</code>"),
            (json!({}), "any JSON"),
        ] {
            assert_eq!(render_type(&schema), wanted, "{schema}");
        }
    }

    #[test]
    fn bounds_are_listed_with_their_values() {
        let schema = json!({"minLength": 1, "maxLength": 8, "pattern": "^<", "default": "a"});
        let wanted = "characters, at least <code>1</code>; characters, at most <code>8</code>; \
             pattern <code>^&lt;</code>; default <code>a</code>";
        assert_eq!(render_bounds(&schema), wanted);
    }

    #[test]
    fn fields_say_whether_they_are_required() {
        let schema = json!({
            "type": "object", "required": ["a"],
            "properties": {
                "a": {"type": "boolean", "description": "Yes or `no`"},
                "b": {"oneOf": [{"type": "null"}, {"type": "object", "description": "An option"}]},
            },
        });
        let fields = render_fields("X", &schema);
        assert!(
            fields.contains("<code>a</code> <span class=\"required\">required</span></td><td>boolean</td>")
        );
        assert!(fields.contains("Yes or <code>no</code></td>"), "{fields}");
        let optional = "<code>b</code> </td><td>object or null</td><td>An option</td>";
        assert!(fields.contains(optional), "{fields}");
    }
    #[test]
    fn schema_that_extends_another_shows_its_own_fields() {
        let own = json!({"type": "object", "properties": {"b": {"type": "boolean"}}});
        let schema =
            json!({"allOf": [{"$ref": "#/components/schemas/A"}, own], "description": "An A with b."});
        let page = render_schema("B", &schema);
        assert!(page.contains("All fields of <a href=\"#schema-A\">A</a>"), "{page}");
        assert!(page.contains("<p>An A with b.</p>") && page.contains("<code>b</code>"), "{page}");
    }

    #[test]
    fn copied_items_become_references() {
        let item = json!({"type": "object", "properties": {"a": {}}});
        let page = json!({"properties": {"items": {"type": "array", "items": item}}});
        let mut document = json!({"components": {"schemas": {"A": item, "Page": page}}});
        name_repeated_objects(&mut document);
        let items = &document["components"]["schemas"]["Page"]["properties"]["items"]["items"];
        assert_eq!(*items, json!({"$ref": "#/components/schemas/A"}));
    }
}
