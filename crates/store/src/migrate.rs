//! Migrating the schema. The first process that starts brings it up to date, under an advisory lock.

use std::time::Duration;

use tokio::time::Instant;

use tokio_postgres::Client;
use tracing::{info, warn};

use crate::error::StoreError;
use crate::maintenance::online_index;
use crate::maintenance::partitions;
use crate::maintenance::schema_change::SCHEMA_LOCK;
use crate::pool::Store;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Bounds a migration's wait for the lock on a table, because all later statements queue behind it. A migration that
/// times out changes nothing and is retried.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// Interval at which a process tries to take the schema's lock.
const SCHEMA_LOCK_INTERVAL: Duration = Duration::from_millis(250);
/// Interval at which a process logs that it waits for the schema's lock.
const WAITING_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A migration failed, or the migrations that were applied differ from those of this program.
    #[error("the schema could not be migrated")]
    Migration(#[from] refinery::Error),
    /// The schema is missing or older than this program, and `--no-migrate` forbids to migrate it.
    #[error(
        "the schema is not up to date and --no-migrate leaves it alone: let a process without it start first"
    )]
    Behind,
}

/// Migrates the schema and creates the partitions that are needed now.
///
/// # Errors
/// When PostgreSQL does not answer or a migration fails. A failed migration changes nothing.
pub async fn migrate_schema(store: &Store, retention: Duration) -> Result<(), MigrateError> {
    let mut client = store.dedicated_session().await?;
    let lock_timeout = format!("SET lock_timeout = {}", LOCK_TIMEOUT.as_millis());
    client.batch_execute(&lock_timeout).await.map_err(StoreError::from)?;
    lock_schema(&client).await?;
    // A later version may have added migrations that this one does not know. It starts nevertheless, because an upgrade
    // replaces one process at a time.
    let runner = embedded::migrations::runner().set_abort_missing(false);
    let migrated = runner.run_async(&mut *client).await;
    let unlocked = client.execute("SELECT pg_advisory_unlock($1)", &[&SCHEMA_LOCK]).await;
    for applied in migrated?.applied_migrations() {
        info!(migration = %applied, "applied a migration");
    }
    unlocked.map_err(StoreError::from)?;
    online_index::create_on_new_tables(&client).await?;
    drop(client);
    partitions::create_partitions(store, retention).await?;
    Ok(())
}

/// Takes the schema's lock, polling for it.
///
/// A process that waits in `pg_advisory_lock` could not log that it waits. It would wait forever when PgBouncer keeps
/// the lock on a connection that it has given to another client.
async fn lock_schema(client: &Client) -> Result<(), StoreError> {
    let mut logged = Instant::now();
    loop {
        let row = client.query_one("SELECT pg_try_advisory_lock($1)", &[&SCHEMA_LOCK]).await?;
        if row.try_get(0)? {
            return Ok(());
        }
        if logged.elapsed() >= WAITING_LOG_INTERVAL {
            logged = Instant::now();
            warn!(
                "waiting to migrate: another session holds the schema's advisory lock; behind PgBouncer in transaction \
                 mode no session releases it"
            );
        }
        tokio::time::sleep(SCHEMA_LOCK_INTERVAL).await;
    }
}

/// Checks that the schema is at least as new as this program. Changes nothing.
///
/// # Errors
/// [`MigrateError::Behind`] when it is not.
pub async fn check_schema(store: &Store) -> Result<(), MigrateError> {
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
