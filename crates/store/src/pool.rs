//! The pool of connections, and a bound on every wait for PostgreSQL.

use runtime::tasks;
use std::time::Duration;

use tokio::time::Instant;

use deadpool::Runtime;
use deadpool::managed::{Pool, Timeouts};
use deadpool_postgres::ClientWrapper;
use metrics::gauge;
use runtime::error::Chain;
use runtime::metrics::{MetricDef, MetricKind};
use tokio_postgres::error::SqlState;
use tokio_postgres::{NoTls, Row};
use tokio_postgres_rustls::MakeRustlsConnect;
use tracing::debug;

use crate::connection::manager::{Connection, ConnectionManager};
use crate::connection::session::{self, OWN_SESSION_MARK};
use crate::db::{Executor, Params};
use crate::error::StoreError;
use crate::settings::StoreSettings;

/// Bounds the wait for a connection of the pool to become free.
const FREE_TIMEOUT: Duration = Duration::from_secs(5);
/// Added to the bound on trying all hosts, so that the error names the hosts.
const CREATE_MARGIN: Duration = Duration::from_secs(1);
/// Bounds the wait for an answer, because a server that hangs or a half-open connection would otherwise block the
/// caller forever. Statements of the services take a fraction of it.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bounds one statement of a service. The server ends a statement before the client gives up, because a retried
/// statement would otherwise run at the same time as the first.
pub(crate) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(9);
/// Bounds a statement's wait for a lock. It is shorter than [`STATEMENT_TIMEOUT`], so that the error names the lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// Bounds the wait of an API request for a lock, because a request that waits for another one holds a connection.
const REQUEST_LOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// Connections of a control pool. Its callers are single tasks (renewal, refresh, probe, outbox, health, searches), so
/// that each finds a free connection.
pub const CONTROL_CONNECTIONS: u16 = 6;
/// Connections for the leases of one process. Each lease needs one short statement every two seconds, so that two
/// connections serve thousands of leases.
pub const LEASE_CONNECTIONS: u16 = 2;
/// Bounds a request to cancel a statement.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

const _: () = assert!(LOCK_TIMEOUT.as_millis() < STATEMENT_TIMEOUT.as_millis());
const _: () = assert!(STATEMENT_TIMEOUT.as_millis() < ANSWER_TIMEOUT.as_millis());

/// The metrics of the pool.
pub const METRICS: [MetricDef; 3] = [
    MetricDef::new(
        MetricKind::Gauge,
        "postrider_database_connections",
        "Connections of the pool to PostgreSQL, by whether they are in use or idle",
    )
    .with_labels(&["state"]),
    MetricDef::new(
        MetricKind::Gauge,
        "postrider_database_connections_max",
        "Limit on the connections of the pool",
    ),
    MetricDef::new(
        MetricKind::Gauge,
        "postrider_database_waiting",
        "Callers that wait for a connection of the pool to become free",
    ),
];
/// Options of every session. JIT compilation is off: the planner would choose it for partitions without statistics, and
/// compiling then took longer than all other work of the server.
const SESSION_OPTIONS: &str = "-c timezone=UTC -c jit=off";
/// Options of sessions whose statements take batches of one to hundreds of rows, thousands of times a minute.
///
/// Such a statement is planned once, because planning it again for each batch costs as much as running it. It uses
/// indexes only, because a plan that was made while a table was small stays in use when the table is large.
const BATCH_OPTIONS: &str = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off";

/// Options of sessions whose statements read the first rows of an index range, such as the oldest pending deliveries of a
/// webhook. Statistics lag behind a webhook that has just received its first million events. The planner would then sort
/// all of them to return the first, because it expects a few.
const INDEX_ORDER_OPTIONS: &str = "-c enable_seqscan=off -c enable_sort=off -c enable_bitmapscan=off";

/// The settings of the sessions of a pool, in the form of `options`.
#[derive(Debug, Clone)]
pub(crate) struct SessionOptions {
    own: String,
    /// Those of `DATABASE_URL`, which come last and win.
    of_url: Option<String>,
}

impl SessionOptions {
    fn new(own: &str, of_url: Option<&str>) -> Self {
        Self { own: own.to_owned(), of_url: of_url.map(str::to_owned) }
    }

    /// Returns whether `DATABASE_URL` sets a setting.
    pub(crate) fn is_overridden(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.of_url.as_ref().is_some_and(|options| options.to_lowercase().contains(&name))
    }

