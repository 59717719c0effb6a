//! The schema: whichever process comes first brings it up to date, under a lock; and its daily
//! partitions, made ahead and dropped whole.

use std::time::Duration;

use chrono::Days;
use domain::time::Timestamp;
use tracing::info;

use crate::error::StoreError;
use crate::online_index;
use crate::pool::Store;
use crate::rows::read;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// The advisory lock under which the schema and its partitions are changed.
const LOCK: i64 = 0x0070_6f73_7472_6964;
/// Days for which partitions are made ahead: a maintenance that fails for a day does no harm.
const DAYS_AHEAD: u64 = 3;

/// The schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A migration failed, or the schema is of another history.
    #[error("the schema could not be migrated")]
    Migration(#[from] refinery::Error),
    /// `--no-migrate`, and the schema is not there yet or is older than this program.
    #[error(
        "the schema is not up to date and --no-migrate leaves it alone: let a process without it start first"
    )]
    Behind,
}

/// Migrates the schema and makes the partitions that are needed now.
///
/// # Errors
/// When PostgreSQL does not answer or a migration fails; nothing is half done then.
pub async fn migrate(store: &Store, now: Timestamp, retention: Duration) -> Result<(), MigrateError> {
    let mut client = store.session().await?;
    client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await.map_err(StoreError::from)?;
    // What it does not know a later version has added: it starts all the same, for upgrades are one process at a time.
    let runner = embedded::migrations::runner().set_abort_missing(false);
    let migrated = runner.run_async(&mut *client).await;
    let unlocked = client.execute("SELECT pg_advisory_unlock($1)", &[&LOCK]).await;
    for applied in migrated?.applied_migrations() {
        info!(migration = %applied, "applied");
    }
    unlocked.map_err(StoreError::from)?;
    online_index::create_on_new_tables(&client).await?;
    drop(client);
    make_partitions(store, now, retention).await?;
    Ok(())
}

/// Checks, without changing anything, that the schema is at least that of this program.
///
/// # Errors
/// [`MigrateError::Behind`] when it is not.
pub async fn check(store: &Store) -> Result<(), MigrateError> {
    let newest =
        embedded::migrations::runner().get_migrations().iter().map(refinery::Migration::version).max();
    let row = store.query_opt("SELECT max(version) FROM refinery_schema_history", &[]).await;
    let found: Option<i32> = match row {
        Ok(row) => row.and_then(|row| row.get(0)),
        Err(error) if error.is_unavailable() => return Err(MigrateError::Behind),
        Err(error) => return Err(error.into()),
    };
    if found.map(i64::from) < newest.map(i64::from) { Err(MigrateError::Behind) } else { Ok(()) }
}

/// Makes the daily partitions from the oldest `created` that is still taken to a few days ahead.
///
/// # Errors
/// When the database fails.
pub async fn make_partitions(store: &Store, now: Timestamp, retention: Duration) -> Result<(), StoreError> {
    let oldest = now - retention;
    let (first, last) = (oldest.date_naive(), now.date_naive() + Days::new(DAYS_AHEAD));
    let made = store.query_opt(sql!("partitions/make"), &[&LOCK, &first, &last]).await?;
    let made: i32 = made.map_or(0, |row| row.get(0));
    if made > 0 {
        info!(made, "made daily partitions");
    }
    Ok(())
}

/// Drops the daily partitions all of whose events are older than the retention.
///
/// # Errors
/// When the database fails; the next call goes on.
pub async fn drop_expired(store: &Store, now: Timestamp, retention: Duration) -> Result<(), StoreError> {
    for row in store.query(sql!("partitions/expired"), &[&(now - retention)]).await? {
        let table: String = read(&row, "relname")?;
        store.client().await?.batch_execute(&format!("DROP TABLE IF EXISTS {table}")).await?;
        info!(table, "dropped an expired day");
    }
    Ok(())
}

/// What any process may do from time to time to keep the schema in shape: partitions ahead,
/// expired ones gone, a new epoch of keys each day; and what nobody asks for any more forgotten.
///
/// # Errors
/// When the database fails; the next call goes on.
pub async fn maintain(store: &Store, now: Timestamp, retention: Duration) -> Result<(), StoreError> {
    make_partitions(store, now, retention).await?;
    drop_expired(store, now, retention).await?;
    crate::redeliveries::forget(store, now - retention).await?;
    crate::ingest::turn_epoch(store, retention).await
}
