//! The pool of connections.

use std::time::{Duration, Instant};

use deadpool_postgres::{
    ClientWrapper, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts,
};
use metrics::gauge;
use runtime::error::Chain;
use runtime::figures::{Figure, Kind};
use tokio_postgres::{NoTls, Row};
use tokio_postgres_rustls::MakeRustlsConnect;
use tracing::debug;

use crate::db::{Executor, Params};
use crate::error::StoreError;
use crate::settings::StoreSettings;

/// Longest wait for a connection to be made or to become free.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for an answer. A server that hangs, or a connection that is only half open, would otherwise hold the
/// caller forever; no statement of a service needs a fraction of it.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest run of one statement of a service. The server ends a statement before the client gives up, because a
/// statement that is sent again would otherwise run beside the one before it.
pub(crate) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(9);
/// Longest wait of a statement for a lock. It is shorter than the statement may run, so that the error names the lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time that a request to cancel a statement may take.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

const _: () = assert!(LOCK_TIMEOUT.as_millis() < STATEMENT_TIMEOUT.as_millis());
const _: () = assert!(STATEMENT_TIMEOUT.as_millis() < ANSWER_TIMEOUT.as_millis());

/// What the pool shows of itself.
pub const METRICS: [Figure; 3] = [
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
/// No statement of ours gains from being compiled. The planner thinks so where partitions have no statistics yet, and
/// compiling took longer than everything else that the server did.
const SESSION_OPTIONS: &str = "-c timezone=UTC -c jit=off";
/// For statements that take batches of one to hundreds, thousands of times a minute: planned once, where
/// planning for each batch anew costs as much as running it, and by index, for a plan that was made while
/// a table was small is kept when it is large.
const BATCH_OPTIONS: &str = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off";

/// PostgreSQL, through a bounded pool. Cheap to clone. A connection that broke is replaced at its
/// next use, so the store comes back by itself after the server did.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
    /// How the pool speaks TLS, because a request to cancel needs a connection of its own.
    tls: Option<MakeRustlsConnect>,
    answer_timeout: Duration,
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
        Self::with_options(settings, application, &session_options())
    }

    /// The same for one kind of statement, which takes batches ([`crate::routing::ingest`], [`crate::delivery::record`]).
    #[must_use]
    pub fn for_batches(settings: &StoreSettings, application: &str) -> Self {
        Self::with_options(settings, application, &format!("{} {BATCH_OPTIONS}", session_options()))
    }

    fn with_options(settings: &StoreSettings, application: &str, options: &str) -> Self {
        let mut config = settings.database_url.config.clone();
        config
            .application_name(application)
            .connect_timeout(CONNECT_TIMEOUT)
            .keepalives_idle(Duration::from_secs(10));
        config
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(2)
            .tcp_user_timeout(ANSWER_TIMEOUT);
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
            .timeouts(Timeouts {
                wait: Some(CONNECT_TIMEOUT),
                create: Some(CONNECT_TIMEOUT),
                recycle: Some(CONNECT_TIMEOUT),
            })
            .build()
            .unwrap_or_else(|_| unreachable!("a runtime is given with the timeouts"));
        Self { pool, tls: settings.database_url.tls.clone(), answer_timeout: ANSWER_TIMEOUT }
    }

    /// The same store with another bound on the wait for an answer, which tests set to a moment.
    #[must_use]
    pub fn with_answer_timeout(self, answer_timeout: Duration) -> Self {
        Self { answer_timeout, ..self }
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
    pub(crate) async fn dedicated_session(&self) -> Result<ClientWrapper, StoreError> {
        let client = Object::take(self.client().await?);
        client.batch_execute("SET statement_timeout = 0").await?;
        Ok(client)
    }

    /// Asks PostgreSQL whether it is there.
    ///
    /// # Errors
    /// When it is not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.run_with_timeout(async |client| client.simple_query("SELECT 1").await.map(drop)).await
    }

    /// Shows how much of the pool is used.
    pub(crate) fn update_metrics(&self) {
        let status = self.pool.status();
        let show = |state: &'static str, connections: usize| {
            gauge!("postrider_database_connections", "state" => state).set(saturating_count(connections));
        };
        show("idle", status.available);
        show("in_use", status.size.saturating_sub(status.available));
        gauge!("postrider_database_connections_max").set(saturating_count(status.max_size));
        gauge!("postrider_database_waiting").set(saturating_count(status.waiting));
    }

    /// Runs a step over a connection. A connection that does not answer in time is closed together with all idle ones
    /// that are as old, because whatever broke it may have broken them. The server is asked to end the statement.
    async fn run_with_timeout<T>(
        &self,
        step: impl AsyncFnOnce(&Object) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, StoreError> {
        let client = self.client().await?;
        let began = Instant::now();
        match tokio::time::timeout(self.answer_timeout, step(&client)).await {
            Ok(answer) => Ok(answer?),
            Err(elapsed) => {
                self.pool.retain(|_, metrics| metrics.created > began);
                tokio::spawn(self.clone().cancel_and_close(Object::take(client)));
                Err(StoreError::Unavailable(Box::new(elapsed)))
            }
        }
    }

    /// Asks the server to end the statement that runs on a connection, and closes the connection.
    async fn cancel_and_close(self, client: ClientWrapper) {
        match tokio::time::timeout(CANCEL_TIMEOUT, self.cancel_statement(&client)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(error = %Chain(&error), "a statement could not be cancelled"),
            Err(_) => debug!("a statement could not be cancelled within {CANCEL_TIMEOUT:?}"),
        }
    }

    /// Ends the statement that runs on a connection, unless the server commits to a synchronous standby.
    ///
    /// A transaction that waits for its standby would become visible when it is cancelled, although no standby has it.
    /// A router that finds its events stored that way acknowledges them, and a failover then loses them.
    async fn cancel_statement(&self, client: &ClientWrapper) -> Result<(), StoreError> {
        let token = client.cancel_token();
        let standbys = "SELECT current_setting('synchronous_standby_names') <> ''";
        let commits_to_standby: bool = self.client().await?.query_one(standbys, &[]).await?.try_get(0)?;
        if commits_to_standby {
            return Ok(());
        }
        match self.tls.clone() {
            Some(tls) => Ok(token.cancel_query(tls).await?),
            None => Ok(token.cancel_query(NoTls).await?),
        }
    }

    /// Runs a statement, prepared once for each connection, for its rows.
    pub(crate) async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        self.run_with_timeout(async |client| {
            let statement = client.prepare_cached(sql).await?;
            client.query(&statement, params).await
        })
        .await
    }

    /// Runs a statement for at most one row.
    pub(crate) async fn query_opt(&self, sql: &str, params: Params<'_>) -> Result<Option<Row>, StoreError> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Runs a statement for the number of rows that it changed.
    pub(crate) async fn execute(&self, sql: &str, params: Params<'_>) -> Result<u64, StoreError> {
        self.run_with_timeout(async |client| {
            let statement = client.prepare_cached(sql).await?;
            client.execute(&statement, params).await
        })
        .await
    }
}

impl Executor for Store {
    async fn query_rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        self.query(sql, params).await
    }
}

/// What each session of a service sets when it connects.
fn session_options() -> String {
    let statement = STATEMENT_TIMEOUT.as_millis();
    let lock = LOCK_TIMEOUT.as_millis();
    format!("-c statement_timeout={statement} -c lock_timeout={lock} {SESSION_OPTIONS}")
}

fn saturating_count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
