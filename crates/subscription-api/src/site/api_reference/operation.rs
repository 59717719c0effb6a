//! One operation of the OpenAPI document: its parameters, body, responses and examples.

use serde_json::Value;

use super::html::{code, code_block, escape, inline_markdown, markdown, table};
use super::schema::{describe, render_fields, render_type};
use crate::openapi::example::{Shown, build_example, reference_name};
use crate::openapi::receiver;

/// Methods of the document, in the order in which the page shows them.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Stands for the path of a request that endpoints receive.
const OWN_ENDPOINT: &str = "your endpoint";

/// A method of a path, or a request that endpoints receive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation<'a> {
    document: &'a Value,
    method: &'a str,
    path: &'a str,
    item: &'a Value,
}

impl<'a> Operation<'a> {
    /// Lists the operations of a document that have this tag. Paths come in the order of the document.
    pub(super) fn list_tagged(document: &'a Value, tag: &str) -> Vec<Self> {
        let paths = document["paths"].as_object().into_iter().flatten();
        let all = paths.flat_map(|(path, item)| {
            let of_method = move |method| Some(Self { document, method, path, item: item.get(method)? });
            METHODS.into_iter().filter_map(of_method)
        });
        let has_tag = |operation: &Self| {
            operation.item["tags"].as_array().is_some_and(|tags| tags.iter().any(|own| own == tag))
        };
        all.filter(has_tag).collect()
    }

