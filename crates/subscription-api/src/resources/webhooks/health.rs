//! What counts towards disabling a webhook, and the rule that it is held against (contract §5).

use axum::Json;
use axum::extract::State;
use chrono::Utc;
use domain::health::{HealthFigures, HealthRule};
// By this name utoipa knows it.
use domain::time::Timestamp as DateTime;
use serde::Serialize;
use store::health;
use utoipa::ToSchema;

use crate::api::Api;
use crate::auth::BrandReader;
use crate::http::path::{BrandPath, WebhookInPath, WebhookPath};
use crate::http::problem::Result;
use crate::resources::views::serialize_optional;
use crate::resources::webhooks::find_webhook;

/// What counts towards disabling a webhook; all zero while it is not active.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Health)]
pub struct HealthView {
    /// Attempts are counted over this long
    window_seconds: u64,
    /// Attempts that ended in the window
    attempts: u64,
    /// Those of them that failed
    failures: u64,
    /// When the first of these failures ended
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    first_failure: Option<DateTime>,
    /// When the last of them ended
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    last_failure: Option<DateTime>,
    /// Deliveries that ended failed since an attempt succeeded last
    failed_in_row: u64,
    rule: HealthRuleView,
}

/// A webhook is disabled as `failing` when the first three are reached together, and as
/// `unresponsive` when the last one is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = HealthRule)]
pub struct HealthRuleView {
    /// At least so many attempts in the window
    min_attempts: u64,
    /// At least this share of them failed
    #[schema(minimum = 0, maximum = 1)]
    failure_rate: f64,
    /// The first and the last failure are at least so far apart
    span_seconds: u64,
    /// So many deliveries failed in a row
    failed_deliveries: u64,
}

/// Read a webhook's health
///
/// The figures that count towards disabling it, and the limits.
#[utoipa::path(
    get, path = "/v1/{brandId}/webhooks/{webhookId}/health", tag = "webhooks", operation_id = "readHealth",
    params(BrandPath, WebhookPath),
    responses((status = 200, description = "The figures and the rule", body = HealthView))
)]
pub async fn read_health(
    State(api): State<Api>,
    by: BrandReader,
    WebhookInPath(id): WebhookInPath,
) -> Result<Json<HealthView>> {
    find_webhook(&api.store, &by.brand, id).await?;
    let found = health::figures(&api.store, &[id], Utc::now(), api.health.window).await?;
    let figures = found.into_iter().next().map(|(_, figures)| figures).unwrap_or_default();
    Ok(Json(health_view(&figures, &api.health)))
}

fn health_view(figures: &HealthFigures, rule: &HealthRule) -> HealthView {
    HealthView {
        window_seconds: rule.window.as_secs(),
        attempts: figures.attempts,
        failures: figures.failures,
        first_failure: figures.first_failure,
        last_failure: figures.last_failure,
        failed_in_row: figures.failed_in_row,
        rule: HealthRuleView {
            min_attempts: rule.min_attempts,
            failure_rate: rule.failure_rate,
            span_seconds: rule.span().as_secs(),
            failed_deliveries: rule.failed_deliveries,
        },
    }
}
