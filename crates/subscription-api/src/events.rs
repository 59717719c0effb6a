//! What happens in the API: each log line and its metric together.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{counter, histogram};
use tracing::debug;

/// A request was answered.
pub(crate) struct RequestServed {
    pub(crate) method: &'static str,
    pub(crate) route: Option<String>,
    pub(crate) status: StatusCode,
    pub(crate) took: Duration,
}

impl RequestServed {
    pub(crate) fn emit(self) {
        let Self { method, route, status, took } = self;
        let route = route.unwrap_or_else(|| "none".to_owned());
        debug!(method, route, status = status.as_u16(), took_ms = took.as_millis(), "answered");
        let status = status.as_str().to_owned();
        histogram!("postrider_api_request_seconds", "method" => method, "route" => route, "status" => status)
            .record(took);
    }
}

/// A request came with a token that is not valid.
pub(crate) fn wrong_token() {
    counter!("postrider_api_wrong_tokens_total").increment(1);
    debug!("a token was not valid");
}

/// A method as a label: a client may make up its own.
pub(crate) fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
