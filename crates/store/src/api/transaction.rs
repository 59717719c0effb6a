//! A write of the API: one transaction that can only commit together with an entry in the audit.

use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::api::audit::{self, Entry};
use crate::connection::manager::Connection;
use crate::db::{Executor, Params};
use crate::error::StoreError;

/// A transaction that changes the configuration. If it is dropped without [`Self::commit`], nothing changes.
#[must_use = "a transaction that is not committed is undone"]
pub struct AuditedTransaction<'a>(Transaction<'a>);

impl<'a> AuditedTransaction<'a> {
    /// Begins the transaction on a connection from [`crate::Store::client`].
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin(client: &'a mut Connection) -> Result<Self, StoreError> {
        Ok(Self(client.transaction().await?))
    }

    /// Blocks every other change of the configuration until this transaction ends.
    ///
    /// Rows that are read from now on are therefore still current at the commit. Lock the row to be changed first,
    /// because every writer locks its row and then the configuration, and another order could deadlock.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lock_configuration(&self) -> Result<(), StoreError> {
        self.query_row(sql!("configuration/lock_exclusive"), &[]).await.map(|_| ())
    }

    /// Writes the entry of an act that only begins with this transaction, and commits. Its outcome follows
    /// ([`audit::set_outcome`]); until then it is unknown.
    ///
    /// # Errors
    /// When the database fails. Nothing was changed then, unless the connection broke during the commit.
    pub async fn commit_started(self, id: Uuid, entry: &Entry) -> Result<(), StoreError> {
        audit::insert_started(&self, id, entry).await?;
        Ok(self.0.commit().await?)
    }

    /// Writes the entry of the audit, and commits.
    ///
    /// # Errors
    /// When the database fails. Nothing was changed then, unless the connection broke during the commit.
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
