//! Connections that endpoints close: a request that was lost with one is sent once more within its attempt (contract §3).

use std::time::Duration;

use e2e::brand::Webhook;
use e2e::event::{Event, SMS};
use e2e::platform::Platform;
use e2e::wire_server::{End, WireReply, WireRequest, WireServer};
use serde_json::{Value, json};

use crate::Stage;

/// Events at once for an endpoint that closes each connection after its answer.
const EVENTS: usize = 100;
/// Events one after the other for an endpoint whose answers do not end where they should.
const EVENTS_IN_A_ROW: usize = 4;
/// The 408 of a proxy on whose connection no request arrived in time.
const UNSOLICITED_408: &str =
    "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const REQUEST_TIMEOUT_MS: u64 = 5_000;

/// Starts a platform whose first retry comes long after the test, so that each delivery has one attempt.
async fn start_stage() -> Stage {
    Stage::with_builder(Platform::builder().retries("10m").without_health_rule()).await
}

/// A server with the stage's certificate, and a webhook for it.
async fn start_server(
    stage: &Stage,
    choose: impl Fn(&WireRequest) -> WireReply + Send + Sync + 'static,
) -> (WireServer, Webhook) {
    let server = WireServer::start(&stage.platform.authority, choose).await;
    let webhook = stage.brand.create_webhook(&server.url(), &[SMS]).await;
    (server, webhook)
}

/// Publishes an event and returns its only attempt.
async fn attempt_one(stage: &Stage, webhook: &Webhook) -> (Event, Value) {
    let event = Event::sms("acme");
    stage.publish_event(&event).await;
    let mut attempts = stage.brand.wait_attempts(webhook, event.id(), 1).await;
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    (event, attempts.remove(0))
}

/// Asserts the outcome and the status of an attempt.
fn assert_outcome(attempt: &Value, outcome: &[&str], status: Option<u16>, about: &str) {
    assert!(outcome.contains(&attempt["outcome"].as_str().unwrap_or_default()), "{about}: {attempt}");
    assert_eq!(attempt["statusCode"], json!(status), "{about}: {attempt}");
}

/// Delivers an event over the first connection, and lets the endpoint give this reply to the next request on it. Later
/// connections get `fresh`. Returns the attempt of the second event, and the requests for it.
async fn attempt_on_kept_connection(
    stage: &Stage,
    on_kept: WireReply,
    fresh: WireReply,
) -> (Value, Vec<WireRequest>) {
    let choose = move |request: &WireRequest| match (request.connection, request.number) {
        (1, 1) => WireReply::ok(),
        (1, _) => on_kept.clone(),
        _ => fresh.clone(),
    };
    let server = WireServer::start(&stage.platform.authority, choose).await;
    // One at a time, and both at once, so that the second follows long before an idle connection is closed.
    let webhook = json!({"endpoint": server.url(), "events": [SMS], "maxConcurrency": 1});
    let webhook = stage.brand.create_webhook_with(&webhook).await;
    let events = Event::sms_batch("acme", 2);
    stage.platform.producer().await.publish_all(&events).await;
    let mut attempted = Vec::new();
    for event in &events {
        let mut attempts = stage.brand.wait_attempts(&webhook, event.id(), 1).await;
        assert_eq!(attempts.len(), 1, "{attempts:?}");
        attempted.push((server.requests_of(event.id()), attempts.remove(0)));
    }
    stage.brand.delete_webhook(&webhook).await;
    attempted.sort_by_key(|(requests, _)| (requests[0].connection, requests[0].number));
    let (requests, attempt) = attempted.pop().expect("the second event");
    assert_outcome(&attempted[0].1, &["delivered"], Some(200), "the first event");
    assert_eq!((requests[0].connection, requests[0].number), (1, 2), "the connection was kept");
    let ids: Vec<_> = requests.iter().map(WireRequest::attempt_id).collect();
    assert!(ids.iter().all(|id| attempt["attemptId"] == **id), "one attempt: {ids:?} {attempt}");
    (attempt, requests)
}

#[tokio::test]
async fn an_endpoint_that_closes_after_each_answer_gets_each_event_by_its_first_attempt() {
    let stage = start_stage().await;
    for end in [End::CloseNotify, End::Fin, End::Reset] {
        let (_server, webhook) = start_server(&stage, move |_| WireReply::ok().then(end)).await;
        let events = Event::sms_batch("acme", EVENTS);
        stage.platform.producer().await.publish_all(&events).await;
        stage.wait_settled(&webhook, "delivered", &events).await;
        let listed = stage.brand.list_events(&webhook, "").await;
        let retried = listed.iter().filter(|event| event["delivery"]["attempts"] != 1).count();
        assert_eq!(retried, 0, "{end:?}");
        stage.brand.delete_webhook(&webhook).await;
    }
}

#[tokio::test]
async fn a_request_whose_kept_connection_dies_is_sent_once_more_within_its_attempt() {
    let stage = start_stage().await;
    for end in [End::CloseNotify, End::Fin, End::Reset] {
        let dying = WireReply::nothing().then(end);
        let (attempt, requests) = attempt_on_kept_connection(&stage, dying.clone(), WireReply::ok()).await;
        assert_outcome(&attempt, &["delivered"], Some(200), &format!("{end:?}"));
        assert_eq!(requests.len(), 2, "{end:?}");
        assert_ne!(requests[1].connection, 1, "{end:?}");

        let (attempt, requests) = attempt_on_kept_connection(&stage, dying.clone(), dying).await;
        assert_outcome(&attempt, &["protocol", "connect"], None, &format!("twice {end:?}"));
        assert_eq!(requests.len(), 2, "not a third time: {end:?}");
    }
}

