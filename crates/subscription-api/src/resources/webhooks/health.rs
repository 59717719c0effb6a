//! The health of a webhook: the numbers that count towards disabling it, and the rule (contract §5).

use axum::Json;
use axum::extract::State;
use chrono::Utc;
use domain::webhook::health::{HealthRule, HealthStats};
// utoipa recognizes the type by this name.
use domain::time::Timestamp as DateTime;
use serde::Serialize;
use store::delivery::health;
use utoipa::ToSchema;

use crate::api::Api;
use crate::auth::BrandReader;
use crate::http::path::{BrandPath, WebhookInPath, WebhookPath};
use crate::http::problem::Result;
use crate::openapi::samples;
use crate::resources::views::serialize_optional;
use crate::resources::webhooks::lookup::find_webhook;

/// The numbers that count towards disabling a webhook; all zero while it is not active.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Health, example = samples::health)]
pub(crate) struct HealthView {
    /// Length of the window over which attempts are counted
    window_seconds: u64,
    /// Number of attempts that ended in the window
    attempts: u64,
    /// Number of these attempts that failed
    failures: u64,
    /// When the first of these failed attempts ended
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    first_failure: Option<DateTime>,
    /// When the last of these failed attempts ended
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    last_failure: Option<DateTime>,
    /// Number of deliveries that ended `failed` since the last successful attempt
    failed_in_row: u64,
    /// Rule by which the platform disables the webhook
    rule: HealthRuleView,
}

/// The rule by which the platform disables a webhook: as `failing` when the attempts, the failure rate and the span
/// are all reached, and as `unresponsive` when the failed deliveries are.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = HealthRule, example = samples::health_rule)]
pub(crate) struct HealthRuleView {
    /// Minimum number of attempts in the window
    min_attempts: u64,
    /// Minimum share of these attempts that failed
    #[schema(minimum = 0, maximum = 1)]
    failure_rate: f64,
    /// Minimum time between the first and the last failure
    span_seconds: u64,
    /// Number of consecutive failed deliveries
    failed_deliveries: u64,
}

/// Read the health of a webhook
///
/// Returns the numbers that count towards disabling the webhook, and the rule.
#[utoipa::path(
    get, path = "/v1/{brandId}/webhooks/{webhookId}/health", tag = "webhooks", operation_id = "readHealth",
    params(BrandPath, WebhookPath),
    responses((status = 200, description = "The numbers and the rule.", body = HealthView))
)]
pub(crate) async fn read_health(
    State(api): State<Api>,
    by: BrandReader,
    WebhookInPath(id): WebhookInPath,
) -> Result<Json<HealthView>> {
    find_webhook(&api.store, &by.brand, id).await?;
    let found = health::load_stats(&api.store, &[id], Utc::now(), api.health.window).await?;
    let stats = found.into_iter().next().map(|(_, stats)| stats).unwrap_or_default();
    Ok(Json(health_view(&stats, &api.health)))
}

fn health_view(stats: &HealthStats, rule: &HealthRule) -> HealthView {
    HealthView {
        window_seconds: rule.window.as_secs(),
        attempts: stats.attempts,
        failures: stats.failures,
        first_failure: stats.first_failure,
        last_failure: stats.last_failure,
        failed_in_row: stats.failed_in_row,
        rule: HealthRuleView {
            min_attempts: rule.min_attempts,
            failure_rate: rule.failure_rate,
            span_seconds: rule.min_failure_span().as_secs(),
            failed_deliveries: rule.failed_deliveries,
        },
    }
}
