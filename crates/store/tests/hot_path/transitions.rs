//! The statements move deliveries exactly as `domain` says they move.

use chrono::TimeDelta;
use domain::delivery::{DeliveryStatus, Transition};
use domain::outcome::Trigger;
use store::delivery::generations;
use store::delivery::record::{self, AttemptRecord, DeliveryKey};
use store::keyset::KeysetPosition;
use store::redelivery::queue;

use crate::record::{SLICE, attempt, owed_delivery, stands};
use crate::support::TestStore;

const TRANSITIONS: [Transition; 8] = [
    Transition::Attempted(DeliveryStatus::Pending),
    Transition::Attempted(DeliveryStatus::Delivered),
    Transition::Attempted(DeliveryStatus::Failed),
    Transition::AttemptedBefore,
    Transition::WindowOver,
    Transition::Stopped(DeliveryStatus::Held),
    Transition::Stopped(DeliveryStatus::Discarded),
    Transition::BegunAgain,
];

/// A delivery in its second round that stands at `status` after two attempts.
async fn standing_at(test: &TestStore, status: DeliveryStatus) -> DeliveryKey {
    let key = owed_delivery(test).await;
    let set = "UPDATE deliveries SET status = $2, round = 2, attempts = 2, round_base = 1, last_attempt_at = now(), \
               first_attempt_at = now(), next_attempt_at = CASE WHEN $2 = 'pending' THEN now() END \
               WHERE event_id = $1";
    test.sql.execute(set, &[&key.event.to_uuid(), &status.as_str()]).await.expect("it stands there");
    key
}

fn ended(key: DeliveryKey, round: i32, status: DeliveryStatus) -> AttemptRecord {
    let code = if status == DeliveryStatus::Delivered { 200 } else { 500 };
    let record = attempt(key, code);
    let next_attempt_at = (status == DeliveryStatus::Pending).then(|| record.ended + TimeDelta::seconds(5));
    AttemptRecord { round, status, next_attempt_at, ..record }
}

async fn carry_out(test: &TestStore, key: DeliveryKey, transition: Transition) {
    match transition {
        Transition::Attempted(status) => {
            record::record_attempts(&test.store, &[ended(key, 2, status)], SLICE).await.map(drop)
        }
        Transition::AttemptedBefore => {
            let late = ended(key, 1, DeliveryStatus::Delivered);
            record::record_attempts(&test.store, &[late], SLICE).await.map(drop)
        }
        Transition::WindowOver => {
            record::finish_delivery(&test.store, key, 2, DeliveryStatus::Failed).await.map(drop)
        }
        Transition::Stopped(status) => {
            generations::close_generations(&test.store, key.webhook, 2, status).await.map(drop)
        }
        Transition::BegunAgain => {
            let place = KeysetPosition { at: key.created, id: key.event.to_uuid() };
            queue::begin_rounds(&test.store, key.webhook, &[place], Trigger::Redeliver, None, None)
                .await
                .map(drop)
        }
    }
    .expect("carried out");
}

#[tokio::test]
async fn every_statement_leads_where_the_domain_says() {
    let test = TestStore::new().await;
    for from in DeliveryStatus::ALL {
        for transition in TRANSITIONS {
            let key = standing_at(&test, *from).await;
            carry_out(&test, key, transition).await;
            let found = stands(&test, key).await;
            assert_eq!(found.standing.status, from.after(transition), "{from} {transition:?}");
            let again = transition == Transition::BegunAgain;
            assert_eq!(found.standing.round, if again { 3 } else { 2 }, "{from} {transition:?}");
        }
    }
    test.drop_it().await;
}

/// What no transition leads to is refused by the schema itself.
#[tokio::test]
async fn the_schema_refuses_what_cannot_be() {
    let test = TestStore::new().await;
    let key = owed_delivery(&test).await;
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
    test.drop_it().await;
}
