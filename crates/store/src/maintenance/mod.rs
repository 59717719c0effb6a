//! Maintenance of the schema: creating partitions ahead and dropping expired ones, beginning an epoch of event keys
//! each day, and deleting rows whose retention is over. Ages are measured by the database's clock only.

pub(crate) mod advisory_lock;
pub(crate) mod epochs;
pub(crate) mod forgetting;
pub mod online_index;
pub mod partitions;
pub mod retention;
pub(crate) mod schema_change;

use std::time::Duration;

use runtime::error::Chain;
use tokio_postgres::error::SqlState;
use tracing::{info, warn};

use crate::error::StoreError;
use crate::maintenance::advisory_lock::AdvisoryLock;
use crate::maintenance::schema_change::{SCHEMA_LOCK, SchemaChange};
use crate::pool::Store;

/// The advisory lock of the one process that maintains the schema.
const MAINTENANCE_LOCK: i64 = SCHEMA_LOCK + 1;

/// How a pass of maintenance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maintained {
    /// Nothing is left to do.
    Finished,
    /// A step failed, or could not get a lock in time. Retry soon.
    Unfinished,
    /// Another process maintains the schema.
    Skipped,
}

/// A pass of maintenance. It excludes passes of other processes.
pub struct Maintenance {
    store: Store,
    change: SchemaChange,
    lock: AdvisoryLock,
    /// The longest retention of all processes.
    retention: Duration,
    /// The retention of the audit.
    audit_retention: Duration,
    finished: bool,
}

impl std::fmt::Debug for Maintenance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Maintenance").field("retention", &self.retention).finish_non_exhaustive()
    }
}

/// Runs a pass of maintenance, unless another process runs one.
///
/// Every step has short lock timeouts, so that other statements wait only for a moment. A failed step is logged, and
/// the other steps still run.
pub async fn run_maintenance(store: &Store, retention: Duration, audit_retention: Duration) -> Maintained {
    match Maintenance::begin(store, retention, audit_retention).await {
        Ok(Some(pass)) => pass.run().await,
        Ok(None) => Maintained::Skipped,
        Err(error) => {
            log_failure("begin", &error);
            Maintained::Unfinished
        }
    }
}

impl Maintenance {
    /// Begins a pass. `None` when another process runs one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin(
        store: &Store,
        retention: Duration,
        audit_retention: Duration,
    ) -> Result<Option<Self>, StoreError> {
        let retention = retention::find_longest(store, retention).await?;
        let Some(lock) = AdvisoryLock::try_acquire(store, MAINTENANCE_LOCK).await? else { return Ok(None) };
        let change = SchemaChange::begin(store).await?;
        let store = store.clone();
        Ok(Some(Self { store, change, lock, retention, audit_retention, finished: true }))
    }

    /// Runs all steps.
    pub async fn run(mut self) -> Maintained {
        let dropped = partitions::finish_dropping(&mut self.change).await;
        self.note_outcome("finish dropping partitions", dropped);
        let created = partitions::create_days(&mut self.change, self.retention).await;
        self.note_outcome("create partitions", created);
        let dropped = partitions::drop_expired_days(&mut self.change, self.retention).await;
        self.note_outcome("drop expired partitions", dropped);
        let turned = epochs::begin_epoch(&mut self.change).await;
        self.note_outcome("begin an epoch", turned);
        let dropped = epochs::drop_old_epochs(&mut self.change, self.retention).await;
        self.note_outcome("drop old epochs", dropped);
        for (step, sql) in forgetting::OLD_REQUESTS {
            let deleted = forgetting::delete_old_requests(&self.store, sql, self.retention).await;
            self.note_progress(step, deleted);
        }
        let cleared = forgetting::clear_deleted_webhooks(&self.store).await;
        self.note_progress("clear the secrets of deleted webhooks", cleared);
        let removed = forgetting::remove_deleted_webhooks(&self.store, self.retention).await;
        self.note_progress("remove deleted webhooks", removed);
        let deleted = forgetting::delete_old_versions(&self.store, self.retention).await;
        self.note_progress("delete old versions of webhooks", deleted);
        let deleted = forgetting::delete_old_audit(&self.store, self.audit_retention).await;
        self.note_progress("delete old entries of the audit", deleted);
        let deleted = forgetting::delete_old_bookkeeping(&self.store).await;
        self.note_progress("delete old bookkeeping", deleted);
        if let Err(error) = self.lock.release().await {
            log_failure("release the lock", &error);
        }
        if self.finished { Maintained::Finished } else { Maintained::Unfinished }
    }

    /// Notes the outcome of a step that may leave work for the next pass.
    fn note_progress(&mut self, step: &'static str, outcome: Result<bool, StoreError>) {
        self.finished &= !matches!(outcome, Ok(false));
        self.note_outcome(step, outcome.map(|_| ()));
    }

    fn note_outcome(&mut self, step: &'static str, outcome: Result<(), StoreError>) {
        if let Err(error) = outcome {
            log_failure(step, &error);
            self.finished = false;
        }
    }
}

/// Logs a failed step. A lock timeout is no failure, because a dump or another long transaction may hold the lock.
fn log_failure(step: &'static str, error: &StoreError) {
    if is_locked(error) {
        info!(
            step,
            "a step of maintenance could not get a lock, which another transaction holds; retrying soon"
        );
    } else {
        warn!(step, error = %Chain(error), "a step of maintenance failed; retrying soon");
    }
}

fn is_locked(error: &StoreError) -> bool {
    let StoreError::Unavailable(cause) = error else { return false };
    let code = cause.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::code);
    code == Some(&SqlState::LOCK_NOT_AVAILABLE)
}
