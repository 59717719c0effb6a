//! The API reference: Swagger UI with the OpenAPI document, from files inside the binary, so that it works offline.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use utoipa_swagger_ui::Config;

use crate::http::problem::Problem;

/// Content security policy: only this origin. Swagger UI needs inline styles.
const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:");

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    // Without this, Swagger UI would send the document to a validator at another origin.
    let config = Config::from("/openapi.json").validator_url("none").persist_authorization(false);
    Arc::new(config.deep_linking(true).try_it_out_enabled(false))
});

/// The page. Its links are relative, but it is also served at /docs/api without the final slash.
static PAGE: LazyLock<Bytes> = LazyLock::new(|| {
    let page = utoipa_swagger_ui::serve(PAGE_NAME, Arc::clone(&CONFIG)).ok().flatten();
    let page = page.map(|file| file.bytes).unwrap_or_default();
    let html = String::from_utf8_lossy(&page).replace("<head>", "<head>\n    <base href=\"/docs/api/\">");
    html.replace("<title>Swagger UI</title>", "<title>Postrider API</title>").into()
});
const PAGE_NAME: &str = "index.html";

/// Serves the page.
pub(crate) async fn serve_page() -> Response {
    serve_file(PAGE_NAME)
}

/// Serves a file that the page loads.
pub(crate) async fn serve_asset(Path(file): Path<String>) -> Response {
    serve_file(&file)
}

/// Serves a file without copying it, because slow clients would otherwise hold a copy each.
fn serve_file(name: &str) -> Response {
    let Ok(Some(file)) = utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG)) else {
        return Problem::not_found("there is nothing at this path").into_response();
    };
    let bytes = match file.bytes {
        _ if name == PAGE_NAME => PAGE.clone(),
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        // The small file that contains the configuration.
        Cow::Owned(bytes) => bytes.into(),
    };
    let content_type = HeaderValue::from_str(&file.content_type);
    let content_type = content_type.unwrap_or(HeaderValue::from_static("application/octet-stream"));
    ([(header::CONTENT_TYPE, content_type), (header::CONTENT_SECURITY_POLICY, POLICY)], bytes).into_response()
}
