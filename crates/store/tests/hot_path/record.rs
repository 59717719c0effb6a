//! Recording attempts, and settling what waited.

use chrono::{TimeDelta, Utc};
use domain::delivery::DeliveryStatus;
use domain::ids::{AttemptId, EventId};
use domain::outcome::{Facts, Trigger};
use domain::time::whole_millis;
use store::delivery::activity::{DURATION_BOUNDS_MS, DURATION_BUCKETS};
use store::delivery::generations;
use store::delivery::record::{self, AttemptRecord, DeliveryKey, DeliveryState, RoundStatus};
use store::routing::ingest::{self, NewEvent, Recipient};

use crate::support::TestStore;

pub(crate) const SLICE: std::time::Duration = std::time::Duration::from_secs(60);

pub(crate) async fn owed_delivery(test: &TestStore) -> DeliveryKey {
    let key = DeliveryKey {
        webhook: test.webhook().await,
        created: whole_millis(Utc::now()),
        event: EventId::draw(u64::try_from(Utc::now().timestamp_millis()).expect("after 1970")),
    };
    let (recipients, name) =
        ([Recipient { webhook: key.webhook, generation: 1, held: false }], format!("i:{}", key.event));
    let event = NewEvent {
        brand_id: &test.brand,
        key: &name,
        id: key.event,
        created: key.created,
        event_type: "A.B",
        data: "{}",
        recipients: &recipients,
    };
    ingest::store_events(&test.store, test.version().await, &[event]).await.expect("stored");
    key
}

pub(crate) fn attempt(key: DeliveryKey, status: u16) -> AttemptRecord {
    let now = whole_millis(Utc::now());
    let facts = Facts::from_status(status);
    let delivered = facts.error.is_none();
    AttemptRecord {
        key,
        round: 1,
        attempt: AttemptId::draw(1),
        started: now,
        first_started: now,
        ended: now,
        duration_ms: 5,
        facts,
        trigger: Trigger::Fresh,
        status: if delivered { DeliveryStatus::Delivered } else { DeliveryStatus::Pending },
        next_attempt_at: (!delivered).then(|| now + TimeDelta::seconds(5)),
    }
}

/// Where a delivery stands that is there.
pub(crate) async fn stands(test: &TestStore, key: DeliveryKey) -> DeliveryState {
    record::load_states(&test.store, &[key]).await.expect("read")[0].expect("there")
}

fn standing(status: DeliveryStatus) -> Vec<Option<RoundStatus>> {
    vec![Some(RoundStatus { status, round: 1 })]
}

#[tokio::test]
async fn a_failure_waits_and_a_success_ends() {
    let test = TestStore::new().await;
    let key = owed_delivery(&test).await;
    let failed = record::record_attempts(&test.store, &[attempt(key, 500)], SLICE).await.expect("recorded");
    assert_eq!(failed, standing(DeliveryStatus::Pending));
    let full = stands(&test, key).await;
    assert!(full.attempts == 1 && full.next_attempt_at.is_some() && full.first_attempt_at.is_some());
    let delivered =
        record::record_attempts(&test.store, &[attempt(key, 204)], SLICE).await.expect("recorded");
    assert_eq!(delivered, standing(DeliveryStatus::Delivered));
    let full = stands(&test, key).await;
    assert!(full.attempts == 2 && full.next_attempt_at.is_none());
    test.drop_it().await;
}

#[tokio::test]
async fn each_that_is_looked_up_gets_its_own_answer_and_an_expired_one_none() {
    let test = TestStore::new().await;
    let (failed, fresh) = (owed_delivery(&test).await, owed_delivery(&test).await);
    let expired = DeliveryKey { created: Utc::now() - TimeDelta::days(400), ..fresh };
    record::record_attempts(&test.store, &[attempt(failed, 500)], SLICE).await.expect("recorded");
    let asked = [fresh, expired, failed, fresh];
    let found = record::load_states(&test.store, &asked).await.expect("read");
    let attempts: Vec<_> = found.iter().map(|standing| standing.map(|full| full.attempts)).collect();
    assert_eq!(attempts, [Some(0), None, Some(1), Some(0)]);
    assert!(record::load_states(&test.store, &[]).await.expect("read").is_empty());
    test.drop_it().await;
}

#[tokio::test]
async fn the_same_batch_again_changes_nothing() {
    let test = TestStore::new().await;
    let batch = [attempt(owed_delivery(&test).await, 500), attempt(owed_delivery(&test).await, 200)];
    let first = record::record_attempts(&test.store, &batch, SLICE).await.expect("recorded");
    assert_eq!(record::record_attempts(&test.store, &batch, SLICE).await.expect("again"), first);
    let full = stands(&test, batch[0].key).await;
    assert_eq!((full.attempts, test.count("attempts").await), (1, 2));
    test.drop_it().await;
}

