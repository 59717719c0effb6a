//! The exchange of an attempt: the request byte for byte as the endpoint received it, and what became of it (contract §4).

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use e2e::brand::Webhook;
use e2e::event::{Event, SMS};
use e2e::name_server::NameServer;
use e2e::platform::Platform;
use e2e::ports::Port;
use e2e::wire_server::{WireReply, WireRequest, WireServer};
use serde_json::{Value, json};

use crate::Stage;

/// Data that is too large for a message, so that the deliverer loads it from the database.
const LARGE_DATA_BYTES: usize = 200 * 1024;
/// Most of the headers of a response that are kept.
const MAX_HEADER_BYTES: usize = 4096;

/// Starts a platform whose first retry comes long after the test, so that each delivery has one attempt.
async fn start_stage() -> Stage {
    Stage::with_builder(Platform::builder().retries("10m").without_health_rule()).await
}

/// A server whose URL has a query, and a webhook for it with custom headers.
async fn start_server(
    stage: &Stage,
    choose: impl Fn(&WireRequest) -> WireReply + Send + Sync + 'static,
) -> (WireServer, Webhook) {
    let server = WireServer::start(&stage.platform.authority, choose).await;
    let endpoint = server.url_of("localhost", "/a/%2F?b=%zz&token=c");
    let headers =
        json!({"X-Api-Key": "hunter2", "accept": "text/plain", "authorization": "Basic aHVudGVyMg=="});
    let webhook = json!({"endpoint": endpoint, "events": [SMS], "headers": headers});
    (server, stage.brand.create_webhook_with(&webhook).await)
}

/// Publishes an event and returns the exchange of its only attempt.
async fn attempt_one(stage: &Stage, webhook: &Webhook) -> Value {
    exchange_of(stage, webhook, Event::sms("acme")).await
}

async fn exchange_of(stage: &Stage, webhook: &Webhook, event: Event) -> Value {
    stage.publish_event(&event).await;
    let mut attempts = stage.brand.wait_attempts(webhook, event.id(), 1).await;
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    stage.brand.read_exchange(webhook, event.id(), &attempts.remove(0)).await
}

/// Asserts that an exchange shows a request as it was on the wire, byte for byte, except for the values of custom headers.
fn assert_same(exchange: &Value, received: &WireRequest) {
    let request = &exchange["request"];
    let url = request["url"].as_str().expect("a URL");
    let (_, target) = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).expect("a path");
    let mut head = format!("{} /{target} HTTP/1.1\r\n", request["method"].as_str().expect("a method"));
    for header in request["headers"].as_array().expect("headers") {
        let part = |at: usize| header[at].as_str().expect("text");
        head.push_str(&format!("{}: {}\r\n", part(0), part(1)));
    }
    head.push_str("\r\n");
    assert_eq!(head, without_secrets(&received.head));
    assert_eq!(request["body"].as_str().expect("a body").as_bytes(), received.body);
    assert_eq!((&request["sent"], &request["bodyUnavailable"]), (&json!(true), &Value::Null));
}

fn without_secrets(head: &str) -> String {
    head.replace("hunter2", "(hidden)")
        .replace("Basic aHVudGVyMg==", "(hidden)")
        .replace("accept: text/plain", "accept: (hidden)")
}

/// Waits until each attempt of an event is recorded, and compares each exchange with the request that arrived.
async fn assert_all_same(stage: &Stage, server: &WireServer, webhook: &Webhook, event: &str, number: usize) {
    let attempts = stage.brand.wait_attempts(webhook, event, number).await;
    let received = server.requests_of(event);
    assert_eq!((attempts.len(), received.len()), (number, number), "{attempts:?}");
    for attempt in &attempts {
        let exchange = stage.brand.read_exchange(webhook, event, attempt).await;
        let id = attempt["attemptId"].as_str().expect("an id");
        let request = received.iter().find(|request| String::from_utf8_lossy(&request.body).contains(id));
        assert_same(&exchange, request.expect("the request of the attempt"));
        let listed = attempt.as_object().expect("an object");
        assert!(listed.iter().all(|(name, value)| exchange[name] == *value), "{exchange} {attempt}");
    }
}

#[tokio::test]
async fn a_request_is_shown_as_the_endpoint_received_it() {
    let stage = start_stage().await;
    let (server, webhook) = start_server(&stage, |_| WireReply::ok()).await;
    let large = format!("{{\"z\":\"{}\"}}", "ä".repeat(LARGE_DATA_BYTES / 2));
    for data in [
        r#"{"b":12345678901234567890, "a" : 1.10,"s":"ä\u00e4\u0000 ","b":null}"#,
        // The harness cannot parse these two, but the exchange shows them.
        r#"{"lone":"\ud800"}"#,
        "[ ]",
        "\"text\"",
        "1e999",
        &large,
    ] {
        let event = Event::sms("acme").data(data);
        stage.publish_event(&event).await;
        assert_all_same(&stage, &server, &webhook, event.id(), 1).await;
        stage.brand.redeliver_event(&webhook, event.id()).await;
        assert_all_same(&stage, &server, &webhook, event.id(), 2).await;
    }
    let test = stage.brand.send_test(&webhook, &json!({})).await;
    assert_all_same(&stage, &server, &webhook, &test, 1).await;
}

