//! Waiting until the database is ready at startup, and monitoring it from then on.

use runtime::tasks;
use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;

use runtime::error::Chain;
use runtime::readiness::Readiness;
use runtime::retry::Backoff;
use tracing::{debug, info};

use crate::clock;
use crate::connection::pooler;
use crate::error::StoreError;
use crate::maintenance::online_index;
use crate::maintenance::retention;
use crate::migrate::{self, MigrateError};
use crate::namespace;
use crate::pool::Store;
use crate::rows::read;
use crate::settings::StoreSettings;

/// Interval between two commits that check the database.
const MONITOR_INTERVAL: Duration = Duration::from_secs(2);
/// Bounds a commit that checks the database. A commit on a busy disk takes a fraction of it. It is shorter than the
/// timeout of all other statements, so that the readiness names the cause before its effects appear.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);

/// Waits until PostgreSQL answers and its schema is current, and reports the reason to `readiness` until then.
///
/// It migrates the schema unless the settings forbid it. New indexes of large tables are then built in the background,
/// because that may take hours. Ends the process when the database belongs to another namespace, or when its retention is
/// shorter than that of another process.
pub async fn wait_until_ready(
    store: &Store,
    settings: &StoreSettings,
    namespace: &str,
    readiness: &Readiness,
) {
    let mut backoff = Backoff::default();
    while let Err(error) = prepare_schema(store, settings, namespace).await {
        readiness.set_database_away(Chain(&error).to_string());
        backoff.wait().await;
    }
    if let Err(error) = commit_probe(store).await {
        // `monitor_database` asks again within `MONITOR_INTERVAL`.
        debug!(error = %Chain(&error), "could not read the time of the database");
    }
    readiness.set_database(true);
    info!("the database is ready");
    if !settings.no_migrate {
        tasks::spawn_named("online indexes", online_index::build_until_complete(store.clone()));
    }
}

async fn prepare_schema(
    store: &Store,
    settings: &StoreSettings,
    namespace: &str,
) -> Result<(), MigrateError> {
    pooler::check_pooler(store).await?;
    if settings.no_migrate {
        migrate::check_schema(store).await?;
    } else {
        migrate::migrate_schema(store, settings.retention).await?;
    }
    namespace::refuse_other(store, namespace).await?;
    Ok(retention::refuse_shorter(store, settings.retention).await?)
}

/// Updates the readiness by whether PostgreSQL commits, and the metrics of the pool of `store`. Never returns.
///
/// The commits run on `control`, because statements that wait for a connection say nothing about the database. A query is
/// not enough to check, because a server may answer every query and still commit nothing: its synchronous standby is away,
/// it became a standby itself, or its disk hangs.
pub async fn monitor_database(store: Store, control: Store, readiness: Readiness) {
    loop {
        store.update_metrics();
        update_readiness(&control, &readiness).await;
        tokio::time::sleep(MONITOR_INTERVAL).await;
    }
}

/// Commits a transaction, and adopts the time of the database. Leaves a server that does not allow writes, such as a former
/// primary.
async fn commit_probe(store: &Store) -> Result<(), StoreError> {
    // The time that a new connection takes would put the clock ahead.
    drop(store.client().await?);
    let asked = Instant::now();
    let Some(row) = store.query_opt(sql!("probe/commit"), &[]).await? else { return Ok(()) };
    clock::adopt_time(read(&row, "now")?, asked);
    let is_read_only: bool = read(&row, "is_read_only")?;
    if is_read_only {
        store.leave_host(asked);
        return Err(StoreError::Unavailable(
            "it does not allow writes: it is a standby, or read-only".into(),
        ));
    }
    Ok(())
}

async fn update_readiness(store: &Store, readiness: &Readiness) {
    let mut committing = pin!(commit_probe(store));
    match tokio::time::timeout(COMMIT_TIMEOUT, &mut committing).await {
        Ok(Ok(())) => readiness.set_database(true),
        Ok(Err(error)) => readiness.set_database_away(Chain(&error).to_string()),
        Err(_) => {
            readiness.set_database_away(format!("no commit within {COMMIT_TIMEOUT:?}"));
            // Wait until the pool gives the statement up. A probe that is dropped midway would leave its connection
            // busy for the next user, and each further probe would block another connection.
            if committing.await.is_ok() {
                readiness.set_database(true);
            }
        }
    }
}
