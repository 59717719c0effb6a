//! An advisory lock that works through a pooler.
//!
//! A pooler such as PgBouncer in transaction mode gives each transaction to any server connection, so a lock of a session
//! would stay on a connection that its owner never meets again. Therefore the lock belongs to a transaction, on a connection
//! of its own, and the rollback releases it. The transaction runs no other statement, so that it has no snapshot: neither
//! `CREATE INDEX CONCURRENTLY` nor vacuum waits for it.

use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use tokio::time::Instant;
use tokio_postgres::SimpleQueryMessage;
use tracing::warn;

use crate::connection::manager::Connection;
use crate::error::StoreError;
use crate::pool::{ANSWER_TIMEOUT, Store};

/// Interval at which a process tries to take a lock that another one holds.
const TRY_INTERVAL: Duration = Duration::from_millis(250);
/// Interval at which a process logs that it waits.
const WAITING_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// A lock that is held until it is dropped.
pub(crate) struct AdvisoryLock {
    client: ClientWrapper,
    key: i64,
}

impl AdvisoryLock {
    /// Takes a lock, unless another session holds it.
    pub(crate) async fn try_acquire(store: &Store, key: i64) -> Result<Option<Self>, StoreError> {
        let lock = Self::connect(store, key).await?;
        Ok(lock.begin().await?.then_some(lock))
    }

    /// Takes a lock, and waits for it as long as another session holds it. `what` is the reason in the log.
    pub(crate) async fn acquire(store: &Store, key: i64, what: &str) -> Result<Self, StoreError> {
        let lock = Self::connect(store, key).await?;
        let mut logged = Instant::now();
        while !lock.begin().await? {
            if logged.elapsed() >= WAITING_LOG_INTERVAL {
                logged = Instant::now();
                let holder = lock.describe_holder().await?;
                warn!(holder, "waiting to {what}: another session holds the advisory lock {key}");
            }
            tokio::time::sleep(TRY_INTERVAL).await;
        }
        Ok(lock)
    }

    async fn connect(store: &Store, key: i64) -> Result<Self, StoreError> {
        Ok(Self { client: Connection::take(store.client().await?), key })
    }

    /// Begins the transaction and tries to take the lock; without it, ends the transaction.
    async fn begin(&self) -> Result<bool, StoreError> {
        // In a stricter isolation, which may be the default of the role, the transaction would keep a snapshot.
        // A server that ends idle transactions would end the lock. The names are looked up, because PostgreSQL has
        // `transaction_timeout` from version 17 on.
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT set_config(name, '0', true) FROM pg_settings \
             WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout'); \
             SELECT pg_try_advisory_xact_lock({})",
            self.key
        );
        let is_locked = self.query(&begin).await?.last().is_some_and(|locked| locked == "t");
        if !is_locked {
            self.query("ROLLBACK").await?;
        }
        Ok(is_locked)
    }

    /// Describes the session that holds the lock.
    async fn describe_holder(&self) -> Result<String, StoreError> {
        let sql = format!(
            "SELECT format('%s, pid %s on the server, %s since %s', coalesce(nullif(application_name, ''), usename), pid, \
                    state, date_trunc('second', state_change)) \
             FROM pg_locks JOIN pg_stat_activity USING (pid) \
             WHERE locktype = 'advisory' AND granted AND objsubid = 1 \
               AND (classid::bigint << 32) | objid::bigint = {} LIMIT 1",
            self.key
        );
        Ok(self.query(&sql).await?.pop().unwrap_or_else(|| "none any more".to_owned()))
    }

    /// Runs statements without preparing them, and returns the first column of each row.
    async fn query(&self, sql: &str) -> Result<Vec<String>, StoreError> {
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.client.simple_query(sql)).await;
        let messages = answer.map_err(|elapsed| StoreError::Unavailable(Box::new(elapsed)))??;
        let columns = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
            _ => None,
        });
        Ok(columns.collect())
    }

    /// Releases the lock now. Otherwise the server releases it when it notices that the connection is closed.
    pub(crate) async fn release(self) -> Result<(), StoreError> {
        self.query("ROLLBACK").await.map(drop)
    }
}
