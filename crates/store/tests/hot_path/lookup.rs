//! "Where is my event?": a lookup reads a few rows by their keys, however many events there are.

use domain::event::{RejectReason, Rejection};
use domain::ids::EventId;
use domain::time::{Timestamp, truncate_to_millis};
use domain::webhook::WebhookStatus;
use store::api::event_lookup::{EventDetails, FoundEvent, find_events, list_event_webhooks, load_event};
use store::maintenance::online_index::build_missing;
use store::routing::ingest::{self, Ingest, NewEvent, Recipient};
use store::routing::unmatched::{UnmatchedEvent, count_duplicates, record_unmatched};

use crate::forgetting::finish_maintenance;
use crate::support::TestStore;

/// Statements of lookups, with the number of their parameters.
const LOOKUPS: [(&str, usize); 6] = [
    (include_str!("../../sql/lookup/find.sql"), 5),
    (include_str!("../../sql/lookup/find_of_brand.sql"), 6),
    (include_str!("../../sql/lookup/load.sql"), 3),
    (include_str!("../../sql/lookup/load_unmatched.sql"), 3),
    (include_str!("../../sql/lookup/queues.sql"), 5),
    (include_str!("../../sql/search/events_by_key.sql"), 3),
];
const PAGE: &str = include_str!("../../sql/lookup/page.sql");
const LARGE_TABLES: [&str; 6] =
    ["event_keys", "events", "deliveries", "unmatched_events", "event_duplicates", "webhook_activity"];

fn now() -> Timestamp {
    truncate_to_millis(chrono::Utc::now())
}

/// The time before which events have expired.
fn earliest() -> Timestamp {
    now() - chrono::TimeDelta::days(7)
}

async fn store_event(test: &TestStore, key: &str, recipients: &[Recipient]) -> EventId {
    let created = now();
    let event = NewEvent {
        brand_id: &test.brand,
        key,
        id: EventId::generate(1),
        created,
        received: created,
        search_key: Some("order 7"),
        event_type: "A.B",
        data: "{}",
        recipients,
    };
    let id = event.id;
    let stored = ingest::store_events(&test.store, test.routing_version().await, &[event]).await;
    assert!(matches!(stored.expect("stored"), Ingest::Stored { .. }));
    id
}

fn unmatched(test: &TestStore, identity: &str, rejection: Option<RejectReason>) -> UnmatchedEvent {
    UnmatchedEvent {
        brand_id: test.brand.clone(),
        identity: identity.to_owned(),
        id: EventId::generate(1),
        created: now(),
        event_type: Some("A.B".to_owned()),
        search_key: None,
        received: now(),
        rejection: rejection.map(|reason| Rejection::new(reason, "a test")),
        published: 1,
    }
}

async fn find_one(test: &TestStore, text: &str) -> Option<FoundEvent> {
    let of_brand = find_events(&test.store, Some(&test.brand), text, earliest()).await.expect("found");
    let of_all = find_events(&test.store, None, text, earliest()).await.expect("found");
    assert_eq!(of_brand, of_all, "there is one brand");
    of_brand.into_iter().next()
}

async fn load(test: &TestStore, text: &str) -> EventDetails {
    let found = find_one(test, text).await.expect("an event");
    load_event(&test.store, &found, earliest()).await.expect("loaded").expect("an event")
}

#[tokio::test]
async fn lookups_read_indexes_only() {
    let test = TestStore::new().await;
    assert!(build_missing(&test.store).await.expect("built"));
    for statistics in ["", "ANALYZE"] {
        test.sql.batch_execute(statistics).await.expect("statistics");
        for (statement, parameters) in LOOKUPS {
            let plan = test.explain(statement, parameters).await;
            for table in LARGE_TABLES {
                assert!(!plan.contains(&format!("Seq Scan on public.{table}")), "{plan}");
            }
        }
    }
    test.drop_database().await;
}

/// The new index of deduplication keys replaces the primary key, and deduplication works before, meanwhile and after.
#[tokio::test]
async fn keys_are_found_without_their_brand() {
    let test = TestStore::new().await;
    store_event(&test, "m:1", &[]).await;
    assert_eq!(test.count_rows("pg_index WHERE indexrelid = to_regclass('event_keys_pkey')").await, 1);
    assert!(build_missing(&test.store).await.expect("built"));
    assert_eq!(test.count_rows("pg_index WHERE indexrelid = to_regclass('event_keys_pkey')").await, 0);
    store_event(&test, "m:1", &[]).await;
    assert_eq!(test.count_rows("event_keys").await, 1, "a duplicate");
    let twice = "INSERT INTO event_keys SELECT * FROM event_keys";
    assert!(test.sql.batch_execute(twice).await.is_err(), "the index is unique");
    assert!(build_missing(&test.store).await.expect("built"), "again");
    test.drop_database().await;
}