#[tokio::test]
async fn a_request_is_not_repeated_once_a_byte_of_the_response_arrived() {
    let stage = start_stage().await;
    for bytes in ["H", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\nx: y\r\n"] {
        for end in [End::CloseNotify, End::Fin, End::Reset] {
            let cut = WireReply::new(bytes).then(end);
            let (attempt, requests) = attempt_on_kept_connection(&stage, cut, WireReply::ok()).await;
            assert_outcome(&attempt, &["protocol", "connect"], None, &format!("{bytes:?} {end:?}"));
            assert_eq!(requests.len(), 1, "{bytes:?} {end:?}");
        }
    }
}

#[tokio::test]
async fn a_request_on_a_new_connection_is_sent_once() {
    let stage = start_stage().await;
    for end in [End::CloseNotify, End::Fin, End::Reset] {
        let (server, webhook) = start_server(&stage, move |_| WireReply::nothing().then(end)).await;
        let (event, attempt) = attempt_one(&stage, &webhook).await;
        assert_outcome(&attempt, &["protocol", "connect"], None, &format!("{end:?}"));
        assert_eq!(server.requests_of(event.id()).len(), 1, "{end:?}");
        stage.brand.delete_webhook(&webhook).await;
    }
}

#[tokio::test]
async fn a_408_that_closes_a_kept_connection_is_no_answer() {
    let stage = start_stage().await;
    for end in [End::CloseNotify, End::Fin] {
        let late = WireReply::new(UNSOLICITED_408).then(end);
        let (attempt, requests) = attempt_on_kept_connection(&stage, late.clone(), WireReply::ok()).await;
        assert_outcome(&attempt, &["delivered"], Some(200), "a closing 408");
        assert_eq!(requests.len(), 2);

        let (attempt, requests) = attempt_on_kept_connection(&stage, late.clone(), late).await;
        assert_outcome(&attempt, &["http_status"], Some(408), "the second time it is the answer");
        assert_eq!(requests.len(), 2);
    }
    let kept = WireReply::new("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n");
    let (attempt, requests) = attempt_on_kept_connection(&stage, kept, WireReply::ok()).await;
    assert_outcome(&attempt, &["http_status"], Some(408), "an endpoint's own 408");
    assert_eq!(requests.len(), 1);
}

#[tokio::test]
async fn both_tries_are_within_one_request_timeout() {
    let builder = Platform::builder().retries("10m").without_health_rule();
    let stage = Stage::with_builder(builder.set("POSTRIDER_REQUEST_TIMEOUT", "5s")).await;
    let dying = WireReply::nothing().then(End::Fin);
    let silent = WireReply::nothing().then(End::Silence);
    let (attempt, requests) = attempt_on_kept_connection(&stage, dying, silent).await;
    assert_outcome(&attempt, &["timeout"], None, "a second try without an answer");
    assert_eq!(requests.len(), 2);
    let took = attempt["durationMs"].as_u64().expect("milliseconds");
    assert!((REQUEST_TIMEOUT_MS - 100..2 * REQUEST_TIMEOUT_MS).contains(&took), "{attempt}");
}

#[tokio::test]
async fn a_connection_with_more_than_its_response_is_not_used_for_another() {
    let stage = start_stage().await;
    for (about, bytes) in [
        ("204 with a body", "HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello"),
        ("304 with a body", "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\nhello"),
        ("longer than it says", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nhello"),
        (
            "two answers",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n",
        ),
        ("a line after the body", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok\r\n"),
    ] {
        let (server, webhook) = start_server(&stage, move |_| WireReply::new(bytes)).await;
        for number in 0..EVENTS_IN_A_ROW {
            let (event, attempt) = attempt_one(&stage, &webhook).await;
            let (outcome, status) = match &bytes[9..12] {
                "304" => ("http_status", 304),
                text => ("delivered", text.parse().expect("a status")),
            };
            assert_outcome(&attempt, &[outcome], Some(status), &format!("{about}, event {number}"));
            let tries = server.requests_of(event.id()).len();
            assert!(tries <= 2, "{about}: {tries} requests");
        }
        stage.brand.delete_webhook(&webhook).await;
    }
}

#[tokio::test]
async fn an_unused_connection_is_closed_before_common_servers_close_it() {
    let stage = start_stage().await;
    let (server, webhook) = start_server(&stage, |_| WireReply::ok()).await;
    let (_, first) = attempt_one(&stage, &webhook).await;
    assert_outcome(&first, &["delivered"], Some(200), "the first event");
    // The connection would be five seconds old when a common server closes it.
    tokio::time::sleep(Duration::from_millis(4_300)).await;
    let (event, second) = attempt_one(&stage, &webhook).await;
    assert_outcome(&second, &["delivered"], Some(200), "the second event");
    assert_eq!(server.requests_of(event.id())[0].connection, 2, "a new connection");
}
