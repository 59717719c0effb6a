//! The API's routes from its own document, so that a test of every route includes new ones automatically.

use http::Method;
use serde_json::{Value, json};

use crate::api::Api;

/// Maximum depth of references between schemas.
const MAX_DEPTH: usize = 8;

/// One route.
#[derive(Debug, Clone)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path with its parameters, `/v1/{brandId}/webhooks`.
    pub path: String,
    /// Its operation name.
    pub operation: String,
    /// The smallest valid body, if it takes one.
    pub body: Option<Value>,
    /// A field that its body may have, with a value.
    pub field: Option<(String, Value)>,
    /// Whether its pages continue with a cursor.
    pub has_cursor: bool,
}

impl Route {
    /// Returns whether it is for brands.
    #[must_use]
    pub fn is_for_brands(&self) -> bool {
        self.path.starts_with("/v1/{brandId}/")
    }

    /// Returns whether it is for support.
    #[must_use]
    pub fn is_for_support(&self) -> bool {
        self.path.starts_with("/admin/")
    }

    /// Returns whether it needs a token that may write.
    #[must_use]
    pub fn needs_write(&self) -> bool {
        self.method != Method::GET || self.operation == "readSecret"
    }

    /// Returns its path with the value that `of` returns for each parameter.
    #[must_use]
    pub fn fill_path(&self, of: impl Fn(&str) -> String) -> String {
        let part = |part: &str| match part.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => of(name),
            None => part.to_owned(),
        };
        self.path.split('/').map(part).collect::<Vec<_>>().join("/")
    }
}

/// Returns all routes.
///
/// # Panics
/// When the document is not as expected.
pub async fn load_routes(api: &Api) -> Vec<Route> {
    let document = api.get("/openapi.json").await.expect_status(200).json();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            routes.push(read_route(&document, path, method, operation));
        }
    }
    routes
}

fn read_route(document: &Value, path: &str, method: &str, operation: &Value) -> Route {
    let schema = operation["requestBody"]["content"].as_object().and_then(|kinds| kinds.values().next());
    let schema = schema.map(|kind| resolve_schema(document, &kind["schema"]));
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    Route {
        method: method.to_uppercase().parse().expect("a method"),
        path: path.to_owned(),
        operation: operation["operationId"].as_str().expect("an operation's id").to_owned(),
        body: schema.map(|schema| sample_value(document, schema, MAX_DEPTH)),
        field: schema.and_then(|schema| first_field(document, schema)),
        has_cursor: parameters.iter().any(|parameter| parameter["name"] == "cursor"),
    }
}

fn first_field(document: &Value, schema: &Value) -> Option<(String, Value)> {
    let (name, value) = schema["properties"].as_object()?.iter().next()?;
    Some((name.clone(), sample_value(document, value, MAX_DEPTH)))
}

/// Resolves a schema: the target of a reference, or the first of several.
fn resolve_schema<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(reference) = schema["$ref"].as_str() {
        return resolve_schema(document, document.pointer(&reference[1..]).expect("it is there"));
    }
    let several = ["oneOf", "anyOf", "allOf"].iter().find_map(|kind| schema[*kind].as_array());
    let meant = several.and_then(|kinds| kinds.iter().find(|kind| kind["type"] != "null"));
    meant.map_or(schema, |kind| resolve_schema(document, kind))
}

/// Returns the smallest value that fits the schema.
fn sample_value(document: &Value, schema: &Value, depth: usize) -> Value {
    assert!(depth > 0, "a schema with endless references: {schema}");
    let schema = resolve_schema(document, schema);
    if let Some(example) = schema.get("example").or_else(|| schema["enum"].get(0)) {
        return example.clone();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind {
        Some("object") => {
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            let names = required.iter().filter_map(Value::as_str);
            names
                .map(|name| (name.to_owned(), sample_value(document, &schema["properties"][name], depth - 1)))
                .collect()
        }
        Some("array") => json!([sample_value(document, &schema["items"], depth - 1)]),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some("boolean") => json!(true),
        Some("string") if schema["format"] == "date-time" => json!("2026-01-01T00:00:00Z"),
        Some("string") => json!("text"),
        _ => json!({}),
    }
}
