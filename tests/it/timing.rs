//! When retries come (contract §3). These run alone, since they measure.

use std::sync::Arc;
use std::time::Duration;

use e2e::event::Event;
use e2e::platform::Platform;
use e2e::receiver::Received;
use e2e::script::Reply;
use serde_json::{Value, json};

use crate::Stage;

/// How late a retry may come.
const OVERSHOOT: Duration = Duration::from_secs(1);

fn gaps(requests: &[Arc<Received>]) -> Vec<Duration> {
    requests.windows(2).map(|pair| pair[1].at - pair[0].at).collect()
}

fn assert_gaps(requests: &[Arc<Received>], seconds: &[u64]) {
    let gaps = gaps(requests);
    assert_eq!(gaps.len(), seconds.len(), "{gaps:?}");
    for (gap, seconds) in gaps.iter().zip(seconds) {
        let wanted = Duration::from_secs(*seconds);
        // The wait counts from the end of the failed attempt, which lies just after its arrival.
        assert!(*gap >= wanted && *gap < wanted + OVERSHOOT, "{gaps:?} instead of {seconds:?} s");
    }
}

#[tokio::test]
async fn retries_come_as_configured_and_then_the_delivery_has_failed() {
    let stage = Stage::with(Platform::builder().retries("1s,2s,1s")).await;
    let (endpoint, webhook) = stage.webhook("/hook").await;
    endpoint.always(Reply::status(503).text("busy"));
    let event = Event::sms("acme");

    stage.publish(&event).await;

    let listed = stage.brand.wait_status(&webhook, event.id(), "failed").await;
    let requests = endpoint.requests();
    assert_gaps(&requests, &[1, 2, 1]);
    for request in &requests {
        request.verify(&webhook.secret).expect("each is signed for its own time");
        assert_eq!(request.header("webhook-id"), event.id());
        assert_eq!(request.event_id(), event.id());
    }
    let sent: Vec<_> = requests.iter().map(|request| json!(request.field("attemptId"))).collect();
    let attempts = stage.brand.attempts(&webhook, event.id()).await;
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
async fn a_retry_that_is_answered_2xx_ends_the_delivery() {
    let stage = Stage::with(Platform::builder().retries("1s,1s,1s")).await;
    let (endpoint, webhook) = stage.webhook("/hook").await;
    endpoint.answer([Reply::status(500), Reply::Drop, Reply::ok()]);
    let event = Event::sms("acme");

    stage.publish(&event).await;

    let listed = stage.brand.wait_status(&webhook, event.id(), "delivered").await;
    assert_eq!(listed["delivery"]["attempts"], 3, "{listed}");
    assert_gaps(&endpoint.requests(), &[1, 1]);
}

#[tokio::test]
async fn retry_after_is_honoured_on_429_and_503_alone() {
    let stage = Stage::with(Platform::builder().retries("1s")).await;
    for (status, gap) in [(429, 3), (503, 3), (500, 1)] {
        let (endpoint, webhook) = stage.webhook(&format!("/{status}")).await;
        endpoint.answer([Reply::status(status).header("retry-after", "3"), Reply::ok()]);
        let event = Event::sms("acme");
        stage.publish(&event).await;
        stage.brand.wait_status(&webhook, event.id(), "delivered").await;
        assert_gaps(&endpoint.requests(), &[gap]);
        stage.brand.delete(&webhook).await;
    }
}

#[tokio::test]
async fn a_retry_after_beyond_the_window_ends_the_delivery() {
    let stage = Stage::with(Platform::builder().retries("1s,1s").set("POSTRIDER_RETRY_WINDOW", "20s")).await;
    let (endpoint, webhook) = stage.webhook("/hook").await;
    endpoint.always(Reply::status(429).header("retry-after", "21"));
    let event = Event::sms("acme");

    stage.publish(&event).await;

    let listed = stage.brand.wait_status(&webhook, event.id(), "failed").await;
    assert_eq!(listed["delivery"]["attempts"], 1, "{listed}");
    assert_eq!(endpoint.requests().len(), 1);
}

#[tokio::test]
async fn no_attempt_starts_after_the_window() {
    let delays = "1s,1s,1s,1s,1s,1s,1s,1s,1s,1s";
    let stage = Stage::with(Platform::builder().retries(delays).set("POSTRIDER_RETRY_WINDOW", "4s")).await;
    let (endpoint, webhook) = stage.webhook("/hook").await;
    endpoint.always(Reply::status(500));
    let event = Event::sms("acme");

    stage.publish(&event).await;

    stage.brand.wait_status(&webhook, event.id(), "failed").await;
    let requests = endpoint.requests();
    let last = requests[requests.len() - 1].at - requests[0].at;
    assert!(last <= Duration::from_millis(4100), "the last attempt came {last:?} after the first");
    assert!((3..=4).contains(&requests.len()), "{} attempts", requests.len());
}

#[tokio::test]
async fn a_burst_of_retries_is_on_time() {
    let stage = Stage::with(Platform::builder().retries("2s")).await;
    let (endpoint, webhook) = stage.webhook("/hook").await;
    endpoint.answer(std::iter::repeat_n(Reply::status(500), 100).chain([Reply::ok()]));
    let events = Event::many("acme", 100);

    stage.platform.producer().await.publish_all(&events).await;

    let ids = events.iter().map(|event| event.id().to_owned()).collect();
    stage.brand.wait_listed(&webhook, "status=delivered", &ids, e2e::PATIENCE).await;
    for id in &ids {
        let all = endpoint.requests();
        let both: Vec<_> = all.iter().filter(|request| request.event_id() == *id).cloned().collect();
        assert_eq!(both.len(), 2, "{id}");
        let gap = both[1].at - both[0].at;
        assert!(
            gap >= Duration::from_secs(2) && gap < Duration::from_secs(3),
            "{id} was retried after {gap:?}"
        );
    }
}
