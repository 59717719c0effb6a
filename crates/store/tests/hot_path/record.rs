//! Recording attempts, and closing generations.

use chrono::{TimeDelta, Utc};
use domain::delivery::DeliveryStatus;
use domain::delivery::attempt::{Facts, Trigger};
use domain::ids::{AttemptId, EventId};
use domain::time::truncate_to_millis;
use store::delivery::activity::{DURATION_BOUNDS_MS, DURATION_BUCKETS};
use store::delivery::attempts;
use store::delivery::generations;
use store::delivery::record::{self, AttemptRecord, DeliveryEnd, DeliveryKey, DeliveryState, RoundStatus};
use store::routing::ingest::{self, NewEvent, Recipient};

use crate::support::TestStore;

pub(crate) const SLICE: std::time::Duration = std::time::Duration::from_secs(60);

pub(crate) async fn store_delivery(test: &TestStore) -> DeliveryKey {
    let key = DeliveryKey {
        webhook: test.insert_webhook().await,
        created: truncate_to_millis(Utc::now()),
        event: EventId::generate(u64::try_from(Utc::now().timestamp_millis()).expect("after 1970")),
    };
    let recipients = [Recipient { webhook: key.webhook, generation: 1, held: false }];
    let name = format!("i:{}", key.event);
    let event = NewEvent {
        brand_id: &test.brand,
        key: &name,
        id: key.event,
        created: key.created,
        received: key.created,
        search_key: None,
        event_type: "A.B",
        data: "{}",
        recipients: &recipients,
    };
    ingest::store_events(&test.store, test.routing_version().await, &[event]).await.expect("stored");
    key
}

pub(crate) fn build_attempt(key: DeliveryKey, status: u16) -> AttemptRecord {
    let now = truncate_to_millis(Utc::now());
    let facts = Facts::from_status(status);
    let delivered = facts.error.is_none();
    AttemptRecord {
        key,
        round: 1,
        attempt: AttemptId::generate(1),
        started: now,
        first_started: now,
        ended: now,
        duration_ms: 5,
        facts,
        exchange: vec![1, 2, 3],
        trigger: Trigger::Fresh,
        status: if delivered { DeliveryStatus::Delivered } else { DeliveryStatus::Pending },
        next_attempt_at: (!delivered).then(|| now + TimeDelta::seconds(5)),
        counts: true,
    }
}

/// Loads the state of a delivery that exists.
pub(crate) async fn load_state(test: &TestStore, key: DeliveryKey) -> DeliveryState {
    record::load_states(&test.store, &[key]).await.expect("read")[0].expect("there")
}

fn first_round(status: DeliveryStatus) -> Vec<Option<RoundStatus>> {
    vec![Some(RoundStatus { status, round: 1 })]
}

#[tokio::test]
async fn a_failure_keeps_a_delivery_pending_and_a_success_ends_it() {
    let test = TestStore::new().await;
    let key = store_delivery(&test).await;
    let failed =
        record::record_attempts(&test.store, &[build_attempt(key, 500)], SLICE).await.expect("recorded");
    assert_eq!(failed, first_round(DeliveryStatus::Pending));
    let state = load_state(&test, key).await;
    assert!(state.attempts == 1 && state.next_attempt_at.is_some() && state.first_attempt_at.is_some());
    let delivered =
        record::record_attempts(&test.store, &[build_attempt(key, 204)], SLICE).await.expect("recorded");
    assert_eq!(delivered, first_round(DeliveryStatus::Delivered));
    let state = load_state(&test, key).await;
    assert!(state.attempts == 2 && state.next_attempt_at.is_none());
    test.drop_database().await;
}

#[tokio::test]
async fn each_lookup_gets_its_own_state_and_an_expired_delivery_none() {
    let test = TestStore::new().await;
    let failed = store_delivery(&test).await;
    let fresh = store_delivery(&test).await;
    let expired = DeliveryKey { created: Utc::now() - TimeDelta::days(400), ..fresh };
    record::record_attempts(&test.store, &[build_attempt(failed, 500)], SLICE).await.expect("recorded");
    let asked = [fresh, expired, failed, fresh];
    let found = record::load_states(&test.store, &asked).await.expect("read");
    let attempts: Vec<_> = found.iter().map(|state| state.map(|state| state.attempts)).collect();
    assert_eq!(attempts, [Some(0), None, Some(1), Some(0)]);
    assert!(record::load_states(&test.store, &[]).await.expect("read").is_empty());
    test.drop_database().await;
}

