//! A connection for changes of the schema that nobody waits for.

use std::time::Duration;

use deadpool_postgres::Object;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::error::StoreError;
use crate::pool::Store;

/// The advisory lock under which the schema and its partitions are changed.
pub(crate) const SCHEMA_LOCK: i64 = 0x0070_6f73_7472_6964;
/// Longest wait for a lock that others queue behind: a hiccup for them, and no standstill.
const LOCK_TIMEOUT: Duration = Duration::from_millis(200);
/// Longest wait for a lock that nobody queues behind: on a table that nobody reads any more, for transactions to end,
/// for another process that creates partitions. It is longer than an autovacuum needs to give way (1 s).
const QUIET_LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait for another process that creates partitions.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest run of one statement: to drop a large table takes seconds.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest wait for the answer to one step, a little longer than the server's own limit.
const STEP_TIMEOUT: Duration = Duration::from_secs(70);

const _: () = assert!(STEP_TIMEOUT.as_millis() > STATEMENT_TIMEOUT.as_millis());

/// A connection with short lock timeouts. It is closed when it is dropped, which ends whatever still runs on it and
/// lets go of all that it holds.
pub(crate) struct SchemaChange {
    client: Option<Object>,
}

impl SchemaChange {
    pub(crate) async fn begin(store: &Store) -> Result<Self, StoreError> {
        let mut change = Self { client: Some(store.client().await?) };
        let (lock, statement) = (QUIET_LOCK_TIMEOUT.as_millis(), STATEMENT_TIMEOUT.as_millis());
        change.execute(&format!("SET lock_timeout = {lock}; SET statement_timeout = {statement}")).await?;
        Ok(change)
    }

    /// Runs a step. When it does not answer in time the connection is closed, and no further step runs.
    async fn run<T>(
        &mut self,
        step: impl AsyncFnOnce(&mut Object) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, StoreError> {
        let Some(client) = self.client.as_mut() else {
            return Err(StoreError::Unavailable("the connection was given up".into()));
        };
        match tokio::time::timeout(STEP_TIMEOUT, step(client)).await {
            Ok(done) => Ok(done?),
            Err(elapsed) => {
                self.close();
                Err(StoreError::Unavailable(Box::new(elapsed)))
            }
        }
    }

    /// Runs a statement by itself, outside of any transaction.
    pub(crate) async fn execute(&mut self, sql: &str) -> Result<(), StoreError> {
        self.run(async |client| client.batch_execute(sql).await).await
    }

    pub(crate) async fn query(
        &mut self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        self.run(async |client| client.query(sql, params).await).await
    }

    /// Runs a query that attaches partitions, one process at a time.
    pub(crate) async fn attach(
        &mut self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, StoreError> {
        let (turn, lock) = (TURN_TIMEOUT.as_millis(), LOCK_TIMEOUT.as_millis());
        self.run(async |client| {
            let transaction = client.transaction().await?;
            let turn = format!(
                "SET LOCAL lock_timeout = {turn}; SELECT pg_advisory_xact_lock({SCHEMA_LOCK}); SET LOCAL lock_timeout = {lock}"
            );
            transaction.batch_execute(&turn).await?;
            let row = transaction.query_one(sql, params).await?;
            transaction.commit().await?;
            Ok(row)
        })
        .await
    }

    /// Runs statements in one transaction that waits for its locks only shortly.
    pub(crate) async fn transact(&mut self, sql: &str) -> Result<(), StoreError> {
        let lock = LOCK_TIMEOUT.as_millis();
        self.run(async |client| {
            let transaction = client.transaction().await?;
            transaction.batch_execute(&format!("SET LOCAL lock_timeout = {lock}; {sql}")).await?;
            transaction.commit().await
        })
        .await
    }

    /// Drops a table, unless it was attached as a partition meanwhile.
    pub(crate) async fn drop_detached(&mut self, table: &str) -> Result<bool, StoreError> {
        self.run(async |client| {
            let transaction = client.transaction().await?;
            transaction.batch_execute(&format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")).await?;
            let attached = "SELECT relispartition FROM pg_class WHERE oid = $1::text::regclass";
            if transaction.query_one(attached, &[&table]).await?.try_get(0)? {
                return Ok(false);
            }
            transaction.batch_execute(&format!("DROP TABLE {table}")).await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }

    fn close(&mut self) {
        drop(self.client.take().map(Object::take));
    }
}

impl Drop for SchemaChange {
    fn drop(&mut self) {
        self.close();
    }
}