/// A page reads about as many rows as it returns, beside many other events of the brand and of others.
#[tokio::test]
async fn a_page_of_a_brand_reads_its_events_in_order() {
    let test = TestStore::new().await;
    test.sql
        .batch_execute(
            "INSERT INTO events (id, brand_id, created, type, data, key)
             SELECT gen_random_uuid(), CASE WHEN n % 2 = 0 THEN 'acme' ELSE 'other' END, now() - n * interval '9 s', 'A',
                    '{}', CASE WHEN n % 1000 = 0 THEN 'rare' END
             FROM generate_series(1, 20000) AS n;
             INSERT INTO unmatched_events (id, brand_id, created, identity, type, received, reason)
             SELECT gen_random_uuid(), 'acme', now() - n * interval '9 s', 'm:' || n, 'A', now(), 'too_large'
             FROM generate_series(1, 20000) AS n",
        )
        .await
        .expect("filled");
    // As in the sessions of the services. Compiling the plan reads hundreds of buffers.
    test.sql.batch_execute("SET jit = off").await.expect("set");
    let range = "'acme', now() - interval '7 days', now(), '00000000-0000-0000-0000-000000000000'";
    for (filter, most) in [
        ("NULL, NULL, NULL, 11, 11", 100),
        ("'rare', NULL, NULL, 11, 11", 150),
        ("NULL, NULL, 'rejected', 11, 100", 400),
    ] {
        let (buffers, plan) =
            test.count_buffers(PAGE, &format!("{range}, {filter}, now() - interval '7 days'")).await;
        assert!(buffers < most, "{filter}: {buffers} buffers {plan}");
    }
    test.drop_database().await;
}

#[tokio::test]
async fn an_unmatched_event_takes_no_identity_and_a_stored_one_hides_it() {
    let test = TestStore::new().await;
    let rejected = unmatched(&test, "m:1", Some(RejectReason::TooLarge));
    record_unmatched(&test.store, std::slice::from_ref(&rejected), earliest()).await.expect("recorded");
    let again = unmatched(&test, "m:1", None);
    record_unmatched(&test.store, &[again], earliest()).await.expect("recorded");
    assert_eq!(test.count_rows("unmatched_events").await, 1, "one for an identity");
    let details = load(&test, "1").await;
    assert_eq!(details.event.id, rejected.id, "the first id stays");
    assert_eq!(details.event.disposition.as_str(), "not_enabled", "the last reason counts");
    assert_eq!((details.duplicates, details.data), (1, None));

    let id = store_event(&test, "m:1", &[]).await;
    let details = load(&test, "1").await;
    assert_eq!((details.event.id, details.duplicates), (id, 0));
    assert_eq!(details.event.disposition.as_str(), "no_webhook");
    let both = [unmatched(&test, "m:1", None), unmatched(&test, "m:2", None)];
    record_unmatched(&test.store, &both, earliest()).await.expect("recorded");
    count_duplicates(&test.store, &[(&test.brand, "m:1", 3), (&test.brand, "m:9", 1)], earliest())
        .await
        .expect("counted");
    assert_eq!(load(&test, "1").await.duplicates, 4, "of a stored event");
    assert_eq!(load(&test, "2").await.duplicates, 0);
    assert!(find_one(&test, "9").await.is_none());
    test.drop_database().await;
}

/// The key of an event outlives the partition of the event's day, in which nothing can be counted any more.
#[tokio::test]
async fn an_identity_whose_event_expired_is_recorded_as_a_new_one() {
    let test = TestStore::new().await;
    let expired =
        "INSERT INTO event_keys VALUES ('acme', 'm:1', 1, gen_random_uuid(), now() - interval '90 days')";
    test.sql.batch_execute(expired).await.expect("inserted");
    let both = [unmatched(&test, "m:1", Some(RejectReason::TooLarge)), unmatched(&test, "m:2", None)];
    record_unmatched(&test.store, &both, earliest()).await.expect("recorded");
    assert_eq!(test.count_rows("unmatched_events").await, 2);
    assert_eq!(
        load(&test, "1").await.event.disposition.as_str(),
        "rejected",
        "the expired event hides nothing"
    );
    count_duplicates(&test.store, &[(&test.brand, "m:1", 1)], earliest()).await.expect("counted");
    assert_eq!(test.count_rows("event_duplicates").await, 0);
    test.drop_database().await;
}

