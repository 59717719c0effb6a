//! Nothing grows for ever: each table has a bound, and maintenance deletes rows whose retention is over.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::ids::WebhookId;
use store::AuditedTransaction;
use store::api::audit::Entry;
use store::api::rejected_usage::{FreedUsage, RejectedUsage, add_usage, free_usage, load_usage, reset_usage};
use store::api::webhooks;
use store::maintenance::{Maintained, run_maintenance};
use store::routing::configuration::load_delivery_changes;
use store::secrets::keyring::SecretKeyring;

use crate::support::{AUDIT_RETENTION, RETENTION, TestStore};

/// Every table, and the bound of its size.
const BOUNDS: [(&str, &str); 28] = [
    ("attempts", "a partition for each day, dropped after the retention"),
    ("audit", "maintenance deletes entries after the retention of the audit"),
    ("brand_backlogs", "one for each brand"),
    ("brands", "support creates them one by one"),
    ("config_version", "one row"),
    ("deliveries", "a partition for each day, dropped after the retention"),
    ("event_duplicates", "one for each event; a partition for each day, dropped after the retention"),
    ("event_keys", "a partition for each epoch, dropped after the retention"),
    ("event_types", "support creates them one by one"),
    ("events", "a partition for each day, dropped after the retention"),
    ("idempotency_keys", "maintenance deletes them after the retention"),
    ("ingest_epoch", "one row"),
    ("installation", "one row"),
    ("instances", "maintenance deletes rows of processes that are gone for a day"),
    ("outbox", "rows are deleted once they are published; a row for each disabled webhook"),
    ("quota_shares", "one for each brand and API process; maintenance deletes unused ones after a day"),
    ("redeliveries", "a row for each pending redelivery, deleted when it ends or its webhook stops"),
    ("redelivery_claims", "one for each webhook; maintenance deletes lapsed ones"),
    ("redelivery_jobs", "maintenance deletes ended ones after the retention"),
    ("refinery_schema_history", "one row for each migration"),
    ("rejected_jobs", "maintenance deletes ended ones after the retention"),
    ("rejected_usage", "one row for each brand and day; maintenance deletes them after a month"),
    ("support_tokens", "a maximum for the installation"),
    ("tokens", "a maximum for each brand"),
    ("unmatched_events", "a partition for each day, dropped after the retention"),
    ("webhook_streaks", "one for each webhook, removed with it"),
    ("webhook_versions", "maintenance deletes those that ended before the retention"),
    ("webhooks", "a maximum for each brand; maintenance removes deleted ones after the retention"),
];
/// Tables with partitions, which the list of tables names once.
const PARTITIONED: [&str; 1] = ["webhook_activity"];

const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// Runs maintenance until nothing is left to do, because autovacuum may block a step of a pass.
pub(crate) async fn finish_maintenance(test: &TestStore) {
    for _ in 0..50 {
        if run_maintenance(&test.store, RETENTION, AUDIT_RETENTION).await == Maintained::Finished {
            return;
        }
    }
    panic!("maintenance does not finish");
}

#[tokio::test]
async fn every_table_has_a_bound() {
    let test = TestStore::new().await;
    let query = "SELECT relname::text FROM pg_class
                 WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace";
    let rows = test.sql.query(query, &[]).await.expect("tables");
    let tables: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    let bounded = BOUNDS.iter().map(|(table, _)| *table).chain(PARTITIONED);
    let bounded: BTreeSet<String> = bounded.map(str::to_owned).collect();
    assert_eq!(tables, bounded, "give a new table a bound, and name it here");
    test.drop_database().await;
}

#[tokio::test]
async fn old_entries_of_the_audit_are_deleted_in_chunks() {
    let test = TestStore::new().await;
    test.sql
        .batch_execute(
            "INSERT INTO audit (id, at, actor, action, subject)
             SELECT gen_random_uuid(), now() - n * interval '1 day', 'support', 'test', 'x'
             FROM generate_series(1, 2000) AS n",
        )
        .await
        .expect("entries");
    finish_maintenance(&test).await;
    assert_eq!(test.count_rows("audit").await, 399, "one for each day of the retention");
    test.drop_database().await;
}

