//! The time of retries (contract §3). These tests run alone because they measure time.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use e2e::event::Event;
use e2e::platform::Platform;
use e2e::receiver::{Endpoint, Received};
use e2e::script::Reply;
use serde_json::{Value, json};

use crate::Stage;

/// Maximum delay of a retry.
const MAX_OVERSHOOT: Duration = Duration::from_secs(1);
/// Number of events whose retries are measured, and the time between their publishes. A machine that stalls
/// for a moment delays the retries that are due meanwhile, but not those of all events.
const EVENTS: usize = 5;
const PUBLISH_INTERVAL: Duration = Duration::from_secs(1);

async fn publish_spaced(stage: &Stage) -> Vec<Event> {
    let events = Event::sms_batch("acme", EVENTS);
    for event in &events {
        stage.publish_event(event).await;
        tokio::time::sleep(PUBLISH_INTERVAL).await;
    }
    events
}

fn request_gaps(requests: &[Arc<Received>]) -> Vec<Duration> {
    requests.windows(2).map(|pair| pair[1].at - pair[0].at).collect()
}

/// Asserts that no retry came early, and that each was on time for at least one event.
fn assert_gaps(endpoint: &Endpoint, events: &[Event], seconds: &[u64]) {
    let all: Vec<_> = events.iter().map(|event| request_gaps(&endpoint.requests_of(event.id()))).collect();
    assert!(all.iter().all(|gaps| gaps.len() == seconds.len()), "{all:?} instead of {seconds:?} s");
    for (n, seconds) in seconds.iter().enumerate() {
        let wanted = Duration::from_secs(*seconds);
        let least = all.iter().map(|gaps| gaps[n]).min().expect("some events");
        // The delay starts at the end of the failed attempt, just after its arrival.
        assert!(least >= wanted && least < wanted + MAX_OVERSHOOT, "{all:?}: gap {n} is {seconds} s");
    }
}

