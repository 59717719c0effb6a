//! The operations listener: `/healthz`, `/readyz`, `/metrics`.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;

use crate::readiness::Readiness;
use crate::tasks;

/// Interval between aggregations of the recorded histogram values.
const METRICS_UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

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
    let listener = TcpListener::bind(address).await.map_err(|source| ListenError { address, source })?;
    tasks::spawn_essential("metrics upkeep", run_metrics_upkeep(metrics.clone()));
    let app = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(report_readiness).with_state(readiness.clone()))
        .route("/metrics", get(render_metrics).with_state((readiness, metrics)));
    tasks::spawn_essential("operations listener", async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(%error, "the operations listener stopped");
        }
    });
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

async fn render_metrics(
    State((readiness, metrics)): State<(Readiness, PrometheusHandle)>,
) -> impl IntoResponse {
    readiness.export_gauges();
    metrics.run_upkeep();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render())
}
