//! A transaction in which the configuration stands still.

use deadpool_postgres::Object;
use tokio_postgres::Row;

use crate::db::{Executor, Params};
use crate::error::StoreError;
use crate::pool::{ANSWER_TIMEOUT, Store};

/// A transaction that holds back every change of the configuration until it ends. Dropped without [`Self::commit`] it
/// leaves everything as it was.
#[must_use = "a transaction that is not committed is undone"]
pub struct LockedConfiguration {
    client: Option<Object>,
}

impl LockedConfiguration {
    /// Begins the transaction, after the changes that are under way.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin(store: &Store) -> Result<Self, StoreError> {
        let held = Self { client: Some(store.client().await?) };
        held.run_with_timeout(async |client| client.batch_execute("BEGIN").await).await?;
        held.query_rows(sql!("configuration/lock_shared"), &[]).await?;
        Ok(held)
    }

    /// Makes what was written last.
    ///
    /// # Errors
    /// When the database fails; it may have committed all the same, when the answer was lost.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        self.run_with_timeout(async |client| client.batch_execute("COMMIT").await).await?;
        // Only a connection without a transaction goes back to the pool.
        drop(self.client.take());
        Ok(())
    }

    async fn run_with_timeout<T>(
        &self,
        step: impl AsyncFnOnce(&Object) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, StoreError> {
        let Some(client) = &self.client else {
            return Err(StoreError::Unavailable("the transaction has ended".into()));
        };
        match tokio::time::timeout(ANSWER_TIMEOUT, step(client)).await {
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
        // Its connection is closed, which undoes the transaction, whatever state it is in.
        drop(self.client.take().map(Object::take));
    }
}

impl std::fmt::Debug for LockedConfiguration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HeldConfiguration(…)")
    }
}
