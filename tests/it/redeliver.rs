//! Redelivery of one event, and of a range (contract §4).

use std::collections::BTreeMap;
use std::time::Duration;

use e2e::WAIT_TIMEOUT;
use e2e::brand::{Webhook, put_type};
use e2e::database;
use e2e::event::{Event, SMS, ids, time_ago, time_ahead};
use e2e::platform::{Builder, Platform};
use e2e::poll::eventually;
use e2e::receiver::Endpoint;
use e2e::script::{Gate, Reply};
use e2e::support::{disable_webhook, enable_webhook};
use serde_json::{Value, json};

use crate::Stage;

const HOUR: Duration = Duration::from_secs(3600);
const MAIL: &str = "NOTIFICATION.MAIL";

#[tokio::test]
async fn a_delivered_event_is_redelivered_with_a_fresh_attempt_id() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let event = stage.deliver_many(&webhook, 1).await.remove(0);

    stage.brand.redeliver_event(&webhook, event.id()).await;

    stage.brand.wait_delivery(&webhook, event.id(), "delivered", 2).await;
    let requests = endpoint.requests();
    let [first, again] = &requests[..] else { panic!("{} requests", requests.len()) };
    assert_eq!(again.header("webhook-id"), event.id());
    assert_ne!(again.field("attemptId"), first.field("attemptId"));
    let renamed = first.text().replace(&first.field("attemptId"), &again.field("attemptId"));
    assert_eq!(again.text(), renamed, "everything except the attempt's id is unchanged");
    again.verify(&webhook.secret).expect("a signature that verifies");
    let attempts = stage.brand.list_attempts(&webhook, event.id()).await;
    assert_eq!(attempts[1]["attemptId"], again.field("attemptId"), "{attempts:?}");
    assert_eq!(stage.brand.list_triggers(&webhook, event.id()).await, ["fresh", "redeliver"]);
}

#[tokio::test]
async fn a_failed_event_gets_a_fresh_window_and_keeps_its_attempt_count() {
    let brief = Platform::builder().retries("1s,60s").window("30s").without_health_rule();
    let stage = Stage::with_builder(brief).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    endpoint.always(Reply::status(500));
    let event = stage.publish_many(1).await.remove(0);
    stage.brand.wait_delivery(&webhook, event.id(), "failed", 2).await;

    stage.brand.redeliver_event(&webhook, event.id()).await;
    let failed = stage.brand.wait_delivery(&webhook, event.id(), "failed", 4).await;
    assert!(failed["lastError"].is_string() && failed["nextAttemptAt"].is_null(), "{failed}");
    endpoint.always(Reply::ok());
    stage.brand.redeliver_event(&webhook, event.id()).await;
    let delivered = stage.brand.wait_delivery(&webhook, event.id(), "delivered", 5).await;

    assert_eq!(delivered["lastError"], json!(null), "{delivered}");
    let triggers = stage.brand.list_triggers(&webhook, event.id()).await;
    assert_eq!(triggers, ["fresh", "retry", "redeliver", "retry", "redeliver"]);
}

