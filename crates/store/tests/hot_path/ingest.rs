//! Storing events: each event once, by any router and at any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::Utc;
use domain::ids::{BrandId, EventId, WebhookId};
use domain::time::truncate_to_millis;
use store::maintenance::{Maintained, run_maintenance};
use store::routing::ingest::{self, Ingest, NewEvent, Recipient};

use crate::support::{AUDIT_RETENTION, RETENTION, TestStore};

fn build_event<'a>(test: &'a TestStore, key: &'a str, recipients: &'a [Recipient]) -> NewEvent<'a> {
    let created = truncate_to_millis(Utc::now());
    NewEvent {
        brand_id: &test.brand,
        key,
        id: EventId::generate(1),
        created,
        received: created,
        search_key: None,
        event_type: "A.B",
        data: "1.10",
        recipients,
    }
}

fn recipient(webhook: WebhookId) -> Recipient {
    Recipient { webhook, generation: 1, held: false }
}

async fn store_batch(test: &TestStore, batch: &[NewEvent<'_>]) -> Vec<bool> {
    match ingest::store_events(&test.store, test.routing_version().await, batch).await.expect("stored") {
        Ingest::Stored { fresh } => fresh,
        Ingest::Stale => panic!("the version is current"),
    }
}

#[tokio::test]
async fn a_batch_matched_against_an_older_configuration_writes_nothing() {
    let test = TestStore::new().await;
    let before = test.routing_version().await;
    let webhook = test.insert_webhook().await;
    let recipients = [recipient(webhook)];
    let answer = ingest::store_events(&test.store, before, &[build_event(&test, "m:1", &recipients)])
        .await
        .expect("answer");
    assert!(matches!(answer, Ingest::Stale));
    assert_eq!((test.count_rows("event_keys").await, test.count_rows("deliveries").await), (0, 0));
    assert_eq!(store_batch(&test, &[build_event(&test, "m:1", &recipients)]).await, [true]);
    test.drop_database().await;
}

#[tokio::test]
async fn an_event_is_stored_once_and_its_owed_deliveries_are_found() {
    let test = TestStore::new().await;
    let recipients = [recipient(test.insert_webhook().await), recipient(test.insert_webhook().await)];
    let first = build_event(&test, "m:1", &recipients);
    assert_eq!(
        store_batch(&test, &[build_event(&test, "m:0", &[]), NewEvent { ..first }]).await,
        [true, true]
    );
    let again = [
        build_event(&test, "m:1", &recipients),
        build_event(&test, "m:2", &recipients),
        build_event(&test, "m:0", &recipients),
    ];
    assert_eq!(store_batch(&test, &again).await, [false, true, false]);
    assert_eq!(test.count_rows("events").await, 3, "an event without recipients has a row, too");
    assert_eq!(test.count_rows("events WHERE data = ''").await, 1, "without data");
    assert_eq!(test.count_rows("deliveries").await, 4);

    let other: BrandId = "other".parse().expect("brand");
    let asked = [(&test.brand, "m:0"), (&test.brand, "m:2"), (&other, "m:1"), (&test.brand, "m:1")];
    let owed = ingest::find_owed(&test.store, &asked).await.expect("owed");
    let owed: Vec<_> =
        owed.iter().map(|owed| owed.as_ref().map(|o| (o.id, o.created, o.recipients.len()))).collect();
    let both = |event: &NewEvent<'_>| Some((event.id, event.created, 2));
    assert_eq!(owed, [None, both(&again[1]), None, both(&first)]);
    test.drop_database().await;
}

#[tokio::test]
async fn duplicates_are_found_across_epochs_and_old_epochs_are_dropped() {
    let test = TestStore::new().await;
    assert_eq!(store_batch(&test, &[build_event(&test, "m:1", &[])]).await, [true]);
    for _ in 0..10 {
        test.sql
            .batch_execute("UPDATE ingest_epoch SET began = began - interval '25 hours'")
            .await
            .expect("aged");
        while run_maintenance(&test.store, RETENTION, AUDIT_RETENTION).await != Maintained::Finished {}
        let kept: i64 = test.count_rows("event_keys").await;
        let fresh = store_batch(&test, &[build_event(&test, "m:1", &[])]).await;
        assert_eq!(fresh, [kept == 0], "stored again only after its epoch was dropped");
        test.sql
            .batch_execute("DELETE FROM event_keys WHERE epoch > 1")
            .await
            .expect("only the first epoch matters");
    }
    assert_eq!(test.count_rows("event_keys_e11").await, 0);
    assert_eq!(
        test.count_rows("pg_class WHERE relname = 'event_keys_e1'").await,
        0,
        "expired after the retention"
    );
    test.drop_database().await;
}

/// Several routers store the same keys while epochs begin. Each key is new exactly once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_routers_store_each_event_once_while_epochs_begin() {
    const KEYS: usize = 400;
    let test = Arc::new(TestStore::new().await);
    let fresh = Arc::new(AtomicUsize::new(0));
    let routers = (0..4).map(|_| {
        let test = Arc::clone(&test);
        let fresh = Arc::clone(&fresh);
        tokio::spawn(async move {
            for batch in 0..KEYS / 10 {
                let mut keys: Vec<String> = (0..10).map(|n| format!("m:{}", batch * 10 + n)).collect();
                keys.sort();
                let batch: Vec<_> = keys.iter().map(|key| build_event(&test, key, &[])).collect();
                let stored = store_batch(&test, &batch).await.into_iter().filter(|fresh| *fresh).count();
                fresh.fetch_add(stored, Ordering::Relaxed);
            }
        })
    });
    let routers: Vec<_> = routers.collect();
    while routers.iter().any(|router| !router.is_finished()) {
        test.sql
            .batch_execute("UPDATE ingest_epoch SET began = began - interval '25 hours'")
            .await
            .expect("aged");
        // A router that stores a batch may postpone the new epoch to the next pass.
        run_maintenance(&test.store, RETENTION * 12, AUDIT_RETENTION).await;
    }
    for router in routers {
        router.await.expect("no error, no deadlock");
    }
    assert_eq!(fresh.load(Ordering::Relaxed), KEYS);
    Arc::into_inner(test).expect("the last").drop_database().await;
}

