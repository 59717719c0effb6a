//! The pool of connections.

use std::time::Duration;

use deadpool_postgres::{ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts};
use tokio_postgres::{NoTls, Row, types::ToSql};

use crate::error::StoreError;
use crate::settings::StoreSettings;

/// Longest wait for a connection to be made or to become free.
const WAIT: Duration = Duration::from_secs(5);
/// Longest run of one statement: none of ours needs a fraction of it.
const STATEMENT: &str = "-c statement_timeout=60s -c lock_timeout=30s -c timezone=UTC";

/// PostgreSQL, through a bounded pool. Cheap to clone. A connection that broke is replaced at its
/// next use, so the store comes back by itself after the server did.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("pool", &self.pool.status()).finish()
    }
}

impl Store {
    /// A store with no connection yet; the first use opens one.
    #[must_use]
    pub fn new(settings: &StoreSettings, application: &str) -> Self {
        let mut config = settings.database_url.0.clone();
        config.application_name(application).connect_timeout(WAIT).keepalives_idle(Duration::from_secs(10));
        let options =
            config.get_options().map_or_else(|| STATEMENT.to_owned(), |o| format!("{STATEMENT} {o}"));
        config.options(options);
        let manager = deadpool_postgres::Manager::from_config(
            config,
            NoTls,
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let pool = Pool::builder(manager)
            .max_size(settings.database_pool.into())
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts { wait: Some(WAIT), create: Some(WAIT), recycle: Some(WAIT) })
            .build()
            .unwrap_or_else(|_| unreachable!("a runtime is given with the timeouts"));
        Self { pool }
    }

    /// A connection from the pool.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when none can be had in time.
    pub async fn client(&self) -> Result<Object, StoreError> {
        Ok(self.pool.get().await?)
    }

    /// Asks PostgreSQL whether it is there.
    ///
    /// # Errors
    /// When it is not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.client().await?.simple_query("SELECT 1").await?;
        Ok(())
    }

    /// Runs a statement, prepared once for each connection, for its rows.
    pub(crate) async fn query(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let client = self.client().await?;
        let statement = client.prepare_cached(sql).await?;
        Ok(client.query(&statement, params).await?)
    }

    /// Runs a statement for at most one row.
    pub(crate) async fn query_opt(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Runs a statement for the number of rows that it changed.
    pub(crate) async fn execute(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64, StoreError> {
        let client = self.client().await?;
        let statement = client.prepare_cached(sql).await?;
        Ok(client.execute(&statement, params).await?)
    }
}
