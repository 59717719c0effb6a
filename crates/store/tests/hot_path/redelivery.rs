//! The queue of redeliveries and the jobs that fill it.

use chrono::{TimeDelta, Utc};
use domain::delivery::DeliveryStatus;
use domain::outcome::Trigger;
use domain::time::whole_millis;
use store::Executor;
use store::delivery::generations;
use store::delivery::record::{self, DeliveryKey};
use store::keyset::KeysetPosition;
use store::redelivery::jobs::{self, Job, Selection};
use store::redelivery::lease;
use store::redelivery::queue::{self, CompletedRedelivery, DueRedelivery};
use uuid::Uuid;

use crate::record::{SLICE, attempt, owed_delivery};
use crate::support::{RETENTION, TestStore};

fn place(key: DeliveryKey) -> KeysetPosition {
    KeysetPosition { at: key.created, id: key.event.to_uuid() }
}

fn selection(status: Option<DeliveryStatus>) -> Selection {
    let now = whole_millis(Utc::now());
    let (from, to) = (now - TimeDelta::hours(1), now + TimeDelta::minutes(1));
    Selection { from, to, status, pattern: None }
}

/// So many more deliveries to the webhook of `key`.
async fn more(test: &TestStore, key: DeliveryKey, number: i32) {
    let copy = "INSERT INTO deliveries (webhook_id, created, event_id, brand_id, type, generation) \
                SELECT webhook_id, created - n * interval '1 ms', gen_random_uuid(), brand_id, type, generation \
                FROM deliveries, generate_series(1, $2) AS n WHERE event_id = $1";
    test.sql.execute(copy, &[&key.event.to_uuid(), &number]).await.expect("copied");
    let events = "INSERT INTO events (id, brand_id, created, type, data) \
                  SELECT event_id, brand_id, created, type, '{}' FROM deliveries ON CONFLICT DO NOTHING";
    test.sql.execute(events, &[]).await.expect("copied");
}

fn done(due: &[DueRedelivery]) -> Vec<CompletedRedelivery> {
    let done = |due: &DueRedelivery| CompletedRedelivery {
        created: due.created,
        event: due.event,
        round: due.round,
        delivered: true,
    };
    due.iter().map(done).collect()
}

async fn job(test: &TestStore, key: DeliveryKey, job: &Job) -> Job {
    jobs::find_job(&test.store, key.webhook, job.id).await.expect("read").expect("there")
}

#[tokio::test]
async fn a_job_walks_everything_once_however_often_it_is_interrupted() {
    let test = TestStore::new().await;
    let key = owed_delivery(&test).await;
    more(&test, key, 24).await;
    let asked =
        jobs::insert_job(&test.store, key.webhook, Trigger::Redeliver, &selection(None)).await.expect("made");
    assert_eq!(asked.total, 25);
    let mut rounds = 0;
    while let Some(open) = jobs::find_open_job(&test.store, key.webhook).await.expect("read") {
        jobs::walk_job(&test.store, key.webhook, &open, 10).await.expect("walked");
        // Whoever walks from the same place again moves nothing.
        jobs::walk_job(&test.store, key.webhook, &open, 10).await.expect("no effect");
        rounds += 1;
    }
    assert!((3..=4).contains(&rounds), "{rounds}");
    assert_eq!(jobs::find_webhooks(&test.store).await.expect("read"), [key.webhook]);
    let mut sent = Vec::new();
    loop {
        let due = queue::load_due(&test.store, key.webhook, 7).await.expect("taken");
        if due.is_empty() {
            break;
        }
        // Taken and not done: it is handed out again.
        let again = queue::load_due(&test.store, key.webhook, 7).await.expect("taken");
        assert_eq!(done(&due).len(), done(&again).len());
        queue::complete_redeliveries(&test.store, key.webhook, &done(&due)).await.expect("done");
        queue::complete_redeliveries(&test.store, key.webhook, &done(&due)).await.expect("counted once");
        sent.extend(due.into_iter().map(|due| (due.event, due.round)));
    }
    sent.sort();
    sent.dedup();
    assert!(sent.len() == 25 && sent.iter().all(|(_, round)| *round == 2));
    let ended = job(&test, key, &asked).await;
    assert!(ended.walked && !ended.stopped);
    assert_eq!((ended.queued, ended.done, ended.delivered), (25, 25, 25));
    assert!(jobs::find_webhooks(&test.store).await.expect("read").is_empty());
    test.drop_it().await;
}

