//! Creating partitions ahead and dropping expired ones, without blocking other statements.
//!
//! `CREATE TABLE … PARTITION OF` and `DROP TABLE` of a partition lock the whole table exclusively. They would wait
//! behind a dump, which holds its locks to the end, and all inserts would queue behind them. Therefore a partition is
//! created as a plain table and then attached, and it is detached `CONCURRENTLY` before it is dropped. If an older
//! transaction blocks the detaching, it stays unfinished until a later pass; statements no longer see the partition
//! from its start. `CONCURRENTLY` requires a table without a default partition, and no table of the schema has one.

use std::collections::HashSet;
use std::time::Duration;

use tracing::info;

use crate::error::StoreError;
use crate::maintenance::schema_change::SchemaChange;
use crate::pool::Store;
use crate::rows::{read, to_millis};

/// The tables with a partition for each day (UTC).
const DAILY: [&str; 6] =
    ["events", "deliveries", "attempts", "webhook_activity", "unmatched_events", "event_duplicates"];
/// Days for which partitions are created ahead, so that maintenance may fail for a day without harm.
const DAYS_AHEAD: i32 = 3;
/// The comment on a partition that is being dropped. It marks the table after it was detached.
const DROP_MARKER: &str = "postrider: an expired partition, to be dropped";

/// Creates the daily partitions from the oldest day of the retention to a few days ahead, by the database's clock.
///
/// # Errors
/// When the database fails for a table. The other tables still get their partitions.
pub async fn create_partitions(store: &Store, retention: Duration) -> Result<(), StoreError> {
    create_days(&mut SchemaChange::begin(store).await?, retention).await
}

pub(crate) async fn create_days(change: &mut SchemaChange, retention: Duration) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    for table in DAILY {
        if let Err(error) = create_days_of_table(change, table, retention).await {
            outcome = Err(error);
        }
    }
    outcome
}

async fn create_days_of_table(
    change: &mut SchemaChange,
    table: &str,
    retention: Duration,
) -> Result<(), StoreError> {
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[&table, &to_millis(retention), &DAYS_AHEAD];
    let row = change.attach_partitions(sql!("partitions/attach_days"), params).await?;
    let created: i64 = read(&row, "created")?;
    if created > 0 {
        info!(table, created, "created daily partitions");
    }
    Ok(())
}

/// Drops the daily partitions whose events are all older than the retention, by the database's clock.
///
/// # Errors
/// When the database fails. [`finish_dropping`] completes an interrupted drop.
pub(crate) async fn drop_expired_days(
    change: &mut SchemaChange,
    retention: Duration,
) -> Result<(), StoreError> {
    let mut partitions = Vec::new();
    for row in change.query(sql!("partitions/expired"), &[&to_millis(retention)]).await? {
        partitions.push((read(&row, "parent")?, read(&row, "partition")?));
    }
    drop_partitions(change, &partitions).await
}

/// Drops the partitions of event keys that are more than `kept` epochs older than the current one.
///
/// # Errors
/// When the database fails. [`finish_dropping`] completes an interrupted drop.
pub(crate) async fn drop_epochs(change: &mut SchemaChange, kept: i32) -> Result<(), StoreError> {
    let mut partitions = Vec::new();
    for row in change.query(sql!("partitions/old_epochs"), &[&kept]).await? {
        partitions.push(("event_keys".to_owned(), read(&row, "partition")?));
    }
    drop_partitions(change, &partitions).await
}

/// Drops partitions, each given with its table.
///
/// PostgreSQL allows one unfinished detaching for each table. After a failure the other partitions of the table are
/// therefore skipped.
async fn drop_partitions(
    change: &mut SchemaChange,
    partitions: &[(String, String)],
) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    let mut stuck = HashSet::new();
    for (table, partition) in partitions {
        if stuck.contains(table) {
            continue;
        }
        if let Err(error) = drop_partition(change, table, partition).await {
            stuck.insert(table);
            outcome = Err(error);
        }
    }
    outcome
}

async fn drop_partition(change: &mut SchemaChange, table: &str, partition: &str) -> Result<(), StoreError> {
    change.execute(&format!("COMMENT ON TABLE {partition} IS '{DROP_MARKER}'")).await?;
    change.execute(&format!("ALTER TABLE {table} DETACH PARTITION {partition} CONCURRENTLY")).await?;
    drop_detached(change, partition).await
}

async fn drop_detached(change: &mut SchemaChange, partition: &str) -> Result<(), StoreError> {
    if change.drop_detached(partition).await? {
        info!(partition, "dropped an expired partition");
    }
    Ok(())
}

/// Completes interrupted drops: finishes the detaching, then drops the tables.
///
/// # Errors
/// When the database fails, or a transaction still uses a partition. The next call continues.
pub(crate) async fn finish_dropping(change: &mut SchemaChange) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    for row in change.query(sql!("partitions/pending"), &[]).await? {
        let table: String = read(&row, "parent")?;
        let partition: String = read(&row, "partition")?;
        let finalize = format!("ALTER TABLE {table} DETACH PARTITION {partition} FINALIZE");
        if let Err(error) = change.execute(&finalize).await {
            outcome = Err(error);
        }
    }
    for row in change.query(sql!("partitions/detached"), &[&DROP_MARKER]).await? {
        let partition: String = read(&row, "partition")?;
        if let Err(error) = drop_detached(change, &partition).await {
            outcome = Err(error);
        }
    }
    outcome
}