#[tokio::test]
async fn retries_changed_endpoints_and_rotated_secrets_are_shown_as_they_were_sent() {
    let stage = Stage::with_builder(Platform::builder().retries("1s").without_health_rule()).await;
    let seen = Mutex::new(HashSet::new());
    let answer = move |request: &WireRequest| {
        let is_first = seen.lock().expect("the events").insert(request.event_id().to_owned());
        if is_first {
            WireReply::new("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")
        } else {
            WireReply::ok()
        }
    };
    let (server, webhook) = start_server(&stage, answer).await;
    let event = Event::sms("acme");
    stage.publish_event(&event).await;
    assert_all_same(&stage, &server, &webhook, event.id(), 2).await;

    stage.brand.rotate_secret(&webhook, &json!({})).await;
    let moved =
        json!({"endpoint": server.url_of("127.0.0.1", "/elsewhere"), "headers": {"x-other": "hunter2"}});
    stage.brand.patch_webhook(&webhook, &moved).await;
    // The deliverer learns of the change a moment later.
    let later = loop {
        let later = stage.deliver_one(&webhook).await;
        if server.requests_of(later.id())[0].target == "/elsewhere" {
            break later;
        }
    };

    let requests = server.requests_of(later.id());
    assert_eq!(requests[0].headers["webhook-signature"].split(' ').count(), 2, "both secrets sign");
    let attempts = stage.brand.list_attempts(&webhook, later.id()).await;
    assert_all_same(&stage, &server, &webhook, later.id(), attempts.len()).await;
    // The attempts before the change are shown as before.
    assert_all_same(&stage, &server, &webhook, event.id(), 2).await;
}

#[tokio::test]
async fn response_headers_keep_their_bytes_within_their_limit() {
    let stage = start_stage().await;
    let head = b"HTTP/1.1 103 Early\r\nlink: no\r\n\r\nHTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nX-Latin:  \xe4 \r\nset-cookie: b=2\r\n\
                 folded: a\r\n b\r\ncontent-length: 2\r\n\r\nok";
    let nul = b"HTTP/1.1 202 OK\r\nx-nul: a\0b\r\ncontent-length: 0\r\n\r\n";
    let replies = Mutex::new(vec![nul.to_vec(), head.to_vec()]);
    let reply =
        move |_: &WireRequest| WireReply::new(replies.lock().expect("replies").pop().expect("a reply"));
    let (_server, webhook) = start_server(&stage, reply).await;

    let response = attempt_one(&stage, &webhook).await["response"].clone();
    let headers = json!([
        ["Set-Cookie", "a=1"],
        ["X-Latin", "ä"],
        ["set-cookie", "b=2"],
        ["folded", "a b"],
        ["content-length", "2"]
    ]);
    let expected = json!({"status": 200, "headers": headers, "headersTruncated": false, "body": "ok", "bodyTruncated": false});
    assert_eq!(response, expected);

    let refused = attempt_one(&stage, &webhook).await;
    assert_eq!(refused["outcome"], "delivered", "{refused}");
    assert_eq!(refused["response"]["headers"][0], json!(["x-nul", "a\0b"]));
}

#[tokio::test]
async fn long_headers_and_bodies_are_cut_and_marked_and_a_redirect_names_its_target() {
    let stage = start_stage().await;
    let long = format!("x-long: {}\r\n", "a".repeat(MAX_HEADER_BYTES));
    let earlier = AtomicUsize::new(0);
    let (_server, webhook) = start_server(&stage, move |_| {
        let is_first = earlier.fetch_add(1, Ordering::Relaxed) == 0;
        let (before, after) = if is_first { ("", long.as_str()) } else { (long.as_str(), "") };
        let head =
            format!("HTTP/1.1 302 Found\r\n{before}Location: https://elsewhere.example/?a=b\r\n{after}");
        WireReply::new(format!("{head}content-length: 5000\r\n\r\n{}", "b".repeat(5000)))
    })
    .await;
    for number in 1..=2 {
        let exchange = attempt_one(&stage, &webhook).await;
        assert_eq!(exchange["location"], "https://elsewhere.example/?a=b", "{exchange}");
        let response = &exchange["response"];
        assert_eq!((&response["status"], &response["headersTruncated"]), (&json!(302), &json!(true)));
        assert_eq!(
            (response["body"].as_str().map(str::len), &response["bodyTruncated"]),
            (Some(4096), &json!(true))
        );
        let names = response["headers"].as_array().map(Vec::len);
        assert_eq!(names, Some(3 - number), "one of them is kept partly: {exchange}");
    }
}

