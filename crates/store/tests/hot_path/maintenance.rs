//! Maintenance: partitions, epochs and retention, beside dumps and other processes.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use store::delivery::record;
use store::instances::{self, Instance};
use store::maintenance::{Maintained, Maintenance, run_maintenance};
use store::maintenance::{partitions, retention};

use crate::record::{SLICE, build_attempt, store_delivery};
use crate::support::{AUDIT_RETENTION, RETENTION, TestStore};

const DAY: Duration = Duration::from_secs(24 * 3600);
const TABLES: [&str; 6] =
    ["events", "deliveries", "attempts", "webhook_activity", "unmatched_events", "event_duplicates"];

/// Returns the name of a table's partition for the day that is `days` ahead.
fn partition_name(table: &str, days: i64) -> String {
    format!("{table}{}", (Utc::now() + TimeDelta::days(days)).format("_%Y%m%d"))
}

async fn attach_day(test: &TestStore, table: &str, days: i64) {
    let day = (Utc::now() + TimeDelta::days(days)).date_naive();
    let bounds = format!("FROM ('{day} 00:00:00+00') TO ('{} 00:00:00+00')", day + chrono::Days::new(1));
    let attach = "SELECT attach_partition($1, $2, $3)";
    test.sql.query(attach, &[&table, &partition_name(table, days), &bounds]).await.expect("attached");
}

/// Prepares partitions to create and to drop, an epoch to begin and an epoch to drop.
async fn prepare_work(test: &TestStore) {
    for table in TABLES {
        test.sql.batch_execute(&format!("DROP TABLE {}", partition_name(table, 3))).await.expect("dropped");
        attach_day(test, table, -10).await;
    }
    test.sql
        .batch_execute(
            "SELECT attach_partition('event_keys', 'event_keys_e20', 'IN (20)');
             UPDATE ingest_epoch SET current = 20, began = began - interval '25 hours'",
        )
        .await
        .expect("an old epoch");
}

/// Runs maintenance until nothing is left to do, because autovacuum may block a step of a pass.
async fn finish_maintenance(test: &TestStore, retention: Duration) {
    for _ in 0..20 {
        if run_maintenance(&test.store, retention, AUDIT_RETENTION).await == Maintained::Finished {
            return;
        }
    }
    panic!("maintenance does not finish");
}

async fn table_exists(test: &TestStore, table: &str) -> bool {
    test.count_rows(&format!("pg_class WHERE relname = '{table}'")).await == 1
}

async fn is_done(test: &TestStore) -> bool {
    let mut done = table_exists(test, "event_keys_e21").await && !table_exists(test, "event_keys_e1").await;
    for table in TABLES {
        done &= table_exists(test, &partition_name(table, 3)).await
            && !table_exists(test, &partition_name(table, -10)).await;
    }
    done
}

/// Stores an event with a delivery and an attempt.
async fn deliver_one(test: &TestStore) {
    let key = store_delivery(test).await;
    record::record_attempts(&test.store, &[build_attempt(key, 200)], SLICE).await.expect("recorded");
}

#[tokio::test]
async fn events_are_stored_and_attempts_recorded_while_a_dump_blocks_maintenance() {
    let test = TestStore::new().await;
    prepare_work(&test).await;
    let mut dump = test.connect().await;
    let dump = dump.transaction().await.expect("begun");
    dump.batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await.expect("set");
    let tables = TABLES.join(", ");
    let lock = format!("LOCK TABLE {tables}, event_keys, ingest_epoch IN ACCESS SHARE MODE; SELECT 1");
    dump.batch_execute(&lock).await.expect("locked");

    let maintaining = tokio::spawn({
        let store = test.store.clone();
        async move { run_maintenance(&store, RETENTION, AUDIT_RETENTION).await }
    });
    let mut delivered = 0;
    while !maintaining.is_finished() || delivered < 5 {
        deliver_one(&test).await;
        delivered += 1;
    }
    assert_eq!(maintaining.await.expect("no panic"), Maintained::Unfinished);
    for table in TABLES {
        assert!(table_exists(&test, &partition_name(table, 3)).await, "partitions are created beside a dump");
    }
    let pending = "pg_inherits WHERE inhdetachpending";
    assert_eq!(test.count_rows(pending).await, 7, "begun for each day's and the epoch's partition");

    dump.rollback().await.expect("ended");
    finish_maintenance(&test, RETENTION).await;
    assert!(is_done(&test).await);
    deliver_one(&test).await;
    test.drop_database().await;
}

