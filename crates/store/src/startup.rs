//! From no database to a ready one, and watching it from then on.

use std::pin::pin;
use std::time::{Duration, Instant};

use runtime::error::Chain;
use runtime::ops::Readiness;
use runtime::retry::Backoff;
use tracing::{debug, info};

use crate::clock;
use crate::error::StoreError;
use crate::maintenance::online_index;
use crate::maintenance::retention;
use crate::migrate::{self, MigrateError};
use crate::pool::Store;
use crate::rows::read;
use crate::settings::StoreSettings;

/// How often a commit is asked of the database.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);
/// How long a commit may take: many times what one takes on a busy disk, and less than what others wait for
/// an answer of the database, so that the cause is told before its effects.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);

/// Waits until PostgreSQL answers and has the schema, which it migrates unless told not to, and tells
/// `readiness` why it does not until then. Indexes of large tables that an upgrade brings are built in the background
/// from then on, because that may take hours.
///
/// Ends the process when another one keeps events longer than its settings say.
pub async fn wait_until_ready(store: &Store, settings: &StoreSettings, readiness: &Readiness) {
    let mut backoff = Backoff::default();
    while let Err(error) = prepare_schema(store, settings).await {
        readiness.set_database_away(Chain(&error).to_string());
        backoff.wait().await;
    }
    if let Err(error) = commit_probe(store).await {
        // The watch tries again in a moment.
        debug!(error = %Chain(&error), "the database did not tell the time");
    }
    readiness.set_database(true);
    info!("the database is ready");
    if !settings.no_migrate {
        tokio::spawn(online_index::build_until_complete(store.clone()));
    }
}

async fn prepare_schema(store: &Store, settings: &StoreSettings) -> Result<(), MigrateError> {
    if settings.no_migrate {
        migrate::check_schema(store).await?;
    } else {
        migrate::migrate_schema(store, settings.retention).await?;
    }
    Ok(retention::refuse_shorter(store, settings.retention).await?)
}

/// Keeps the readiness true to whether PostgreSQL commits. Runs for good.
///
/// A server may answer every question and commit nothing: its synchronous standby is away, it became a
/// standby itself, or its disk hangs.
pub async fn monitor_database(store: Store, readiness: Readiness) {
    loop {
        store.update_metrics();
        update_readiness(&store, &readiness).await;
        tokio::time::sleep(WATCH_INTERVAL).await;
    }
}

/// Commits, and takes over the database's time.
async fn commit_probe(store: &Store) -> Result<(), StoreError> {
    let asked = Instant::now();
    if let Some(row) = store.query_opt(sql!("probe/commit"), &[]).await? {
        clock::adopt_time(read(&row, "now")?, asked);
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
            // The statement is waited for until the pool gives it up, because a probe that is dropped half
            // way would leave its connection busy for the next user, and each further probe another one.
            if committing.await.is_ok() {
                readiness.set_database(true);
            }
        }
    }
}
