//! Every statement under `sql/` fits the schema: each is prepared against a migrated database, and
//! each is used.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::Utc;
use clap::Parser;
use store::{Store, StoreSettings};
use tokio_postgres::{Client, NoTls};
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

fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn every_statement_can_be_prepared() {
    let server = std::env::var("E2E_DATABASE_URL")
        .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned());
    let name = format!("test_{}", Uuid::new_v4().simple());
    let admin = connect(&server).await;
    admin.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("created");
    let url = format!("{}/{name}", server.rsplit_once('/').expect("a database in the URL").0);
    let settings = Settings::try_parse_from(["test", "--database-url", &url]).expect("settings");
    let store = Store::new(&settings.store, "test");
    store::migrate::migrate(&store, Utc::now(), Duration::from_secs(24 * 3600)).await.expect("migrated");

    let client = connect(&url).await;
    let statements = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("sql"), "sql");
    assert!(statements.len() > 40, "{} statements", statements.len());
    for path in &statements {
        let sql = std::fs::read_to_string(path).expect("a file");
        let prepared = client.prepare(&sql).await;
        assert!(prepared.is_ok(), "{}: {:?}", path.display(), prepared.err());
    }
    drop((client, store));
    admin.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.expect("dropped");
}

#[test]
fn every_statement_is_used() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source: String = files(&root.join("src"), "rs")
        .iter()
        .map(|path| std::fs::read_to_string(path).expect("a file"))
        .collect();
    for path in files(&root.join("sql"), "sql") {
        let name = path.strip_prefix(root.join("sql")).expect("below it").with_extension("");
        let name = name.to_str().expect("UTF-8");
        assert!(source.contains(&format!("sql!(\"{name}\")")), "{name} is not used");
    }
}
