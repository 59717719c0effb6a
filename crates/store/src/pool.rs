//! The pool of connections.

use std::time::{Duration, Instant};

use deadpool_postgres::{
    ClientWrapper, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts,
};
use metrics::gauge;
use runtime::figures::{Figure, Kind};
use tokio_postgres::{NoTls, Row, types::ToSql};

use crate::error::StoreError;
use crate::settings::StoreSettings;

/// Longest wait for a connection to be made or to become free.
const WAIT: Duration = Duration::from_secs(5);
/// Longest wait for an answer. A server that hangs, or a connection that is only half there, would
/// otherwise hold whoever asked for good; none of ours needs a fraction of it.
const ANSWER: Duration = Duration::from_secs(10);
/// What the pool shows of itself.
pub const FIGURES: [Figure; 3] = [
    Figure::new(
        Kind::Gauge,
        "postrider_database_connections",
        "Connections of the pool to PostgreSQL, those in use and those that are idle",
    )
    .by(&["state"]),
    Figure::new(Kind::Gauge, "postrider_database_connections_max", "Most connections that the pool opens"),
    Figure::new(
        Kind::Gauge,
        "postrider_database_waiting",
        "Who waits for a connection of the pool to become free",
    ),
];
/// Longest run of one statement: none of ours needs a fraction of it. None gains from being compiled,
/// either: the planner thinks so where partitions have no statistics yet, and compiling took longer than
/// all else that the server did.
const STATEMENT: &str = "-c statement_timeout=60s -c lock_timeout=30s -c timezone=UTC -c jit=off";
/// For statements that take batches of one to hundreds, thousands of times a minute: planned once, where
/// planning for each batch anew costs as much as running it, and by index, for a plan that was made while
/// a table was small is kept when it is large.
const BATCHES: &str = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off";

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
        Self::with_options(settings, application, STATEMENT)
    }

    /// The same for one kind of statement, which takes batches ([`crate::ingest`], [`crate::record`]).
    #[must_use]
    pub fn for_batches(settings: &StoreSettings, application: &str) -> Self {
        Self::with_options(settings, application, &format!("{STATEMENT} {BATCHES}"))
    }

    fn with_options(settings: &StoreSettings, application: &str, options: &str) -> Self {
        let mut config = settings.database_url.config.clone();
        config.application_name(application).connect_timeout(WAIT).keepalives_idle(Duration::from_secs(10));
        config.keepalives_interval(Duration::from_secs(5)).keepalives_retries(2).tcp_user_timeout(ANSWER);
        let options = config.get_options().map_or_else(|| options.to_owned(), |o| format!("{options} {o}"));
        config.options(options);
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = match settings.database_url.tls.clone() {
            Some(tls) => Manager::from_config(config, tls, recycling),
            None => Manager::from_config(config, NoTls, recycling),
        };
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

    /// A connection of its own, outside the pool and without a limit on how long a statement runs, for what changes
    /// the schema. It is closed when it is dropped.
    ///
    /// # Errors
    /// When PostgreSQL does not answer.
    pub(crate) async fn session(&self) -> Result<ClientWrapper, StoreError> {
        let client = Object::take(self.client().await?);
        client.batch_execute("SET statement_timeout = 0").await?;
        Ok(client)
    }

    /// Asks PostgreSQL whether it is there.
    ///
    /// # Errors
    /// When it is not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.answered(async |client| client.simple_query("SELECT 1").await.map(drop)).await
    }

    /// Shows how much of the pool is used.
    pub(crate) fn show_pool(&self) {
        let status = self.pool.status();
        let show = |state: &'static str, connections: usize| {
            gauge!("postrider_database_connections", "state" => state).set(count(connections));
        };
        show("idle", status.available);
        show("in_use", status.size.saturating_sub(status.available));
        gauge!("postrider_database_connections_max").set(count(status.max_size));
        gauge!("postrider_database_waiting").set(count(status.waiting));
    }

    /// Runs a step over a connection. One that does not answer in time is closed, and with it those that
    /// are as old: they went the same way.
    async fn answered<T>(
        &self,
        step: impl AsyncFnOnce(&Object) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, StoreError> {
        let client = self.client().await?;
        let began = Instant::now();
        match tokio::time::timeout(ANSWER, step(&client)).await {
            Ok(answer) => Ok(answer?),
            Err(elapsed) => {
                drop(Object::take(client));
                self.pool.retain(|_, metrics| metrics.created > began);
                Err(StoreError::Unavailable(Box::new(elapsed)))
            }
        }
    }

    /// Runs a statement, prepared once for each connection, for its rows.
    pub(crate) async fn query(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        self.answered(async |client| {
            let statement = client.prepare_cached(sql).await?;
            client.query(&statement, params).await
        })
        .await
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
        self.answered(async |client| {
            let statement = client.prepare_cached(sql).await?;
            client.execute(&statement, params).await
        })
        .await
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
