//! Redelivery: jobs, their queue, and the lease.

use chrono::{TimeDelta, Utc};
use domain::delivery::DeliveryStatus;
use domain::delivery::attempt::Trigger;
use domain::ids::WebhookId;
use domain::redelivery_job::JobState;
use domain::time::{Timestamp, truncate_to_millis};
use store::Executor;
use store::delivery::generations;
use store::delivery::record::{self, DeliveryKey};
use store::keyset::KeysetPosition;
use store::redelivery::jobs::{self, Job, Selection, SelectionCount};
use store::redelivery::lease;
use store::redelivery::queue::{self, CompletedRedelivery, DueRedelivery};
use uuid::Uuid;

use crate::forgetting::finish_maintenance;
use crate::record::{SLICE, build_attempt, store_delivery};
use crate::support::TestStore;

fn position_of(key: DeliveryKey) -> KeysetPosition {
    KeysetPosition { at: key.created, id: key.event.to_uuid() }
}

fn select_status(status: Option<DeliveryStatus>) -> Selection {
    let now = truncate_to_millis(Utc::now());
    let from = now - TimeDelta::hours(1);
    let to = now + TimeDelta::minutes(1);
    Selection { from, to, status, pattern: None }
}

/// Adds deliveries to the webhook of `key`.
async fn add_deliveries(test: &TestStore, key: DeliveryKey, number: i32) {
    let copy = "INSERT INTO deliveries (webhook_id, created, event_id, brand_id, type, generation) \
                SELECT webhook_id, created - n * interval '1 ms', gen_random_uuid(), brand_id, type, generation \
                FROM deliveries, generate_series(1, $2) AS n WHERE event_id = $1";
    test.sql.execute(copy, &[&key.event.to_uuid(), &number]).await.expect("copied");
    let events = "INSERT INTO events (id, brand_id, created, type, data) \
                  SELECT event_id, brand_id, created, type, '{}' FROM deliveries ON CONFLICT DO NOTHING";
    test.sql.execute(events, &[]).await.expect("copied");
}

/// Creates a job as the API does.
async fn create_job(test: &TestStore, key: DeliveryKey, selection: &Selection) -> Job {
    let count = jobs::count_selected(&test.store, key.webhook, selection).await.expect("counted");
    jobs::insert_job(&test.store, key.webhook, Trigger::Redeliver, selection, count, "support")
        .await
        .expect("created")
}

async fn load_due(test: &TestStore, webhook: WebhookId, limit: i64) -> Vec<DueRedelivery> {
    queue::load_due(&test.store, webhook, Timestamp::UNIX_EPOCH, limit).await.expect("loaded")
}

fn complete_all(due: &[DueRedelivery]) -> Vec<CompletedRedelivery> {
    let done = |due: &DueRedelivery| CompletedRedelivery {
        created: due.created,
        event: due.event,
        round: due.round,
        delivered: true,
    };
    due.iter().map(done).collect()
}

async fn reload_job(test: &TestStore, key: DeliveryKey, job: &Job) -> Job {
    jobs::find_job(&test.store, key.webhook, job.id).await.expect("read").expect("there")
}

#[tokio::test]
async fn a_job_queues_each_event_once_although_it_is_interrupted() {
    let test = TestStore::new().await;
    let key = store_delivery(&test).await;
    add_deliveries(&test, key, 24).await;
    let asked = create_job(&test, key, &select_status(None)).await;
    assert_eq!(asked.total, 25);
    let mut walks = 0;
    while let Some(open) = jobs::find_open_job(&test.store, key.webhook).await.expect("read") {
        jobs::walk_job(&test.store, key.webhook, &open, 10).await.expect("walked");
        // Continuing from the same position again has no effect.
        jobs::walk_job(&test.store, key.webhook, &open, 10).await.expect("no effect");
        walks += 1;
    }
    assert!((3..=4).contains(&walks), "{walks}");
    assert_eq!(jobs::find_webhooks(&test.store).await.expect("read"), [key.webhook]);
    let mut sent = Vec::new();
    loop {
        let due = load_due(&test, key.webhook, 7).await;
        if due.is_empty() {
            break;
        }
        // Deliveries that were not completed are loaded again.
        let again = load_due(&test, key.webhook, 7).await;
        assert_eq!(complete_all(&due).len(), complete_all(&again).len());
        queue::complete_redeliveries(&test.store, key.webhook, &complete_all(&due)).await.expect("done");
        queue::complete_redeliveries(&test.store, key.webhook, &complete_all(&due))
            .await
            .expect("counted once");
        sent.extend(due.into_iter().map(|due| (due.event, due.round)));
    }
    sent.sort();
    sent.dedup();
    assert!(sent.len() == 25 && sent.iter().all(|(_, round)| *round == 2));
    let ended = reload_job(&test, key, &asked).await;
    assert_eq!(ended.state, JobState::Finished);
    assert_eq!((ended.queued, ended.done, ended.delivered), (25, 25, 25));
    assert!(jobs::find_webhooks(&test.store).await.expect("read").is_empty());
    test.drop_database().await;
}

