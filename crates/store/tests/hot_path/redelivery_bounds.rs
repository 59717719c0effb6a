//! Bounds of redelivery: data in pages, single redeliveries, counts, one running job, and the order of the queue.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use domain::delivery::DeliveryStatus;
use domain::delivery::attempt::Trigger;
use domain::ids::WebhookId;
use domain::time::{Timestamp, truncate_to_millis};
use store::delivery::event_data::MAX_PAGE_DATA_BYTES;
use store::maintenance::online_index;
use store::redelivery::jobs::{self, MAX_COUNTED, ONE_RUNNING, Selection, SelectionCount};
use store::redelivery::queue::{self, MAX_SINGLE_REDELIVERIES};
use uuid::Uuid;

use crate::support::TestStore;

/// Bytes of an event of the largest size.
const LARGE_EVENT: i32 = 256 * 1024;

fn last_day(status: Option<DeliveryStatus>) -> Selection {
    let now = truncate_to_millis(Utc::now());
    Selection { from: now - TimeDelta::days(1), to: now + TimeDelta::minutes(1), status, pattern: None }
}

/// Stores deliveries of a webhook with this status, each with an event if `bytes` is above 0.
async fn store_deliveries(test: &TestStore, webhook: WebhookId, number: i32, status: &str, bytes: i32) {
    let insert = "WITH stored AS ( \
                      INSERT INTO deliveries (webhook_id, created, event_id, brand_id, type, generation, status, \
                                              attempts, last_attempt_at) \
                      SELECT $1, now() - n * interval '1 ms', gen_random_uuid(), 'acme', 'A.B', 1, $3, 1, now() \
                      FROM generate_series(1, $2) AS n RETURNING event_id, created) \
                  INSERT INTO events (id, brand_id, created, type, data) \
                  SELECT event_id, 'acme', created, 'A.B', repeat('x', $4) FROM stored WHERE $4 > 0";
    test.sql.execute(insert, &[&webhook.0, &number, &status, &bytes]).await.expect("stored");
}

/// Puts all deliveries of a webhook into the queue of redeliveries.
async fn queue_all(test: &TestStore, webhook: WebhookId, job: Option<Uuid>) {
    let insert = "INSERT INTO redeliveries (webhook_id, created, event_id, round, trigger, job_id) \
                  SELECT webhook_id, created, event_id, 2, 'redeliver', $2 FROM deliveries WHERE webhook_id = $1 \
                  ON CONFLICT DO NOTHING";
    test.sql.execute(insert, &[&webhook.0, &job]).await.expect("queued");
}

/// A page has hundreds of deliveries, so that large data is loaded when its attempt is due.
#[tokio::test]
async fn pages_from_the_database_contain_no_large_data() {
    let test = TestStore::new().await;
    let webhook = test.insert_webhook().await;
    store_deliveries(&test, webhook, 50, "failed", LARGE_EVENT).await;
    queue_all(&test, webhook, None).await;
    let is_left_out = |row: &tokio_postgres::Row| {
        row.get::<_, i32>("data_bytes") == LARGE_EVENT && row.get::<_, Option<String>>("data").is_none()
    };
    let page = include_str!("../../sql/redelivery_queue/load_due.sql");
    let beginning = Timestamp::UNIX_EPOCH;
    let due = test.sql.query(page, &[&webhook.0, &beginning, &100_i64, &MAX_PAGE_DATA_BYTES]).await;
    let due = due.expect("loaded");
    assert!(due.len() == 50 && due.iter().all(is_left_out));

    let overdue = "UPDATE deliveries SET status = 'pending', next_attempt_at = now() - interval '1 minute'";
    test.sql.batch_execute(&format!("DELETE FROM redeliveries; {overdue}")).await.expect("overdue");
    let page = include_str!("../../sql/orphaned/overdue_retries.sql");
    let now = Utc::now();
    let due = test.sql.query(page, &[&webhook.0, &beginning, &now, &100_i64, &MAX_PAGE_DATA_BYTES]).await;
    let due = due.expect("loaded");
    assert!(due.len() == 50 && due.iter().all(is_left_out));
    test.drop_database().await;
}

#[tokio::test]
async fn the_queue_is_read_in_the_order_of_its_indexes() {
    let test = TestStore::new().await;
    let webhook = test.insert_webhook().await;
    store_deliveries(&test, webhook, 20_000, "failed", 0).await;
    queue_all(&test, webhook, Some(Uuid::new_v4())).await;
    test.sql.batch_execute("ANALYZE redeliveries").await.expect("statistics");
    let page = include_str!("../../sql/redelivery_queue/load_due.sql");
    let plan = test.explain(page, 4).await;
    for index in ["redeliveries_single", "redeliveries_of_jobs"] {
        assert!(plan.contains(&format!("using {index}")), "{index}: {plan}");
    }
    assert!(!plan.contains("Seq Scan on public.redeliveries"), "{plan}");
    assert_eq!(jobs::find_webhooks(&test.store).await.expect("read"), [webhook]);
    let skip_scan = include_str!("../../sql/redelivery_jobs/find_webhooks.sql");
    let (buffers, plan) = test.count_buffers(skip_scan, "75000").await;
    eprintln!("{buffers} buffers to find the webhooks of 20,000 redeliveries");
    assert!(buffers < 100, "{buffers} buffers: {plan}");
    test.drop_database().await;
}

