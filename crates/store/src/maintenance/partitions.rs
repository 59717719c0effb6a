//! Partitions: created ahead and dropped whole, and nobody waits for either.
//!
//! `CREATE TABLE … PARTITION OF` and `DROP TABLE` of a partition lock the whole table exclusively. Behind a dump, which
//! holds its locks to the end, they would wait, and all that is inserted behind them. So a partition is created as a
//! plain table and attached, and detached `CONCURRENTLY` before it is dropped. A detaching that finds a transaction
//! older than itself is left unfinished and finished later: from its first moment on no statement sees the partition.
//! (`CONCURRENTLY` needs a table without a default partition, and none of ours has one.)

use std::collections::HashSet;
use std::time::Duration;

use tracing::info;

use crate::error::StoreError;
use crate::maintenance::schema_change::SchemaChange;
use crate::pool::Store;
use crate::rows::{read, to_millis};

/// The tables with a partition for each day (UTC).
const DAILY: [&str; 4] = ["events", "deliveries", "attempts", "webhook_activity"];
/// Days for which partitions are created ahead: a maintenance that fails for a day does no harm.
const DAYS_AHEAD: i32 = 3;
/// The comment on a partition that is being dropped. It tells such tables, once detached, from all others.
const LEAVING: &str = "postrider: an expired partition, to be dropped";

/// Creates the daily partitions from the oldest day that is kept to a few days ahead, by the database's clock.
///
/// # Errors
/// When the database fails; the tables are tried one by one.
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
    let row = change.attach(sql!("partitions/attach_days"), params).await?;
    let created: i64 = read(&row, "created")?;
    if created > 0 {
        info!(table, created, "created daily partitions");
    }
    Ok(())
}

/// Drops the daily partitions all of whose events are older than the retention, by the database's clock.
///
/// # Errors
/// When the database fails; what is half done is finished by [`finish_dropping`].
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
/// When the database fails; what is half done is finished by [`finish_dropping`].
pub(crate) async fn drop_epochs(change: &mut SchemaChange, kept: i32) -> Result<(), StoreError> {
    let mut partitions = Vec::new();
    for row in change.query(sql!("partitions/old_epochs"), &[&kept]).await? {
        partitions.push(("event_keys".to_owned(), read(&row, "partition")?));
    }
    drop_partitions(change, &partitions).await
}

/// Drops partitions, each given with its table. A table allows one unfinished detaching at a time, so that the others
/// of a table are left after one that failed.
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
    change.execute(&format!("COMMENT ON TABLE {partition} IS '{LEAVING}'")).await?;
    change.execute(&format!("ALTER TABLE {table} DETACH PARTITION {partition} CONCURRENTLY")).await?;
    drop_detached(change, partition).await
}

async fn drop_detached(change: &mut SchemaChange, partition: &str) -> Result<(), StoreError> {
    if change.drop_detached(partition).await? {
        info!(partition, "dropped an expired partition");
    }
    Ok(())
}

/// Finishes what an earlier dropping left half done: detaches, then drops.
///
/// # Errors
/// When the database fails, or a transaction still uses a partition; the next call goes on.
pub(crate) async fn finish_dropping(change: &mut SchemaChange) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    for row in change.query(sql!("partitions/pending"), &[]).await? {
        let (table, partition): (String, String) = (read(&row, "parent")?, read(&row, "partition")?);
        let finalize = format!("ALTER TABLE {table} DETACH PARTITION {partition} FINALIZE");
        if let Err(error) = change.execute(&finalize).await {
            outcome = Err(error);
        }
    }
    for row in change.query(sql!("partitions/detached"), &[&LEAVING]).await? {
        let partition: String = read(&row, "partition")?;
        if let Err(error) = drop_detached(change, &partition).await {
            outcome = Err(error);
        }
    }
    outcome
}