    #[cfg(test)]
    pub(crate) fn for_tests(of_url: Option<&str>) -> Self {
        Self::new(&session_options(LOCK_TIMEOUT), of_url)
    }
}

impl std::fmt::Display for SessionOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.own)?;
        self.of_url.iter().try_for_each(|options| write!(f, " {options}"))
    }
}

/// PostgreSQL, through a bounded pool of connections. Cheap to clone.
///
/// The pool replaces a broken connection at its next use, so that the store works again as soon as the server does.
#[derive(Clone)]
pub struct Store {
    pool: Pool<ConnectionManager>,
    /// TLS settings of the pool. A request to cancel a statement needs them, because it opens its own connection.
    tls: Option<MakeRustlsConnect>,
    answer_timeout: Duration,
    /// Whether the metrics show this pool.
    is_measured: bool,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("pool", &self.pool.status()).finish()
    }
}

impl Store {
    /// Creates a store without a connection. The first use opens one.
    #[must_use]
    pub fn new(settings: &StoreSettings, application: &str) -> Self {
        Self::with_options(settings, application, settings.database_pool, &session_options(LOCK_TIMEOUT))
    }

    /// Creates a store for the requests of an API, which do not wait long for one another.
    #[must_use]
    pub fn for_requests(settings: &StoreSettings, application: &str) -> Self {
        let options = session_options(REQUEST_LOCK_TIMEOUT);
        Self::with_options(settings, application, settings.database_pool, &options)
    }

    /// Creates a store with connections beside those of the settings, for a purpose that must not wait for others.
    ///
    /// The metrics of the pool do not include it.
    #[must_use]
    pub fn with_connections(settings: &StoreSettings, application: &str, connections: u16) -> Self {
        let options = session_options(REQUEST_LOCK_TIMEOUT);
        Self { is_measured: false, ..Self::with_options(settings, application, connections, &options) }
    }

    /// Creates a store for statements that read the first rows of an index range ([`crate::delivery::orphaned`],
    /// [`crate::delivery::generations`], [`crate::redelivery`]).
    #[must_use]
    pub fn in_index_order(settings: &StoreSettings, application: &str) -> Self {
        Self::with_options(settings, application, settings.database_pool, &index_order_options())
    }

    /// Creates a store for statements by which a process shows that it lives, learns of changes, and watches its
    /// servers. The pool is small and its own, so that no amount of other statements delays them: a replica that does
    /// not renew its row counts as dead. Its searches read indexes in order.
    #[must_use]
    pub fn for_control(settings: &StoreSettings, application: &str) -> Self {
        let options = index_order_options();
        Self {
            is_measured: false,
            ..Self::with_options(settings, application, CONTROL_CONNECTIONS, &options)
        }
    }

    /// Creates a store for leases ([`crate::redelivery::lease`]), whose number grows with the webhooks.
    #[must_use]
    pub fn for_leases(settings: &StoreSettings, application: &str) -> Self {
        let options = session_options(LOCK_TIMEOUT);
        Self { is_measured: false, ..Self::with_options(settings, application, LEASE_CONNECTIONS, &options) }
    }

    /// Creates a store for statements that take batches ([`crate::routing::ingest`], [`crate::delivery::record`]).
    #[must_use]
    pub fn for_batches(settings: &StoreSettings, application: &str) -> Self {
        let options = format!("{} {BATCH_OPTIONS}", session_options(LOCK_TIMEOUT));
        Self::with_options(settings, application, settings.database_pool, &options)
    }

