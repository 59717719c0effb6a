//! The API reference at `/docs/api`: it shows the whole OpenAPI document and loads nothing from other origins.

use std::collections::HashSet;

use serde_json::Value;

use crate::support::TestApi;

/// The reference and the document that it is rendered from.
struct Reference {
    html: String,
    document: Value,
}

impl Reference {
    async fn load(api: &TestApi) -> Self {
        let anyone = api.anonymous();
        let page = anyone.get("/docs/api").await;
        assert_eq!(page.status, 200);
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
        assert_eq!(anyone.get("/docs/api/").await.text, page.text);
        Self { html: page.text, document: anyone.get("/openapi.json").await.expect(200) }
    }

    /// Returns the part of the page from this anchor to the next operation or schema.
    fn part(&self, anchor: &str) -> &str {
        let start = format!("<h3 id=\"{anchor}\">");
        let (_, rest) = self.html.split_once(&start).unwrap_or_else(|| panic!("no {start}"));
        rest.split_once("<h3 ").map_or(rest, |(part, _)| part)
    }

    fn list(&self, pointer: &str) -> impl Iterator<Item = (&str, &Value)> {
        let object = self.document.pointer(pointer).and_then(Value::as_object).expect("an object");
        object.iter().map(|(name, value)| (name.as_str(), value))
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    html.split(attribute).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0)).collect()
}

fn check_operation(reference: &Reference, method: &str, path: &str, operation: &Value) {
    let part = reference.part(operation["operationId"].as_str().expect("an id"));
    let mut expected = vec![
        escape(operation["summary"].as_str().expect("a summary")),
        format!("<strong>{}</strong> <code>{path}</code>", method.to_uppercase()),
        format!("curl -X {} &quot;$POSTRIDER_URL/", method.to_uppercase()),
    ];
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    expected.extend(
        parameters.iter().map(|it| format!("<td><code>{}</code>", it["name"].as_str().expect("a name"))),
    );
    let responses = operation["responses"].as_object().expect("responses");
    expected.extend(responses.keys().map(|status| format!("<td><code>{status}</code></td>")));
    let examples: Vec<&str> =
        part.split("<summary>").skip(1).filter_map(|rest| rest.split("</summary>").next()).collect();
    for (status, response) in responses {
        if status.starts_with('2') && response.get("content").is_some() {
            let shown = examples.iter().any(|title| title.contains(&format!("<code>{status}</code>")));
            assert!(shown, "{method} {path} has an example for {status}: {examples:?}");
        }
    }
    if let Some(content) = operation["requestBody"]["content"].as_object() {
        expected.push("<h4>Body</h4>".to_owned());
        expected.push("-d '".to_owned());
        expected.extend(content.keys().map(|media_type| format!("<code>{media_type}</code>")));
    }
    for text in expected {
        assert!(part.contains(&text), "{method} {path} shows {text}: {part}");
    }
}

#[tokio::test]
async fn every_operation_is_on_the_page() {
    let api = TestApi::new().await;
    let reference = Reference::load(&api).await;
    let mut count = 0;
    for (path, item) in reference.list("/paths") {
        for (method, operation) in item.as_object().expect("methods") {
            check_operation(&reference, method, path, operation);
            count += 1;
        }
    }
    let received = reference.part("receiveEvent");
    for text in [
        "POST /my/webhook/endpoint",
        "webhook-signature: v1,",
        "<code>410</code>",
        "schema-EventRequest",
        "&quot;attemptId&quot;",
    ] {
        assert!(received.contains(text), "{text}: {received}");
    }
    assert_eq!(reference.html.matches("<section>").count(), count + 1, "and nothing else");
    api.drop_database().await;
}

#[tokio::test]
async fn every_schema_is_on_the_page_with_its_fields() {
    let api = TestApi::new().await;
    let reference = Reference::load(&api).await;
    for (name, schema) in reference.list("/components/schemas") {
        let part = reference.part(&format!("schema-{name}"));
        let added = schema["allOf"].as_array().into_iter().flatten();
        for object in std::iter::once(schema).chain(added) {
            check_fields(name, object, part);
        }
        for word in schema["enum"].as_array().into_iter().flatten() {
            let word = word.as_str().expect("a word");
            assert!(part.contains(&format!("<code>{word}</code>")), "{name} shows {word}: {part}");
        }
    }
    api.drop_database().await;
}

fn check_fields(name: &str, object: &Value, part: &str) {
    for (field, schema) in object["properties"].as_object().into_iter().flatten() {
        let (_, row) = part
            .split_once(&format!("<td><code>{field}</code>"))
            .unwrap_or_else(|| panic!("{name} shows {field}: {part}"));
        // Fields of an object without a name would not be shown. utoipa copies the items of pages, which have names.
        assert!(schema.get("properties").is_none(), "{name}.{field} has a schema of its own");
        if schema["items"].get("properties").is_some() {
            assert!(
                row.starts_with(" <span class=\"required\">required</span></td><td>array of <a href"),
                "{row}"
            );
        }
    }
}

#[tokio::test]
async fn links_lead_somewhere_and_nothing_is_loaded_from_elsewhere() {
    let api = TestApi::new().await;
    let html = Reference::load(&api).await.html;
    let anchors = values(&html, " id=\"");
    let unique: HashSet<&str> = anchors.iter().copied().collect();
    assert_eq!(unique.len(), anchors.len(), "each anchor is there once");
    for target in values(&html, "href=\"#") {
        assert!(unique.contains(target), "#{target}");
    }
    let html = html.replace("<script src=\"/docs/docs.js\">", "").replace("<img src=\"/docs/icon.svg\"", "");
    for forbidden in ["<script", "style=", " src=", "<form", "{{", "href=\"http", "<td></td>"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    api.anonymous().get("/docs/api/swagger-ui-bundle.js").await.problem(404);
    assert!(html.len() < MAX_PAGE_BYTES, "{} bytes", html.len());
    api.drop_database().await;
}

/// The page replaced a script of 1.5 MB; it must not grow to that size itself.
const MAX_PAGE_BYTES: usize = 400_000;
