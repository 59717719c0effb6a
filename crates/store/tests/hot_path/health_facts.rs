//! The facts of health states: what is recorded with attempts, and what reading them costs with many webhooks.

use std::collections::BTreeSet;

use chrono::{TimeDelta, Utc};
use domain::delivery::DeliveryStatus;
use domain::ids::WebhookId;
use domain::time::{Timestamp, truncate_to_millis};
use domain::webhook::health::HealthRule;
use domain::webhook::health_state::HealthState;
use store::delivery::health_facts::{assess_webhooks, find_suspect_ids, find_suspects};
use store::delivery::record::{self, AttemptRecord, DeliveryEnd, DeliveryKey};
use tokio_postgres::SimpleQueryMessage;
use uuid::Uuid;

use crate::record::{SLICE, build_attempt, store_delivery};
use crate::support::TestStore;

/// The events that are counted for all webhooks: delivered and failed.
async fn count_events(test: &TestStore) -> (i64, i64) {
    let sql = "SELECT coalesce(sum(events_delivered), 0)::bigint, coalesce(sum(events_failed), 0)::bigint \
               FROM webhook_activity";
    let row = test.sql.query_one(sql, &[]).await.expect("counted");
    (row.get(0), row.get(1))
}

async fn find_rest(test: &TestStore) -> (Option<Timestamp>, Option<Timestamp>) {
    let sql = "SELECT max(resting_since), max(resting_until) FROM webhook_streaks";
    let row = test.sql.query_one(sql, &[]).await.expect("read");
    (row.get(0), row.get(1))
}

fn failed(key: DeliveryKey) -> AttemptRecord {
    AttemptRecord { status: DeliveryStatus::Failed, next_attempt_at: None, ..build_attempt(key, 500) }
}

async fn record_all(test: &TestStore, batch: &[AttemptRecord]) {
    record::record_attempts(&test.store, batch, SLICE).await.expect("recorded");
}

#[tokio::test]
async fn deliveries_are_counted_once_when_they_end() {
    let test = TestStore::new().await;
    let keys = [store_delivery(&test).await, store_delivery(&test).await, store_delivery(&test).await];
    record_all(&test, &[build_attempt(keys[0], 500)]).await;
    assert_eq!(count_events(&test).await, (0, 0), "it waits for its retry");
    let ends = [build_attempt(keys[0], 200), failed(keys[1])];
    record_all(&test, &ends).await;
    record_all(&test, &ends).await;
    assert_eq!(count_events(&test).await, (1, 1), "the same batch again changes nothing");
    // A delivery that fails for a cause within the platform, or because its window is over, ends as well.
    let mut local = failed(keys[2]);
    local.facts.caused_locally = true;
    record_all(&test, &[local]).await;
    let late = store_delivery(&test).await;
    let attempted = "UPDATE deliveries SET attempts = 1, last_attempt_at = now() WHERE event_id = $1";
    test.sql.execute(attempted, &[&late.event.to_uuid()]).await.expect("attempted");
    let end = |key, status| DeliveryEnd { key, round: 1, status };
    let ends = [end(late, DeliveryStatus::Failed)];
    record::finish_deliveries(&test.store, &ends, Some(SLICE)).await.expect("ended");
    record::finish_deliveries(&test.store, &ends, Some(SLICE)).await.expect("no effect");
    let discarded = [end(store_delivery(&test).await, DeliveryStatus::Discarded)];
    record::finish_deliveries(&test.store, &discarded, Some(SLICE)).await.expect("ended");
    assert_eq!(count_events(&test).await, (1, 3));
    test.drop_database().await;
}

#[tokio::test]
async fn a_test_of_a_disabled_webhook_counts_for_nothing() {
    let test = TestStore::new().await;
    let key = store_delivery(&test).await;
    let mut record = AttemptRecord { counts: false, ..failed(key) };
    record.facts.retry_after_seconds = Some(600);
    record_all(&test, &[record]).await;
    assert_eq!(test.count_rows("attempts").await, 1);
    assert_eq!((test.count_rows("webhook_activity").await, test.count_rows("webhook_streaks").await), (0, 0));
    test.drop_database().await;
}