#[tokio::test]
async fn an_interrupted_drop_is_completed() {
    let test = TestStore::new().await;
    attach_day(&test, "deliveries", -10).await;
    attach_day(&test, "events", -10).await;
    let pending = partition_name("deliveries", -10);
    let detached = partition_name("events", -10);
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
    test.sql.batch_execute("CREATE TABLE events_20200101 ()").await.expect("a foreign table");

    finish_maintenance(&test, RETENTION).await;
    assert!(!table_exists(&test, &pending).await && !table_exists(&test, &detached).await);
    assert!(table_exists(&test, "events_20200101").await);
    test.drop_database().await;
}

#[tokio::test]
async fn one_process_maintains_at_a_time() {
    let test = TestStore::new().await;
    prepare_work(&test).await;
    let first = Maintenance::begin(&test.store, RETENTION, AUDIT_RETENTION)
        .await
        .expect("begun")
        .expect("no other process");
    assert_eq!(run_maintenance(&test.store, RETENTION, AUDIT_RETENTION).await, Maintained::Skipped);
    assert!(!is_done(&test).await);
    assert_ne!(first.run().await, Maintained::Skipped);
    // The server releases the lock when it notices that the connection is closed.
    while run_maintenance(&test.store, RETENTION, AUDIT_RETENTION).await != Maintained::Finished {
        tokio::task::yield_now().await;
    }
    assert!(is_done(&test).await);
    test.drop_database().await;
}

#[tokio::test]
async fn the_other_steps_run_after_a_failed_step() {
    let test = TestStore::new().await;
    prepare_work(&test).await;
    let obstacle = partition_name("events", 3);
    test.sql
        .batch_execute(&format!("CREATE TABLE {obstacle} (other text)"))
        .await
        .expect("the name is taken");
    for _ in 0..20 {
        assert_eq!(run_maintenance(&test.store, RETENTION, AUDIT_RETENTION).await, Maintained::Unfinished);
        if is_done(&test).await {
            break;
        }
    }
    assert!(is_done(&test).await, "all but the partition whose name is taken");
    test.sql.batch_execute(&format!("DROP TABLE {obstacle}")).await.expect("the name is free");
    finish_maintenance(&test, RETENTION).await;
    test.drop_database().await;
}

#[tokio::test]
async fn partitions_are_created_ahead_once_and_expired_ones_dropped() {
    let test = TestStore::new().await;
    let days = "pg_class WHERE relname LIKE 'deliveries_2%' AND relkind = 'r'";
    assert_eq!(test.count_rows(days).await, 7 + 1 + 3);
    let (one, two) = tokio::join!(
        partitions::create_partitions(&test.store, 9 * DAY),
        partitions::create_partitions(&test.store, 9 * DAY)
    );
    one.and(two).expect("both at once");
    assert_eq!(test.count_rows(days).await, 9 + 1 + 3);
    let parent = "SELECT indexdef FROM pg_indexes WHERE tablename = 'deliveries'";
    let indexes = test.count_rows(&format!("({parent}) AS i")).await;
    let new = partition_name("deliveries", -9);
    assert_eq!(test.count_rows(&format!("pg_indexes WHERE tablename = '{new}'")).await, indexes);

    finish_maintenance(&test, 5 * DAY).await;
    assert_eq!(test.count_rows(days).await, 5 + 1 + 3);
    assert!(table_exists(&test, &partition_name("deliveries", -5)).await, "the oldest readable day stays");
    test.drop_database().await;
}

#[tokio::test]
async fn the_longest_retention_of_all_processes_applies() {
    let test = TestStore::new().await;
    attach_day(&test, "events", -10).await;
    let other = Instance::new("router", "1", 30 * DAY);
    instances::renew_instance(&test.store, &other).await.expect("there");
    let before =
        "INSERT INTO instances (id, service, host, version) VALUES (gen_random_uuid(), 'router', 'h', '0')";
    test.sql.batch_execute(before).await.expect("a process of the previous release");

    let longer = retention::find_longer(&test.store, RETENTION).await.expect("asked").expect("longer");
    assert_eq!((longer.retention, longer.service.as_str()), (30 * DAY, "router"));
    assert_eq!(retention::find_longer(&test.store, 30 * DAY).await.expect("asked"), None);
    assert_eq!(retention::find_longest(&test.store, 40 * DAY).await.expect("asked"), 40 * DAY);
    finish_maintenance(&test, RETENTION).await;
    assert!(table_exists(&test, &partition_name("events", -10)).await, "the other process still shows it");
    assert!(table_exists(&test, &partition_name("events", -30)).await, "and stores events as old");

    let gone = "UPDATE instances SET last_seen = last_seen - make_interval(secs => $1)";
    test.sql.execute(gone, &[&retention::SEEN_TIMEOUT.as_secs_f64()]).await.expect("gone");
    assert_eq!(retention::find_longer(&test.store, RETENTION).await.expect("asked"), None);
    finish_maintenance(&test, RETENTION).await;
    assert!(!table_exists(&test, &partition_name("events", -10)).await);
    test.drop_database().await;
}