#[tokio::test]
async fn old_idempotency_keys_and_lapsed_leases_are_deleted_in_chunks() {
    let test = TestStore::new().await;
    test.sql
        .batch_execute(
            "INSERT INTO idempotency_keys (brand_id, key, fingerprint, ids, created)
             SELECT 'acme', n, sha256('x'), '{}', now() - n * interval '1 hour' FROM generate_series(1, 2000) AS n;
             INSERT INTO redelivery_claims (webhook_id, holder, until)
             SELECT gen_random_uuid(), gen_random_uuid(), now() - n * interval '1 hour'
             FROM generate_series(1, 2000) AS n",
        )
        .await
        .expect("rows");
    finish_maintenance(&test).await;
    for table in ["idempotency_keys", "redelivery_claims"] {
        assert_eq!(test.count_rows(table).await, 167, "{table}: one for each hour of the retention");
    }
    test.drop_database().await;
}

/// A chunk costs what it deletes, with and without statistics of small tables, however many rows stay.
#[tokio::test]
async fn old_rows_are_found_by_an_index() {
    let test = TestStore::new().await;
    for statistics in ["", "ANALYZE"] {
        test.sql.batch_execute(statistics).await.expect("statistics");
        for (statement, index) in [
            (include_str!("../../sql/audit/delete_old.sql"), "audit_by_time"),
            (include_str!("../../sql/idempotency/delete_old.sql"), "idempotency_keys_by_age"),
            (include_str!("../../sql/redelivery_jobs/delete_ended.sql"), "redelivery_jobs_by_age"),
        ] {
            let plan = test.explain(statement, 2).await;
            assert!(plan.contains(index) && !plan.contains("Seq Scan"), "{plan}");
            assert!(plan.contains("LIMIT") || plan.contains("Limit"), "{plan}");
        }
    }
    test.drop_database().await;
}

/// Removing a webhook checks each foreign key that points to it, row by row.
#[tokio::test]
async fn every_reference_to_a_webhook_has_an_index() {
    let test = TestStore::new().await;
    let references = test
        .sql
        .query(
            "SELECT c.conrelid::regclass::text, EXISTS (
                 SELECT FROM pg_index i
                 WHERE i.indrelid = c.conrelid AND i.indpred IS NULL AND i.indisvalid AND i.indkey[0] = c.conkey[1]
             )
             FROM pg_constraint c WHERE c.contype = 'f' AND c.confrelid = 'webhooks'::regclass",
            &[],
        )
        .await
        .expect("foreign keys");
    assert!(!references.is_empty());
    for row in &references {
        assert!(row.get::<_, bool>(1), "{} has no whole index", row.get::<_, String>(0));
    }
    let plan = test.explain(include_str!("../../sql/webhooks/remove_deleted.sql"), 2).await;
    assert!(plan.contains("redelivery_jobs_by_webhook"), "{plan}");
    test.drop_database().await;
}

async fn delete_webhook(test: &TestStore, id: WebhookId) {
    let mut client = test.store.client().await.expect("a connection");
    let change = AuditedTransaction::begin(&mut client).await.expect("begun");
    assert!(webhooks::delete_webhook(&change, id).await.expect("deleted"));
    let entry = Entry {
        actor: "support".to_owned(),
        action: "webhook.delete",
        brand_id: None,
        subject: id.to_string(),
        before: None,
        after: None,
    };
    change.commit(&entry).await.expect("committed");
}

const PLAIN: &str = r#"headers = '{"authorization":"x"}'"#;
const SEALED: &str = "headers = NULL, sealed_headers = 'sealed', header_names = '{authorization}'";

/// Gives a webhook secrets and headers, in one of their forms.
async fn insert_secrets(test: &TestStore, id: WebhookId, headers: &str) {
    let update = format!(
        "UPDATE webhooks SET secret = 'sealed', previous_secret = 'sealed', previous_secret_expires = now(),
            signing_key = 'sealed', previous_signing_key = 'sealed', {headers}
         WHERE id = $1"
    );
    test.sql.execute(&update, &[&id.0]).await.expect("secrets");
}