#[tokio::test]
async fn a_rest_lasts_as_long_as_the_endpoint_asked_or_until_it_succeeds() {
    let test = TestStore::new().await;
    let webhook = test.insert_webhook().await;
    let now = truncate_to_millis(Utc::now());
    let attempt = async |seconds: Option<u64>, ended: Timestamp| {
        let key = store_delivery(&test).await;
        let moved = "UPDATE deliveries SET webhook_id = $1 WHERE event_id = $2";
        test.sql.execute(moved, &[&webhook.0, &key.event.to_uuid()]).await.expect("moved");
        let key = DeliveryKey { webhook, ..key };
        let mut record = build_attempt(key, if seconds.is_some() { 503 } else { 200 });
        record.facts.retry_after_seconds = seconds;
        AttemptRecord { ended, ..record }
    };
    let later = |seconds| now + TimeDelta::seconds(seconds);
    record_all(&test, &[attempt(Some(100), now).await]).await;
    assert_eq!(find_rest(&test).await, (Some(now), Some(later(100))));
    record_all(&test, &[attempt(Some(10), later(1)).await, attempt(Some(200), later(2)).await]).await;
    assert_eq!(find_rest(&test).await, (Some(now), Some(later(202))), "it rests since the first");
    record_all(&test, &[attempt(None, later(3)).await, attempt(Some(u64::MAX), later(4)).await]).await;
    let day = TimeDelta::hours(24);
    assert_eq!(find_rest(&test).await, (Some(later(4)), Some(later(4) + day)), "bounded, after a success");
    record_all(&test, &[attempt(None, later(5)).await]).await;
    assert_eq!(find_rest(&test).await, (None, None));
    test.drop_database().await;
}

/// The longest retry delays leave the recent window without an attempt.
#[tokio::test]
async fn a_webhook_between_two_retries_is_judged_by_its_latest_slice() {
    let test = TestStore::new().await;
    let rule = HealthRule::default();
    let now = truncate_to_millis(Utc::now());
    let [dead, recovered] = [store_delivery(&test).await, store_delivery(&test).await];
    record_all(&test, &[build_attempt(dead, 500), build_attempt(recovered, 200)]).await;
    for minutes in [20, 100] {
        let older = "UPDATE webhook_activity SET slice = $1, first_failure = $1, last_failure = $1 WHERE webhook_id = $2";
        let at = now - TimeDelta::minutes(minutes);
        for key in [dead, recovered] {
            test.sql.execute(older, &[&at, &key.webhook.0]).await.expect("moved");
        }
        let ids = [dead.webhook, recovered.webhook];
        let assessed = assess_webhooks(&test.store, &ids, &rule, now).await.expect("assessed");
        let state = |key: DeliveryKey| assessed.get(&key.webhook).map(|health| health.state);
        assert_eq!(state(dead), Some(HealthState::Failing), "{minutes}");
        assert_eq!(state(recovered), Some(HealthState::Healthy), "{minutes}");
        for brand in [None, Some(&test.brand)] {
            let found = find_suspects(&test.store, brand, &rule, now).await.expect("found");
            assert_eq!(found.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [dead.webhook], "{minutes}");
        }
    }
    test.drop_database().await;
}

/// Otherwise the failures of last year would hide the present ones.
#[tokio::test]
async fn a_webhook_without_an_attempt_for_a_day_is_no_suspect() {
    let test = TestStore::new().await;
    let rule = HealthRule::default();
    let key = store_delivery(&test).await;
    record_all(&test, &[build_attempt(key, 200)]).await;
    let streak = "INSERT INTO webhook_streaks (webhook_id, failed_in_row) VALUES ($1, 9) \
                  ON CONFLICT (webhook_id) DO UPDATE SET failed_in_row = 9";
    test.sql.execute(streak, &[&key.webhook.0]).await.expect("failed");
    for brand in [None, Some(&test.brand)] {
        let find = async || find_suspect_ids(&test.store, brand, &rule, 10, Utc::now()).await.expect("found");
        assert_eq!(find().await, [key.webhook]);
        let moved = "UPDATE webhook_activity SET slice = slice - $1::bigint * interval '1 hour'";
        test.sql.execute(moved, &[&25_i64]).await.expect("moved");
        assert_eq!(find().await, []);
        test.sql.execute(moved, &[&-25_i64]).await.expect("moved back");
    }
    test.drop_database().await;
}

const WEBHOOKS: i32 = 2000;

