//! Deleting rows whose retention is over, in small chunks, so that no statement runs or locks for long.

use std::time::Duration;

use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::to_millis;

/// Rows that one statement deletes, so that it takes some ten milliseconds.
const CHUNK_ROWS: i64 = 500;
/// Chunks of one table in a pass. A pass every ten minutes then deletes up to 28 million rows a day, three times as many
/// as one token can write to the audit.
const MAX_CHUNKS: usize = 400;
/// Time for which the row of a deleted webhook, and a version of a webhook, stay beyond the retention of its events, because events are dropped by
/// whole days and a clock may be ahead.
const DELETED_WEBHOOK_MARGIN: Duration = Duration::from_secs(2 * 24 * 3600);
/// Days of usage of the rejected queue that stay, beyond the days that count.
pub(crate) const MAX_USAGE_DAYS: i32 = 30;

/// The steps that delete what requests left behind, with their statements.
pub(crate) const OLD_REQUESTS: [(&str, &str); 4] = [
    ("delete ended redeliveries", sql!("redelivery_jobs/delete_ended")),
    ("delete ended jobs of rejected messages", sql!("rejected_jobs/delete_ended")),
    ("delete lapsed leases", sql!("redelivery_lease/delete_lapsed")),
    ("delete old idempotency keys", sql!("idempotency/delete_old")),
];

/// Deletes entries of the audit that are older than `retention`. Returns whether none is left.
pub(crate) async fn delete_old_audit(store: &Store, retention: Duration) -> Result<bool, StoreError> {
    delete_in_chunks(store, sql!("audit/delete_old"), to_millis(retention)).await
}

/// Removes the rows of webhooks that were deleted before the retention of their events began. Returns whether none is
/// left.
pub(crate) async fn remove_deleted_webhooks(store: &Store, retention: Duration) -> Result<bool, StoreError> {
    let age = to_millis(retention + DELETED_WEBHOOK_MARGIN);
    delete_in_chunks(store, sql!("webhooks/remove_deleted"), age).await
}

/// Deletes the versions of webhooks that ended before the retention of the events that they explain. Returns whether none
/// is left.
pub(crate) async fn delete_old_versions(store: &Store, retention: Duration) -> Result<bool, StoreError> {
    let age = to_millis(retention + DELETED_WEBHOOK_MARGIN);
    delete_in_chunks(store, sql!("webhook_versions/delete_old"), age).await
}

/// Deletes rows whose age is at least `retention` by one of [`OLD_REQUESTS`]. Returns whether none is left.
pub(crate) async fn delete_old_requests(
    store: &Store,
    sql: &'static str,
    retention: Duration,
) -> Result<bool, StoreError> {
    delete_in_chunks(store, sql, to_millis(retention)).await
}

/// Repeats a statement that deletes rows older than $1 milliseconds, at most $2 at once, until none is left.
async fn delete_in_chunks(store: &Store, sql: &'static str, age: i64) -> Result<bool, StoreError> {
    for _ in 0..MAX_CHUNKS {
        if store.execute(sql, &[&age, &CHUNK_ROWS]).await? == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Clears the secrets and headers of webhooks that an earlier release deleted. Returns whether none is left.
pub(crate) async fn clear_deleted_webhooks(store: &Store) -> Result<bool, StoreError> {
    for _ in 0..MAX_CHUNKS {
        if store.execute(sql!("webhooks/clear_deleted"), &[&CHUNK_ROWS]).await? == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Deletes the rows of processes that are gone, their shares of quotas, and old usage of the rejected queue. All are few.
pub(crate) async fn delete_old_bookkeeping(store: &Store) -> Result<bool, StoreError> {
    store.execute(sql!("instances/delete_old"), &[]).await?;
    store.execute(sql!("instances/delete_unused_shares"), &[]).await?;
    store.execute(sql!("rejected_usage/delete_old"), &[&MAX_USAGE_DAYS]).await?;
    Ok(true)
}
