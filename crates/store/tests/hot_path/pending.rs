//! Looks at pending work cost as much as is pending, also while a long transaction keeps the entries of everything that
//! was delivered.
//!
//! The cost is the number of buffers that PostgreSQL visits, which does not depend on the machine's load.

use chrono::{TimeDelta, Utc};
use domain::delivery::DeliveryStatus;
use domain::ids::WebhookId;
use domain::time::Timestamp;
use store::api::overview::{BacklogMeter, MAX_COUNTED_PER_WEBHOOK};
use store::delivery::generations;
use store::delivery::orphaned;
use store::delivery::search_floors::SearchFloors;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::TestStore;

const ORPHANS: &str = include_str!("../../sql/orphaned/webhooks_with_orphans.sql");
const OVERDUE: &str = include_str!("../../sql/orphaned/webhooks_with_overdue_retries.sql");
const CLOSE_BATCH: &str = include_str!("../../sql/generations/close_batch.sql");
const BACKLOG: &str = include_str!("../../sql/overview/backlog.sql");

/// Deliveries that ended since the long transaction began.
const DELIVERED: i32 = 20_000;
/// Buffers that a look may visit while nothing is pending: the upper levels of the indexes of some partitions, and the
/// plan's look-ups in the catalogue.
const MAX_BUFFERS: i64 = 200;

/// Stores deliveries of a webhook, one each 100 ms up to two minutes ago, with a failed attempt.
async fn store_pending(test: &TestStore, webhook: WebhookId, number: i32) {
    let insert = "INSERT INTO deliveries (webhook_id, created, event_id, brand_id, type, generation, attempts, \
                                          first_attempt_at, last_attempt_at, next_attempt_at) \
                  SELECT $1, at, gen_random_uuid(), 'acme', 'A.B', 1, 1, at, at, at \
                  FROM generate_series(1, $2) AS n, \
                       LATERAL (SELECT now() - interval '2 minutes' - n * interval '100 ms' AS at) AS t";
    test.sql.execute(insert, &[&webhook.0, &number]).await.expect("stored");
}

async fn deliver_all(test: &TestStore) {
    let deliver =
        "UPDATE deliveries SET status = 'delivered', next_attempt_at = NULL WHERE status = 'pending'";
    test.sql.execute(deliver, &[]).await.expect("delivered");
    test.sql.batch_execute("ANALYZE deliveries").await.expect("statistics");
}

/// Opens a session with a transaction that began before everything else, as a dump does.
async fn begin_long_transaction(test: &TestStore) -> Client {
    let session = test.connect().await;
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM brands";
    session.batch_execute(begin).await.expect("a snapshot");
    session
}

fn array(webhook: WebhookId, since: Timestamp) -> String {
    format!("ARRAY['{}']::uuid[], ARRAY['{}']::timestamptz[]", webhook.0, since.to_rfc3339())
}

#[tokio::test]
async fn looks_at_pending_work_do_not_pay_for_what_was_delivered_during_a_long_transaction() {
    let test = TestStore::new().await;
    let webhook = test.insert_webhook().await;
    let dump = begin_long_transaction(&test).await;
    store_pending(&test, webhook, DELIVERED).await;
    let orphan_floors = SearchFloors::default();
    let retry_floors = SearchFloors::default();
    let now = Utc::now();
    let orphans = orphaned::find_webhooks_with_orphans(&test.store, &orphan_floors, &[webhook], now).await;
    assert_eq!(orphans.expect("searched"), [webhook]);
    let overdue =
        orphaned::find_webhooks_with_overdue_retries(&test.store, &retry_floors, &[webhook], now).await;
    assert_eq!(overdue.expect("searched"), [webhook]);
    let oldest = orphan_floors.floor_of(webhook);
    assert!(oldest < now - TimeDelta::minutes(30), "the floor is the oldest pending delivery: {oldest}");
    assert_eq!(retry_floors.floor_of(webhook), oldest);

    deliver_all(&test).await;
    let orphans = orphaned::find_webhooks_with_orphans(&test.store, &orphan_floors, &[webhook], now).await;
    assert!(orphans.expect("searched").is_empty());
    let overdue =
        orphaned::find_webhooks_with_overdue_retries(&test.store, &retry_floors, &[webhook], now).await;
    assert!(overdue.expect("searched").is_empty());

    let until = format!("'{}'::timestamptz", now.to_rfc3339());
    let limit = MAX_COUNTED_PER_WEBHOOK + 1;
    for (name, statement, floors, rest) in [
        ("orphans", ORPHANS, &orphan_floors, until.clone()),
        ("overdue retries", OVERDUE, &retry_floors, until),
        ("backlog", BACKLOG, &orphan_floors, limit.to_string()),
    ] {
        let beginning = format!("{}, {rest}", array(webhook, Timestamp::UNIX_EPOCH));
        let (from_beginning, _) = test.count_buffers(statement, &beginning).await;
        let from = floors.floor_of(webhook);
        let (from_floor, plan) =
            test.count_buffers(statement, &format!("{}, {rest}", array(webhook, from))).await;
        eprintln!("{name}: {from_floor} buffers from the floor, {from_beginning} from the beginning");
        assert!(from_floor < MAX_BUFFERS, "{name}: {from_floor} buffers: {plan}");
        assert!(from_beginning > 10 * from_floor, "{name}: the floor saves nothing: {from_beginning}");
    }
    drop(dump);
    test.drop_database().await;
}