#[tokio::test]
async fn a_job_selects_only_deliveries_of_its_status() {
    let test = TestStore::new().await;
    let key = store_delivery(&test).await;
    add_deliveries(&test, key, 4).await;
    record::record_attempts(&test.store, &[build_attempt(key, 200)], SLICE).await.expect("delivered");
    let delivered = select_status(Some(DeliveryStatus::Delivered));
    let asked = create_job(&test, key, &delivered).await;
    assert_eq!(asked.total, 1);
    let open = jobs::find_open_job(&test.store, key.webhook).await.expect("read").expect("open");
    jobs::walk_job(&test.store, key.webhook, &open, 10).await.expect("walked");
    let due = load_due(&test, key.webhook, 10).await;
    assert_eq!(due.iter().map(|due| due.event).collect::<Vec<_>>(), [key.event]);
    test.drop_database().await;
}

/// Its `created` may lie in a range whose end is ahead of the clock. It is delivered anyway.
#[tokio::test]
async fn a_job_leaves_out_what_arrived_after_it_was_created() {
    let test = TestStore::new().await;
    let key = store_delivery(&test).await;
    add_deliveries(&test, key, 4).await;
    let asked = create_job(&test, key, &select_status(None)).await;
    let late = store_delivery(&test).await;
    let moved =
        "UPDATE deliveries SET webhook_id = $1, received = now() + interval '1 second' WHERE event_id = $2";
    test.sql.execute(moved, &[&key.webhook.0, &late.event.to_uuid()]).await.expect("moved");
    let open = jobs::find_open_job(&test.store, key.webhook).await.expect("read").expect("open");
    jobs::walk_job(&test.store, key.webhook, &open, 10).await.expect("walked");
    let due = load_due(&test, key.webhook, 10).await;
    assert!(due.len() == 5 && due.iter().all(|due| due.event != late.event), "{due:?}");
    assert_eq!(reload_job(&test, key, &asked).await.queued, 5);
    let single = [position_of(late)];
    let queued = queue::begin_rounds(&test.store, key.webhook, &single, Trigger::Redeliver, None, None).await;
    assert_eq!(queued.expect("queued"), 1, "a single redelivery sends any event");
    test.drop_database().await;
}

#[tokio::test]
async fn a_single_redelivery_goes_before_a_job_and_is_queued_once() {
    let test = TestStore::new().await;
    let key = store_delivery(&test).await;
    add_deliveries(&test, key, 9).await;
    create_job(&test, key, &select_status(None)).await;
    let other = store_delivery(&test).await;
    let open = jobs::find_open_job(&test.store, key.webhook).await.expect("read").expect("open");
    jobs::walk_job(&test.store, key.webhook, &open, 5).await.expect("walked");
    for _ in 0..2 {
        let queued = queue::begin_rounds(
            &test.store,
            key.webhook,
            &[position_of(key)],
            Trigger::Redeliver,
            None,
            None,
        )
        .await;
        assert_eq!(queued.expect("begun"), 1);
    }
    let due = load_due(&test, key.webhook, 10).await;
    assert_eq!((due.len(), due[0].event, due[0].round), (6, key.event, 3));
    assert!(load_due(&test, other.webhook, 10).await.is_empty());
    // Completing an older round keeps the newer round in the queue.
    let older = CompletedRedelivery { round: 2, ..complete_all(&due)[0] };
    queue::complete_redeliveries(&test.store, key.webhook, &[older]).await.expect("no effect");
    assert_eq!(load_due(&test, key.webhook, 10).await.len(), 6);
    test.drop_database().await;
}

