//! The statements change delivery statuses exactly as `domain` defines.

use chrono::TimeDelta;
use domain::delivery::attempt::Trigger;
use domain::delivery::{DeliveryStatus, Transition};
use store::delivery::generations;
use store::delivery::record::{self, AttemptRecord, DeliveryEnd, DeliveryKey};
use store::keyset::KeysetPosition;
use store::redelivery::queue;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::record::{SLICE, build_attempt, load_state, store_delivery};
use crate::support::TestStore;

const TRANSITIONS: [Transition; 12] = [
    Transition::Attempted(DeliveryStatus::Pending),
    Transition::Attempted(DeliveryStatus::Delivered),
    Transition::Attempted(DeliveryStatus::Failed),
    Transition::AttemptedInOlderRound,
    Transition::WindowOver,
    Transition::WebhookStopped(DeliveryStatus::Held),
    Transition::WebhookStopped(DeliveryStatus::Discarded),
    Transition::RoundStarted,
    Transition::RoundWithdrawn(DeliveryStatus::Delivered),
    Transition::RoundWithdrawn(DeliveryStatus::Failed),
    Transition::RoundWithdrawn(DeliveryStatus::Held),
    Transition::RoundWithdrawn(DeliveryStatus::Discarded),
];

/// Stores a delivery in its second round with `status` after two attempts.
async fn store_delivery_with(test: &TestStore, status: DeliveryStatus) -> DeliveryKey {
    let key = store_delivery(test).await;
    let set = "UPDATE deliveries SET status = $2, round = 2, attempts = 2, round_base = 1, last_attempt_at = now(), \
               first_attempt_at = now(), next_attempt_at = CASE WHEN $2 = 'pending' THEN now() END \
               WHERE event_id = $1";
    test.sql.execute(set, &[&key.event.to_uuid(), &status.as_str()]).await.expect("updated");
    key
}

fn build_second_round(key: DeliveryKey, round: i32, status: DeliveryStatus) -> AttemptRecord {
    let code = if status == DeliveryStatus::Delivered { 200 } else { 500 };
    let record = build_attempt(key, code);
    let next_attempt_at = (status == DeliveryStatus::Pending).then(|| record.ended + TimeDelta::seconds(5));
    AttemptRecord { round, status, next_attempt_at, ..record }
}

async fn apply_transition(test: &TestStore, key: DeliveryKey, transition: Transition) {
    match transition {
        Transition::Attempted(status) => {
            record::record_attempts(&test.store, &[build_second_round(key, 2, status)], SLICE).await.map(drop)
        }
        Transition::AttemptedInOlderRound => {
            let late = build_second_round(key, 1, DeliveryStatus::Delivered);
            record::record_attempts(&test.store, &[late], SLICE).await.map(drop)
        }
        Transition::WindowOver => {
            let end = DeliveryEnd { key, round: 2, status: DeliveryStatus::Failed };
            record::finish_deliveries(&test.store, &[end], Some(SLICE)).await.map(drop)
        }
        Transition::WebhookStopped(status) => {
            generations::close_generations(&test.store, key.webhook, 2, status).await.map(drop)
        }
        Transition::RoundWithdrawn(former) => {
            withdraw_round(test, key, former).await;
            Ok(())
        }
        Transition::RoundStarted => {
            let position = KeysetPosition { at: key.created, id: key.event.to_uuid() };
            queue::begin_rounds(&test.store, key.webhook, &[position], Trigger::Redeliver, None, None)
                .await
                .map(drop)
        }
    }
    .expect("applied");
}

/// Cancels a job that queued the delivery, of which nothing was attempted.
async fn withdraw_round(test: &TestStore, key: DeliveryKey, former: DeliveryStatus) {
    let event = key.event.to_uuid();
    let job = Uuid::new_v4();
    let begun = "UPDATE deliveries SET round_base = attempts WHERE event_id = $1";
    test.sql.execute(begun, &[&event]).await.expect("not attempted");
    let queue = "INSERT INTO redeliveries (webhook_id, created, event_id, round, trigger, job_id, former_status) \
                 VALUES ($1, $2, $3, 2, 'redeliver', $4, $5)";
    let params: [&(dyn ToSql + Sync); 5] = [&key.webhook.0, &key.created, &event, &job, &former.as_str()];
    test.sql.execute(queue, &params).await.expect("queued");
    let withdraw = include_str!("../../sql/redelivery_queue/withdraw.sql");
    test.sql.query(withdraw, &[&job, &key.webhook.0]).await.expect("withdrawn");
}

#[tokio::test]
async fn every_statement_follows_the_transitions_of_the_domain() {
    let test = TestStore::new().await;
    for from in DeliveryStatus::ALL {
        for transition in TRANSITIONS {
            let key = store_delivery_with(&test, *from).await;
            apply_transition(&test, key, transition).await;
            let found = load_state(&test, key).await;
            assert_eq!(found.status, from.after(transition), "{from} {transition:?}");
            let again = transition == Transition::RoundStarted;
            assert_eq!(found.round, if again { 3 } else { 2 }, "{from} {transition:?}");
        }
    }
    test.drop_database().await;
}

/// The schema refuses states that no transition leads to.
#[tokio::test]
async fn the_schema_refuses_impossible_states() {
    let test = TestStore::new().await;
    let key = store_delivery(&test).await;
    for impossible in [
        "status = 'sent'",
        "status = 'delivered'",
        "status = 'failed'",
        "status = 'held', next_attempt_at = now()",
        "attempts = 1",
        "round = 0",
        "round_base = 1",
    ] {
        let sql = format!("UPDATE deliveries SET {impossible} WHERE event_id = $1");
        let refused = test.sql.execute(&sql, &[&key.event.to_uuid()]).await;
        assert!(refused.is_err(), "{impossible}");
    }
    test.drop_database().await;
}