#[tokio::test]
async fn recording_the_same_batch_again_changes_nothing() {
    let test = TestStore::new().await;
    let batch =
        [build_attempt(store_delivery(&test).await, 500), build_attempt(store_delivery(&test).await, 200)];
    let first = record::record_attempts(&test.store, &batch, SLICE).await.expect("recorded");
    assert_eq!(record::record_attempts(&test.store, &batch, SLICE).await.expect("again"), first);
    let state = load_state(&test, batch[0].key).await;
    assert_eq!((state.attempts, test.count_rows("attempts").await), (1, 2));
    test.drop_database().await;
}

#[tokio::test]
async fn the_exchange_is_stored_byte_for_byte_and_may_be_missing() {
    let test = TestStore::new().await;
    let key = store_delivery(&test).await;
    for exchange in [vec![], vec![0, 255, 1, b'\'', b'\\'], vec![7; 14_000]] {
        let record = AttemptRecord { exchange: exchange.clone(), ..build_attempt(key, 500) };
        let attempt = record.attempt;
        record::record_attempts(&test.store, &[record], SLICE).await.expect("recorded");
        let found = attempts::find_attempt(&test.store, key.webhook, (key.event, key.created), attempt).await;
        let (_, stored) = found.expect("read").expect("there");
        assert_eq!(stored, Some(exchange).filter(|exchange| !exchange.is_empty()));
    }
    let other = AttemptId::generate(2);
    let found = attempts::find_attempt(&test.store, key.webhook, (key.event, key.created), other).await;
    assert!(found.expect("read").is_none());
    test.drop_database().await;
}

#[tokio::test]
async fn an_expired_delivery_is_skipped_and_the_others_are_recorded() {
    let test = TestStore::new().await;
    let long_ago = DeliveryKey { created: Utc::now() - TimeDelta::days(400), ..store_delivery(&test).await };
    let batch = [build_attempt(long_ago, 200), build_attempt(store_delivery(&test).await, 200)];
    let statuses = record::record_attempts(&test.store, &batch, SLICE).await.expect("recorded");
    assert_eq!(statuses, [None, first_round(DeliveryStatus::Delivered)[0]]);
    test.drop_database().await;
}

#[tokio::test]
async fn a_generation_is_closed_once_and_only_a_success_in_flight_overrides_it() {
    let test = TestStore::new().await;
    let key = store_delivery(&test).await;
    let other = store_delivery(&test).await;
    assert_eq!(
        generations::close_generations(&test.store, key.webhook, 2, DeliveryStatus::Held)
            .await
            .expect("closed"),
        1
    );
    assert_eq!(
        generations::close_generations(&test.store, key.webhook, 2, DeliveryStatus::Held)
            .await
            .expect("again"),
        0
    );
    let state_of_other = load_state(&test, other).await;
    assert_eq!(
        state_of_other.status,
        DeliveryStatus::Pending,
        "the delivery of another webhook stays pending"
    );

    let failed =
        record::record_attempts(&test.store, &[build_attempt(key, 500)], SLICE).await.expect("recorded");
    assert_eq!(failed, first_round(DeliveryStatus::Held));
    let end = DeliveryEnd { key, round: 1, status: DeliveryStatus::Discarded };
    assert_eq!(
        record::finish_deliveries(&test.store, &[end], Some(SLICE)).await.expect("no effect"),
        [false]
    );
    let delivered =
        record::record_attempts(&test.store, &[build_attempt(key, 200)], SLICE).await.expect("recorded");
    assert_eq!(delivered, first_round(DeliveryStatus::Delivered));
    test.drop_database().await;
}

