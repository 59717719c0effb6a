//! Operations that one process of all carries out at a time.

use std::time::Duration;

use deadpool_postgres::Transaction;
use runtime::error::Chain;
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

use crate::db::Executor;
use crate::error::StoreError;
use crate::pool::{ANSWER_TIMEOUT, Store};
use crate::rows::read;

/// Interval of the tries to take a turn. A try does not wait in PostgreSQL, because a waiting statement would keep an old
/// snapshot.
const TRY_INTERVAL: Duration = Duration::from_millis(100);

/// What has to be done by one process at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Reading the queue of rejected messages. Two readers hide messages from each other.
    RejectedQueue,
}

impl Turn {
    /// Returns the number of the advisory lock.
    fn lock(self) -> i64 {
        match self {
            Self::RejectedQueue => 0x0070_6f73_7472_6971,
        }
    }
}

/// Runs work while no other process has the same turn. Returns `None` if the turn does not come within `wait`.
///
/// The turn is an advisory lock of a transaction, so that PostgreSQL ends it with the process, and PgBouncer may hand out
/// connections for a transaction each. Between its statements the transaction keeps no snapshot, so it holds back no
/// vacuum. If PostgreSQL ends the connection meanwhile, the work goes on without the turn.
///
/// # Errors
/// When the database fails before the work begins.
pub async fn run_in_turn<T>(
    store: &Store,
    turn: Turn,
    wait: Duration,
    work: impl Future<Output = T>,
) -> Result<Option<T>, StoreError> {
    let mut client = store.client().await?;
    let transaction = client.transaction().await?;
    let taking = timeout(wait + ANSWER_TIMEOUT, wait_turn(&transaction, turn, wait));
    let taken = taking.await.map_err(|elapsed| StoreError::Unavailable(Box::new(elapsed)))?;
    if !taken? {
        return Ok(None);
    }
    let result = work.await;
    if let Err(error) = transaction.commit().await {
        warn!(error = %Chain(&error), ?turn, "PostgreSQL ended the connection with this turn before the work ended");
    }
    Ok(Some(result))
}

async fn wait_turn(transaction: &Transaction<'_>, turn: Turn, wait: Duration) -> Result<bool, StoreError> {
    let deadline = Instant::now() + wait;
    loop {
        let row = transaction.query_row(sql!("turns/try"), &[&turn.lock()]).await?;
        if row.as_ref().map(|row| read(row, "is_taken")).transpose()?.unwrap_or(false) {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        sleep(TRY_INTERVAL).await;
    }
}