#[tokio::test]
async fn a_job_takes_only_what_stands_where_it_says() {
    let test = TestStore::new().await;
    let key = owed_delivery(&test).await;
    more(&test, key, 4).await;
    record::record_attempts(&test.store, &[attempt(key, 200)], SLICE).await.expect("delivered");
    let delivered = selection(Some(DeliveryStatus::Delivered));
    let asked =
        jobs::insert_job(&test.store, key.webhook, Trigger::Redeliver, &delivered).await.expect("made");
    assert_eq!(asked.total, 1);
    let open = jobs::find_open_job(&test.store, key.webhook).await.expect("read").expect("open");
    jobs::walk_job(&test.store, key.webhook, &open, 10).await.expect("walked");
    let due = queue::load_due(&test.store, key.webhook, 10).await.expect("taken");
    assert_eq!(due.iter().map(|due| due.event).collect::<Vec<_>>(), [key.event]);
    test.drop_it().await;
}

#[tokio::test]
async fn one_event_goes_before_a_job_and_asked_for_twice_it_is_sent_once() {
    let test = TestStore::new().await;
    let key = owed_delivery(&test).await;
    more(&test, key, 9).await;
    jobs::insert_job(&test.store, key.webhook, Trigger::Redeliver, &selection(None)).await.expect("made");
    let other = owed_delivery(&test).await;
    let open = jobs::find_open_job(&test.store, key.webhook).await.expect("read").expect("open");
    jobs::walk_job(&test.store, key.webhook, &open, 5).await.expect("walked");
    for _ in 0..2 {
        let queued =
            queue::begin_rounds(&test.store, key.webhook, &[place(key)], Trigger::Redeliver, None, None)
                .await;
        assert_eq!(queued.expect("begun"), 1);
    }
    let due = queue::load_due(&test.store, key.webhook, 10).await.expect("taken");
    assert_eq!((due.len(), due[0].event, due[0].round), (6, key.event, 3));
    assert!(queue::load_due(&test.store, other.webhook, 10).await.expect("taken").is_empty());
    // Done with an older round: what was asked for meanwhile stays.
    let older = CompletedRedelivery { round: 2, ..done(&due)[0] };
    queue::complete_redeliveries(&test.store, key.webhook, &[older]).await.expect("no effect");
    assert_eq!(queue::load_due(&test.store, key.webhook, 10).await.expect("taken").len(), 6);
    test.drop_it().await;
}

#[tokio::test]
async fn a_webhook_that_stops_receiving_stops_its_jobs_and_empties_its_queue() {
    let test = TestStore::new().await;
    let key = owed_delivery(&test).await;
    more(&test, key, 9).await;
    let asked =
        jobs::insert_job(&test.store, key.webhook, Trigger::Redeliver, &selection(None)).await.expect("made");
    let open = jobs::find_open_job(&test.store, key.webhook).await.expect("read").expect("open");
    jobs::walk_job(&test.store, key.webhook, &open, 5).await.expect("walked");
    test.store
        .query_rows("UPDATE webhooks SET status = 'paused' WHERE id = $1 RETURNING id", &[&key.webhook.0])
        .await
        .expect("paused");
    assert!(queue::load_due(&test.store, key.webhook, 10).await.expect("taken").is_empty());
    assert!(jobs::find_open_job(&test.store, key.webhook).await.expect("read").is_none());
    assert!(job(&test, key, &asked).await.stopped);
    jobs::walk_job(&test.store, key.webhook, &open, 5).await.expect("no effect");
    assert!(jobs::find_webhooks(&test.store).await.expect("read").is_empty());
    test.drop_it().await;
}

#[tokio::test]
async fn jobs_that_ended_are_forgotten_in_time() {
    let test = TestStore::new().await;
    let key = owed_delivery(&test).await;
    let asked = jobs::insert_job(
        &test.store,
        key.webhook,
        Trigger::Redeliver,
        &selection(Some(DeliveryStatus::Held)),
    )
    .await
    .expect("made");
    let touched = "UPDATE redelivery_jobs SET updated = updated - interval '1 day'";
    let old = async || test.sql.batch_execute(touched).await.expect("made older");
    old().await;
    jobs::delete_ended(&test.store, RETENTION / 7).await.expect("nothing to forget");
    let open = jobs::find_open_job(&test.store, key.webhook).await.expect("read").expect("still open");
    jobs::walk_job(&test.store, key.webhook, &open, 5).await.expect("walked");
    old().await;
    jobs::delete_ended(&test.store, RETENTION / 7).await.expect("forgotten");
    let found = jobs::find_job(&test.store, key.webhook, asked.id).await.expect("read");
    assert!(found.is_none());
    test.drop_it().await;
}

