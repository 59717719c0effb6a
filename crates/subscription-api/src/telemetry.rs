//! The log lines and metrics of requests: each function here writes a log line and its metric together.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use domain::event::event_type::EventType;
use domain::quota::Quota;
use metrics::{counter, histogram};
use runtime::error::Chain;
use runtime::http_server::ClientAddress;
use runtime::metrics::{GaugeGuard, MetricDef, MetricKind};
use tracing::{debug, error};

/// The metrics of requests.
pub(crate) const METRICS: [MetricDef; 5] = [
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
    MetricDef::new(
        MetricKind::Counter,
        REFUSED_TOTAL,
        "Requests that got 429 or 503 because of a limit: token_rate, in_flight (of the brand), body_bytes, publishing (at once, of the brand), response_bytes or token_lookups (of unknown tokens)",
    )
    .with_labels(&["limit"]),
    MetricDef::new(
        MetricKind::Counter,
        "postrider_api_over_quota_total",
        "Requests to publish that were refused, because the brand is over a quota",
    )
    .with_labels(&["quota"]),
];
const REFUSED_TOTAL: &str = "postrider_api_requests_refused_total";

/// The limit because of which a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The rate of the token.
    TokenRate,
    /// The requests in flight of the brand.
    InFlight,
    /// The bytes of request bodies in memory.
    BodyBytes,
    /// The requests of the brand that publish.
    Publishing,
    /// The bytes of the brand's responses in memory.
    ResponseBytes,
    /// The look-ups of unknown tokens.
    TokenLookups,
}

impl Refused {
    const ALL: [Self; 6] = [
        Self::TokenRate,
        Self::InFlight,
        Self::BodyBytes,
        Self::Publishing,
        Self::ResponseBytes,
        Self::TokenLookups,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::TokenRate => "token_rate",
            Self::InFlight => "in_flight",
            Self::BodyBytes => "body_bytes",
            Self::Publishing => "publishing",
            Self::ResponseBytes => "response_bytes",
            Self::TokenLookups => "token_lookups",
        }
    }
}

/// Starts the counters with labels at 0.
pub(crate) fn init_counters() {
    runtime::metrics::init_counters(REFUSED_TOTAL, "limit", Refused::ALL.map(Refused::as_str));
    runtime::metrics::init_counters("postrider_api_over_quota_total", "quota", Quota::ALL.map(Quota::field));
}

/// Records a request that is refused because of a limit.
pub(crate) fn record_refused(limit: Refused) {
    counter!(REFUSED_TOTAL, "limit" => limit.as_str()).increment(1);
    debug!(limit = limit.as_str(), "refused a request over a limit");
}

/// Counts a request as in flight until the returned guard is dropped.
pub(crate) fn begin_request() -> GaugeGuard {
    GaugeGuard::increment("postrider_api_requests_in_flight")
}

/// The end of a request.
pub(crate) struct RequestServed {
    pub(crate) method: &'static str,
    pub(crate) route: Option<String>,
    pub(crate) client: Option<ClientAddress>,
    pub(crate) status: StatusCode,
    pub(crate) duration: Duration,
}

impl RequestServed {
    pub(crate) fn emit(self) {
        let Self { method, route, client, status, duration } = self;
        let client = client.map(|ClientAddress(client)| tracing::field::display(client));
        let route = route.unwrap_or_else(|| "none".to_owned());
        debug!(
            method,
            route,
            client,
            status = status.as_u16(),
            took_ms = duration.as_millis(),
            "served a request"
        );
        let status = status.as_str().to_owned();
        let labels = [("method", method.to_owned()), ("route", route), ("status", status)];
        histogram!("postrider_api_request_duration_seconds", &labels).record(duration);
    }
}

/// Counts a request with a token that is not valid. The log line is that of the security log.
pub(crate) fn record_wrong_token() {
    counter!("postrider_api_wrong_tokens_total").increment(1);
}

/// Records a request that was refused, because its brand is over a quota.
pub(crate) fn record_over_quota(quota: Quota) {
    counter!("postrider_api_over_quota_total", "quota" => quota.field()).increment(1);
    debug!(quota = quota.field(), "refused a request of a brand that is over its quota");
}

/// Logs an enforced schema that cannot be parsed. Events of the type are accepted unchecked.
pub(crate) fn log_unreadable_schema(event_type: &EventType, error: &dyn std::error::Error) {
    error!(%event_type, error = %Chain(error), "could not parse an enforced schema; its events are not checked");
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