const WITH_SECRETS: &str =
    "webhooks WHERE secret <> '' OR previous_secret IS NOT NULL OR signing_key IS NOT NULL
    OR previous_signing_key IS NOT NULL OR previous_secret_expires IS NOT NULL OR headers::text <> '{}'
    OR sealed_headers IS NOT NULL OR header_names IS NOT NULL";

#[tokio::test]
async fn the_secrets_and_headers_of_a_webhook_go_when_it_is_deleted() {
    let test = TestStore::new().await;
    for form in [SEALED, PLAIN] {
        let now = test.insert_webhook().await;
        insert_secrets(&test, now, form).await;
        delete_webhook(&test, now).await;
        assert_eq!(test.count_rows(WITH_SECRETS).await, 0, "in the same transaction");
    }
    let kept = test.insert_webhook().await;
    insert_secrets(&test, kept, SEALED).await;
    for form in [SEALED, PLAIN] {
        let earlier = test.insert_webhook().await;
        insert_secrets(&test, earlier, form).await;
        test.sql
            .execute(
                "UPDATE webhooks SET status = 'deleted', deleted_at = now() WHERE id = $1",
                &[&earlier.0],
            )
            .await
            .expect("deleted by an earlier release");
    }
    finish_maintenance(&test).await;
    assert_eq!(test.count_rows(WITH_SECRETS).await, 1, "maintenance clears those of an earlier release");

    // A deliverer still reads the deleted webhooks, because their deliveries are not closed.
    let keyring = SecretKeyring::new(&KEY.parse().expect("a key"));
    let (_, changes) = load_delivery_changes(&test.store, &keyring, 0).await.expect("loaded");
    for (id, change) in changes {
        match change {
            Ok(change) => assert!(id != kept && change.keys.is_none() && change.headers.0.is_empty()),
            Err(error) => assert_eq!(id, kept, "{error}"),
        }
    }
    test.drop_database().await;
}

#[tokio::test]
async fn a_deleted_webhook_is_removed_with_everything_once_its_events_have_expired() {
    let test = TestStore::new().await;
    let [expired, open, recent, kept] = [
        test.insert_webhook().await,
        test.insert_webhook().await,
        test.insert_webhook().await,
        test.insert_webhook().await,
    ];
    for (id, days, closed) in [(expired, 10, true), (open, 10, false), (recent, 8, true)] {
        let days = Duration::from_secs(days * 24 * 3600).as_secs_f64();
        test.sql
            .execute(
                "UPDATE webhooks SET status = 'deleted', deleted_at = now() - make_interval(secs => $2) WHERE id = $1",
                &[&id.0, &days],
            )
            .await
            .expect("deleted");
        if closed {
            let close = "UPDATE webhooks SET settled_generation = generation WHERE id = $1";
            test.sql.execute(close, &[&id.0]).await.expect("closed");
        }
    }
    for id in [expired, kept] {
        test.sql
            .batch_execute(&format!(
                "INSERT INTO webhook_streaks (webhook_id, failed_in_row) VALUES ('{id}', 3);
                 INSERT INTO redelivery_claims (webhook_id, holder, until) VALUES ('{id}', '{id}', now() + interval '1 day');
                 INSERT INTO redelivery_jobs (id, webhook_id, trigger, from_at, to_at, total, after_created, after_event)
                 VALUES (gen_random_uuid(), '{id}', 'redeliver', now(), now(), 0, now(), '{id}')"
            ))
            .await
            .expect("leftovers");
    }
    finish_maintenance(&test).await;
    let rows = test.sql.query("SELECT id FROM webhooks ORDER BY id", &[]).await.expect("webhooks");
    let left: BTreeSet<uuid::Uuid> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(left, BTreeSet::from([open.0, recent.0, kept.0]));
    for table in ["webhook_streaks", "redelivery_claims", "redelivery_jobs"] {
        assert_eq!(test.count_rows(table).await, 1, "{table}");
    }
    test.drop_database().await;
}