#[tokio::test]
async fn retries_follow_the_schedule_until_the_delivery_fails() {
    let stage = Stage::with_builder(Platform::builder().retries("1s,2s,1s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    endpoint.always(Reply::status(503).text("busy"));

    let events = publish_spaced(&stage).await;

    stage.wait_settled(&webhook, "failed", &events).await;
    assert_gaps(&endpoint, &events, &[1, 2, 1]);
    let event = &events[0];
    let listed = stage.brand.wait_delivery_status(&webhook, event.id(), "failed").await;
    let requests = endpoint.requests_of(event.id());
    for request in &requests {
        request.verify(&webhook.secret).expect("each is signed for its own time");
        assert_eq!(request.header("webhook-id"), event.id());
        assert_eq!(request.event_id(), event.id());
    }
    let sent: Vec<_> = requests.iter().map(|request| json!(request.field("attemptId"))).collect();
    let attempts = stage.brand.list_attempts(&webhook, event.id()).await;
    let recorded = |field: &str| attempts.iter().map(|a| a[field].clone()).collect::<Vec<Value>>();
    assert_eq!(recorded("attemptId"), sent, "the attempts that were sent, in order");
    assert!(sent.iter().enumerate().all(|(n, id)| !sent[..n].contains(id)), "each has an id of its own");
    assert_eq!(recorded("trigger"), ["fresh", "retry", "retry", "retry"]);
    assert_eq!(recorded("outcome"), ["http_status"; 4]);
    assert_eq!(recorded("statusCode"), [503; 4]);
    assert_eq!(recorded("responseBody"), ["busy"; 4]);
    assert_eq!(listed["delivery"]["attempts"], 4, "{listed}");
    assert_eq!(listed["delivery"]["nextAttemptAt"], json!(null), "{listed}");
    assert!(listed["delivery"]["lastError"].is_string(), "{listed}");
    assert_eq!(listed["delivery"]["lastAttemptAt"], attempts[3]["startedAt"], "{listed}");
}

#[tokio::test]
async fn a_successful_retry_ends_the_delivery() {
    let stage = Stage::with_builder(Platform::builder().retries("1s,1s,1s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    endpoint.answer_each([Reply::status(500), Reply::status(503), Reply::ok()]);

    let events = publish_spaced(&stage).await;

    for event in &events {
        let listed = stage.brand.wait_delivery_status(&webhook, event.id(), "delivered").await;
        assert_eq!(listed["delivery"]["attempts"], 3, "{listed}");
    }
    assert_gaps(&endpoint, &events, &[1, 1]);
}

#[tokio::test]
async fn retry_after_is_honoured_on_429_and_503_alone() {
    let stage = Stage::with_builder(Platform::builder().retries("1s")).await;
    let mut webhooks = Vec::new();
    for (status, gap) in [(429, 3), (503, 3), (500, 1)] {
        let (endpoint, webhook) = stage.create_webhook(&format!("/{status}")).await;
        endpoint.answer_each([Reply::status(status).header("retry-after", "3"), Reply::ok()]);
        webhooks.push((endpoint, webhook, gap));
    }

    let events = publish_spaced(&stage).await;

    for (endpoint, webhook, gap) in webhooks {
        stage.wait_settled(&webhook, "delivered", &events).await;
        assert_gaps(&endpoint, &events, &[gap]);
    }
}

/// A date has whole seconds, so that the wait may be up to a second shorter than the span it was made from.
#[tokio::test]
async fn a_retry_after_may_be_a_date() {
    let stage = Stage::with_builder(Platform::builder().retries("1s")).await;
    let mut webhooks = Vec::new();
    for (name, format) in [
        ("imf", "%a, %d %b %Y %H:%M:%S GMT"),
        ("rfc850", "%A, %d-%b-%y %H:%M:%S GMT"),
        ("asctime", "%a %b %e %H:%M:%S %Y"),
    ] {
        let (endpoint, webhook) = stage.create_webhook(&format!("/{name}")).await;
        let at = chrono::Utc::now() + chrono::TimeDelta::seconds(8);
        let date = at.format(format).to_string();
        endpoint.answer_each([Reply::status(503).header("retry-after", date), Reply::ok()]);
        webhooks.push((endpoint, webhook, at));
    }
    let event = Event::sms("acme");
    stage.publish_event(&event).await;
    for (endpoint, webhook, at) in webhooks {
        let delivery = stage.brand.wait_delivery(&webhook, event.id(), "delivered", 2).await;
        let last = delivery["lastAttemptAt"].as_str().expect("a time");
        let last = DateTime::parse_from_rfc3339(last).expect("RFC 3339").to_utc();
        // The retry begins at the date or shortly after it, and not after the second of the schedule.
        assert!(last >= at - chrono::TimeDelta::seconds(1), "{last} before {at}: {delivery}");
        assert_eq!(endpoint.requests().len(), 2);
    }
    let (endpoint, webhook) = stage.create_webhook("/past").await;
    let past = Reply::status(503).header("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT");
    endpoint.answer_each([past, Reply::ok()]);
    let event = Event::sms("acme");
    stage.publish_event(&event).await;
    stage.brand.wait_delivery(&webhook, event.id(), "delivered", 2).await;
}

#[tokio::test]
async fn a_retry_after_beyond_the_window_ends_the_delivery() {
    let stage =
        Stage::with_builder(Platform::builder().retries("1s,1s").set("POSTRIDER_RETRY_WINDOW", "20s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    endpoint.always(Reply::status(429).header("retry-after", "21"));
    let event = Event::sms("acme");

    stage.publish_event(&event).await;

    let listed = stage.brand.wait_delivery_status(&webhook, event.id(), "failed").await;
    assert_eq!(listed["delivery"]["attempts"], 1, "{listed}");
    assert_eq!(endpoint.requests().len(), 1);
}

#[tokio::test]
async fn no_attempt_starts_after_the_window() {
    let stage = Stage::with_builder(Platform::builder().many_retries("1s").window("10s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    endpoint.always(Reply::status(500));
    let event = Event::sms("acme");

    stage.publish_event(&event).await;

    stage.brand.wait_delivery_status(&webhook, event.id(), "failed").await;
    let attempts = stage.brand.list_attempts(&webhook, event.id()).await;
    let started = |attempt: &Value| {
        DateTime::parse_from_rfc3339(attempt["startedAt"].as_str().expect("a time")).expect("RFC 3339")
    };
    let [first, last] = [&attempts[0], &attempts[attempts.len() - 1]].map(started);
    assert!((last - first).num_milliseconds() <= 10_000, "{attempts:?}");
    assert!((2..=10).contains(&attempts.len()), "{attempts:?}");
    assert_eq!(endpoint.requests().len(), attempts.len());
}

#[tokio::test]
async fn a_burst_of_retries_is_on_time() {
    let stage = Stage::with_builder(Platform::builder().retries("2s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    endpoint.answer_each([Reply::status(500), Reply::ok()]);
    let events = Event::sms_batch("acme", 100);

    for some in events.chunks(20) {
        stage.platform.producer().await.publish_all(some).await;
        tokio::time::sleep(PUBLISH_INTERVAL).await;
    }

    stage.wait_settled(&webhook, "delivered", &events).await;
    let mut gaps: Vec<_> =
        events.iter().flat_map(|event| request_gaps(&endpoint.requests_of(event.id()))).collect();
    assert_eq!(gaps.len(), events.len(), "each was sent twice");
    gaps.sort();
    assert!(gaps[0] >= Duration::from_secs(2), "{gaps:?}");
    // A machine that stalls for a moment delays some of the five bursts.
    assert!(gaps[gaps.len() / 4] < Duration::from_secs(2) + MAX_OVERSHOOT, "{gaps:?}");
}
