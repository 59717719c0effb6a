//! Epochs of deduplication keys: a new one begins each day, and old ones are dropped whole.

use std::time::Duration;

use tracing::info;

use crate::error::StoreError;
use crate::maintenance::partitions;
use crate::maintenance::schema_change::SchemaChange;
use crate::rows::{read, to_millis};

/// How long one epoch of deduplication keys lasts at least.
const EPOCH_LENGTH: Duration = Duration::from_secs(24 * 3600);

/// Begins a new epoch of keys when the current one is a day old by the database's clock.
///
/// # Errors
/// When the database fails, or a transaction that reads the epoch lasts; the next call goes on.
pub(crate) async fn begin_epoch(change: &mut SchemaChange) -> Result<(), StoreError> {
    let rows = change.query(sql!("partitions/epoch_due"), &[&to_millis(EPOCH_LENGTH)]).await?;
    let row = rows.first().ok_or_else(|| StoreError::Unreadable("no ingest epoch".to_owned()))?;
    let (current, due): (i32, bool) = (read(row, "current")?, read(row, "due")?);
    if !due {
        return Ok(());
    }
    let next = current + 1;
    // Two transactions, because one that held both locks could deadlock with a router.
    change.attach(sql!("partitions/attach_epoch"), &[&next]).await?;
    change
        .transact(&format!(
            "LOCK TABLE ingest_epoch IN ACCESS EXCLUSIVE MODE; \
             UPDATE ingest_epoch SET current = {next}, began = now() WHERE current = {current}"
        ))
        .await?;
    info!(epoch = next, "began a new epoch of event keys");
    Ok(())
}

/// Drops the epochs whose keys are all older than the retention.
///
/// # Errors
/// When the database fails; the next call goes on.
pub(crate) async fn drop_old_epochs(
    change: &mut SchemaChange,
    retention: Duration,
) -> Result<(), StoreError> {
    // Each epoch lasted a day at least: those between tell how long ago one ended.
    let kept = i32::try_from(retention.as_secs().div_ceil(EPOCH_LENGTH.as_secs())).unwrap_or(i32::MAX);
    partitions::drop_epochs(change, kept).await
}