/// Every change increases the version of the configuration. Only changes that routing reads increase its version.
#[tokio::test]
async fn only_changes_that_routing_reads_increase_its_version() {
    const UNREAD: [&str; 9] = [
        "UPDATE webhooks SET endpoint = 'https://example.org/'",
        "UPDATE webhooks SET headers = '{\"a\":\"b\"}', description = 'x'",
        "UPDATE webhooks SET max_concurrency = 7, rate_per_second = 7",
        "UPDATE webhooks SET previous_secret = secret, previous_secret_expires = now(), secret = 'x'",
        "UPDATE webhooks SET settled_generation = generation",
        "UPDATE brands SET name = 'x', contact_name = 'x', contact_email = 'x'",
        "UPDATE event_types SET description = 'x', example = '{}'",
        "UPDATE event_types SET schema = '{\"title\":\"x\"}' WHERE NOT enforce_schema",
        "UPDATE event_types SET updated = now()",
    ];
    const READ: [&str; 13] = [
        "UPDATE webhooks SET events = '{A}'",
        "UPDATE webhooks SET status = 'paused'",
        "UPDATE webhooks SET status = 'deleted', deleted_at = now()",
        "UPDATE brands SET switch_patterns = '{*}', switch_states = '{t}'",
        "UPDATE brands SET switch_states = '{f}'",
        "UPDATE brands SET quota_events_per_second = 1",
        "UPDATE brands SET quota_bytes_per_second = 1024",
        "UPDATE brands SET quota_deliveries_per_second = 1",
        "UPDATE brands SET quota_waiting_bytes = 262144",
        "INSERT INTO event_types (name, description) VALUES ('A', 'x')",
        "UPDATE event_types SET schema = '{}', enforce_schema = true",
        "UPDATE event_types SET schema = '{\"type\":\"object\"}'",
        "UPDATE event_types SET removed_at = now()",
    ];
    let test = TestStore::new().await;
    test.insert_webhook().await;
    let cases = UNREAD.map(|change| (change, false)).into_iter().chain(READ.map(|change| (change, true)));
    for (change, read) in cases {
        let known = test.routing_version().await;
        let all = store::routing::configuration::load_version(&test.store).await.expect("version");
        test.sql.batch_execute(change).await.expect("changed");
        assert_eq!(test.routing_version().await > known, read, "{change}");
        assert!(
            store::routing::configuration::load_version(&test.store).await.expect("version") > all,
            "{change}"
        );
        let changes =
            store::routing::configuration::load_routing_changes(&test.store, known).await.expect("changes");
        let rows = changes.event_types.len() + changes.brands.len() + changes.webhooks.len();
        assert_eq!(rows > 0, read, "{change}");
    }
    test.drop_database().await;
}
