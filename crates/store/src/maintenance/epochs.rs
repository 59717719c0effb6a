//! Epochs of event keys, which deduplicate events. An epoch begins each day, and old epochs are dropped as partitions.

use std::time::Duration;

use tracing::info;

use crate::error::StoreError;
use crate::maintenance::partitions;
use crate::maintenance::schema_change::SchemaChange;
use crate::rows::{read, to_millis};

/// Minimum length of an epoch.
const MIN_EPOCH_LENGTH: Duration = Duration::from_secs(24 * 3600);

/// Begins an epoch when the current one is a day old by the database's clock.
///
/// # Errors
/// When the database fails, or a long transaction reads the epoch. The next call continues.
pub(crate) async fn begin_epoch(change: &mut SchemaChange) -> Result<(), StoreError> {
    let rows = change.query(sql!("partitions/epoch_due"), &[&to_millis(MIN_EPOCH_LENGTH)]).await?;
    let row = rows.first().ok_or_else(|| StoreError::Unreadable("no ingest epoch".to_owned()))?;
    let current: i32 = read(row, "current")?;
    let due: bool = read(row, "due")?;
    if !due {
        return Ok(());
    }
    let next = current + 1;
    // Two transactions, because a single transaction with both locks could deadlock with a router.
    change.attach_partitions(sql!("partitions/attach_epoch"), &[&next]).await?;
    change
        .run_transaction(&format!(
            "LOCK TABLE ingest_epoch IN ACCESS EXCLUSIVE MODE; \
             UPDATE ingest_epoch SET current = {next}, began = now() WHERE current = {current}"
        ))
        .await?;
    info!(epoch = next, "began an epoch of event keys");
    Ok(())
}

/// Drops the epochs whose keys are all older than the retention.
///
/// # Errors
/// When the database fails. The next call continues.
pub(crate) async fn drop_old_epochs(
    change: &mut SchemaChange,
    retention: Duration,
) -> Result<(), StoreError> {
    // Each epoch lasted at least a day, so that the number of epochs since then bounds the age of a key.
    let kept = i32::try_from(retention.as_secs().div_ceil(MIN_EPOCH_LENGTH.as_secs())).unwrap_or(i32::MAX);
    partitions::drop_epochs(change, kept).await
}