#[tokio::test]
async fn a_waiting_event_is_redelivered_in_place_of_its_retry() {
    let stage = Stage::with_builder(Platform::builder().retries("25s,25s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    endpoint.answer([Reply::status(500), Reply::ok(), Reply::status(500), Reply::ok()]);
    let first = stage.publish_many(1).await.remove(0);
    stage.brand.wait_attempts(&webhook, first.id(), 1).await;

    stage.brand.redeliver_event(&webhook, first.id()).await;

    stage.brand.wait_delivery(&webhook, first.id(), "delivered", 2).await;
    assert_eq!(stage.brand.list_triggers(&webhook, first.id()).await, ["fresh", "redeliver"]);
    // The retry of a later event comes after the time when the first one's would have come.
    let later = stage.publish_many(1).await.remove(0);
    stage.brand.wait_delivery(&webhook, later.id(), "delivered", 2).await;
    assert_eq!(endpoint.requests().len(), 4);
}

#[tokio::test]
async fn discarded_and_held_events_are_redelivered_only_on_request() {
    let stage = Stage::with_builder(Platform::builder().retries("10m")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    endpoint.answer([Reply::status(500), Reply::ok()]);
    let discarded = stage.publish_many(1).await.remove(0);
    stage.brand.wait_attempts(&webhook, discarded.id(), 1).await;
    stage.brand.patch_webhook(&webhook, &json!({"enabled": false})).await;
    stage.brand.wait_delivery_status(&webhook, discarded.id(), "discarded").await;
    stage.brand.patch_webhook(&webhook, &json!({"enabled": true})).await;
    disable_webhook(&stage.brand.support, &webhook, "a test").await;
    let held = stage.publish_many(1).await.remove(0);
    stage.brand.wait_delivery_status(&webhook, held.id(), "held").await;
    enable_webhook(&stage.brand.support, &webhook, &json!({"note": "the test goes on"})).await;

    // The webhook is enabled again, and gets new events but none of the old ones.
    stage.deliver_one(&webhook).await;
    assert_eq!(endpoint.requests().len(), 2);
    for (event, status) in [(&discarded, "discarded"), (&held, "held")] {
        stage.brand.wait_delivery_status(&webhook, event.id(), status).await;
        stage.brand.redeliver_event(&webhook, event.id()).await;
        stage.brand.wait_delivery_status(&webhook, event.id(), "delivered").await;
    }
    assert_eq!(stage.brand.list_triggers(&webhook, discarded.id()).await, ["fresh", "redeliver"]);
    assert_eq!(stage.brand.list_triggers(&webhook, held.id()).await, ["redeliver"]);
}

/// Publishes events 1 to 8, the `n`th `n` hours old; odd ones are SMS, even ones are mails; 1, 2, 5 and 6
/// have failed, the others are delivered.
async fn publish_history(stage: &Stage) -> (Endpoint, Webhook, Vec<Event>) {
    put_type(&stage.brand.support, MAIL, &json!({"description": "A mail"})).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let event = |n: u32| {
        let event_type = if n.is_multiple_of(2) { MAIL } else { SMS };
        Event::new("acme", event_type).created(&time_ago(n * HOUR))
    };
    let events: Vec<_> = (1..=8).map(event).collect();
    for (numbers, reply, status) in
        [([1, 2, 5, 6], Reply::status(500), "failed"), ([3, 4, 7, 8], Reply::ok(), "delivered")]
    {
        endpoint.always(reply);
        let some = numbers.map(|n| events[n - 1].clone());
        stage.platform.producer().await.publish_all(&some).await;
        stage.wait_settled(&webhook, status, &some).await;
    }
    (endpoint, webhook, events)
}

/// Returns the events that arrived since `before`, by number, each with its count.
fn arrivals_since(
    endpoint: &Endpoint,
    before: &BTreeMap<String, u64>,
    events: &[Event],
) -> Vec<(usize, u64)> {
    let now = endpoint.count_by_event();
    let count = |counts: &BTreeMap<String, u64>, event: &Event| counts.get(event.id()).copied().unwrap_or(0);
    let since = |event: &Event| count(&now, event) - count(before, event);
    let all = events.iter().enumerate().map(|(n, event)| (n + 1, since(event)));
    all.filter(|(_, times)| *times > 0).collect()
}

#[tokio::test]
async fn a_range_is_narrowed_by_time_status_and_type() {
    let stage = Stage::with_builder(Platform::builder().one_attempt().without_health_rule()).await;
    let (endpoint, webhook, events) = publish_history(&stage).await;
    let oldest = time_ago(9 * HOUR);
    let now = time_ago(Duration::ZERO);
    let created = |n: usize| events[n - 1].created.clone().expect("a time");
    let ranges: [(Value, &[usize]); 8] = [
        (json!({"from": oldest, "to": now, "status": "held"}), &[]),
        (json!({"from": oldest, "to": now, "status": "failed", "type": MAIL}), &[2, 6]),
        // Without a status the failed ones, of which 2 and 6 are delivered by now.
        (json!({"from": oldest, "to": now}), &[1, 5]),
        (json!({"from": oldest, "to": now, "status": "failed"}), &[]),
        // `from` is inclusive, `to` is exclusive.
        (json!({"from": created(4), "to": created(2), "status": "all"}), &[3, 4]),
        (json!({"from": created(7), "to": now, "type": "NOTIFICATION.SMS", "status": "all"}), &[1, 3, 5, 7]),
        (json!({"from": oldest, "to": now, "type": "*", "status": "delivered"}), &[1, 2, 3, 4, 5, 6, 7, 8]),
        (json!({"from": time_ago(HOUR / 2), "to": now, "status": "all"}), &[]),
    ];

    for (range, wanted) in ranges {
        let before = endpoint.count_by_event();
        let job = stage.brand.redeliver_range(&webhook, &range).await;
        assert_eq!(job.json["queued"], wanted.len(), "{range}: {}", job.json);
        stage.brand.wait_job(&job, "finished", WAIT_TIMEOUT).await;
        let wanted: Vec<_> = wanted.iter().map(|n| (*n, 1)).collect();
        assert_eq!(arrivals_since(&endpoint, &before, &events), wanted, "{range}");
    }
    stage.wait_settled(&webhook, "delivered", &events).await;
}

#[tokio::test]
async fn the_progress_of_a_range_counts_its_results() {
    let stage = Stage::with_builder(Platform::builder().one_attempt().without_health_rule()).await;
    let (endpoint, webhook, events) = publish_history(&stage).await;
    // Two of them fail again.
    endpoint.answer([Reply::status(500), Reply::status(500), Reply::ok()]);
    let from = time_ago(9 * HOUR);
    let to = time_ago(Duration::ZERO);

    let range = json!({"from": from, "to": to, "status": "failed", "type": "NOTIFICATION"});
    let job = stage.brand.redeliver_range(&webhook, &range).await;
    let done = stage.brand.wait_job(&job, "finished", WAIT_TIMEOUT).await;

    let keys: Vec<_> = done.as_object().expect("an object").keys().map(String::as_str).collect();
    let mut wanted = [
        "id",
        "actor",
        "brandId",
        "webhookId",
        "trigger",
        "from",
        "to",
        "status",
        "type",
        "state",
        "total",
        "more",
        "attempted",
        "delivered",
        "created",
        "updated",
    ];
    wanted.sort_unstable();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, wanted);
    for field in ["from", "to", "status", "type"] {
        assert_eq!(done[field], range[field], "{field} of {done}");
    }
    assert_eq!((&done["id"], &done["webhookId"]), (&job.json["jobId"], &json!(webhook.id)));
    assert_eq!(done["trigger"], "redeliver");
    let counts = ["total", "attempted", "delivered"].map(|field| done[field].as_u64());
    assert_eq!(counts, [Some(4), Some(4), Some(2)], "{done}");
    stage.brand.wait_no_events(&webhook, "status=pending", WAIT_TIMEOUT).await;
    let failed = stage.brand.list_events(&webhook, "status=failed").await;
    assert_eq!(failed.len(), 2, "{failed:?}");
    stage.brand.wait_listed(&webhook, "", &ids(&events), WAIT_TIMEOUT).await;
}

#[tokio::test]
async fn a_bad_range_is_a_422_that_names_the_field() {
    let stage = Stage::new().await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    let from = time_ago(HOUR);
    let to = time_ago(Duration::ZERO);
    let bad: [(Value, &[&str]); 8] = [
        (json!({}), &["/from", "/to"]),
        (json!({"from": from}), &["/to"]),
        (json!({"from": "yesterday", "to": to}), &["/from"]),
        (json!({"from": from, "to": 5}), &["/to"]),
        (json!({"from": from, "to": to, "status": "odd"}), &["/status"]),
        (json!({"from": from, "to": to, "type": "no type"}), &["/type"]),
        (json!({"from": from, "to": to, "events": []}), &["/events"]),
        (json!({"from": "", "to": to, "status": 1, "typ": SMS}), &["/from", "/status", "/typ"]),
    ];
    let path = stage.brand.webhook_path(&webhook, "/redeliver");
    for (range, wanted) in bad {
        assert_eq!(stage.brand.api.post(&path, &range).await.error_pointers(), wanted, "{range}");
    }
    for (from, to) in [(&to, &from), (&from, &from)] {
        let pointers = stage.brand.api.post(&path, &json!({"from": from, "to": to})).await.error_pointers();
        assert!(pointers.iter().all(|p| ["/from", "/to"].contains(&p.as_str())), "{pointers:?}");
    }
    let malformed = stage.brand.api.send(http::Method::POST, &path, Some("{\"from\":".to_owned())).await;
    let _ = malformed.expect_problem(400);
}

#[tokio::test]
async fn a_missing_resource_is_a_404() {
    let stage = Stage::new().await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    let (_, other) = stage.create_webhook("/other").await;
    let nothing = Event::sms("acme");
    let path = stage.brand.webhook_path(&webhook, &format!("/events/{}/redeliver", nothing.id()));
    let _ = stage.brand.api.post(&path, &json!({})).await.expect_problem(404);

    let range = json!({"from": time_ago(HOUR), "to": time_ago(Duration::ZERO)});
    let job = stage.brand.redeliver_range(&webhook, &range).await;
    let id = job.json["jobId"].as_str().expect("an id");
    let elsewhere = stage.brand.webhook_path(&other, &format!("/redeliver/{id}"));
    let unknown = stage.brand.webhook_path(&webhook, &format!("/redeliver/{}", uuid::Uuid::new_v4()));
    let nobodys = stage.platform.create_brand("nobody").await;
    for path in [elsewhere, unknown] {
        let _ = stage.brand.api.get(&path).await.expect_problem(404);
    }
    let _ = nobodys.api.get(&job.path).await.expect_problem(404);
}

#[tokio::test]
async fn an_inactive_webhook_gets_no_redelivery() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let event = stage.deliver_many(&webhook, 1).await.remove(0);
    let range = json!({"from": time_ago(HOUR), "to": time_ahead(HOUR), "status": "all"});
    let one = format!("/events/{}/redeliver", event.id());
    let refused = async || {
        for (rest, body) in [(one.as_str(), &json!({})), ("/redeliver", &range), ("/test", &json!({}))] {
            let _ = stage
                .brand
                .api
                .post(&stage.brand.webhook_path(&webhook, rest), body)
                .await
                .expect_problem(409);
        }
    };

    stage.brand.patch_webhook(&webhook, &json!({"enabled": false})).await;
    refused().await;
    stage.brand.patch_webhook(&webhook, &json!({"enabled": true})).await;
    disable_webhook(&stage.brand.support, &webhook, "a test").await;
    refused().await;
    enable_webhook(&stage.brand.support, &webhook, &json!({"note": "the test goes on"})).await;

    stage.deliver_one(&webhook).await;
    assert_eq!(endpoint.count_by_event().get(event.id()), Some(&1));
}

#[tokio::test]
async fn a_range_stops_with_its_webhook() {
    let stage = Stage::with_builder(Platform::builder().set("POSTRIDER_REQUEST_TIMEOUT", "60s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    stage.deliver_many(&webhook, 300).await;
    let gate = Gate::closed();
    endpoint.answer(std::iter::repeat_n(Reply::ok(), 30).chain([Reply::ok().behind(&gate)]));
    let range = json!({"from": time_ago(HOUR), "to": time_ahead(HOUR), "status": "all"});
    let job = stage.brand.redeliver_range(&webhook, &range).await;
    // The old events' share, half of ten, waits at the gate.
    endpoint.wait_for_requests(300 + 30 + 5).await;

    stage.brand.patch_webhook(&webhook, &json!({"enabled": false})).await;

    let stopped = stage.brand.wait_job(&job, "stopped", WAIT_TIMEOUT).await;
    assert!(stopped["attempted"].as_u64() < Some(300), "{stopped}");
    stage.brand.wait_no_events(&webhook, "status=pending", WAIT_TIMEOUT).await;
    // The API returns the deliveries to their former status; the owner of the webhook may learn of the pause later.
    let sql = database::connect(&stage.platform.database_url()).await.expect("the database");
    eventually("the owner knows of the pause", WAIT_TIMEOUT, async || {
        let closed = "SELECT settled_generation = generation FROM webhooks WHERE id = $1::text::uuid";
        let row = sql.query_one(closed, &[&webhook.id]).await.map_err(|error| error.to_string())?;
        row.get::<_, bool>(0).then_some(()).ok_or_else(|| "the generation is open".to_owned())
    })
    .await;
    let sent = endpoint.requests().len();
    gate.open();
    stage.brand.patch_webhook(&webhook, &json!({"enabled": true})).await;
    stage.deliver_one(&webhook).await;
    assert_eq!(endpoint.requests().len(), sent + 1, "a stopped redelivery does not resume");
}

/// Redelivers 400 events and runs `crash` in the middle.
async fn redeliver_range_through(builder: Builder, crash: impl AsyncFnOnce(&mut Platform)) {
    let mut stage = Stage::with_builder(builder.retries("1s,1s,1s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let events = stage.deliver_many(&webhook, 400).await;
    endpoint.always(Reply::ok().after(Duration::from_millis(20)));
    let range = json!({"from": time_ago(HOUR), "to": time_ahead(HOUR), "status": "all"});
    let job = stage.brand.redeliver_range(&webhook, &range).await;
    endpoint.wait_for_requests(400 + 60).await;

    crash(&mut stage.platform).await;

    let done = stage.brand.wait_job(&job, "finished", 2 * WAIT_TIMEOUT).await;
    let counts = ["total", "attempted", "delivered"].map(|field| done[field].as_u64());
    assert_eq!(counts, [Some(400); 3], "{done}");
    stage.wait_settled(&webhook, "delivered", &events).await;
    let counts = endpoint.count_by_event();
    let again = events.iter().filter(|event| counts[event.id()] >= 2).count();
    assert_eq!(again, 400, "each was sent again");
    // Events that a process held when it died come twice, but no more than a page of them.
    let requests = endpoint.requests().len();
    assert!(requests < 400 + 400 + 100, "and most of them once: {requests}");
}

#[tokio::test]
async fn a_range_resumes_after_the_deliverer_was_killed() {
    redeliver_range_through(Platform::builder(), async |platform| {
        platform.deliverers[0].crash_and_restart().await
    })
    .await;
}

#[tokio::test]
async fn a_range_resumes_at_another_deliverer() {
    redeliver_range_through(Platform::builder().deliverers(2), async |platform| {
        for deliverer in &mut platform.deliverers {
            deliverer.crash_and_restart().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_range_resumes_after_everything_was_killed() {
    redeliver_range_through(Platform::builder(), async |platform| {
        platform.processes_mut().for_each(e2e::process::Process::kill);
        platform.start_all().await;
    })
    .await;
}
