//! Redelivery jobs cannot go wrong: they are listed and cancelled, and untouched events keep their status (contract §4.1).

use std::time::Duration;

use e2e::WAIT_TIMEOUT;
use e2e::brand::Webhook;
use e2e::event::{Event, ids, time_ago, time_ahead};
use e2e::owner_actions::RedeliveryJob;
use e2e::platform::{Builder, Platform};
use e2e::receiver::Endpoint;
use e2e::script::{Gate, Reply};
use serde_json::{Value, json};

use crate::Stage;

const HOUR: Duration = Duration::from_secs(3600);
/// Events that were delivered before they are redelivered.
const EVENTS: usize = 300;
/// Redeliveries that the endpoint accepts before it hangs.
const ACCEPTED: usize = 30;

/// A platform whose requests may hang for long.
fn patient() -> Builder {
    Platform::builder().set("POSTRIDER_REQUEST_TIMEOUT", "60s")
}

/// A webhook with a running job over all of its delivered events, whose share of the requests hangs at the gate.
async fn start_hanging_job(stage: &Stage, gate: &Gate) -> (Endpoint, Webhook, RedeliveryJob) {
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    stage.deliver_many(&webhook, EVENTS).await;
    endpoint.answer(std::iter::repeat_n(Reply::ok(), ACCEPTED).chain([Reply::ok().behind(gate)]));
    let range = json!({"from": time_ago(HOUR), "to": time_ahead(HOUR), "status": "all"});
    let job = stage.brand.redeliver_range(&webhook, &range).await;
    // The share of redeliveries, half of ten, waits at the gate.
    endpoint.wait_for_requests(EVENTS + ACCEPTED + 5).await;
    (endpoint, webhook, job)
}

async fn count_delivered(stage: &Stage, webhook: &Webhook) -> usize {
    stage.brand.list_events(webhook, "status=delivered").await.len()
}

#[tokio::test]
async fn a_cancelled_job_sends_nothing_more_and_its_events_keep_their_status() {
    let stage = Stage::with_builder(patient()).await;
    let gate = Gate::closed();
    let (endpoint, webhook, job) = start_hanging_job(&stage, &gate).await;
    let path = stage.brand.webhook_path(&webhook, "/redeliver");
    let range = json!({"from": time_ago(HOUR), "to": time_ahead(HOUR)});
    let refused = stage.brand.api.post(&path, &range).await.expect_problem(409);
    assert_eq!(refused["jobId"], job.json["jobId"], "{refused}");

    let _ = stage.brand.api.delete(&job.path).await.expect_status(204);

    let cancelled = stage.brand.wait_job(&job, "cancelled", WAIT_TIMEOUT).await;
    assert!(cancelled["attempted"].as_u64().is_some_and(|attempted| attempted < 300), "{cancelled}");
    gate.open();
    stage.brand.wait_no_events(&webhook, "status=pending", WAIT_TIMEOUT).await;
    assert_eq!(count_delivered(&stage, &webhook).await, EVENTS);
    // Requests that were waiting for their turn when the job was cancelled may be made.
    let sent = endpoint.requests().len();
    assert!(sent < EVENTS + EVENTS / 2, "{sent}");
    // Another job may run, and sends every event again.
    let again = json!({"from": time_ago(HOUR), "to": time_ahead(HOUR), "status": "all"});
    let next = stage.brand.redeliver_range(&webhook, &again).await;
    let done = stage.brand.wait_job(&next, "finished", WAIT_TIMEOUT).await;
    assert_eq!(done["delivered"], EVENTS, "{done}");
    let states: Vec<Value> = stage.brand.api.list(&path, 1).await;
    let states: Vec<_> = states.iter().map(|job| job["state"].clone()).collect();
    assert_eq!(states, ["finished", "cancelled"]);
}

#[tokio::test]
async fn a_paused_webhook_keeps_delivered_what_was_delivered() {
    let stage = Stage::with_builder(patient()).await;
    let gate = Gate::closed();
    let (_, webhook, job) = start_hanging_job(&stage, &gate).await;

    stage.brand.patch_webhook(&webhook, &json!({"enabled": false})).await;

    stage.brand.wait_job(&job, "stopped", WAIT_TIMEOUT).await;
    gate.open();
    stage.brand.wait_no_events(&webhook, "status=pending", WAIT_TIMEOUT).await;
    assert_eq!(
        count_delivered(&stage, &webhook).await,
        EVENTS,
        "nothing was discarded that had been delivered"
    );
}

#[tokio::test]
async fn events_are_redelivered_by_their_ids() {
    let stage = Stage::with_builder(Platform::builder().one_attempt().without_health_rule()).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let events = stage.deliver_many(&webhook, 5).await;
    let chosen = ids(&events[1..3]);
    let body = json!({"ids": chosen});
    let job = stage.brand.redeliver_range(&webhook, &body).await;
    let done = stage.brand.wait_job(&job, "finished", WAIT_TIMEOUT).await;
    let counts = ["total", "attempted", "delivered"].map(|field| done[field].as_u64());
    assert_eq!(counts, [Some(2); 3], "{done}");
    let twice: Vec<_> =
        endpoint.count_by_event().into_iter().filter(|(_, times)| *times == 2).map(|(id, _)| id).collect();
    assert_eq!(twice, chosen.into_iter().collect::<Vec<_>>());
    assert_eq!(endpoint.requests().len(), 7);
}

#[tokio::test]
async fn a_range_without_a_status_sends_only_what_failed() {
    let stage = Stage::with_builder(Platform::builder().one_attempt().without_health_rule()).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    stage.deliver_many(&webhook, 3).await;
    endpoint.always(Reply::status(500));
    // The clock of a producer may be ahead of the platform's.
    let ahead = Event::sms("acme").created(&time_ahead(Duration::from_secs(200)));
    let failed = [stage.publish_many(1).await.remove(0), ahead];
    stage.publish_event(&failed[1]).await;
    stage.wait_settled(&webhook, "failed", &failed).await;
    endpoint.always(Reply::ok());
    let range = json!({"from": time_ago(HOUR), "to": time_ahead(HOUR)});
    let job = stage.brand.redeliver_range(&webhook, &range).await;
    let done = stage.brand.wait_job(&job, "finished", WAIT_TIMEOUT).await;
    assert_eq!((&done["status"], &done["delivered"]), (&json!("failed"), &json!(2)), "{done}");
    assert_eq!(endpoint.requests().len(), 7);
}