/// A batch that began with the oldest delivery would visit all that were closed before.
#[tokio::test]
async fn a_batch_of_a_closing_generation_begins_after_the_one_before() {
    let test = TestStore::new().await;
    let webhook = test.insert_webhook().await;
    let dump = begin_long_transaction(&test).await;
    store_pending(&test, webhook, DELIVERED).await;
    let last = "SELECT created, event_id FROM deliveries ORDER BY created OFFSET 10000 LIMIT 1";
    let last = test.sql.query_one(last, &[]).await.expect("in the middle");
    let (at, id): (Timestamp, Uuid) = (last.get(0), last.get(1));
    let close = "UPDATE deliveries SET status = 'discarded', next_attempt_at = NULL WHERE created <= $1";
    test.sql.execute(close, &[&at]).await.expect("the batches before");
    let batch = async |at: Timestamp, id: Uuid| {
        let at = at.to_rfc3339();
        let params = format!("'{}', 2, 'discarded', '{at}', '{id}', 10", webhook.0);
        test.count_buffers(CLOSE_BATCH, &params).await
    };
    test.sql.batch_execute("BEGIN").await.expect("begun");
    let (from_beginning, _) = batch(Timestamp::UNIX_EPOCH, Uuid::nil()).await;
    test.sql.batch_execute("ROLLBACK; BEGIN").await.expect("undone");
    let (from_position, _) = batch(at, id).await;
    test.sql.batch_execute("ROLLBACK").await.expect("undone");
    eprintln!("{from_position} buffers after the batch before, {from_beginning} from the beginning");
    // A buffer has some 70 of the 10,000 entries and rows before. Closing the rows itself costs a number that varies with
    // the other work of the server.
    assert!(from_beginning > from_position + 150, "{from_beginning} and {from_position}");

    let closed = generations::close_generations(&test.store, webhook, 2, DeliveryStatus::Discarded).await;
    let open = u64::try_from(DELIVERED).expect("a number") - 10_001;
    assert_eq!(closed.expect("closed"), open);
    assert_eq!(test.count_rows("deliveries WHERE status = 'discarded'").await, i64::from(DELIVERED));
    drop(dump);
    test.drop_database().await;
}

#[tokio::test]
async fn the_backlog_is_counted_to_a_bound_and_tells_when_the_first_delivery_was_due() {
    let test = TestStore::new().await;
    let busy = test.insert_webhook().await;
    let other = test.insert_webhook().await;
    let bound = i32::try_from(MAX_COUNTED_PER_WEBHOOK).expect("a number");
    let meter = BacklogMeter::default();
    assert_eq!(meter.measure(&test.store).await.expect("measured").first_due, None);
    store_pending(&test, other, 3).await;
    let few = BacklogMeter::default().measure(&test.store).await.expect("measured");
    assert_eq!((few.waiting, few.due, few.more), (3, 3, false));
    store_pending(&test, busy, bound + 1).await;
    let many = BacklogMeter::default().measure(&test.store).await.expect("measured");
    let counted = MAX_COUNTED_PER_WEBHOOK + 3;
    assert_eq!((many.waiting, many.due, many.more), (counted, counted, true));

    // A redelivery of an old event is not late, and neither is a retry that is planned.
    let later = "UPDATE deliveries SET round = 2, next_attempt_at = NULL WHERE webhook_id = $1";
    test.sql.execute(later, &[&busy.0]).await.expect("redelivered");
    let planned =
        "UPDATE deliveries SET next_attempt_at = now() + interval '10 minutes' WHERE webhook_id = $1";
    test.sql.execute(planned, &[&other.0]).await.expect("planned");
    let backlog = BacklogMeter::default().measure(&test.store).await.expect("measured");
    let first_due = backlog.first_due.expect("three are planned");
    assert!(first_due > Utc::now() + TimeDelta::minutes(5), "{first_due}");
    assert_eq!(backlog.waiting, counted);
    test.drop_database().await;
}
