//! Migrating the schema. The first process that starts brings it up to date, under an advisory lock.

use std::time::Duration;

use refinery::Migration;
use refinery_core::AsyncMigrate;
use refinery_core::traits::r#async::{AsyncQuery, AsyncTransaction};
use tokio_postgres::Client;
use tracing::info;

use crate::connection::manager::Connection;
use crate::error::StoreError;
use crate::maintenance::advisory_lock::AdvisoryLock;
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
    let mut client = Connection::take(store.client().await?);
    let lock = AdvisoryLock::acquire(store, SCHEMA_LOCK, "migrate the schema").await?;
    // A later version may have added migrations that this one does not know. It starts nevertheless, because an upgrade
    // replaces one process at a time.
    let runner = embedded::migrations::runner().set_abort_missing(false);
    let migrated = runner.run_async(&mut MigrationSession(&mut client)).await;
    for applied in migrated?.applied_migrations() {
        info!(migration = %applied, "applied a migration");
    }
    lock.release().await?;
    online_index::create_on_new_tables(&client).await?;
    drop(client);
    partitions::create_partitions(store, retention).await?;
    Ok(())
}

/// The connection that migrates, each migration in a transaction of its own.
///
/// The timeouts are set in each transaction, because behind PgBouncer in transaction mode settings of the session may not
/// be in force.
struct MigrationSession<'a>(&'a mut Client);

impl AsyncTransaction for MigrationSession<'_> {
    type Error = tokio_postgres::Error;

    async fn execute<'a, T: Iterator<Item = &'a str> + Send + 'a>(
        &mut self,
        queries: T,
    ) -> Result<usize, tokio_postgres::Error> {
        let transaction = self.0.transaction().await?;
        let lock = LOCK_TIMEOUT.as_millis();
        let timeouts = format!("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = {lock}");
        transaction.batch_execute(&timeouts).await?;
        let mut executed = 0;
        for query in queries {
            transaction.batch_execute(query).await?;
            executed += 1;
        }
        transaction.commit().await?;
        Ok(executed)
    }
}

impl AsyncQuery<Vec<Migration>> for MigrationSession<'_> {
    async fn query(&mut self, query: &str) -> Result<Vec<Migration>, tokio_postgres::Error> {
        AsyncQuery::query(self.0, query).await
    }
}

impl AsyncMigrate for MigrationSession<'_> {}

/// Checks that the schema is at least as new as this program. Changes nothing.
///
/// # Errors
/// [`MigrateError::Behind`] when it is not.
pub async fn check_schema(store: &Store) -> Result<(), MigrateError> {
    let newest = embedded::migrations::runner().get_migrations().iter().map(Migration::version).max();
    let row = store.query_opt("SELECT max(version) FROM refinery_schema_history", &[]).await;
    let found: Option<i32> = match row {
        Ok(row) => row.and_then(|row| row.get(0)),
        Err(error) if error.is_unavailable() => return Err(MigrateError::Behind),
        Err(error) => return Err(error.into()),
    };
    if found.map(i64::from) < newest.map(i64::from) { Err(MigrateError::Behind) } else { Ok(()) }
}