    /// Lists the requests that endpoints receive.
    pub(super) fn list_received(document: &'a Value) -> Vec<Self> {
        let items = document["webhooks"].as_object().into_iter().flat_map(serde_json::Map::values);
        let item = |item: &'a Value| {
            Some(Self { document, method: "post", path: OWN_ENDPOINT, item: item.get("post")? })
        };
        items.filter_map(item).collect()
    }

    fn is_received(&self) -> bool {
        self.path == OWN_ENDPOINT
    }

    /// Renders a row of the table of contents.
    pub(super) fn render_row(&self) -> Vec<String> {
        let route = format!("{} {}", self.method.to_uppercase(), self.path);
        vec![format!("<a href=\"#{}\">{}</a>", escape(self.id()), escape(self.title())), code(&route)]
    }

    /// Renders the operation.
    pub(super) fn render(&self) -> String {
        let id = escape(self.id());
        let method = self.method.to_uppercase();
        let title = escape(self.title());
        let text = markdown(self.item["description"].as_str().unwrap_or_default());
        let head = format!("<h3 id=\"{id}\"><a href=\"#{id}\">{title}</a></h3>\n");
        let route = format!("<p class=\"route\"><strong>{method}</strong> {}</p>\n", code(self.path));
        let parts = [
            head,
            route,
            text,
            self.render_parameters("path", "Path parameters"),
            self.render_parameters("query", "Query parameters"),
            self.render_parameters("header", "Headers"),
            self.render_body(),
            self.render_request(),
            self.render_responses(),
            self.render_response_examples(),
        ];
        format!("<section>\n{}</section>\n", parts.concat())
    }

    fn id(&self) -> &'a str {
        self.item["operationId"].as_str().unwrap_or_default()
    }

    fn title(&self) -> &'a str {
        self.item["summary"].as_str().unwrap_or(self.path)
    }

    fn parameters(&self, place: &str) -> impl Iterator<Item = &'a Value> {
        self.item["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(move |parameter| parameter["in"] == place)
    }

    fn render_parameters(&self, place: &str, title: &str) -> String {
        let row = |parameter: &Value| {
            let schema = &parameter["schema"];
            let name = code(parameter["name"].as_str().unwrap_or_default());
            let mark =
                if parameter["required"] == true { "<span class=\"required\">required</span>" } else { "" };
            let text = parameter["description"].as_str().unwrap_or_default();
            vec![format!("{name} {mark}"), render_type(schema), describe(text, schema)]
        };
        let rows: Vec<Vec<String>> = self.parameters(place).map(row).collect();
        if rows.is_empty() {
            return String::new();
        }
        let label = format!("{title}: {}", self.title());
        format!("<h4>{title}</h4>\n{}", table(&label, &["Name", "Type", "Description"], &rows))
    }

    /// Returns the media types of the request body and its schema, which is the same for all.
    fn body(&self) -> Option<(Vec<&'a str>, &'a Value)> {
        let content = self.item["requestBody"]["content"].as_object()?;
        let schema = &content.values().next()?["schema"];
        Some((content.keys().map(String::as_str).collect(), schema))
    }

    /// Returns the example of the request body.
    fn body_example(&self) -> Option<Value> {
        let content = self.item["requestBody"]["content"].as_object()?.values().next()?;
        Some(example_of(self.document, content, Shown::Request))
    }

    fn render_body(&self) -> String {
        let Some((media_types, schema)) = self.body() else { return String::new() };
        let need = if self.item["requestBody"]["required"] == true { "required" } else { "optional" };
        let resolved =
            reference_name(schema).map_or(schema, |name| &self.document["components"]["schemas"][name]);
        format!(
            "<h4>Body</h4>\n<p>{} ({need}, {})</p>\n{}{}",
            render_type(schema),
            media_types.into_iter().map(code).collect::<Vec<_>>().join(" or "),
            markdown(resolved["description"].as_str().unwrap_or_default()),
            render_fields(&format!("the body: {}", self.title()), resolved)
        )
    }

    /// Renders a command that sends the request, or the request that an endpoint receives.
    fn render_request(&self) -> String {
        let text = if self.is_received() { self.received_request() } else { self.command() };
        format!("<h4>Request</h4>\n{}", code_block(&text, &format!("Request: {}", self.title())))
    }

    fn command(&self) -> String {
        let mut lines = vec![format!(
            "curl -X {} \"$POSTRIDER_URL{}\"",
            self.method.to_uppercase(),
            self.example_target()
        )];
        lines.push("-H \"Authorization: Bearer $POSTRIDER_TOKEN\"".to_owned());
        if let (Some((media_types, _)), Some(body)) = (self.body(), self.body_example()) {
            lines.push(format!("-H 'content-type: {}'", media_types[0]));
            lines.push(format!("-d '{}'", body.to_string().replace('\'', "'\\''")));
        }
        lines.join(" \\\n  ")
    }

    fn received_request(&self) -> String {
        let headers = self.parameters("header").map(|header| {
            let value =
                header["example"].as_str().map_or_else(|| header["example"].to_string(), ToOwned::to_owned);
            format!("{}: {value}\n", header["name"].as_str().unwrap_or_default())
        });
        let headers: String = headers.collect();
        format!(
            "POST /my/webhook/endpoint HTTP/1.1\nhost: example.com\ncontent-type: application/json\n{headers}\n{}",
            receiver::example_body()
        )
    }

    /// Returns the path and the required query with an example for each parameter.
    fn example_target(&self) -> String {
        let path = self.parameters("path").fold(self.path.to_owned(), |path, parameter| {
            let (name, value) = parameter_example(parameter);
            path.replace(&format!("{{{name}}}"), &value)
        });
        let required = self.parameters("query").filter(|parameter| parameter["required"] == true);
        let pairs: Vec<String> = required
            .map(|parameter| {
                let (name, value) = parameter_example(parameter);
                format!("{name}={value}")
            })
            .collect();
        if pairs.is_empty() { path } else { format!("{path}?{}", pairs.join("&")) }
    }

    fn responses(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let document = self.document;
        let responses = self.item["responses"].as_object().into_iter().flatten();
        responses.map(move |(status, response)| (status.as_str(), resolve_response(document, response)))
    }

    fn render_responses(&self) -> String {
        let row = |(status, response): (&str, &Value)| {
            let schema = response_schema(response);
            let headers = response["headers"].as_object().into_iter().flatten();
            let headers = headers.map(|(name, header)| {
                let text = inline_markdown(header["description"].as_str().unwrap_or_default());
                format!("<br>Header {}: {text}", code(name))
            });
            let text = inline_markdown(response["description"].as_str().unwrap_or_default());
            let body = schema.map_or_else(|| "no body".to_owned(), render_type);
            vec![code(status), format!("{text}{}", headers.collect::<String>()), body]
        };
        let rows: Vec<Vec<String>> = self.responses().map(row).collect();
        let label = format!("Responses: {}", self.title());
        format!("<h4>Responses</h4>\n{}", table(&label, &["Status", "Meaning", "Body"], &rows))
    }

    /// Renders an example of each successful response. Statuses with the same example share one.
    fn render_response_examples(&self) -> String {
        let mut shown: Vec<(Value, Vec<&str>)> = Vec::new();
        for (status, response) in self.responses().filter(|(status, _)| status.starts_with('2')) {
            let Some(content) = response_content(response) else { continue };
            let example = example_of(self.document, content, Shown::Response);
            match shown.iter_mut().find(|(own, _)| *own == example) {
                Some((_, statuses)) => statuses.push(status),
                None => shown.push((example, vec![status])),
            }
        }
        shown
            .into_iter()
            .map(|(example, statuses)| self.render_response_example(&example, &statuses))
            .collect()
    }

    fn render_response_example(&self, example: &Value, statuses: &[&str]) -> String {
        let text = serde_json::to_string_pretty(example).unwrap_or_default();
        let block = code_block(&text, &format!("Response {}: {}", statuses.join(" or "), self.title()));
        let statuses: Vec<String> = statuses.iter().map(|status| code(status)).collect();
        let statuses = statuses.join(" or ");
        format!("<details><summary>Example of a response with {statuses}</summary>\n{block}</details>\n")
    }
}