/// Cancels a job by the statements of the API.
async fn cancel_job(test: &TestStore, key: DeliveryKey, job: &Job) {
    let cancel = include_str!("../../sql/redelivery_jobs/cancel.sql");
    let cancelled = test.sql.query(cancel, &[&job.id, &key.webhook.0]).await.expect("cancelled");
    assert_eq!(cancelled.len(), 1, "the job ran");
    let withdraw = include_str!("../../sql/redelivery_queue/withdraw.sql");
    test.sql.query(withdraw, &[&job.id, &key.webhook.0]).await.expect("withdrawn");
}

#[tokio::test]
async fn a_single_redelivery_outlives_the_job_that_had_queued_its_event() {
    let test = TestStore::new().await;
    for is_cancelled in [true, false] {
        let key = store_delivery(&test).await;
        record::record_attempts(&test.store, &[build_attempt(key, 200)], SLICE).await.expect("delivered");
        let asked = create_job(&test, key, &select_status(None)).await;
        let open = jobs::find_open_job(&test.store, key.webhook).await.expect("read").expect("open");
        jobs::walk_job(&test.store, key.webhook, &open, 10).await.expect("walked");
        if is_cancelled {
            // The job goes on with another delivery, so that it still can be cancelled.
            let further = "UPDATE redelivery_jobs SET queued = queued + 1 WHERE id = $1";
            test.sql.execute(further, &[&asked.id]).await.expect("one more");
        }
        let positions = [position_of(key)];
        let queued =
            queue::begin_rounds(&test.store, key.webhook, &positions, Trigger::Redeliver, None, None).await;
        assert_eq!(queued.expect("begun"), 1);
        if is_cancelled {
            cancel_job(&test, key, &asked).await;
        } else {
            assert_eq!(reload_job(&test, key, &asked).await.state, JobState::Finished);
        }
        let due = load_due(&test, key.webhook, 10).await;
        assert_eq!(due.iter().map(|due| (due.event, due.round)).collect::<Vec<_>>(), [(key.event, 3)]);
        assert!(!due[0].of_job);
        queue::complete_redeliveries(&test.store, key.webhook, &complete_all(&due)).await.expect("done");
        assert!(load_due(&test, key.webhook, 10).await.is_empty());
    }
    test.drop_database().await;
}

#[tokio::test]
async fn a_webhook_that_stops_receiving_stops_its_jobs_and_empties_its_queue() {
    let test = TestStore::new().await;
    let key = store_delivery(&test).await;
    add_deliveries(&test, key, 9).await;
    let asked = create_job(&test, key, &select_status(None)).await;
    let open = jobs::find_open_job(&test.store, key.webhook).await.expect("read").expect("open");
    jobs::walk_job(&test.store, key.webhook, &open, 5).await.expect("walked");
    test.store
        .query_rows("UPDATE webhooks SET status = 'paused' WHERE id = $1 RETURNING id", &[&key.webhook.0])
        .await
        .expect("paused");
    assert!(load_due(&test, key.webhook, 10).await.is_empty());
    assert!(jobs::find_open_job(&test.store, key.webhook).await.expect("read").is_none());
    assert_eq!(reload_job(&test, key, &asked).await.state, JobState::Stopped);
    jobs::walk_job(&test.store, key.webhook, &open, 5).await.expect("no effect");
    assert!(jobs::find_webhooks(&test.store).await.expect("read").is_empty());
    test.drop_database().await;
}

#[tokio::test]
async fn ended_jobs_are_deleted_after_the_retention() {
    let test = TestStore::new().await;
    let key = store_delivery(&test).await;
    let asked = create_job(&test, key, &select_status(Some(DeliveryStatus::Held))).await;
    let touched = "UPDATE redelivery_jobs SET updated = updated - interval '8 days'";
    let old = async || test.sql.batch_execute(touched).await.expect("made older");
    old().await;
    finish_maintenance(&test).await;
    let open = jobs::find_open_job(&test.store, key.webhook).await.expect("read").expect("still open");
    jobs::walk_job(&test.store, key.webhook, &open, 5).await.expect("walked");
    old().await;
    finish_maintenance(&test).await;
    let found = jobs::find_job(&test.store, key.webhook, asked.id).await.expect("read");
    assert!(found.is_none());
    test.drop_database().await;
}