#[tokio::test]
async fn an_expired_delivery_is_passed_over_and_holds_up_nobody() {
    let test = TestStore::new().await;
    let long_ago = DeliveryKey { created: Utc::now() - TimeDelta::days(400), ..owed_delivery(&test).await };
    let batch = [attempt(long_ago, 200), attempt(owed_delivery(&test).await, 200)];
    let standings = record::record_attempts(&test.store, &batch, SLICE).await.expect("recorded");
    assert_eq!(standings, [None, standing(DeliveryStatus::Delivered)[0]]);
    test.drop_it().await;
}

#[tokio::test]
async fn what_waits_is_settled_once_and_only_a_success_in_flight_overrules_it() {
    let test = TestStore::new().await;
    let (key, other) = (owed_delivery(&test).await, owed_delivery(&test).await);
    assert_eq!(
        generations::close_generations(&test.store, key.webhook, 2, DeliveryStatus::Held)
            .await
            .expect("settled"),
        1
    );
    assert_eq!(
        generations::close_generations(&test.store, key.webhook, 2, DeliveryStatus::Held)
            .await
            .expect("again"),
        0
    );
    let of_other = stands(&test, other).await;
    assert_eq!(of_other.standing.status, DeliveryStatus::Pending, "another webhook's waits on");

    let failed = record::record_attempts(&test.store, &[attempt(key, 500)], SLICE).await.expect("recorded");
    assert_eq!(failed, standing(DeliveryStatus::Held));
    assert!(
        !record::finish_delivery(&test.store, key, 1, DeliveryStatus::Discarded).await.expect("no effect")
    );
    let delivered =
        record::record_attempts(&test.store, &[attempt(key, 200)], SLICE).await.expect("recorded");
    assert_eq!(delivered, standing(DeliveryStatus::Delivered));
    test.drop_it().await;
}

#[tokio::test]
async fn an_attempt_of_an_older_round_counts_but_decides_nothing() {
    let test = TestStore::new().await;
    let key = owed_delivery(&test).await;
    test.sql.execute("UPDATE deliveries SET round = 2", &[]).await.expect("redelivered");
    let late = record::record_attempts(&test.store, &[attempt(key, 200)], SLICE).await.expect("recorded");
    assert_eq!(late, [Some(RoundStatus { status: DeliveryStatus::Pending, round: 2 })]);
    let full = stands(&test, key).await;
    assert_eq!((full.attempts, full.next_attempt_at), (1, None));
    test.drop_it().await;
}

#[tokio::test]
async fn the_settled_status_follows_from_how_the_generation_ended() {
    let test = TestStore::new().await;
    for (change, expected) in [
        ("status = 'paused'", "discarded"),
        ("status = 'disabled', disabled_reason = 'gone', disabled_at = now()", "held"),
        ("status = 'deleted', deleted_at = now()", "discarded"),
    ] {
        let webhook = test.webhook().await;
        let sql = format!("UPDATE webhooks SET {change} WHERE id = $1 RETURNING settle_as");
        let settle_as: String = test.sql.query_one(&sql, &[&webhook.0]).await.expect("changed").get(0);
        assert_eq!(settle_as, expected, "{change}");
    }
    test.drop_it().await;
}

#[tokio::test]
async fn an_attempt_that_failed_for_a_cause_of_ours_is_kept_and_does_not_count() {
    let test = TestStore::new().await;
    let key = owed_delivery(&test).await;
    let mut ours = attempt(key, 500);
    (ours.facts.ours, ours.status, ours.next_attempt_at) = (true, DeliveryStatus::Failed, None);
    let standings = record::record_attempts(&test.store, &[ours], SLICE).await.expect("recorded");
    assert_eq!(standings, standing(DeliveryStatus::Failed));
    assert_eq!(test.count("attempts").await, 1);
    assert_eq!((test.count("webhook_activity").await, test.count("webhook_streaks").await), (0, 0));
    test.drop_it().await;
}

#[tokio::test]
async fn each_duration_is_counted_where_it_belongs() {
    let test = TestStore::new().await;
    let key = owed_delivery(&test).await;
    let ended = whole_millis(Utc::now());
    for duration_ms in [0].into_iter().chain(DURATION_BOUNDS_MS).flat_map(|ms| [ms, ms]) {
        let record = AttemptRecord { duration_ms, ended, ..attempt(key, 200) };
        record::record_attempts(&test.store, &[record], SLICE).await.expect("recorded");
    }
    let row = test.sql.query_one("SELECT durations FROM webhook_activity", &[]).await.expect("one slice");
    assert_eq!(row.get::<_, Vec<i32>>(0), [2; DURATION_BUCKETS]);
    test.drop_it().await;
}
