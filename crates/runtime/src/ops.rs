//! The operations listener: `/healthz`, `/readyz`, `/metrics`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::http_server::{self, HeldBody, ServerLimits, TrustedProxies};
use crate::readiness::Readiness;
use crate::tasks;

/// Interval between aggregations of the recorded histogram values.
const METRICS_UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Most texts of `/metrics` in memory at once. Two servers of Prometheus may ask at the same time.
const MAX_RENDERINGS: usize = 2;
/// Longest wait of a request for `/metrics` while others are rendered, well below the timeout of Prometheus.
const RENDER_WAIT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bounds of the listener. A supervisor and a few servers of Prometheus need a handful of connections.
const LIMITS: ServerLimits = ServerLimits {
    listener: "ops",
    max_connections: 64,
    max_connections_per_network: 32,
    max_connections_per_site: 48,
    head_timeout: Duration::from_secs(10),
    keep_alive_timeout: Duration::from_secs(10),
    max_lifetime: Duration::from_secs(600),
};

/// An error about an address that the operations listener cannot listen on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} (POSTRIDER_OPS_LISTEN)")]
pub struct ListenError {
    address: SocketAddr,
    source: std::io::Error,
}

/// Starts the listener, which runs until the process ends, so that a draining service is still monitored.
///
/// # Errors
/// When the process cannot listen on the address.
pub async fn start_listener(
    address: SocketAddr,
    readiness: Readiness,
    metrics: PrometheusHandle,
) -> Result<(), ListenError> {
    let listener = http_server::bind_listener(address).map_err(|source| ListenError { address, source })?;
    tasks::spawn_essential("metrics upkeep", run_metrics_upkeep(metrics.clone()));
    let app = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(report_readiness).with_state(readiness.clone()))
        .route("/metrics", get(render_metrics).with_state(MetricsPage::new(readiness, metrics)));
    let serving =
        http_server::serve(listener, app, LIMITS, TrustedProxies::default(), CancellationToken::new());
    tasks::spawn_essential("operations listener", serving);
    Ok(())
}

/// Aggregates the values of histograms at an interval.
///
/// A histogram keeps every value until then, so its memory would grow without bound if nobody fetched `/metrics`.
async fn run_metrics_upkeep(metrics: PrometheusHandle) {
    loop {
        tokio::time::sleep(METRICS_UPKEEP_INTERVAL).await;
        metrics.run_upkeep();
    }
}

async fn report_readiness(State(readiness): State<Readiness>) -> impl IntoResponse {
    let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness.report()))
}

/// The parts of `/metrics`.
#[derive(Clone)]
struct MetricsPage {
    readiness: Readiness,
    metrics: PrometheusHandle,
    renderings: Arc<Semaphore>,
}

impl MetricsPage {
    fn new(readiness: Readiness, metrics: PrometheusHandle) -> Self {
        Self { readiness, metrics, renderings: Arc::new(Semaphore::new(MAX_RENDERINGS)) }
    }
}

/// Renders the metrics. A text stays in memory until its client has read it, so it counts as a rendering until then.
async fn render_metrics(State(page): State<MetricsPage>) -> Response {
    let permit = tokio::time::timeout(RENDER_WAIT_TIMEOUT, page.renderings.acquire_owned()).await;
    let Ok(Ok(permit)) = permit else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "2")], "busy\n").into_response();
    };
    page.readiness.export_gauges();
    page.metrics.run_upkeep();
    let content_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    let response = (content_type, page.metrics.render()).into_response();
    response.map(|body| Body::new(HeldBody::new(body, permit)))
}
