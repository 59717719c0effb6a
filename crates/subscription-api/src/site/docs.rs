//! The documentation: pages that `build/docs.rs` renders into the binary, so that they work offline.

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::http::problem::Problem;
use crate::http::security_headers::DOCS_POLICY;

/// Browsers revalidate the pages, because a new version has new pages.
const CACHE: HeaderValue = HeaderValue::from_static("no-cache");
const HTML: &str = "text/html; charset=utf-8";

/// Name and HTML of each page.
static PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/docs.rs"));

/// Name, media type and text of each other file that the pages load.
static FILES: [(&str, &str, &str); 3] = [
    ("style.css", "text/css; charset=utf-8", include_str!("../../docs/style.css")),
    ("docs.js", "text/javascript; charset=utf-8", include_str!("../../docs/docs.js")),
    ("icon.svg", "image/svg+xml", include_str!("../../console/static/icon.svg")),
];

/// Sections of the pages, without the API reference.
const SEARCH: &str = include_str!(concat!(env!("OUT_DIR"), "/search.json"));

/// Serves the start page.
pub(crate) async fn serve_start() -> Response {
    serve_html("")
}

/// Serves a page, or a file that the pages load.
pub(crate) async fn serve_page(Path(name): Path<String>) -> Response {
    match FILES.iter().find(|(own, ..)| *own == name) {
        Some((_, media_type, text)) => docs_response(media_type, *text),
        None => serve_html(&name),
    }
}

/// Serves the icon to browsers that ask for it by its usual path, which they do for pages without a link to one.
pub(crate) async fn serve_icon() -> Response {
    serve_page(Path("icon.svg".to_owned())).await
}

/// Creates the handler that serves the search index: the sections of the pages and the operations of the API.
pub(crate) fn search_handler(document: &Value) -> impl Fn() -> std::future::Ready<Response> + Clone + use<> {
    let mut sections: Vec<Value> = serde_json::from_str(SEARCH).expect("the build writes JSON");
    let items = document["paths"].as_object().into_iter().flatten();
    for (path, item) in items {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let id = operation["operationId"].as_str().unwrap_or_default();
            sections.push(json!({
                "u": format!("/docs/api#{id}"),
                "p": "API reference",
                "h": operation["summary"].as_str().unwrap_or_default(),
                "x": format!("{} {path}", method.to_uppercase()),
                "w": operation["description"].as_str().unwrap_or_default(),
            }));
        }
    }
    let index = Bytes::from(Value::from(sections).to_string());
    move || std::future::ready(docs_response("application/json", index.clone()))
}

fn serve_html(name: &str) -> Response {
    match PAGES.iter().find(|(own, _)| *own == name) {
        Some((_, html)) => docs_response(HTML, *html),
        None => Problem::not_found("there is nothing at this path").into_response(),
    }
}

/// Creates a response with the policy of the documentation.
pub(super) fn docs_response(media_type: &'static str, body: impl IntoResponse) -> Response {
    let headers: [(HeaderName, HeaderValue); 3] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CONTENT_SECURITY_POLICY, DOCS_POLICY),
        (header::CACHE_CONTROL, CACHE),
    ];
    (headers, body).into_response()
}
