//! The API reference: Swagger UI with the OpenAPI document, from files inside the binary, so that it works offline.

use std::sync::{Arc, LazyLock};

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

/// Serves the page.
pub(crate) async fn serve_page() -> Response {
    serve_file("index.html")
}

/// Serves a file that the page loads.
pub(crate) async fn serve_asset(Path(file): Path<String>) -> Response {
    serve_file(&file)
}

fn serve_file(name: &str) -> Response {
    let Ok(Some(file)) = utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG)) else {
        return Problem::not_found("there is nothing at this path").into_response();
    };
    let mut bytes = file.bytes.into_owned();
    if name == "index.html" {
        // Its links are relative, but the page is also served at /docs/api without the final slash.
        let html =
            String::from_utf8_lossy(&bytes).replace("<head>", "<head>\n    <base href=\"/docs/api/\">");
        bytes = html.replace("<title>Swagger UI</title>", "<title>Postrider API</title>").into_bytes();
    }
    let content_type = HeaderValue::from_str(&file.content_type);
    let content_type = content_type.unwrap_or(HeaderValue::from_static("application/octet-stream"));
    ([(header::CONTENT_TYPE, content_type), (header::CONTENT_SECURITY_POLICY, POLICY)], bytes).into_response()
}
