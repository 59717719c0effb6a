//! What happens in the API: each log line and its metric together.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{counter, histogram};
use runtime::figures::{self, Figure, Kind, UnderWay};
use tracing::debug;

/// What the API counts of its own.
const METRICS: [Figure; 3] = [
    Figure::new(
        Kind::Histogram,
        "postrider_api_request_duration_seconds",
        "How long requests took, by method, route and status; its count is the number of requests",
    )
    .by(&["method", "route", "status"]),
    Figure::new(Kind::Gauge, "postrider_api_requests_in_flight", "Requests that are being answered"),
    Figure::new(Kind::Counter, "postrider_api_wrong_tokens_total", "Requests with a token that is not valid"),
];

/// Explains all metrics of the API.
pub(crate) fn register_metrics() {
    let all = [&METRICS[..], &crate::platform_metrics::METRICS, &store::pool::FIGURES].concat();
    figures::describe(&all, env!("CARGO_PKG_VERSION"));
}

/// A request is being answered as long as the answer lives.
pub(crate) fn begin_request() -> UnderWay {
    UnderWay::begin("postrider_api_requests_in_flight")
}

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
        let labels = [("method", method.to_owned()), ("route", route), ("status", status)];
        histogram!("postrider_api_request_duration_seconds", &labels).record(took);
    }
}

/// A request came with a token that is not valid.
pub(crate) fn record_wrong_token() {
    counter!("postrider_api_wrong_tokens_total").increment(1);
    debug!("a token was not valid");
}

/// A method as a label: a client may make up its own.
pub(crate) fn method_label(method: &Method) -> &'static str {
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