    fn with_options(settings: &StoreSettings, application: &str, connections: u16, options: &str) -> Self {
        let url = settings.database_url.clone();
        let options = SessionOptions::new(options, url.config.get_options());
        let create = url.hosts.total_timeout() + CREATE_MARGIN;
        let pool = Pool::builder(ConnectionManager::new(url, options, application))
            .max_size(connections.into())
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: Some(FREE_TIMEOUT),
                create: Some(create),
                recycle: Some(FREE_TIMEOUT),
            })
            .build()
            .unwrap_or_else(|_| unreachable!("a runtime is given with the timeouts"));
        let tls = settings.database_url.tls.clone();
        Self { pool, tls, answer_timeout: ANSWER_TIMEOUT, is_measured: true }
    }

    /// Replaces the bound on the wait for an answer. Tests set a short one.
    #[must_use]
    pub fn with_answer_timeout(self, answer_timeout: Duration) -> Self {
        Self { answer_timeout, ..self }
    }

    /// Takes a connection from the pool.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when no connection is free in time.
    pub async fn client(&self) -> Result<Connection, StoreError> {
        Ok(self.pool.get().await?)
    }

    /// Opens a connection outside the pool whose statements and waits for locks may take any time. A pooler's session keeps
    /// the timeouts of the role.
    ///
    /// It is closed when it is dropped.
    ///
    /// # Errors
    /// When PostgreSQL does not answer.
    pub(crate) async fn session_without_timeouts(&self) -> Result<ClientWrapper, StoreError> {
        let client = Connection::take(self.client().await?);
        if session::is_own(&client).await? {
            client.batch_execute("SET statement_timeout = 0; SET lock_timeout = 0").await?;
        }
        Ok(client)
    }

    /// Closes the connections of this process, because the server of a statement that began then does not allow writes: a
    /// former primary, which is a standby now. The next connection begins with another host, if there is one.
    pub(crate) fn leave_host(&self, began: Instant) {
        self.pool.manager().leave_host(began);
    }

    /// Checks that PostgreSQL answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.run_with_timeout(async |client| client.simple_query("SELECT 1").await.map(drop)).await
    }

    /// Sets the metrics of the pool to its current use.
    pub fn update_metrics(&self) {
        if !self.is_measured {
            return;
        }
        let status = self.pool.status();
        let show = |state: &'static str, connections: usize| {
            gauge!("postrider_database_connections", "state" => state).set(saturating_count(connections));
        };
        show("idle", status.available);
        show("in_use", status.size.saturating_sub(status.available));
        gauge!("postrider_database_connections_max").set(saturating_count(status.max_size));
        gauge!("postrider_database_waiting").set(saturating_count(status.waiting));
    }

    /// Runs an operation on a connection, with a bound on the wait for the answer.
    ///
    /// A connection that does not answer in time is closed, and so are all idle connections that were opened before the
    /// operation began, because the same cause may have broken them. The server is asked to end the statement.
    async fn run_with_timeout<T>(
        &self,
        operation: impl AsyncFnOnce(&Connection) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, StoreError> {
        let client = self.client().await?;
        let began = Instant::now();
        match tokio::time::timeout(self.answer_timeout, operation(&client)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) {
                    self.leave_host(began);
                }
                Err(error.into())
            }
            Err(elapsed) => {
                self.pool.retain(|_, metrics| metrics.created > began.into_std());
                tasks::spawn_named(
                    "cancel statement",
                    self.clone().cancel_and_close(Connection::take(client)),
                );
                Err(StoreError::Unavailable(Box::new(elapsed)))
            }
        }
    }

    /// Asks the server to end the statement of a connection, and closes the connection.
    async fn cancel_and_close(self, client: ClientWrapper) {
        match tokio::time::timeout(CANCEL_TIMEOUT, self.cancel_statement(&client)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                debug!(error = %Chain(&error), "could not cancel a statement that took too long")
            }
            Err(_) => debug!("could not cancel a statement that took too long within {CANCEL_TIMEOUT:?}"),
        }
    }

    /// Ends the statement of a connection, unless the server commits to a synchronous standby.
    ///
    /// Cancelling a transaction that waits for its standby makes it visible although no standby has it. A router that
    /// then finds its events stored would acknowledge them, and a failover would lose them.
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

    /// Runs a statement, prepared once for each connection, and returns its rows.
    pub(crate) async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        self.run_with_timeout(async |client| {
            let statement = client.prepare_cached(sql).await?;
            client.query(&statement, params).await
        })
        .await
    }

    /// Runs a statement that returns at most one row.
    pub(crate) async fn query_opt(&self, sql: &str, params: Params<'_>) -> Result<Option<Row>, StoreError> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Runs a statement and returns the number of rows that it changed.
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

/// Returns the options that each session of a service sets when it connects.
fn session_options(lock_timeout: Duration) -> String {
    let statement = STATEMENT_TIMEOUT.as_millis();
    let lock = lock_timeout.as_millis();
    format!("-c statement_timeout={statement} -c lock_timeout={lock} {SESSION_OPTIONS} {OWN_SESSION_MARK}")
}

fn index_order_options() -> String {
    format!("{} {INDEX_ORDER_OPTIONS}", session_options(LOCK_TIMEOUT))
}

fn saturating_count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
