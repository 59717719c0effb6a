//! Example values that follow from the schemas of the OpenAPI document.

use serde_json::{Map, Value, json};

/// Where references to schemas lead.
pub(crate) const REFERENCES: &str = "#/components/schemas/";

/// Returns the name of the schema that a reference leads to.
pub(crate) fn reference_name(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix(REFERENCES)
}

/// Maximum depth of an example, because a schema may refer to itself.
const MAX_DEPTH: usize = 8;

/// Stands for a text without an example. A test finds it in the document.
const PLACEHOLDER: &str = "string";

/// Usual examples by the name of a field, so that the same field looks the same everywhere.
const NAMED: &[(&str, &str)] = &[
    ("id", "01F2SFVYVD0H873S2VRT8VQSPM"),
    ("ids", "01F2SFVYVD0H873S2VRT8VQSPM"),
    ("unknown", "01F2SFVYVD0H873S2VRT8VQSPM"),
    ("eventId", "01F2SFVYVD0H873S2VRT8VQSPM"),
    ("attemptId", "01F2SFW32CT8KZXDWG4JTG9WPT"),
    ("brandId", "acme"),
    ("brand", "acme"),
    ("key", "order-4711"),
    ("name", "Acme"),
    ("x-source", "shop"),
    ("email", "ops@example.com"),
    ("type", "NOTIFICATION.SMS.RECEIPT"),
    ("events", "NOTIFICATION.SMS.RECEIPT"),
    ("endpoint", "https://example.com/my/webhook/endpoint"),
    ("url", "https://example.com/my/webhook/endpoint"),
    ("description", "Orders of the shop"),
    ("detail", "The endpoint responded with 500."),
    ("error", "answered 500"),
    ("lastError", "answered 500"),
    ("responseBody", "ok"),
    ("note", "moved to another host"),
    ("reason", "unknown_type"),
    ("status", "failed"),
    ("typeOrGroup", "NOTIFICATION"),
    ("oldestBrandId", "acme"),
    ("messageId", "order-4711-shipped"),
    ("bodyUnavailable", "the event has expired"),
    ("actor", "production (token)"),
    ("action", "webhook.change"),
    ("subject", "9e21c694-ee9e-48a7-b016-522fd8ef08c1"),
    ("token", "pr_TOKEN"),
    ("secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ("nextCursor", "eyJhIjoxfQ"),
    ("queue", "postrider.ingest"),
    ("service", "router"),
    ("version", "0.1.0"),
    ("host", "router-0"),
    ("body", "{\"brandId\":\"acme\"}"),
    ("pointer", "/endpoint"),
    ("remoteAddress", "192.0.2.1:443"),
    ("location", "https://example.com/other"),
    ("method", "POST"),
    ("publicKey", "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="),
];

/// Whether an example shows a request or a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Required fields, and those with an example of their own
    Request,
    /// All fields
    Response,
}

/// Builds an example of a schema.
pub(crate) fn build_example(document: &Value, schema: &Value, shown: Shown) -> Value {
    build(document, schema, shown, MAX_DEPTH)
}

fn build(document: &Value, schema: &Value, shown: Shown, depth: usize) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    if let Some(name) = reference_name(schema) {
        return build(document, &document["components"]["schemas"][name], shown, depth - 1);
    }
    if let Some(own) = own_example(schema) {
        return own.clone();
    }
    for keyword in ["oneOf", "anyOf"] {
        if let Some(parts) = schema[keyword].as_array() {
            let part = parts.iter().find(|part| part["type"] != "null").unwrap_or(&Value::Null);
            return build(document, part, shown, depth - 1);
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let objects = parts.iter().map(|part| build(document, part, shown, depth - 1));
        let fields = objects.filter_map(|object| object.as_object().cloned()).flatten();
        return Value::Object(fields.collect());
    }
    build_by_type(document, schema, shown, depth)
}

fn build_by_type(document: &Value, schema: &Value, shown: Shown, depth: usize) -> Value {
    let first = schema["type"].as_array().and_then(|names| names.iter().find(|name| *name != "null"));
    match first.unwrap_or(&schema["type"]).as_str() {
        Some("object") => build_object(document, schema, shown, depth),
        Some("array") => json!([build(document, &schema["items"], shown, depth - 1)]),
        Some("string") => json!(string_example(schema["format"].as_str())),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        _ => json!({}),
    }
}

