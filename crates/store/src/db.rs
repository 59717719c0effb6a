//! Where a statement runs: on a connection of the pool, or inside a transaction.

use std::future::Future;

use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::error::StoreError;

/// The parameters of a statement.
pub type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Runs statements: a [`crate::Store`], each on a connection of its own, or a transaction.
pub trait Executor: Sync {
    /// Runs a statement, prepared once for each connection, and returns its rows.
    ///
    /// # Errors
    /// When the database fails.
    fn query_rows(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send;

    /// Runs a statement that returns at most one row.
    ///
    /// # Errors
    /// When the database fails.
    fn query_row(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> impl Future<Output = Result<Option<Row>, StoreError>> + Send {
        async move { Ok(self.query_rows(sql, params).await?.into_iter().next()) }
    }
}

impl Executor for Transaction<'_> {
    async fn query_rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        let statement = self.prepare_cached(sql).await?;
        Ok(self.query(&statement, params).await?)
    }
}