/// Returns the response that a reference leads to.
fn resolve_response<'a>(document: &'a Value, response: &'a Value) -> &'a Value {
    let name =
        response["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/components/responses/"));
    name.map_or(response, |name| &document["components"]["responses"][name])
}

fn response_content(response: &Value) -> Option<&Value> {
    response["content"].as_object()?.values().next()
}

fn response_schema(response: &Value) -> Option<&Value> {
    response_content(response)?.get("schema")
}

/// Returns the example of a media type, or builds it from the schema.
fn example_of(document: &Value, content: &Value, shown: Shown) -> Value {
    content.get("example").cloned().unwrap_or_else(|| build_example(document, &content["schema"], shown))
}

/// Returns the name of a parameter and its example.
fn parameter_example(parameter: &Value) -> (&str, String) {
    let name = parameter["name"].as_str().unwrap_or_default();
    let own = parameter.get("example").or_else(|| parameter["schema"].get("example"));
    (name, own.and_then(Value::as_str).map_or_else(|| placeholder(name), ToOwned::to_owned))
}

/// Returns a word for a parameter without an example, such as `JOB_ID` for `jobId`.
fn placeholder(name: &str) -> String {
    name.chars().fold(String::new(), |mut word, c| {
        if c.is_uppercase() {
            word.push('_');
        }
        word.extend(c.to_uppercase());
        word
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn operation_shows_route_parameters_body_and_responses() {
        let document = json!({
            "paths": {"/v1/{brandId}/a/{jobId}": {"post": {
                "operationId": "doIt", "summary": "Do it", "description": "It is `done`.", "tags": ["t"],
                "parameters": [
                    {"name": "brandId", "in": "path", "required": true, "example": "acme", "schema": {"type": "string"}},
                    {"name": "jobId", "in": "path", "required": true, "schema": {"type": "string"}},
                    {"name": "q", "in": "query", "required": true, "example": "a", "schema": {"type": "string"}, "description": "Text"},
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 9}, "description": "Most"},
                ],
                "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/New"}}}},
                "responses": {
                    "202": {"description": "Accepted", "content": {"application/json": {"schema": {"type": "boolean"}}}},
                    "404": {"$ref": "#/components/responses/Problem404"},
                },
            }}},
            "components": {
                "schemas": {"New": {"type": "object", "properties": {"a": {"type": "string", "example": "it's"}}}},
                "responses": {"Problem404": {"description": "Not there", "headers": {"Retry-After": {"description": "Wait"}}}},
            },
        });
        let operations = Operation::list_tagged(&document, "t");
        assert_eq!(operations.len(), 1);
        assert!(Operation::list_tagged(&document, "other").is_empty());
        let page = operations[0].render();
        for part in [
            "<h3 id=\"doIt\">",
            "<strong>POST</strong> <code>/v1/{brandId}/a/{jobId}</code>",
            "It is <code>done</code>.",
            "<h4>Path parameters</h4>",
            "<td>Most <span class=\"bounds\">at most <code>9</code></span></td>",
            "<a href=\"#schema-New\">New</a> (required, <code>application/json</code>)",
            "curl -X POST &quot;$POSTRIDER_URL/v1/acme/a/JOB_ID?q=a&quot; \\\n",
            "-d '{&quot;a&quot;:&quot;it'\\''s&quot;}'",
            "<td><code>404</code></td><td>Not there<br>Header <code>Retry-After</code>: Wait</td><td>no body</td>",
            "Example of a response with <code>202</code>",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
    }
}