fn build_object(document: &Value, schema: &Value, shown: Shown, depth: usize) -> Value {
    if schema["additionalProperties"].is_object() {
        return json!({"x-source": build_field(document, "x-source", &schema["additionalProperties"], shown, depth)});
    }
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    let is_shown = |name: &str, field: &Value| {
        shown == Shown::Response
            || required.iter().any(|required| required == name)
            || required.is_empty()
            || field.get("example").is_some()
    };
    let fields: Map<String, Value> = properties
        .iter()
        .filter(|(name, field)| is_shown(name, field))
        .map(|(name, field)| (name.clone(), build_field(document, name, field, shown, depth)))
        .collect();
    Value::Object(fields)
}

/// Builds an example of a field. A text without an example of its own gets the usual one of a field with its name.
fn build_field(document: &Value, name: &str, schema: &Value, shown: Shown, depth: usize) -> Value {
    let example = build(document, schema, shown, depth - 1);
    let Some((_, usual)) = NAMED.iter().find(|(own, _)| *own == name) else { return example };
    if example == PLACEHOLDER {
        return json!(usual);
    }
    if example == json!([PLACEHOLDER]) {
        return json!([usual]);
    }
    example
}

/// Returns the example that a schema names itself.
fn own_example(schema: &Value) -> Option<&Value> {
    let first = |list: &'static str| schema[list].as_array().and_then(|list| list.first());
    schema
        .get("example")
        .or_else(|| first("examples"))
        .or_else(|| schema.get("const"))
        .or_else(|| schema.get("default"))
        .or_else(|| first("enum"))
}

fn string_example(format: Option<&str>) -> &'static str {
    match format {
        Some("date-time") => "2021-04-08T19:36:02.938Z",
        Some("uuid") => "9e21c694-ee9e-48a7-b016-522fd8ef08c1",
        _ => PLACEHOLDER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_follow_from_the_schema() {
        let document = json!({"components": {"schemas": {"Loop": {"type": "array", "items": {"$ref": "#/components/schemas/Loop"}}}}});
        for (schema, wanted) in [
            (json!({"type": "string", "example": "acme"}), json!("acme")),
            (json!({"type": "string", "enum": ["a", "b"]}), json!("a")),
            (json!({"type": ["integer", "null"], "minimum": 3}), json!(3)),
            (json!({"oneOf": [{"type": "null"}, {"type": "boolean"}]}), json!(true)),
            (
                json!({"type": "object", "additionalProperties": {"type": "boolean"}}),
                json!({"x-source": true}),
            ),
            (
                json!({"type": "object", "properties": {"brandId": {"type": "string"}}}),
                json!({"brandId": "acme"}),
            ),
            (
                json!({"type": "array", "items": {"type": "string", "format": "uuid"}}),
                json!(["9e21c694-ee9e-48a7-b016-522fd8ef08c1"]),
            ),
            (json!({}), json!({})),
        ] {
            assert_eq!(build_example(&document, &schema, Shown::Response), wanted, "{schema}");
        }
        // It ends.
        build_example(&document, &json!({"$ref": "#/components/schemas/Loop"}), Shown::Response);
    }

    #[test]
    fn request_shows_the_fields_that_it_needs() {
        let schema = json!({
            "type": "object", "required": ["a"],
            "properties": {"a": {"type": "boolean"}, "b": {"type": "string", "example": "x"}, "c": {"type": "boolean"}},
        });
        assert_eq!(build_example(&Value::Null, &schema, Shown::Request), json!({"a": true, "b": "x"}));
        assert_eq!(
            build_example(&Value::Null, &schema, Shown::Response),
            json!({"a": true, "b": "x", "c": true})
        );
        let optional = json!({"type": "object", "properties": {"c": {"type": "boolean"}}});
        assert_eq!(build_example(&Value::Null, &optional, Shown::Request), json!({"c": true}));
    }
}