#[tokio::test]
async fn the_usage_of_the_rejected_queue_adds_up_and_is_reset() {
    let test = TestStore::new().await;
    let usage = |brand: &str, messages, bytes, dropped_messages| RejectedUsage {
        brand: brand.to_owned(),
        messages,
        bytes,
        dropped_messages,
        dropped_bytes: dropped_messages * 10,
    };
    add_usage(&test.store, &[usage("b", 0, 100, 0), usage("", 1, 50, 0)]).await.expect("added");
    add_usage(&test.store, &[usage("b", 1, 20, 3)]).await.expect("added");
    add_usage(&test.store, &[]).await.expect("nothing to add");
    let expected = [usage("b", 1, 120, 3), usage("", 1, 50, 0)];
    assert_eq!(load_usage(&test.store, 7, 10).await.expect("loaded"), expected);
    test.sql
        .batch_execute("UPDATE rejected_usage SET day = day - 9 WHERE brand_id = ''")
        .await
        .expect("aged");
    assert_eq!(load_usage(&test.store, 7, 10).await.expect("loaded"), expected[..1]);
    test.sql
        .batch_execute("UPDATE rejected_usage SET day = day - 90 WHERE brand_id = ''")
        .await
        .expect("aged");
    finish_maintenance(&test).await;
    assert_eq!(test.count_rows("rejected_usage").await, 1);
    reset_usage(&test.store).await.expect("reset");
    assert_eq!(load_usage(&test.store, 7, 10).await.expect("loaded"), [usage("b", 0, 0, 3)]);
    test.drop_database().await;
}

#[tokio::test]
async fn freed_usage_comes_from_the_oldest_days_and_never_becomes_room_beyond_the_share() {
    let test = TestStore::new().await;
    test.sql
        .batch_execute(
            "INSERT INTO rejected_usage (day, brand_id, messages, bytes)
             SELECT (now() AT TIME ZONE 'UTC')::date - age, brand, 10, 100
             FROM unnest(ARRAY['a', 'b']) AS brand, unnest(ARRAY[0, 3, 7, 8]) AS age",
        )
        .await
        .expect("usage of several days");
    let freed = |messages, bytes| FreedUsage { brand: "a".to_owned(), messages, bytes };
    let read = async || {
        let sql = "SELECT messages, bytes FROM rejected_usage WHERE brand_id = $1 ORDER BY day";
        let read_days = async |brand: &str| {
            let rows = test.sql.query(sql, &[&brand]).await.expect("usage");
            rows.iter().map(|row| (row.get(0), row.get(1))).collect::<Vec<(i64, i64)>>()
        };
        assert_eq!(read_days("b").await, [(10, 100); 4], "another brand's usage stays");
        read_days("a").await
    };
    free_usage(&test.store, 7, &[freed(12, 150)]).await.expect("freed");
    assert_eq!(read().await, [(10, 100), (0, 0), (8, 50), (10, 100)]);
    free_usage(&test.store, 7, &[freed(100, 1_000), FreedUsage { brand: "c".to_owned(), ..freed(1, 1) }])
        .await
        .expect("freed");
    assert_eq!(read().await, [(10, 100), (0, 0), (0, 0), (0, 0)]);
    free_usage(&test.store, 7, &[]).await.expect("nothing to free");
    test.sql.batch_execute("UPDATE rejected_usage SET bytes = -70 WHERE bytes = 0").await.expect("updated");
    let loaded = load_usage(&test.store, 7, 10).await.expect("loaded");
    let of_a = loaded.iter().find(|usage| usage.brand == "a").expect("its usage");
    assert_eq!(of_a.bytes, 0, "days below zero are no room");
    test.drop_database().await;
}

#[tokio::test]
async fn rows_of_processes_that_are_gone_are_deleted() {
    let test = TestStore::new().await;
    test.sql
        .batch_execute(
            "INSERT INTO instances (id, service, host, version, last_seen) VALUES
             (gen_random_uuid(), 'router', 'a', '1', now() - interval '2 days'),
             (gen_random_uuid(), 'router', 'b', '1', now())",
        )
        .await
        .expect("instances");
    finish_maintenance(&test).await;
    assert_eq!(test.count_rows("instances").await, 1);
    test.drop_database().await;
}
