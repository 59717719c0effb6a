//! The log lines and metrics of requests: each function here writes a log line and its metric together.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{counter, histogram};
use runtime::metrics::{GaugeGuard, MetricDef, MetricKind};
use tracing::debug;

/// The metrics of requests.
pub(crate) const METRICS: [MetricDef; 3] = [
    MetricDef::new(
        MetricKind::Histogram,
        "postrider_api_request_duration_seconds",
        "Duration of requests by method, route and status; its count is the number of requests",
    )
    .with_labels(&["method", "route", "status"]),
    MetricDef::new(MetricKind::Gauge, "postrider_api_requests_in_flight", "Requests in flight"),
    MetricDef::new(
        MetricKind::Counter,
        "postrider_api_wrong_tokens_total",
        "Requests with a token that is not valid",
    ),
];

/// Counts a request as in flight until the returned guard is dropped.
pub(crate) fn begin_request() -> GaugeGuard {
    GaugeGuard::increment("postrider_api_requests_in_flight")
}

/// The end of a request.
pub(crate) struct RequestServed {
    pub(crate) method: &'static str,
    pub(crate) route: Option<String>,
    pub(crate) status: StatusCode,
    pub(crate) duration: Duration,
}

impl RequestServed {
    pub(crate) fn emit(self) {
        let Self { method, route, status, duration } = self;
        let route = route.unwrap_or_else(|| "none".to_owned());
        debug!(method, route, status = status.as_u16(), took_ms = duration.as_millis(), "served a request");
        let status = status.as_str().to_owned();
        let labels = [("method", method.to_owned()), ("route", route), ("status", status)];
        histogram!("postrider_api_request_duration_seconds", &labels).record(duration);
    }
}

/// Records a request with a token that is not valid.
pub(crate) fn record_wrong_token() {
    counter!("postrider_api_wrong_tokens_total").increment(1);
    debug!("refused a token that is not valid");
}

/// The label of a method. Unknown methods share one label, because a client could invent any number of them.
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