/// What was recorded days ago is not overwritten, unless the producer gives the event the same time again.
#[tokio::test]
async fn an_identity_that_was_recorded_days_ago_gets_another_row() {
    let test = TestStore::new().await;
    let mut event = unmatched(&test, "m:1", Some(RejectReason::TooLarge));
    event.created -= chrono::TimeDelta::days(3);
    for _ in 0..2 {
        record_unmatched(&test.store, std::slice::from_ref(&event), earliest()).await.expect("recorded");
    }
    assert_eq!(test.count_rows("unmatched_events").await, 1, "the same time");
    record_unmatched(&test.store, &[unmatched(&test, "m:1", None)], earliest()).await.expect("recorded");
    assert_eq!(test.count_rows("unmatched_events").await, 2);
    assert_eq!(load(&test, "1").await.event.disposition.as_str(), "not_enabled", "the newest");
    test.drop_database().await;
}

/// A row of the release before has none of the new columns; of an event without webhooks it has only the key.
#[tokio::test]
async fn events_of_the_release_before_are_found() {
    let test = TestStore::new().await;
    test.sql
        .batch_execute(
            "INSERT INTO event_keys SELECT 'acme', 'm:' || n, 1, gen_random_uuid(), now() FROM generate_series(1, 2) n;
             INSERT INTO events (id, brand_id, created, type, data)
             SELECT event_id, brand_id, created, 'A', '7' FROM event_keys WHERE key = 'm:1'",
        )
        .await
        .expect("inserted");
    let details = load(&test, "1").await;
    assert_eq!((details.data.as_deref(), details.routing_version), (Some("7"), None));
    assert_eq!(details.event.received, details.event.created);
    let details = load(&test, "2").await;
    assert_eq!((details.event.event_type, details.event.disposition.as_str()), (None, "no_webhook"));
    let found = find_one(&test, "2").await.expect("an event");
    let later = now() + chrono::TimeDelta::days(1);
    assert!(load_event(&test.store, &found, later).await.expect("loaded").is_none(), "it has expired");
    test.drop_database().await;
}

#[tokio::test]
async fn the_version_of_a_webhook_is_that_of_the_event() {
    let test = TestStore::new().await;
    store_event(&test, "m:0", &[]).await;
    let webhook = test.insert_webhook().await;
    let mut expected = Vec::new();
    for (status, events) in [("paused", "A"), ("active", "X.Y"), ("active", "*")] {
        let change = format!("UPDATE webhooks SET status = '{status}', events = '{{{events}}}'");
        test.sql.batch_execute(&change).await.expect("changed");
        store_event(&test, &format!("m:{}", expected.len() + 1), &[]).await;
        expected.push((status, events));
    }
    // A change that routing does not read makes no version.
    test.sql.batch_execute("UPDATE webhooks SET description = 'x'").await.expect("changed");
    assert_eq!(test.count_rows("webhook_versions").await, 4);
    assert_eq!(test.count_rows("webhook_versions WHERE ended IS NULL").await, 1);
    for (at, (status, events)) in expected.iter().enumerate() {
        let details = load(&test, &(at + 1).to_string()).await;
        let listed = list_event_webhooks(&test.store, &details, false).await.expect("listed");
        let then = listed[0].then.as_ref().expect("it existed");
        assert_eq!((then.status.as_str(), then.events[0].as_str()), (*status, *events));
        assert_eq!((listed[0].id, listed[0].status), (webhook, WebhookStatus::Active));
    }
    let details = load(&test, "0").await;
    let listed = list_event_webhooks(&test.store, &details, false).await.expect("listed");
    assert!(listed[0].then.is_none(), "created later");
    test.drop_database().await;
}

#[tokio::test]
async fn versions_that_ended_before_the_retention_are_deleted() {
    let test = TestStore::new().await;
    test.insert_webhook().await;
    test.sql
        .batch_execute(
            "INSERT INTO webhook_versions (webhook_id, routing_version, status, events, began, ended)
             SELECT id, -n, 'paused', '{*}', now() - (n + 1) * interval '1 day', now() - n * interval '1 day'
             FROM webhooks, generate_series(1, 600) AS n",
        )
        .await
        .expect("filled");
    finish_maintenance(&test).await;
    assert_eq!(test.count_rows("webhook_versions").await, 1 + 8, "the current one, and one for each day");
    let plan = test.explain(include_str!("../../sql/webhook_versions/delete_old.sql"), 2).await;
    assert!(plan.contains("webhook_versions_by_end") && !plan.contains("Seq Scan"), "{plan}");
    // Also an older release removes a deleted webhook.
    test.sql.batch_execute("DELETE FROM webhooks").await.expect("removed");
    assert_eq!(test.count_rows("webhook_versions").await, 0);
    test.drop_database().await;
}
