//! A database of its own for each test.

use futures_util::TryStreamExt;
use tokio_postgres::{Client, NoTls};

/// A database that was created for one test.
#[derive(Debug, Clone)]
pub struct TestDatabase {
    admin_url: String,
    name: String,
}

impl TestDatabase {
    /// Creates one on the server of `admin_url`.
    ///
    /// # Panics
    /// When the server does not answer or refuses.
    pub async fn create(admin_url: &str, unique: &str) -> Self {
        let database = Self { admin_url: admin_url.to_owned(), name: format!("pr_{unique}") };
        database.execute_on_server(&format!("CREATE DATABASE {}", database.name)).await.unwrap_or_else(|e| {
            panic!("PostgreSQL at {admin_url} (E2E_DATABASE_URL): {e}");
        });
        database
    }

    /// Returns an existing database by its name.
    pub(crate) fn named(admin_url: &str, name: &str) -> Self {
        Self { admin_url: admin_url.to_owned(), name: name.to_owned() }
    }

    pub(crate) fn admin_url(&self) -> &str {
        &self.admin_url
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns its URL.
    #[must_use]
    pub fn url(&self) -> String {
        let (server, options) = match self.admin_url.split_once('?') {
            Some((server, options)) => (server, format!("?{options}")),
            None => (self.admin_url.as_str(), String::new()),
        };
        let server = server.rsplit_once('/').map_or(server, |(server, _)| server);
        format!("{server}/{}{options}", self.name)
    }

    /// Drops it, even if clients are still connected.
    ///
    /// # Errors
    /// When the server does not answer or refuses.
    pub async fn drop_database(&self) -> Result<(), tokio_postgres::Error> {
        self.execute_on_server(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)).await
    }

    async fn execute_on_server(&self, statement: &str) -> Result<(), tokio_postgres::Error> {
        connect(&self.admin_url).await?.batch_execute(statement).await
    }
}

/// Lets time pass in a database of the platform, whose clock all services use, by moving recorded and
/// scheduled times this far back.
///
/// # Panics
/// When the database refuses.
pub async fn let_time_pass(url: &str, seconds: i64) {
    let client = connect(url).await.expect("the database");
    let by = format!("interval '{seconds} seconds'");
    let back = |columns: &[&str]| {
        columns.iter().map(|column| format!("{column} = {column} - {by}")).collect::<Vec<_>>().join(", ")
    };
    let activity = back(&["slice", "first_failure", "last_failure"]);
    let deliveries = back(&["first_attempt_at", "last_attempt_at", "next_attempt_at"]);
    let statements = format!("UPDATE webhook_activity SET {activity}; UPDATE deliveries SET {deliveries}");
    client.batch_execute(&statements).await.expect("the rows lie further back");
}

/// Connects to this URL; a background task serves the connection.
///
/// # Errors
/// When the server does not answer or refuses.
pub async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Returns the rows of all tables in the form of a dump, at most this number from each.
///
/// # Errors
/// When the server does not answer or refuses.
pub async fn dump_rows(url: &str, rows: usize) -> Result<Vec<u8>, tokio_postgres::Error> {
    const TABLES: &str = "SELECT quote_ident(relname) FROM pg_class \
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition";
    let client = connect(url).await?;
    let mut all = Vec::new();
    for table in client.query(TABLES, &[]).await? {
        let table: String = table.get(0);
        all.extend(format!("-- {table}\n").into_bytes());
        let copied = client.copy_out(&format!("COPY (SELECT * FROM {table} LIMIT {rows}) TO STDOUT")).await?;
        let copied: Vec<bytes::Bytes> = copied.try_collect().await?;
        all.extend(copied.concat());
    }
    Ok(all)
}
