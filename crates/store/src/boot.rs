//! From no database to a ready one, and watching it from then on.

use std::time::Duration;

use runtime::error::Chain;
use runtime::ops::Readiness;
use runtime::retry::Backoff;
use tracing::{info, warn};

use crate::migrate::{self, MigrateError};
use crate::online_index;
use crate::pool::Store;
use crate::retention;
use crate::settings::StoreSettings;

/// How often the database is asked whether it is there.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// Waits until PostgreSQL answers and has the schema, which it migrates unless told not to. Indexes of large tables
/// that an upgrade brings are built in the background from then on, because that may take hours.
/// Ends the process when another one keeps events longer than its settings say.
pub async fn prepare(store: &Store, settings: &StoreSettings) {
    let mut backoff = Backoff::default();
    while let Err(error) = try_prepare(store, settings).await {
        warn!(error = %Chain(&error), "the database is not ready; trying again");
        backoff.wait().await;
    }
    info!("the database is ready");
    if !settings.no_migrate {
        tokio::spawn(online_index::complete(store.clone()));
    }
}

async fn try_prepare(store: &Store, settings: &StoreSettings) -> Result<(), MigrateError> {
    if settings.no_migrate {
        migrate::check(store).await?;
    } else {
        migrate::migrate(store, settings.retention).await?;
    }
    Ok(retention::refuse_shorter(store, settings.retention).await?)
}

/// Keeps the readiness true to whether PostgreSQL answers. Runs for good.
pub async fn watch(store: Store, readiness: Readiness) {
    loop {
        readiness.set_database(store.ping().await.is_ok());
        store.show_pool();
        tokio::time::sleep(WATCH_EVERY).await;
    }
}
