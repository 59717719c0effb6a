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

use crate::metrics;
pub use crate::readiness::Readiness;
use crate::tasks;

/// How often what was measured is summed up, whether somebody asks or not.
const TIDY_EVERY: Duration = Duration::from_secs(5);

/// The operations listener could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} (POSTRIDER_OPS_LISTEN)")]
pub struct ListenError {
    address: SocketAddr,
    source: std::io::Error,
}

/// Opens the listener and serves it in the background until the process ends: a draining service is
/// still watched.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(
    address: SocketAddr,
    readiness: Readiness,
    metrics: PrometheusHandle,
) -> Result<(), ListenError> {
    let listener = TcpListener::bind(address).await.map_err(|source| ListenError { address, source })?;
    tasks::spawn_essential("metrics upkeep", tidy(metrics.clone()));
    let app = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz).with_state(readiness.clone()))
        .route("/metrics", get(render).with_state((readiness, metrics)));
    tasks::spawn_essential("operations listener", async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(%error, "the operations listener ended");
        }
    });
    Ok(())
}

/// Sums up what histograms were told, for good: each keeps every value until then, and nobody may ever ask.
async fn tidy(metrics: PrometheusHandle) {
    loop {
        tokio::time::sleep(TIDY_EVERY).await;
        metrics.run_upkeep();
    }
}

async fn readyz(State(readiness): State<Readiness>) -> impl IntoResponse {
    let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness.report()))
}

async fn render(State((readiness, metrics)): State<(Readiness, PrometheusHandle)>) -> impl IntoResponse {
    metrics::readiness(&readiness);
    metrics.run_upkeep();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render())
}
