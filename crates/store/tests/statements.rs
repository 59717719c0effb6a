//! Every statement under `sql/` is used and matches the schema, because PostgreSQL prepares it against a migrated
//! database.

#![expect(clippy::disallowed_methods, reason = "tasks that end with the test")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use store::{Store, StoreSettings};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use uuid::Uuid;

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    store: StoreSettings,
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("PostgreSQL answers");
    tokio::spawn(connection);
    client
}

fn list_files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(list_files(&path, extension));
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A migrated database that the test drops at its end.
struct TestDatabase {
    client: Client,
    admin: Client,
    name: String,
}

impl TestDatabase {
    async fn new() -> Self {
        let server = std::env::var("E2E_DATABASE_URL")
            .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned());
        let name = format!("test_{}", Uuid::new_v4().simple());
        let admin = connect(&server).await;
        admin.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("created");
        let url = format!("{}/{name}", server.rsplit_once('/').expect("a database in the URL").0);
        let settings = Settings::try_parse_from(["test", "--database-url", &url]).expect("settings");
        let store = Store::new(&settings.store, "test");
        store::migrate::migrate_schema(&store, Duration::from_secs(24 * 3600)).await.expect("migrated");
        Self { client: connect(&url).await, admin, name }
    }

    async fn drop_database(self) {
        let drop_database = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        self.admin.batch_execute(&drop_database).await.expect("dropped");
    }
}

fn sql_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sql")
}

#[tokio::test]
async fn every_statement_can_be_prepared() {
    let database = TestDatabase::new().await;
    let statements = list_files(&sql_directory(), "sql");
    assert!(statements.len() > 40, "{} statements", statements.len());
    for path in &statements {
        let sql = std::fs::read_to_string(path).expect("a file");
        let prepared = database.client.prepare(&sql).await;
        assert!(prepared.is_ok(), "{}: {:?}", path.display(), prepared.err());
    }
    database.drop_database().await;
}

/// A page must not sort all rows, even if many rows arrived since the last statistics.
#[tokio::test]
async fn get_events_reads_its_indexes_in_order() {
    let database = TestDatabase::new().await;
    let fill = "INSERT INTO deliveries (webhook_id, created, event_id, brand_id, type, status, generation, attempts, last_attempt_at) \
                SELECT $1, now() - n * interval '1 s', gen_random_uuid(), 'acme', 'A', 'failed', 1, 1, now() \
                FROM generate_series(1, 5000) AS n";
    let webhook = Uuid::new_v4();
    database.client.execute(fill, &[&webhook]).await.expect("filled");
    let types = "uuid, timestamptz, uuid, timestamptz, uuid, text, text, text, bigint, bigint, bigint, bigint, text, integer";
    let places = format!("'{webhook}', now() - interval '1 day', '{0}', now(), '{0}'", Uuid::nil());
    for page in ["page_asc", "page_desc"] {
        let sql =
            std::fs::read_to_string(sql_directory().join(format!("deliveries/{page}.sql"))).expect("a file");
        database.client.batch_execute(&format!("PREPARE {page} ({types}) AS {sql}")).await.expect("prepared");
        for filter in ["NULL, NULL, NULL", "'failed', NULL, NULL", "NULL, 'delivered', 'A'"] {
            let last_attempt = if filter.contains("delivered") { "'http_status', 500" } else { "NULL, NULL" };
            let explain = format!(
                "EXPLAIN EXECUTE {page} ({places}, {filter}, 101, 0, 10000, 8000000, {last_attempt})"
            );
            let in_order = store::delivery::deliveries::IN_INDEX_ORDER;
            let messages = database
                .client
                .simple_query(&format!(
                    "BEGIN; SET LOCAL plan_cache_mode = force_custom_plan; {in_order}; {explain}; COMMIT"
                ))
                .await
                .expect("explained");
            let plan: Vec<_> = messages
                .iter()
                .filter_map(|message| match message {
                    SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                    _ => None,
                })
                .collect();
            let plan = plan.join("\n");
            assert!(!plan.contains("Sort") && !plan.contains("Seq Scan"), "{page} {filter}:\n{plan}");
            let index = if filter.starts_with("'failed'") {
                "_webhook_id_status_created_event_id_idx"
            } else {
                "_pkey"
            };
            assert!(plan.contains("Index Scan") && plan.contains(index), "{page} {filter}:\n{plan}");
        }
    }
    database.drop_database().await;
}

#[test]
fn every_statement_is_used() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source: String = list_files(&root.join("src"), "rs")
        .iter()
        .map(|path| std::fs::read_to_string(path).expect("a file"))
        .collect();
    for path in list_files(&sql_directory(), "sql") {
        let name = path.strip_prefix(sql_directory()).expect("below it").with_extension("");
        let name = name.to_str().expect("UTF-8");
        assert!(source.contains(&format!("sql!(\"{name}\")")), "{name} is not used");
    }
}
