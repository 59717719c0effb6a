//! Maintenance: partitions, epochs and what is forgotten, beside dumps and other processes.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use store::delivery::record;
use store::instances::{self, Instance};
use store::maintenance::{Maintained, Maintenance, run_maintenance};
use store::maintenance::{partitions, retention};

use crate::record::{SLICE, attempt, owed_delivery};
use crate::support::{RETENTION, TestStore};

const DAY: Duration = Duration::from_secs(24 * 3600);
const TABLES: [&str; 4] = ["events", "deliveries", "attempts", "webhook_activity"];

/// The name of a table's partition for the day that is so many days ahead.
fn partition(table: &str, days: i64) -> String {
    format!("{table}{}", (Utc::now() + TimeDelta::days(days)).format("_%Y%m%d"))
}

async fn attach(test: &TestStore, table: &str, days: i64) {
    let day = (Utc::now() + TimeDelta::days(days)).date_naive();
    let bounds = format!("FROM ('{day} 00:00:00+00') TO ('{} 00:00:00+00')", day + chrono::Days::new(1));
    let attach = "SELECT attach_partition($1, $2, $3)";
    test.sql.query(attach, &[&table, &partition(table, days), &bounds]).await.expect("attached");
}

/// Partitions to create and to drop, an epoch to begin and one to drop.
async fn make_work(test: &TestStore) {
    for table in TABLES {
        test.sql.batch_execute(&format!("DROP TABLE {}", partition(table, 3))).await.expect("dropped");
        attach(test, table, -10).await;
    }
    test.sql
        .batch_execute(
            "SELECT attach_partition('event_keys', 'event_keys_e20', 'IN (20)');
             UPDATE ingest_epoch SET current = 20, began = began - interval '25 hours'",
        )
        .await
        .expect("an old epoch");
}

/// Maintains until nothing is left to do: a statistics run of PostgreSQL itself may be in the way of a round.
async fn finish(test: &TestStore, retention: Duration) {
    for _ in 0..20 {
        if run_maintenance(&test.store, retention).await == Maintained::Finished {
            return;
        }
    }
    panic!("maintenance does not finish");
}

async fn exists(test: &TestStore, table: &str) -> bool {
    test.count(&format!("pg_class WHERE relname = '{table}'")).await == 1
}

async fn is_done(test: &TestStore) -> bool {
    let mut done = exists(test, "event_keys_e21").await && !exists(test, "event_keys_e1").await;
    for table in TABLES {
        done &= exists(test, &partition(table, 3)).await && !exists(test, &partition(table, -10)).await;
    }
    done
}

/// Takes an event, with a delivery and an attempt.
async fn deliver_one(test: &TestStore) {
    let key = owed_delivery(test).await;
    record::record_attempts(&test.store, &[attempt(key, 200)], SLICE).await.expect("recorded");
}

#[tokio::test]
async fn events_are_taken_and_recorded_while_maintenance_meets_a_dump() {
    let test = TestStore::new().await;
    make_work(&test).await;
    let mut dump = test.connect().await;
    let dump = dump.transaction().await.expect("begun");
    dump.batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await.expect("set");
    let tables = TABLES.join(", ");
    let lock = format!("LOCK TABLE {tables}, event_keys, ingest_epoch IN ACCESS SHARE MODE; SELECT 1");
    dump.batch_execute(&lock).await.expect("locked");

    let maintaining = tokio::spawn({
        let store = test.store.clone();
        async move { run_maintenance(&store, RETENTION).await }
    });
    let mut delivered = 0;
    while !maintaining.is_finished() || delivered < 5 {
        deliver_one(&test).await;
        delivered += 1;
    }
    assert_eq!(maintaining.await.expect("no panic"), Maintained::Unfinished);
    for table in TABLES {
        assert!(exists(&test, &partition(table, 3)).await, "a dump keeps no partition from being created");
    }
    let pending = "pg_inherits WHERE inhdetachpending";
    assert_eq!(test.count(pending).await, 5, "begun for each day's and the epoch's partition");

    dump.rollback().await.expect("ended");
    finish(&test, RETENTION).await;
    assert!(is_done(&test).await);
    deliver_one(&test).await;
    test.drop_it().await;
}

