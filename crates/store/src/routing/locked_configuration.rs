//! A transaction during which the configuration does not change.

use tokio_postgres::Row;

use crate::connection::manager::Connection;
use crate::db::{Executor, Params};
use crate::error::StoreError;
use crate::pool::{ANSWER_TIMEOUT, Store};

/// A transaction that blocks every change of the configuration until it ends. If it is dropped without
/// [`Self::commit`], nothing changes.
#[must_use = "a transaction that is not committed is undone"]
pub struct LockedConfiguration {
    client: Option<Connection>,
}

impl LockedConfiguration {
    /// Begins the transaction after the changes that are in progress.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin(store: &Store) -> Result<Self, StoreError> {
        let locked = Self { client: Some(store.client().await?) };
        locked.run_with_timeout(async |client| client.batch_execute("BEGIN").await).await?;
        locked.query_rows(sql!("configuration/lock_shared"), &[]).await?;
        Ok(locked)
    }

    /// Commits the transaction.
    ///
    /// # Errors
    /// When the database fails. The transaction may have committed nevertheless, if only the answer was lost.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        self.run_with_timeout(async |client| client.batch_execute("COMMIT").await).await?;
        // Only a connection without an open transaction returns to the pool.
        drop(self.client.take());
        Ok(())
    }

    async fn run_with_timeout<T>(
        &self,
        operation: impl AsyncFnOnce(&Connection) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, StoreError> {
        let Some(client) = &self.client else {
            return Err(StoreError::Unavailable("the transaction has ended".into()));
        };
        match tokio::time::timeout(ANSWER_TIMEOUT, operation(client)).await {
            Ok(answer) => Ok(answer?),
            Err(elapsed) => Err(StoreError::Unavailable(Box::new(elapsed))),
        }
    }
}

impl Executor for LockedConfiguration {
    async fn query_rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        self.run_with_timeout(async |client| {
            let statement = client.prepare_cached(sql).await?;
            client.query(&statement, params).await
        })
        .await
    }
}

impl Drop for LockedConfiguration {
    fn drop(&mut self) {
        // Closing the connection rolls the transaction back in any state.
        drop(self.client.take().map(Connection::take));
    }
}

impl std::fmt::Debug for LockedConfiguration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HeldConfiguration(…)")
    }
}