#[tokio::test]
async fn the_phases_of_new_and_kept_connections_are_told_apart() {
    let names = NameServer::start();
    names.set("hooks.test", &["127.0.0.1"]);
    let builder = Platform::builder().retries("10m").set("POSTRIDER_DNS_SERVERS", &names.setting());
    let stage = Stage::with_builder(builder).await;
    let server = WireServer::start(&stage.platform.authority, |_| WireReply::ok()).await;
    let endpoint = server.url_of("hooks.test", "/");
    // One at a time, and both at once, so that the second follows long before an idle connection is closed.
    let webhook = json!({"endpoint": endpoint, "events": [SMS], "maxConcurrency": 1});
    let webhook = stage.brand.create_webhook_with(&webhook).await;
    let events = Event::sms_batch("acme", 2);
    stage.platform.producer().await.publish_all(&events).await;
    let mut exchanges = Vec::new();
    for event in &events {
        let attempts = stage.brand.wait_attempts(&webhook, event.id(), 1).await;
        exchanges.push(stage.brand.read_exchange(&webhook, event.id(), &attempts[0]).await);
    }
    exchanges.sort_by_key(|exchange| exchange["timing"]["reusedConnection"] == true);
    let [first, kept] = &exchanges[..] else { panic!("{exchanges:?}") };

    let phases = ["dnsMs", "connectMs", "tlsMs", "firstByteMs"];
    let took = |exchange: &Value| phases.map(|phase| exchange["timing"][phase].is_u64());
    assert_eq!((took(first), &first["timing"]["reusedConnection"]), ([true; 4], &json!(false)), "{first}");
    let expected = [false, false, false, true];
    assert_eq!((took(kept), &kept["timing"]["reusedConnection"]), (expected, &json!(true)), "{kept}");
    let address = endpoint.replace("https://hooks.test", "127.0.0.1").replace('/', "");
    for exchange in [first, kept] {
        assert_eq!(exchange["remoteAddress"], address, "{exchange}");
        assert_eq!(exchange["tls"], json!({"version": "TLS 1.3", "problem": null}), "{exchange}");
        assert_eq!(exchange["location"], Value::Null);
        let sum: u64 = phases.iter().filter_map(|phase| exchange["timing"][*phase].as_u64()).sum();
        assert!(sum <= exchange["durationMs"].as_u64().expect("milliseconds") + 1, "{exchange}");
    }
}

#[tokio::test]
async fn an_exchange_without_a_connection_says_how_far_it_came() {
    let names = NameServer::start();
    names.set("inside.test", &["10.9.8.7"]);
    let builder = Platform::builder().retries("10m").set("POSTRIDER_DNS_SERVERS", &names.setting());
    let stage = Stage::with_builder(builder).await;
    let closed = Port::reserve();
    let refused = format!("https://127.0.0.1:{}/hook", closed.number());
    for (endpoint, outcome, address, phases) in [
        (refused.as_str(), "connect", json!(format!("127.0.0.1:{}", closed.number())), [false, true]),
        ("https://missing.test/hook", "dns", Value::Null, [true, false]),
        ("https://inside.test/hook", "blocked", Value::Null, [true, false]),
    ] {
        // The API refuses the forbidden name, unless it resolves only later.
        if outcome == "blocked" {
            names.set("inside.test", &["127.0.0.1"]);
        }
        let webhook = stage.brand.create_webhook(endpoint, &[SMS]).await;
        if outcome == "blocked" {
            names.set("inside.test", &["10.9.8.7"]);
        }
        let exchange = attempt_one(&stage, &webhook).await;
        assert_eq!(
            (&exchange["outcome"], &exchange["remoteAddress"]),
            (&json!(outcome), &address),
            "{exchange}"
        );
        let timing = &exchange["timing"];
        assert_eq!([timing["dnsMs"].is_u64(), timing["connectMs"].is_u64()], phases, "{exchange}");
        let nothing = [&exchange["response"], &exchange["tls"], &timing["tlsMs"], &timing["firstByteMs"]];
        assert!(nothing.iter().all(|member| member.is_null()), "{exchange}");
        assert_eq!(
            (&exchange["request"]["sent"], &exchange["request"]["url"]),
            (&json!(false), &json!(endpoint))
        );
        assert!(!exchange.to_string().contains("10.9.8.7"), "{exchange}");
        stage.brand.delete_webhook(&webhook).await;
    }
}
