//! The documentation: pages that `build/docs.rs` renders into the binary, so that they work offline.

use axum::extract::Path;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::http::problem::Problem;
use crate::http::security_headers::DOCS_POLICY;

/// Browsers revalidate the pages, because a new version has new pages.
const CACHE: HeaderValue = HeaderValue::from_static("no-cache");
const STYLE: &str = include_str!("../../docs/style.css");

/// Name and HTML of each page.
static PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/docs.rs"));

/// Serves the start page.
pub(crate) async fn serve_start() -> Response {
    serve_html("")
}

/// Serves a page or the style sheet.
pub(crate) async fn serve_page(Path(name): Path<String>) -> Response {
    if name == "style.css" { static_response("text/css; charset=utf-8", STYLE) } else { serve_html(&name) }
}

fn serve_html(name: &str) -> Response {
    match PAGES.iter().find(|(own, _)| *own == name) {
        Some((_, html)) => static_response("text/html; charset=utf-8", html),
        None => Problem::not_found("there is nothing at this path").into_response(),
    }
}

fn static_response(content_type: &'static str, body: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 3] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CONTENT_SECURITY_POLICY, DOCS_POLICY),
        (header::CACHE_CONTROL, CACHE),
    ];
    (headers, body).into_response()
}