#[tokio::test]
async fn one_holder_at_a_time_until_it_lets_go_or_its_claim_lapses() {
    let test = TestStore::new().await;
    let (webhook, other) = (test.webhook().await, test.webhook().await);
    let [one, two] = [Uuid::new_v4(), Uuid::new_v4()];
    let claim =
        async |webhook, holder| lease::claim_redelivery(&test.store, webhook, holder).await.expect("asked");
    assert!(claim(webhook, one).await && claim(webhook, one).await, "and it extends it");
    assert!(!claim(webhook, two).await);
    assert!(claim(other, two).await, "each webhook has its own");

    lease::release_redelivery(&test.store, webhook, two).await.expect("no effect");
    assert!(!claim(webhook, two).await, "only the holder lets go");
    lease::release_redelivery(&test.store, webhook, one).await.expect("released");
    assert!(claim(webhook, two).await);

    let lapsed =
        "UPDATE redelivery_claims SET until = until - make_interval(secs => $1) WHERE webhook_id = $2";
    test.sql.execute(lapsed, &[&lease::LEASE_TIMEOUT.as_secs_f64(), &webhook.0]).await.expect("made older");
    assert!(claim(webhook, one).await);
    assert!(!claim(webhook, two).await);
    test.drop_it().await;
}

/// A router matched its event before the webhook was disabled and stored it after all else was settled.
#[tokio::test]
async fn what_is_stored_late_under_an_older_generation_is_sent_with_what_is_held() {
    let test = TestStore::new().await;
    let key = owed_delivery(&test).await;
    let webhook = key.webhook;
    let change = async |change: &str| {
        let change = format!("UPDATE webhooks SET {change} WHERE id = '{}'", webhook.0);
        test.sql.batch_execute(&change).await.expect("changed");
    };
    change("status = 'disabled', disabled_reason = 'support', disabled_at = now()").await;
    generations::close_generations(&test.store, webhook, 2, DeliveryStatus::Held).await.expect("settled");
    change("status = 'active', disabled_reason = NULL, disabled_at = NULL, settled_generation = 3").await;
    let held = selection(Some(DeliveryStatus::Held));
    let asked = jobs::insert_job(&test.store, webhook, Trigger::Held, &held).await.expect("made");
    let open = jobs::find_open_job(&test.store, webhook).await.expect("read").expect("open");
    jobs::walk_job(&test.store, webhook, &open, 10).await.expect("walked");
    let due = queue::load_due(&test.store, webhook, 10).await.expect("taken");
    assert_eq!(due.iter().map(|due| due.event).collect::<Vec<_>>(), [key.event]);
    queue::complete_redeliveries(&test.store, webhook, &done(&due)).await.expect("done");

    let late = Uuid::new_v4();
    let insert = "INSERT INTO deliveries (webhook_id, created, event_id, brand_id, type, generation) \
                  VALUES ($1, now() - interval '30 minutes', $2, 'acme', 'A.B', 1)";
    test.sql.execute(insert, &[&webhook.0, &late]).await.expect("stored late");
    assert!(jobs::find_open_job(&test.store, webhook).await.expect("read").is_none(), "not yet");
    assert!(jobs::find_webhooks(&test.store).await.expect("read").is_empty(), "nobody is kept busy");
    assert!(!job(&test, key, &asked).await.walked);
    // One who walked at the same time moves nothing.
    jobs::walk_job(&test.store, webhook, &open, 10).await.expect("no effect");

    let passed = "UPDATE redelivery_jobs SET first_walked_at = first_walked_at - interval '75 s'";
    test.sql.batch_execute(passed).await.expect("older");
    let open = jobs::find_open_job(&test.store, webhook).await.expect("read").expect("open again");
    jobs::walk_job(&test.store, webhook, &open, 10).await.expect("walked");
    let due = queue::load_due(&test.store, webhook, 10).await.expect("taken");
    assert_eq!(due.iter().map(|due| due.event.to_uuid()).collect::<Vec<_>>(), [late]);
    let ended = job(&test, key, &asked).await;
    assert!(ended.walked);
    assert_eq!((ended.queued, ended.done), (2, 1), "what was sent is not sent again");
    test.drop_it().await;
}
