//! The console: static files inside the binary. The console uses only the public API.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

use crate::http::problem::Problem;
use crate::http::security_headers::CONSOLE_POLICY;

/// Directory of files whose names contain a hash of their content, so that browsers may cache them forever.
const ASSETS: &str = "assets/";
const PAGE: &str = "index.html";
const NOT_BUILT: &str = "\
The console is not part of this build. Build it with Node.js 18 or later, then compile it in:

    cd crates/subscription-api/console
    npm ci
    npm run build
    cargo build -p subscription-api

deploy/up and the container image do this by themselves. The API works without it: see /docs.
";

/// A file of the console, plain and compressed.
#[allow(dead_code, reason = "a build without the console has no files")]
struct File {
    name: &'static str,
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/console.rs"));

/// The files by name, with the hash of their content.
static BY_NAME: LazyLock<HashMap<&'static str, (&'static File, String)>> =
    LazyLock::new(|| FILES.iter().map(|file| (file.name, (file, content_hash(file.plain)))).collect());

fn content_hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(12).fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Serves the page.
pub(crate) async fn serve_page(headers: HeaderMap) -> Response {
    if BY_NAME.contains_key(PAGE) {
        serve_file(PAGE, &headers)
    } else {
        (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], NOT_BUILT)
            .into_response()
    }
}

/// Serves a file that the page loads. Every other path gets the page, which routes it in the browser.
pub(crate) async fn serve_asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    if name.starts_with(ASSETS) { serve_file(&name, &headers) } else { serve_page(headers).await }
}

fn serve_file(name: &str, request: &HeaderMap) -> Response {
    let Some((file, hash)) = BY_NAME.get(name) else {
        return Problem::not_found("there is nothing at this path").into_response();
    };
    let (encoding, body) = choose_encoding(file, request);
    let tag = format!("\"{hash}{}\"", encoding.map(|name| format!("-{name}")).unwrap_or_default());
    let unchanged = request.get(header::IF_NONE_MATCH).is_some_and(|value| lists_tag(value, &tag));
    let mut response =
        if unchanged { StatusCode::NOT_MODIFIED.into_response() } else { body.into_response() };
    let headers = response.headers_mut();
    let immutable = name.starts_with(ASSETS);
    let cache = if immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    let fixed = [
        (header::CONTENT_TYPE, content_type(name)),
        (header::CACHE_CONTROL, cache),
        (header::VARY, "accept-encoding"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, CONSOLE_POLICY);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    if let Some(encoding) = encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

/// Chooses the smallest encoding that the client accepts.
fn choose_encoding(file: &File, request: &HeaderMap) -> (Option<&'static str>, &'static [u8]) {
    let forms = [("br", file.brotli), ("gzip", file.gzip)];
    let accepted =
        |name| request.get_all(header::ACCEPT_ENCODING).iter().any(|value| accepts_encoding(value, name));
    let found =
        forms.into_iter().find_map(|(name, body)| Some((Some(name), body.filter(|_| accepted(name))?)));
    found.unwrap_or((None, file.plain))
}

/// Whether an `Accept-Encoding` header lists this encoding with a weight above zero.
fn accepts_encoding(value: &HeaderValue, encoding: &str) -> bool {
    value.to_str().unwrap_or_default().split(',').any(|item| {
        let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
        let weight = parameters.trim().strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case(encoding) && weight.unwrap_or(1.0) > 0.0
    })
}

/// Whether an `If-None-Match` header lists this entity tag, compared weakly.
fn lists_tag(value: &HeaderValue, tag: &str) -> bool {
    let tags = value.to_str().unwrap_or_default().split(',').map(str::trim);
    tags.into_iter().any(|given| given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag)
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_with_weight_zero_is_not_accepted() {
        let accepts = |value| accepts_encoding(&HeaderValue::from_static(value), "br");
        for yes in ["br", "gzip, br", "gzip;q=1.0, br;q=0.5", "BR ; q=0.001"] {
            assert!(accepts(yes), "{yes}");
        }
        for no in ["", "gzip", "br;q=0", "br; q=0.0", "brotli", "identity"] {
            assert!(!accepts(no), "{no}");
        }
    }

    #[test]
    fn entity_tags_are_compared_weakly() {
        let lists = |value| lists_tag(&HeaderValue::from_static(value), "\"a\"");
        for yes in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
            assert!(lists(yes), "{yes}");
        }
        assert!(!lists("\"b\"") && !lists("a"));
    }
}