/// Inserts many webhooks with an hour of activity. One in a hundred fails all attempts. Returns these.
async fn insert_many(test: &TestStore, now: Timestamp) -> BTreeSet<WebhookId> {
    let webhooks = "INSERT INTO webhooks (id, brand_id, endpoint, events, status, secret, description) \
                    SELECT gen_random_uuid(), 'acme', 'https://example.com/', '{*}', 'active', '', n::text \
                    FROM generate_series(1, $1) AS n";
    test.sql.execute(webhooks, &[&WEBHOOKS]).await.expect("webhooks");
    let slices = "INSERT INTO webhook_activity (webhook_id, slice, delivered, http_status, timeout, dns, connect, tls, \
                  blocked, protocol, durations, first_failure, last_failure, events_delivered) \
                  SELECT id, $1::timestamptz - n * interval '1 minute', CASE WHEN fails THEN 0 ELSE 5 END, \
                         CASE WHEN fails THEN 5 ELSE 0 END, 0, 0, 0, 0, 0, 0, array_fill(0, ARRAY[15]), \
                         CASE WHEN fails THEN $1 - n * interval '1 minute' END, \
                         CASE WHEN fails THEN $1 - n * interval '1 minute' END, 0 \
                  FROM (SELECT id, description::integer % 100 = 0 AS fails FROM webhooks) AS w, \
                       generate_series(0, 59) AS n";
    test.sql.execute(slices, &[&now]).await.expect("slices");
    let failing = "SELECT id FROM webhooks WHERE description::integer % 100 = 0";
    let rows = test.sql.query(failing, &[]).await.expect("failing");
    rows.iter().map(|row| WebhookId(row.get(0))).collect()
}

/// Returns the plan of a statement for these parameters.
async fn explain_for(test: &TestStore, statement: &str, params: &str) -> String {
    let sql = format!(
        "SET plan_cache_mode = force_custom_plan; PREPARE planned AS {statement}; \
         EXPLAIN EXECUTE planned ({params}); DEALLOCATE planned"
    );
    let answer = test.sql.simple_query(&sql).await.expect("explained");
    let lines = answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The cost depends on the activity that is asked for, and not on that of other webhooks or earlier days.
#[tokio::test]
async fn the_failing_ones_of_many_webhooks_are_found_by_the_index() {
    let test = TestStore::new().await;
    // Just after midnight, the index would be no shorter than the day's partition.
    let now = Utc::now().date_naive().and_hms_opt(12, 0, 0).expect("noon").and_utc();
    let failing = insert_many(&test, now).await;
    let rule = HealthRule::default();
    for brand in [None, Some(&test.brand)] {
        let found = find_suspects(&test.store, brand, &rule, now).await.expect("found");
        assert!(found.iter().all(|(_, facts)| facts.state(now) == HealthState::Failing));
        assert_eq!(found.into_iter().map(|(id, _)| id).collect::<BTreeSet<_>>(), failing);
    }
    let ids: Vec<WebhookId> = failing.iter().copied().chain([WebhookId(Uuid::new_v4())]).collect();
    let assessed = assess_webhooks(&test.store, &ids, &rule, now).await.expect("assessed");
    assert_eq!(assessed.len(), failing.len(), "a webhook that is missing has no health");
    assert!(assessed.values().all(|health| health.disables_at.is_some() && health.since.is_some()));

    test.sql.batch_execute("ANALYZE").await.expect("statistics");
    let one = format!("ARRAY['{}']::uuid[]", ids[0].0);
    let noon = format!("'{}'::timestamptz", now.to_rfc3339());
    let recent = format!("{noon} - interval '15 minutes'");
    let hour = format!("{noon} - interval '1 hour'");
    let day = format!("{noon} - interval '1 day'");
    for (statement, params) in [
        (include_str!("../../sql/health/suspects_of_all.sql"), format!("{recent}, 10, {day}")),
        (include_str!("../../sql/health/suspects_of_brand.sql"), format!("{recent}, 10, 'acme', {day}")),
        (include_str!("../../sql/health/load_facts.sql"), format!("{one}, {recent}, {hour}, {day}")),
        (include_str!("../../sql/health/load_slices.sql"), format!("{one}, {hour}, {day}, ARRAY[true]")),
    ] {
        let plan = explain_for(&test, statement, &params).await;
        let today = now.format("webhook_activity_%Y%m%d").to_string();
        assert!(!plan.contains(&format!("Seq Scan on {today}")), "{plan}");
        assert!(plan.contains(&today), "{plan}");
    }
    test.drop_database().await;
}