#[tokio::test]
async fn a_lease_has_one_holder_until_it_is_released_or_lapses() {
    let test = TestStore::new().await;
    let webhook = test.insert_webhook().await;
    let other = test.insert_webhook().await;
    let [one, two] = [Uuid::new_v4(), Uuid::new_v4()];
    let claim =
        async |webhook, holder| lease::claim_redelivery(&test.store, webhook, holder).await.expect("asked");
    assert!(claim(webhook, one).await && claim(webhook, one).await, "and extends it");
    assert!(!claim(webhook, two).await);
    assert!(claim(other, two).await, "each webhook has its own");

    lease::release_redelivery(&test.store, webhook, two).await.expect("no effect");
    assert!(!claim(webhook, two).await, "only the holder releases it");
    lease::release_redelivery(&test.store, webhook, one).await.expect("released");
    assert!(claim(webhook, two).await);

    let lapsed =
        "UPDATE redelivery_claims SET until = until - make_interval(secs => $1) WHERE webhook_id = $2";
    test.sql.execute(lapsed, &[&lease::LEASE_TIMEOUT.as_secs_f64(), &webhook.0]).await.expect("made older");
    assert!(claim(webhook, one).await);
    assert!(!claim(webhook, two).await);
    test.drop_database().await;
}

/// A router matched an event before the webhook was disabled, and stored it after the generation was closed.
#[tokio::test]
async fn an_event_stored_late_under_an_older_generation_is_redelivered_with_the_held_events() {
    let test = TestStore::new().await;
    let key = store_delivery(&test).await;
    let webhook = key.webhook;
    let change = async |change: &str| {
        let change = format!("UPDATE webhooks SET {change} WHERE id = '{}'", webhook.0);
        test.sql.batch_execute(&change).await.expect("changed");
    };
    change("status = 'disabled', disabled_reason = 'support', disabled_at = now()").await;
    generations::close_generations(&test.store, webhook, 2, DeliveryStatus::Held).await.expect("closed");
    change("status = 'active', disabled_reason = NULL, disabled_at = NULL, settled_generation = 3").await;
    let held = select_status(Some(DeliveryStatus::Held));
    let count = jobs::count_selected(&test.store, webhook, &held).await.expect("counted");
    assert_eq!(count, SelectionCount { selected: 1, more: false });
    let asked = jobs::insert_job(&test.store, webhook, Trigger::Held, &held, count, "support")
        .await
        .expect("created");
    let open = jobs::find_open_job(&test.store, webhook).await.expect("read").expect("open");
    jobs::walk_job(&test.store, webhook, &open, 10).await.expect("walked");
    let due = load_due(&test, webhook, 10).await;
    assert_eq!(due.iter().map(|due| due.event).collect::<Vec<_>>(), [key.event]);
    queue::complete_redeliveries(&test.store, webhook, &complete_all(&due)).await.expect("done");

    let late = Uuid::new_v4();
    let insert = "INSERT INTO deliveries (webhook_id, created, event_id, brand_id, type, generation) \
                  VALUES ($1, now() - interval '30 minutes', $2, 'acme', 'A.B', 1)";
    test.sql.execute(insert, &[&webhook.0, &late]).await.expect("stored late");
    assert!(jobs::find_open_job(&test.store, webhook).await.expect("read").is_none(), "not yet");
    assert!(jobs::find_webhooks(&test.store).await.expect("read").is_empty(), "no replica is kept busy");
    assert!(!reload_job(&test, key, &asked).await.walked);
    // Continuing at the same time from another process has no effect.
    jobs::walk_job(&test.store, webhook, &open, 10).await.expect("no effect");

    let passed = "UPDATE redelivery_jobs SET first_walked_at = first_walked_at - interval '75 s'";
    test.sql.batch_execute(passed).await.expect("older");
    let open = jobs::find_open_job(&test.store, webhook).await.expect("read").expect("open again");
    jobs::walk_job(&test.store, webhook, &open, 10).await.expect("walked");
    let due = load_due(&test, webhook, 10).await;
    assert_eq!(due.iter().map(|due| due.event.to_uuid()).collect::<Vec<_>>(), [late]);
    let ended = reload_job(&test, key, &asked).await;
    assert!(ended.walked);
    assert_eq!((ended.queued, ended.done), (2, 1), "the first delivery is not redelivered again");
    test.drop_database().await;
}
