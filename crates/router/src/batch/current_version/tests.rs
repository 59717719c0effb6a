#![expect(clippy::disallowed_methods, reason = "tasks that end with the test")]
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use chrono::{TimeDelta, Utc};
use clap::Parser;
use domain::trace::TraceParent;
use store::StoreSettings;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::*;
use crate::intake::{DecodedBatch, decode_batch};

const RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);
const EVENTS: usize = 20;
const WEBHOOKS: i32 = 50;
const CHANGES: usize = 100;

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    store: StoreSettings,
}

fn store_settings(url: &str) -> StoreSettings {
    Settings::try_parse_from(["test", "--database-url", url]).expect("settings").store
}

/// A new database with a brand that has many webhooks.
struct Database {
    store: Store,
    /// Connections that change the configuration.
    writers: Store,
    server: tokio_postgres::Client,
    name: String,
}

impl Database {
    async fn new() -> Self {
        let url = std::env::var("E2E_DATABASE_URL")
            .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned());
        // Not a Store, because a checkpoint that other tests delay may take longer than its statements.
        let (server, connection) =
            tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("PostgreSQL answers");
        tokio::spawn(connection);
        let name = format!("pr_{}", Uuid::new_v4().simple());
        server.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("created");
        let settings =
            store_settings(&format!("{}/{name}", url.rsplit_once('/').expect("a database in the URL").0));
        let store = Store::for_batches(&settings, "test");
        store::migrate::migrate_schema(&store, RETENTION).await.expect("migrated");
        let database = Self { store, writers: Store::new(&settings, "writers"), server, name };
        database.execute("INSERT INTO brands (brand_id, name, switch_patterns, switch_states) VALUES ('acme', 'Acme', '{*}', '{t}')").await;
        database
            .execute(&format!(
                "INSERT INTO webhooks (id, brand_id, endpoint, events, status, secret)
                 SELECT gen_random_uuid(), 'acme', 'https://example.com/', '{{*}}', 'active', ''
                 FROM generate_series(1, {WEBHOOKS})"
            ))
            .await;
        database
    }

    async fn execute(&self, sql: &str) {
        self.writers.query_rows(sql, &[]).await.expect("changed");
    }

    async fn drop_database(self) {
        let Self { store, writers, server, name } = self;
        drop((store, writers));
        server.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.expect("dropped");
    }
}

/// A task that changes the configuration as fast as the database allows.
struct ConfigurationChanges {
    stop: Arc<AtomicBool>,
    changes: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl ConfigurationChanges {
    fn start(database: &Database, statements: &'static [&'static str]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let changes = Arc::new(AtomicUsize::new(0));
        let stopped = Arc::clone(&stop);
        let counted = Arc::clone(&changes);
        let store = database.writers.clone();
        let task = tokio::spawn(async move {
            for statement in statements.iter().cycle() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                store.query_rows(statement, &[]).await.expect("changed");
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { stop, changes, task }
    }

    fn count(&self) -> usize {
        self.changes.load(Ordering::Relaxed)
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("no change failed");
    }
}

/// A message without a broker.
struct TestMessage(String);

impl IncomingMessage for TestMessage {
    fn body(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn message_id(&self) -> Option<&str> {
        None
    }

    fn unreadable(&self) -> Option<broker::Unreadable> {
        None
    }

    fn trace(&self) -> Option<&TraceParent> {
        None
    }

    fn redelivered(&self) -> bool {
        false
    }

    fn is_from_platform(&self, _: &str) -> bool {
        false
    }
}

/// Stores a batch of new events, and returns how often they were matched and how many deliveries they have.
async fn store_new_events(database: &Database, index: &mut Index) -> (u32, usize) {
    let body = r#"{"brandId":"acme","type":"NOTIFICATION.SMS.RECEIPT","data":{}}"#;
    let batch: Vec<TestMessage> = (0..EVENTS)
        .map(|_| {
            let id = domain::ids::EventId::generate(1);
            TestMessage(body.replacen('{', &format!(r#"{{"id":"{id}","#), 1))
        })
        .collect();
    let DecodedBatch { accepted, rejected } =
        decode_batch(&batch, Utc::now(), TimeDelta::days(7), "test.ingest");
    assert!(rejected.is_empty(), "{:?}", rejected.first().map(|rejected| &rejected.rejection));
    let events: Vec<_> = accepted.iter().collect();
    let outcome = store_at_current_version(&database.store, index, &events).await.expect("stored");
    let Outcome::Stored(stored) = outcome else { panic!("the deliveries are few") };
    assert!(stored.fresh.iter().all(|fresh| *fresh));
    (stored.tries, stored.batch.matched.iter().map(|matched| matched.recipients.len()).sum())
}

#[tokio::test]
async fn changes_of_columns_that_routing_does_not_read_make_no_batch_stale() {
    const UNREAD: [&str; 4] = [
        "UPDATE webhooks SET secret = secret || '\\x00', headers = '{\"a\":\"b\"}', description = now()::text",
        "UPDATE webhooks SET rate_per_second = 1 + coalesce(rate_per_second, 0) % 100, updated = now()",
        "UPDATE brands SET name = now()::text",
        "UPDATE event_types SET description = now()::text, example = '{}'",
    ];
    let database = Database::new().await;
    let mut index = Index::default();
    store_new_events(&database, &mut index).await;
    let before = configuration::load_version(&database.store).await.expect("read");
    let changes = ConfigurationChanges::start(&database, &UNREAD);
    while changes.count() < CHANGES {
        let (tries, deliveries) = store_new_events(&database, &mut index).await;
        assert_eq!((tries, deliveries), (1, EVENTS * WEBHOOKS as usize));
    }
    changes.stop().await;
    let after = configuration::load_version(&database.store).await.expect("read");
    assert!(after > before, "the columns that delivering reads did change");
    database.drop_database().await;
}

#[tokio::test]
async fn batches_are_stored_however_often_the_routing_changes() {
    const READ: [&str; 2] = [
        "UPDATE webhooks SET events = '{NOTIFICATION}' WHERE id = (SELECT id FROM webhooks ORDER BY id LIMIT 1)",
        "UPDATE webhooks SET events = '{*}' WHERE id = (SELECT id FROM webhooks ORDER BY id LIMIT 1)",
    ];
    let database = Database::new().await;
    let mut index = Index::default();
    let changes = ConfigurationChanges::start(&database, &READ);
    let mut held = 0;
    while changes.count() < CHANGES || held < 3 {
        let (tries, deliveries) = store_new_events(&database, &mut index).await;
        assert!(tries <= MAX_STALE_TRIES + 1, "{tries}");
        assert_eq!(deliveries, EVENTS * WEBHOOKS as usize);
        held += usize::from(tries > MAX_STALE_TRIES);
    }
    changes.stop().await;
    database.drop_database().await;
}
