//! A connection for schema changes that do not block other statements.

use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::connection::manager::Connection;
use crate::connection::session;
use crate::error::StoreError;
use crate::pool::Store;

/// The advisory lock under which the schema and its partitions are changed.
pub(crate) const SCHEMA_LOCK: i64 = 0x0070_6f73_7472_6964;
/// Bounds the wait for a lock while other statements queue behind it.
const LOCK_TIMEOUT: Duration = Duration::from_millis(200);
/// Bounds the wait for a lock that no other statement queues behind, such as the lock on a detached table. It is longer
/// than an autovacuum needs to give way (1 s).
const QUIET_LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// Bounds the wait for another process that creates partitions.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);
/// Bounds one statement. Dropping a large table takes seconds.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);
/// Bounds the wait for the answer to one step. It is longer than the limit of the server, so that the server ends
/// first.
const STEP_TIMEOUT: Duration = Duration::from_secs(70);

const _: () = assert!(STEP_TIMEOUT.as_millis() > STATEMENT_TIMEOUT.as_millis());

/// A connection with short lock timeouts. Dropping it closes the connection, which ends its statement and releases its
/// locks.
pub(crate) struct SchemaChange {
    client: Option<Connection>,
    /// Whether the session may keep settings ([`session::is_own`]). A pooler's session has the timeouts of the role.
    is_own: bool,
}

impl SchemaChange {
    pub(crate) async fn begin(store: &Store) -> Result<Self, StoreError> {
        let client = store.client().await?;
        let is_own = session::is_own(&client).await?;
        Ok(Self { client: Some(client), is_own })
    }

    /// Runs a step. If PostgreSQL does not answer in time, the connection is closed and no further step runs.
    async fn run_step<T>(
        &mut self,
        step: impl AsyncFnOnce(&mut Connection) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, StoreError> {
        let Some(client) = self.client.as_mut() else {
            return Err(StoreError::Unavailable("the connection was closed after a timeout".into()));
        };
        match tokio::time::timeout(STEP_TIMEOUT, step(client)).await {
            Ok(done) => Ok(done?),
            Err(elapsed) => {
                self.close();
                Err(StoreError::Unavailable(Box::new(elapsed)))
            }
        }
    }

    /// Runs a statement outside of any transaction.
    pub(crate) async fn execute(&mut self, sql: &str) -> Result<(), StoreError> {
        let lock = QUIET_LOCK_TIMEOUT.as_millis();
        let statement = STATEMENT_TIMEOUT.as_millis();
        let set = format!("SET lock_timeout = {lock}; SET statement_timeout = {statement}");
        let is_own = self.is_own;
        self.run_step(async |client| {
            if is_own {
                client.batch_execute(&set).await?;
            }
            client.batch_execute(sql).await
        })
        .await
    }

    pub(crate) async fn query(
        &mut self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        self.run_step(async |client| client.query(sql, params).await).await
    }

    /// Runs a query that attaches partitions, one process at a time.
    pub(crate) async fn attach_partitions(
        &mut self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, StoreError> {
        let turn = set_locally(TURN_TIMEOUT);
        let lock = set_locally(LOCK_TIMEOUT);
        self.run_step(async |client| {
            let transaction = client.transaction().await?;
            let turn = format!("{turn}; SELECT pg_advisory_xact_lock({SCHEMA_LOCK}); {lock}");
            transaction.batch_execute(&turn).await?;
            let row = transaction.query_one(sql, params).await?;
            transaction.commit().await?;
            Ok(row)
        })
        .await
    }

    /// Runs statements in one transaction with a short lock timeout.
    pub(crate) async fn run_transaction(&mut self, sql: &str) -> Result<(), StoreError> {
        let lock = set_locally(LOCK_TIMEOUT);
        self.run_step(async |client| {
            let transaction = client.transaction().await?;
            transaction.batch_execute(&format!("{lock}; {sql}")).await?;
            transaction.commit().await
        })
        .await
    }

    /// Drops a table, unless it was attached as a partition meanwhile.
    pub(crate) async fn drop_detached(&mut self, table: &str) -> Result<bool, StoreError> {
        let lock = set_locally(QUIET_LOCK_TIMEOUT);
        self.run_step(async |client| {
            let transaction = client.transaction().await?;
            let locking = format!("{lock}; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
            transaction.batch_execute(&locking).await?;
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
        drop(self.client.take().map(Connection::take));
    }
}

/// Returns the statement that sets the timeouts of a transaction.
fn set_locally(lock_timeout: Duration) -> String {
    let lock = lock_timeout.as_millis();
    let statement = STATEMENT_TIMEOUT.as_millis();
    format!("SET LOCAL lock_timeout = {lock}; SET LOCAL statement_timeout = {statement}")
}

impl Drop for SchemaChange {
    fn drop(&mut self) {
        self.close();
    }
}
