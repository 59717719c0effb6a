//! A migrated database for each test, with a brand and its webhooks.

use std::time::Duration;

use clap::Parser;
use domain::ids::{BrandId, WebhookId};
use store::{Store, StoreSettings};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use uuid::Uuid;

/// The retention of the audit.
pub(crate) const AUDIT_RETENTION: Duration = Duration::from_secs(400 * 24 * 3600);
pub(crate) const RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    store: StoreSettings,
}

/// A database that the test drops at its end.
pub(crate) struct TestStore {
    pub(crate) store: Store,
    pub(crate) sql: Client,
    pub(crate) brand: BrandId,
    server: String,
    url: String,
    name: String,
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("PostgreSQL answers");
    tokio::spawn(connection);
    client
}

impl TestStore {
    pub(crate) async fn new() -> Self {
        let test = Self::without_schema().await;
        store::migrate::migrate_schema(&test.store, RETENTION).await.expect("migrated");
        test.sql
            .batch_execute("INSERT INTO brands (brand_id, name) VALUES ('acme', 'Acme')")
            .await
            .expect("brand");
        test
    }

    /// Returns a store of the database whose sessions have these options of PostgreSQL.
    pub(crate) fn with_options(&self, options: &str) -> Store {
        let url = format!("{}?options={}", self.url, options.replace(' ', "%20").replace('\\', "%5C"));
        let settings = Settings::try_parse_from(["test", "--database-url", &url]).expect("settings").store;
        Store::for_batches(&settings, "test")
    }

    /// Creates a database without a schema.
    pub(crate) async fn without_schema() -> Self {
        let server = std::env::var("E2E_DATABASE_URL")
            .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned());
        let name = format!("pr_{}", Uuid::new_v4().simple());
        connect(&server).await.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("created");
        let base = server.rsplit_once('/').expect("a database in the URL").0;
        let url = format!("{base}/{name}");
        let settings = Settings::try_parse_from(["test", "--database-url", &url]).expect("settings").store;
        let store = Store::for_batches(&settings, "test");
        let sql = connect(&url).await;
        Self { store, sql, brand: "acme".parse().expect("brand"), server, url, name }
    }

    /// Opens another session.
    pub(crate) async fn connect(&self) -> Client {
        connect(&self.url).await
    }

    /// Creates a store whose sessions have these settings, such as `statement_timeout=0`.
    pub(crate) fn store_with(&self, session_setting: &str) -> Store {
        let url = format!("{}?options=--{session_setting}", self.url);
        let settings = Settings::try_parse_from(["test", "--database-url", &url]).expect("settings").store;
        Store::new(&settings, "test")
    }

    pub(crate) async fn insert_webhook(&self) -> WebhookId {
        let id = Uuid::new_v4();
        let insert = "INSERT INTO webhooks (id, brand_id, endpoint, events, status, secret) \
                      VALUES ($1, 'acme', 'https://example.com/', '{*}', 'active', '')";
        self.sql.execute(insert, &[&id]).await.expect("webhook");
        WebhookId(id)
    }

    pub(crate) async fn routing_version(&self) -> i64 {
        store::routing::configuration::load_routing_version(&self.store).await.expect("version")
    }

    pub(crate) async fn count_rows(&self, table: &str) -> i64 {
        self.sql.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.expect("count").get(0)
    }

    /// Returns the generic plan of a statement with this number of parameters.
    pub(crate) async fn explain(&self, statement: &str, parameters: usize) -> String {
        let client = self.store.client().await.expect("a connection");
        client.batch_execute(&format!("PREPARE planned AS {statement}")).await.expect("prepared");
        let nulls = vec!["NULL"; parameters].join(", ");
        let rows =
            client.query(&format!("EXPLAIN (VERBOSE) EXECUTE planned ({nulls})"), &[]).await.expect("a plan");
        client.batch_execute("DEALLOCATE planned").await.expect("deallocated");
        rows.iter().map(|row| row.get::<_, String>(0) + "\n").collect()
    }

    /// Returns how many buffers a statement with these parameters visits in a session that reads indexes in order, and its
    /// plan.
    pub(crate) async fn count_buffers(&self, statement: &str, params: &str) -> (i64, String) {
        let in_order = "SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off";
        self.sql.batch_execute(in_order).await.expect("set");
        self.sql.batch_execute(&format!("PREPARE visited AS {statement}")).await.expect("prepared");
        let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE visited ({params})");
        let answer = self.sql.simple_query(&explain).await.expect("explained");
        self.sql.batch_execute("DEALLOCATE visited").await.expect("deallocated");
        let text: String = answer
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
            .collect();
        let plan: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let visited = |name: &str| plan[0]["Plan"][name].as_i64().expect("a number");
        (visited("Shared Hit Blocks") + visited("Shared Read Blocks"), text)
    }

    pub(crate) async fn drop_database(self) {
        let Self { store, sql, server, name, .. } = self;
        drop((store, sql));
        let drop = format!("DROP DATABASE {name} WITH (FORCE)");
        connect(&server).await.batch_execute(&drop).await.expect("dropped");
    }
}
