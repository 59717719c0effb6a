//! A write of the API: one transaction that cannot end without an entry in the audit.

use deadpool_postgres::{Object, Transaction};
use tokio_postgres::Row;

use crate::api::audit::{self, Entry};
use crate::db::{Executor, Params};
use crate::error::StoreError;

/// A transaction that changes what is configured. Dropped without [`Self::commit`] it leaves
/// everything as it was.
#[must_use = "a transaction that is not committed is undone"]
pub struct AuditedTransaction<'a>(Transaction<'a>);

impl<'a> AuditedTransaction<'a> {
    /// Begins a change on a connection from [`crate::Store::client`].
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin(client: &'a mut Object) -> Result<Self, StoreError> {
        Ok(Self(client.transaction().await?))
    }

    /// Holds back every other change of the configuration until this one ends, so that what is read
    /// from now on still holds when this one is written. Lock the row to be changed first: every
    /// writer takes its row and then this, in this order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lock_configuration(&self) -> Result<(), StoreError> {
        self.query_row(sql!("configuration/lock_exclusive"), &[]).await.map(|_| ())
    }

    /// Records who did what, and makes both last.
    ///
    /// # Errors
    /// When the database fails; then nothing was changed, unless the connection broke on the way.
    pub async fn commit(self, entry: &Entry) -> Result<(), StoreError> {
        audit::insert_entry(&self, entry).await?;
        Ok(self.0.commit().await?)
    }
}

impl Executor for AuditedTransaction<'_> {
    async fn query_rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        self.0.query_rows(sql, params).await
    }
}

impl std::fmt::Debug for AuditedTransaction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuditedTransaction(…)")
    }
}