#[tokio::test]
async fn an_index_of_a_filled_table_is_built_beside_its_writers() {
    let test = TestStore::new().await;
    let webhook = test.insert_webhook().await;
    store_deliveries(&test, webhook, 100, "failed", 0).await;
    queue_all(&test, webhook, None).await;
    let drop_indexes = "DROP INDEX redeliveries_single; DROP INDEX redeliveries_of_jobs";
    test.sql.batch_execute(drop_indexes).await.expect("as before the upgrade");
    // A migration leaves a filled table alone, because its writers would wait.
    store::migrate::migrate_schema(&test.store, crate::support::RETENTION).await.expect("migrated");
    let built = "pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
                 WHERE c.relname IN ('redeliveries_single', 'redeliveries_of_jobs') AND i.indisvalid";
    assert_eq!(test.count_rows(built).await, 0);
    assert!(online_index::build_missing(&test.store).await.expect("built"));
    assert_eq!(test.count_rows(built).await, 2);
    assert!(online_index::build_missing(&test.store).await.expect("nothing to do"));
    test.drop_database().await;
}

/// In a stricter isolation the transaction of the lock would have a snapshot, for which the build would wait without end.
#[tokio::test]
async fn an_index_is_built_whatever_the_isolation_of_the_role() {
    let test = TestStore::new().await;
    let webhook = test.insert_webhook().await;
    store_deliveries(&test, webhook, 100, "failed", 0).await;
    queue_all(&test, webhook, None).await;
    test.sql.batch_execute("DROP INDEX redeliveries_single").await.expect("as before the upgrade");
    let store = test.with_options(r"-c default_transaction_isolation=repeatable\ read");
    let built = tokio::time::timeout(Duration::from_secs(60), online_index::build_missing(&store)).await;
    assert!(built.expect("the build does not wait for its own lock").expect("built"));
    drop(store);
    test.drop_database().await;
}

#[tokio::test]
async fn single_redeliveries_are_counted_to_their_bound() {
    let test = TestStore::new().await;
    let webhook = test.insert_webhook().await;
    let bound = i32::try_from(MAX_SINGLE_REDELIVERIES).expect("a number");
    store_deliveries(&test, webhook, 5, "failed", 0).await;
    queue_all(&test, webhook, Some(Uuid::new_v4())).await;
    assert_eq!(queue::count_single(&test.store, webhook).await.expect("counted"), 0, "they belong to a job");
    store_deliveries(&test, webhook, bound + 5, "failed", 0).await;
    queue_all(&test, webhook, None).await;
    assert_eq!(queue::count_single(&test.store, webhook).await.expect("counted"), MAX_SINGLE_REDELIVERIES);
    let other = test.insert_webhook().await;
    assert_eq!(queue::count_single(&test.store, other).await.expect("counted"), 0);
    test.drop_database().await;
}

#[tokio::test]
async fn the_deliveries_of_a_range_are_counted_to_a_bound() {
    let test = TestStore::new().await;
    let webhook = test.insert_webhook().await;
    let bound = i32::try_from(MAX_COUNTED).expect("a number");
    store_deliveries(&test, webhook, bound, "failed", 0).await;
    let count =
        async |status| jobs::count_selected(&test.store, webhook, &last_day(status)).await.expect("counted");
    assert_eq!(count(None).await, SelectionCount { selected: MAX_COUNTED, more: false });
    store_deliveries(&test, webhook, 1, "delivered", 0).await;
    assert_eq!(count(None).await, SelectionCount { selected: MAX_COUNTED, more: true });
    let failed = count(Some(DeliveryStatus::Failed)).await;
    assert_eq!(failed, SelectionCount { selected: MAX_COUNTED, more: false });
    let delivered = count(Some(DeliveryStatus::Delivered)).await;
    assert!(
        delivered.more && delivered.selected <= 1,
        "the range is longer than what is read: {delivered:?}"
    );
    assert_eq!(count(Some(DeliveryStatus::Held)).await, SelectionCount { selected: 0, more: false });
    test.drop_database().await;
}

#[tokio::test]
async fn the_schema_lets_one_job_of_a_webhook_run() {
    let test = TestStore::new().await;
    let webhook = test.insert_webhook().await;
    let count = SelectionCount { selected: 0, more: false };
    let insert = async |webhook| {
        jobs::insert_job(&test.store, webhook, Trigger::Redeliver, &last_day(None), count, "support").await
    };
    // The release before does not know the rule.
    let older = "INSERT INTO redelivery_jobs (id, webhook_id, trigger, from_at, to_at, total, after_created, after_event) \
                 VALUES ($1, $2, 'redeliver', now(), now(), 0, now(), $1)";
    test.sql.execute(older, &[&Uuid::new_v4(), &webhook.0]).await.expect("created");
    let first = insert(webhook).await.expect("the schema allows it beside an older one");
    let refused = insert(webhook).await.expect_err("the first one runs");
    assert_eq!(refused.broken_constraint(), Some(ONE_RUNNING), "{refused:?}");
    insert(test.insert_webhook().await).await.expect("another webhook");
    let running = jobs::find_running_job(&test.store, webhook).await.expect("read");
    assert!(running.is_some_and(|running| running != first.id), "the oldest one is named");
    test.sql
        .batch_execute("UPDATE redelivery_jobs SET walked = true, queued = 2, done = 1")
        .await
        .expect("walked");
    assert!(insert(webhook).await.is_err(), "a delivery is to be attempted");
    test.sql.batch_execute("UPDATE redelivery_jobs SET done = 2").await.expect("ended");
    assert_eq!(jobs::find_running_job(&test.store, webhook).await.expect("read"), None);
    insert(webhook).await.expect("the first one has ended");
    test.sql
        .execute("UPDATE webhooks SET status = 'paused' WHERE id = $1", &[&webhook.0])
        .await
        .expect("paused");
    assert_eq!(jobs::find_running_job(&test.store, webhook).await.expect("read"), None, "it was stopped");
    test.drop_database().await;
}