#[tokio::test]
async fn a_batch_of_ends_ends_only_what_is_pending_in_its_round() {
    let test = TestStore::new().await;
    let pending = store_delivery(&test).await;
    let redelivered = store_delivery(&test).await;
    let delivered = store_delivery(&test).await;
    let untouched = store_delivery(&test).await;
    let again = "UPDATE deliveries SET round = 2 WHERE event_id = $1";
    test.sql.execute(again, &[&redelivered.event.to_uuid()]).await.expect("redelivered");
    record::record_attempts(&test.store, &[build_attempt(delivered, 200)], SLICE).await.expect("recorded");
    let end = |key| DeliveryEnd { key, round: 1, status: DeliveryStatus::Discarded };
    let ends = [end(delivered), end(pending), end(redelivered)];
    let ended = record::finish_deliveries(&test.store, &ends, Some(SLICE)).await.expect("ended");
    assert_eq!(ended, [false, true, false]);
    let again = record::finish_deliveries(&test.store, &ends, Some(SLICE)).await.expect("no effect");
    assert_eq!(again, [false; 3]);
    for (key, status) in [
        (pending, DeliveryStatus::Discarded),
        (redelivered, DeliveryStatus::Pending),
        (delivered, DeliveryStatus::Delivered),
        (untouched, DeliveryStatus::Pending),
    ] {
        assert_eq!(load_state(&test, key).await.status, status);
    }
    assert!(
        record::finish_deliveries(&test.store, &[], Some(SLICE)).await.expect("nothing to do").is_empty()
    );
    test.drop_database().await;
}

#[tokio::test]
async fn an_attempt_of_an_older_round_is_counted_but_does_not_change_the_status() {
    let test = TestStore::new().await;
    let key = store_delivery(&test).await;
    test.sql.execute("UPDATE deliveries SET round = 2", &[]).await.expect("redelivered");
    let late =
        record::record_attempts(&test.store, &[build_attempt(key, 200)], SLICE).await.expect("recorded");
    assert_eq!(late, [Some(RoundStatus { status: DeliveryStatus::Pending, round: 2 })]);
    let state = load_state(&test, key).await;
    assert_eq!((state.attempts, state.next_attempt_at), (1, None));
    test.drop_database().await;
}

#[tokio::test]
async fn the_closing_status_follows_from_how_the_generation_ended() {
    let test = TestStore::new().await;
    for (change, expected) in [
        ("status = 'paused'", "discarded"),
        ("status = 'disabled', disabled_reason = 'gone', disabled_at = now()", "held"),
        ("status = 'deleted', deleted_at = now()", "discarded"),
    ] {
        let webhook = test.insert_webhook().await;
        let sql = format!("UPDATE webhooks SET {change} WHERE id = $1 RETURNING settle_as");
        let settle_as: String = test.sql.query_one(&sql, &[&webhook.0]).await.expect("changed").get(0);
        assert_eq!(settle_as, expected, "{change}");
    }
    test.drop_database().await;
}

#[tokio::test]
async fn an_attempt_that_failed_for_an_internal_cause_is_stored_and_not_counted() {
    let test = TestStore::new().await;
    let key = store_delivery(&test).await;
    let mut ours = build_attempt(key, 500);
    ours.facts.caused_locally = true;
    ours.status = DeliveryStatus::Failed;
    ours.next_attempt_at = None;
    let statuses = record::record_attempts(&test.store, &[ours], SLICE).await.expect("recorded");
    assert_eq!(statuses, first_round(DeliveryStatus::Failed));
    assert_eq!(test.count_rows("attempts").await, 1);
    let counted = "SELECT http_status, events_failed, first_failure IS NULL FROM webhook_activity";
    let row = test.sql.query_one(counted, &[]).await.expect("one slice");
    assert_eq!((row.get::<_, i32>(0), row.get::<_, i32>(1), row.get::<_, bool>(2)), (0, 1, true));
    assert_eq!(test.count_rows("webhook_streaks").await, 0, "only the end of the delivery counts");
    test.drop_database().await;
}

#[tokio::test]
async fn each_duration_is_counted_in_its_bucket() {
    let test = TestStore::new().await;
    let key = store_delivery(&test).await;
    let ended = truncate_to_millis(Utc::now());
    for duration_ms in [0].into_iter().chain(DURATION_BOUNDS_MS).flat_map(|ms| [ms, ms]) {
        let record = AttemptRecord { duration_ms, ended, ..build_attempt(key, 200) };
        record::record_attempts(&test.store, &[record], SLICE).await.expect("recorded");
    }
    let row = test.sql.query_one("SELECT durations FROM webhook_activity", &[]).await.expect("one slice");
    assert_eq!(row.get::<_, Vec<i32>>(0), [2; DURATION_BUCKETS]);
    test.drop_database().await;
}