#[tokio::test]
async fn what_an_interrupted_maintenance_left_is_finished() {
    let test = TestStore::new().await;
    attach(&test, "deliveries", -10).await;
    attach(&test, "events", -10).await;
    let (pending, detached) = (partition("deliveries", -10), partition("events", -10));
    let mut reader = test.connect().await;
    let reader = reader.transaction().await.expect("begun");
    reader.batch_execute("LOCK TABLE deliveries, events IN ACCESS SHARE MODE").await.expect("locked");
    test.sql.batch_execute("SET lock_timeout = 100").await.expect("set");
    for (table, partition) in [("deliveries", &pending), ("events", &detached)] {
        let comment =
            format!("COMMENT ON TABLE {partition} IS 'postrider: an expired partition, to be dropped'");
        test.sql.batch_execute(&comment).await.expect("as maintenance does");
        let detach = format!("ALTER TABLE {table} DETACH PARTITION {partition} CONCURRENTLY");
        test.sql.batch_execute(&detach).await.expect_err("interrupted");
    }
    reader.rollback().await.expect("ended");
    test.sql
        .batch_execute(&format!("ALTER TABLE events DETACH PARTITION {detached} FINALIZE"))
        .await
        .expect("detached");
    test.sql.batch_execute("CREATE TABLE events_20200101 ()").await.expect("a table of somebody else's");

    finish(&test, RETENTION).await;
    assert!(!exists(&test, &pending).await && !exists(&test, &detached).await);
    assert!(exists(&test, "events_20200101").await);
    test.drop_it().await;
}

#[tokio::test]
async fn one_process_maintains_at_a_time() {
    let test = TestStore::new().await;
    make_work(&test).await;
    let first = Maintenance::begin(&test.store, RETENTION).await.expect("begun").expect("nobody else");
    assert_eq!(run_maintenance(&test.store, RETENTION).await, Maintained::Skipped);
    assert!(!is_done(&test).await);
    assert_ne!(first.run().await, Maintained::Skipped);
    // The server lets go of the lock when it notices that the connection is closed.
    while run_maintenance(&test.store, RETENTION).await != Maintained::Finished {
        tokio::task::yield_now().await;
    }
    assert!(is_done(&test).await);
    test.drop_it().await;
}

#[tokio::test]
async fn a_step_that_fails_keeps_no_other_from_its_work() {
    let test = TestStore::new().await;
    make_work(&test).await;
    let obstacle = partition("events", 3);
    test.sql.batch_execute(&format!("CREATE TABLE {obstacle} (other text)")).await.expect("in the way");
    for _ in 0..20 {
        assert_eq!(run_maintenance(&test.store, RETENTION).await, Maintained::Unfinished);
        if is_done(&test).await {
            break;
        }
    }
    assert!(is_done(&test).await, "all but the one that is in the way");
    test.sql.batch_execute(&format!("DROP TABLE {obstacle}")).await.expect("out of the way");
    finish(&test, RETENTION).await;
    test.drop_it().await;
}

#[tokio::test]
async fn partitions_are_created_ahead_once_and_expired_ones_dropped() {
    let test = TestStore::new().await;
    let days = "pg_class WHERE relname LIKE 'deliveries_2%' AND relkind = 'r'";
    assert_eq!(test.count(days).await, 7 + 1 + 3);
    let (one, two) = tokio::join!(
        partitions::create_partitions(&test.store, 9 * DAY),
        partitions::create_partitions(&test.store, 9 * DAY)
    );
    one.and(two).expect("both at once");
    assert_eq!(test.count(days).await, 9 + 1 + 3);
    let parent = "SELECT indexdef FROM pg_indexes WHERE tablename = 'deliveries'";
    let indexes = test.count(&format!("({parent}) AS i")).await;
    let new = partition("deliveries", -9);
    assert_eq!(test.count(&format!("pg_indexes WHERE tablename = '{new}'")).await, indexes);

    finish(&test, 5 * DAY).await;
    assert_eq!(test.count(days).await, 5 + 1 + 3);
    assert!(exists(&test, &partition("deliveries", -5)).await, "the oldest readable day stays");
    test.drop_it().await;
}

#[tokio::test]
async fn the_longest_retention_of_all_processes_counts() {
    let test = TestStore::new().await;
    attach(&test, "events", -10).await;
    let other = Instance::new("router", "1", 30 * DAY);
    instances::renew_instance(&test.store, &other).await.expect("there");
    let before =
        "INSERT INTO instances (id, service, host, version) VALUES (gen_random_uuid(), 'router', 'h', '0')";
    test.sql.batch_execute(before).await.expect("a process of the release before");

    let longer = retention::find_longer(&test.store, RETENTION).await.expect("asked").expect("longer");
    assert_eq!((longer.retention, longer.service.as_str()), (30 * DAY, "router"));
    assert_eq!(retention::find_longer(&test.store, 30 * DAY).await.expect("asked"), None);
    assert_eq!(retention::find_longest(&test.store, 40 * DAY).await.expect("asked"), 40 * DAY);
    finish(&test, RETENTION).await;
    assert!(exists(&test, &partition("events", -10)).await, "the other still shows it");
    assert!(exists(&test, &partition("events", -30)).await, "and takes as old a one");

    let gone = "UPDATE instances SET last_seen = last_seen - make_interval(secs => $1)";
    test.sql.execute(gone, &[&retention::SEEN_TIMEOUT.as_secs_f64()]).await.expect("gone");
    assert_eq!(retention::find_longer(&test.store, RETENTION).await.expect("asked"), None);
    finish(&test, RETENTION).await;
    assert!(!exists(&test, &partition("events", -10)).await);
    test.drop_it().await;
}
