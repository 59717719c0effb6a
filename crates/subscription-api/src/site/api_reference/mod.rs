//! The API reference at `/docs/api`: a page rendered from the OpenAPI document.
//!
//! It is rendered once, when the process starts, because the handlers describe the document in code. Each operation and
//! each schema has an anchor.

mod html;
mod operation;
mod schema;

use axum::body::Bytes;
use axum::response::Response;
use serde_json::Value;

use super::docs::docs_response;
use html::{escape, inline_markdown, markdown, table};
use operation::Operation;

/// The page around the reference, from `build/docs.rs`.
const SHELL: &str = include_str!(concat!(env!("OUT_DIR"), "/api_reference.html"));
/// Where the reference belongs in the shell.
const PLACE: &str = "{{reference}}";

/// Creates the handler that serves the page.
pub(crate) fn page_handler(document: &Value) -> impl Fn() -> std::future::Ready<Response> + Clone + use<> {
    let mut document = document.clone();
    schema::name_repeated_objects(&mut document);
    let page = Bytes::from(SHELL.replace(PLACE, &render_reference(&document)));
    // All responses share the text.
    move || std::future::ready(docs_response("text/html; charset=utf-8", page.clone()))
}

fn render_reference(document: &Value) -> String {
    let tags: Vec<&Value> = document["tags"].as_array().into_iter().flatten().collect();
    let contents: String = tags.iter().map(|tag| render_contents(document, tag)).collect();
    let operations: String = tags.iter().map(|tag| render_tag(document, tag)).collect();
    let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
    let schemas: String = schemas.map(|(name, schema)| schema::render_schema(name, schema)).collect();
    let received = render_received(document);
    let text = markdown(document["info"]["description"].as_str().unwrap_or_default());
    format!(
        "<h1>API reference</h1>\n{text}<p>Every request to the API needs a token in the header \
         <code>Authorization: Bearer …</code>. Programs read the same from <a href=\"/openapi.json\">the OpenAPI \
         document</a>. The errors are explained on <a href=\"/docs/errors\">their own page</a>.</p>\n\
         <h2 id=\"contents\">Contents</h2>\n<p><a href=\"#received\">Requests to your endpoint</a></p>\n{contents}\
         <p><a href=\"#schemas\">Schemas</a></p>\n{received}{operations}<h2 id=\"schemas\">Schemas</h2>\n{schemas}"
    )
}

fn tag_name(tag: &Value) -> &str {
    tag["name"].as_str().unwrap_or_default()
}

/// Renders the table of contents of a tag.
fn render_contents(document: &Value, tag: &Value) -> String {
    let name = tag_name(tag);
    let rows: Vec<Vec<String>> =
        Operation::list_tagged(document, name).iter().map(Operation::render_row).collect();
    let id = escape(name);
    format!(
        "<h3><a href=\"#tag-{id}\">{id}</a></h3>\n{}",
        table(&format!("Operations: {name}"), &["Operation", "Route"], &rows)
    )
}

/// Renders the requests that endpoints receive: the section `webhooks` of the document.
fn render_received(document: &Value) -> String {
    let requests: String = Operation::list_received(document).iter().map(Operation::render).collect();
    format!(
        "<h2 id=\"received\">Requests to your endpoint</h2>\n<p>The section <code>webhooks</code> of the document.</p>\n{requests}"
    )
}

/// Renders the operations of a tag.
fn render_tag(document: &Value, tag: &Value) -> String {
    let id = escape(tag_name(tag));
    let text = inline_markdown(tag["description"].as_str().unwrap_or_default());
    let operations: String =
        Operation::list_tagged(document, tag_name(tag)).iter().map(Operation::render).collect();
    format!("<h2 id=\"tag-{id}\">{id}</h2>\n<p>{text}</p>\n{operations}")
}
