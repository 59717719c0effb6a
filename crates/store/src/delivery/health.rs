//! Health of webhooks: the statistics that the health rule judges, and disabling a webhook.

use std::time::Duration;

use domain::ids::WebhookId;
use domain::time::Timestamp;
use domain::webhook::health::{HealthStats, Unhealthy};
use serde_json::{Value, json};
use tokio_postgres::Row;

use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::read;

/// Loads the health statistics of those of the given webhooks that are active.
///
/// # Errors
/// When the database fails.
pub async fn load_stats(
    store: &Store,
    webhooks: &[WebhookId],
    now: Timestamp,
    window: Duration,
) -> Result<Vec<(WebhookId, HealthStats)>, StoreError> {
    let ids: Vec<uuid::Uuid> = webhooks.iter().map(|id| id.0).collect();
    let rows = store.query(sql!("health/load_stats"), &[&ids, &(now - window)]).await?;
    rows.iter().map(|row| Ok((WebhookId(read(row, "id")?), read_stats(row)?))).collect()
}

fn read_stats(row: &Row) -> Result<HealthStats, StoreError> {
    let count = |column| read::<i64>(row, column).map(|n| u64::try_from(n).unwrap_or(0));
    let failures = count("failures")?;
    Ok(HealthStats {
        attempts: failures + count("delivered")?,
        failures,
        first_failure: read(row, "first_failure")?,
        last_failure: read(row, "last_failure")?,
        failed_in_row: count("failed_in_row")?,
    })
}

/// Disables a webhook on behalf of the platform, if it is still active in the generation that was judged.
///
/// The announcements and the entry of the audit are written in the same transaction. Returns whether this call disabled it.
///
/// # Errors
/// When the database fails.
pub async fn disable_webhook(
    store: &Store,
    webhook: WebhookId,
    generation: i32,
    why: &Unhealthy,
    stats: Option<&HealthStats>,
) -> Result<bool, StoreError> {
    let reason = why.reason.as_str();
    let stats = stats.map(stats_as_json);
    let changed = store
        .execute(
            sql!("health/disable_webhook"),
            &[&webhook.0, &reason, &why.detail, &stats, &generation, &uuid::Uuid::now_v7()],
        )
        .await?;
    Ok(changed > 0)
}

fn stats_as_json(stats: &HealthStats) -> Value {
    let instant = |at: Option<Timestamp>| at.map(domain::time::format_timestamp);
    json!({
        "attempts": stats.attempts,
        "failures": stats.failures,
        "firstFailureAt": instant(stats.first_failure),
        "lastFailureAt": instant(stats.last_failure),
        "failedDeliveriesInRow": stats.failed_in_row,
    })
}
