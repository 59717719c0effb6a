//! A write of the API: one transaction that cannot end without an entry in the audit.

use std::future::Future;

use deadpool_postgres::{Object, Transaction};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::audit::{self, Entry};
use crate::error::StoreError;
use crate::pool::Store;

/// The parameters of a statement.
pub type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Where a statement runs: on a connection of its own, or inside a [`Change`].
pub trait Db: Sync {
    /// Runs a statement, prepared once for each connection, for its rows.
    ///
    /// # Errors
    /// When the database fails.
    fn rows(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send;

    /// Runs a statement for at most one row.
    ///
    /// # Errors
    /// When the database fails.
    fn row(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> impl Future<Output = Result<Option<Row>, StoreError>> + Send {
        async move { Ok(self.rows(sql, params).await?.into_iter().next()) }
    }
}

impl Db for Store {
    async fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        self.query(sql, params).await
    }
}

/// A transaction that changes what is configured. Dropped without [`Self::commit`] it leaves
/// everything as it was.
#[must_use = "a change that is not committed is undone"]
pub struct Change<'a>(Transaction<'a>);

impl<'a> Change<'a> {
    /// Begins a change on a connection from [`Store::client`].
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
    pub async fn hold_configuration(&self) -> Result<(), StoreError> {
        self.row(sql!("audit/hold_configuration"), &[]).await.map(|_| ())
    }

    /// Records who did what, and makes both last.
    ///
    /// # Errors
    /// When the database fails; then nothing was changed, unless the connection broke on the way.
    pub async fn commit(self, entry: &Entry) -> Result<(), StoreError> {
        audit::insert(&self, entry).await?;
        Ok(self.0.commit().await?)
    }
}

impl Db for Change<'_> {
    async fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        self.0.rows(sql, params).await
    }
}

impl Db for Transaction<'_> {
    async fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        let statement = self.prepare_cached(sql).await?;
        Ok(self.query(&statement, params).await?)
    }
}

impl std::fmt::Debug for Change<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Change(…)")
    }
}
