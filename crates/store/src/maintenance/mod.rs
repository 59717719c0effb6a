//! What keeps the schema in shape: partitions ahead, expired ones gone, a new epoch of keys each day, and what nobody
//! asks for any more forgotten. The database's clock alone decides what is old.

pub(crate) mod epochs;
pub mod online_index;
pub mod partitions;
pub mod retention;
pub(crate) mod schema_change;

use std::time::Duration;

use runtime::error::Chain;
use tokio_postgres::error::SqlState;
use tracing::{info, warn};

use crate::error::StoreError;
use crate::maintenance::schema_change::{SCHEMA_LOCK, SchemaChange};
use crate::pool::Store;
use crate::redelivery::jobs;
use crate::rows::read;

/// The advisory lock of the one process that maintains.
const MAINTENANCE_LOCK: i64 = SCHEMA_LOCK + 1;

/// How a round of maintenance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maintained {
    /// Everything is in shape.
    Finished,
    /// A step failed, or a transaction of others was in its way: try again soon.
    Unfinished,
    /// Another process is at it.
    Skipped,
}

/// A round of maintenance. No other process maintains while it lasts.
pub struct Maintenance {
    store: Store,
    change: SchemaChange,
    /// How long events are kept: as long as any process says.
    retention: Duration,
    finished: bool,
}

impl std::fmt::Debug for Maintenance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Maintenance").field("retention", &self.retention).finish_non_exhaustive()
    }
}

/// Brings everything in shape, unless another process is at it. No statement of others waits for any step for longer
/// than a moment, and a step that fails is logged and keeps no other from its work.
pub async fn run_maintenance(store: &Store, retention: Duration) -> Maintained {
    match Maintenance::begin(store, retention).await {
        Ok(Some(round)) => round.run().await,
        Ok(None) => Maintained::Skipped,
        Err(error) => {
            log_failure("begin", &error);
            Maintained::Unfinished
        }
    }
}

impl Maintenance {
    /// Begins a round. `None` when another process is at it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin(store: &Store, retention: Duration) -> Result<Option<Self>, StoreError> {
        let retention = retention::find_longest(store, retention).await?;
        let mut change = SchemaChange::begin(store).await?;
        let rows = change.query(sql!("partitions/try_maintain"), &[&MAINTENANCE_LOCK]).await?;
        let locked = rows.first().map(|row| read(row, "locked")).transpose()?.unwrap_or(false);
        Ok(locked.then(|| Self { store: store.clone(), change, retention, finished: true }))
    }

    /// Does all there is to do.
    pub async fn run(mut self) -> Maintained {
        let dropped = partitions::finish_dropping(&mut self.change).await;
        self.note("finish dropping", dropped);
        let created = partitions::create_days(&mut self.change, self.retention).await;
        self.note("create partitions", created);
        let dropped = partitions::drop_expired_days(&mut self.change, self.retention).await;
        self.note("drop expired partitions", dropped);
        let turned = epochs::begin_epoch(&mut self.change).await;
        self.note("begin an epoch", turned);
        let dropped = epochs::drop_old_epochs(&mut self.change, self.retention).await;
        self.note("drop old epochs", dropped);
        let forgotten = jobs::delete_ended(&self.store, self.retention).await;
        self.note("forget redeliveries", forgotten);
        if self.finished { Maintained::Finished } else { Maintained::Unfinished }
    }

    fn note(&mut self, step: &'static str, outcome: Result<(), StoreError>) {
        if let Err(error) = outcome {
            log_failure(step, &error);
            self.finished = false;
        }
    }
}

/// Logs a step that failed. That a lock was not to be had is no fault: a dump or another long transaction has it.
fn log_failure(step: &'static str, error: &StoreError) {
    if is_locked(error) {
        info!(step, "maintenance waits for a transaction of others; it is tried again soon");
    } else {
        warn!(step, error = %Chain(error), "a step of maintenance failed; it is tried again soon");
    }
}

fn is_locked(error: &StoreError) -> bool {
    let StoreError::Unavailable(cause) = error else { return false };
    let code = cause.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::code);
    code == Some(&SqlState::LOCK_NOT_AVAILABLE)
}
