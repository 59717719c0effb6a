//! The request that an endpoint receives (contract §3).

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::DateTime;
use e2e::brand::{Brand, Webhook};
use e2e::event::{Event, SMS, time_ago, time_ahead};
use e2e::platform::Platform;
use e2e::receiver::{Received, Receiver};
use e2e::script::{Gate, Reply};
use e2e::signature;
use e2e::wire_server::{WireReply, WireServer};
use serde_json::json;

use crate::Stage;

/// The body that the guide promises: seven keys in this order, with no space between them.
fn expected_envelope(event: &Event, webhook: &Webhook, request: &Received, created: &str) -> String {
    format!(
        r#"{{"id":"{}","brandId":"{}","webhookId":"{}","attemptId":"{}","created":"{created}","type":"{}","data":{}}}"#,
        event.id(),
        event.brand_id,
        webhook.id,
        request.field("attemptId"),
        event.event_type,
        event.data
    )
}

#[tokio::test]
async fn an_event_arrives_as_documented_and_is_recorded() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/my/webhook/endpoint").await;
    let created = time_ago(Duration::from_secs(3600));
    let event = Event::sms("acme").created(&created);

    stage.publish_event(&event).await;

    let request = &endpoint.wait_for_requests(1).await[0];
    assert_eq!(request.method, "POST");
    assert_eq!(request.path, "/my/webhook/endpoint");
    assert_eq!(request.text(), expected_envelope(&event, &webhook, request, &created));
    assert_eq!(request.header("content-type"), "application/json");
    assert!(request.header("user-agent").starts_with("Postrider/"), "{:?}", request.headers);
    assert!(!request.headers.contains_key("accept-encoding"), "no compression is asked for");
    assert_eq!(request.header("webhook-id"), event.id());
    let stamp: u64 = request.header("webhook-timestamp").parse().expect("Unix seconds");
    assert!(stamp.abs_diff(signature::unix_now()) < 30, "{stamp}");
    request.verify(&webhook.secret).expect("a signature that verifies");
    assert_recorded(&stage.brand, &webhook, &event, request).await;
}

async fn assert_recorded(brand: &Brand, webhook: &Webhook, event: &Event, request: &Received) {
    let listed = brand.wait_delivery_status(webhook, event.id(), "delivered").await;
    assert_eq!(listed["delivery"]["attempts"], 1);
    assert_eq!(listed["delivery"]["lastError"], json!(null));
    let attempts = brand.list_attempts(webhook, event.id()).await;
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    assert_eq!(attempts[0]["attemptId"], request.field("attemptId"));
    assert_eq!(attempts[0]["outcome"], "delivered");
    assert_eq!(attempts[0]["statusCode"], 200);
    assert_eq!(attempts[0]["trigger"], "fresh");
    assert_eq!(attempts[0]["error"], json!(null));
    let ulid: Result<ulid::Ulid, _> = request.field("attemptId").parse();
    assert!(ulid.is_ok(), "attemptId is a ULID");
}

#[tokio::test]
async fn an_event_without_a_time_gets_the_routers_time() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let event = Event::sms("acme");
    let before = time_ago(Duration::ZERO);

    stage.publish_event(&event).await;

    let request = &endpoint.wait_for_requests(1).await[0];
    let created = request.field("created");
    // The clock of a router may be ahead of the database's by a second.
    let after = time_ahead(Duration::from_secs(1));
    assert_eq!(created.len(), "2021-04-08T19:36:02.938Z".len(), "{created}");
    assert!(before <= created && created <= after, "{before} <= {created} <= {after}");
    let listed = stage.brand.wait_delivery_status(&webhook, event.id(), "delivered").await;
    assert_eq!(listed["created"], created);
}

/// JSON that a parser would not reproduce unchanged.
const DATA: [&str; 12] = [
    "12345678901234567890",
    "1.10",
    r#"{"z":1,"a":2,"m":{"y":1,"b":2}}"#,
    r#"{ "amount" : 1.10 ,  "big":12345678901234567890, "list" : [ 1.0e5, -0, 0.0 ] }"#,
    "{\n\t\"a\":\r\n1}",
    r#""Grüße, 世界 😀""#,
    r#""\u00fc\/\ud83d\ude00\u0000""#,
    r#"{"same":1,"same":2}"#,
    "null",
    "false",
    "[]",
    r#""""#,
];

#[tokio::test]
async fn data_arrives_and_is_listed_byte_for_byte() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let events: Vec<_> = DATA.iter().map(|data| Event::sms("acme").data(data)).collect();

    stage.platform.producer().await.publish_all(&events).await;

    for event in &events {
        let request = endpoint.wait_for_event(event.id()).await;
        assert!(
            request.text().ends_with(&format!(r#""type":"{SMS}","data":{}}}"#, event.data)),
            "{}",
            request.text()
        );
        request.verify(&webhook.secret).expect(&event.data);
        let path = stage.brand.webhooks_path(&format!("/{}/events/{}", webhook.id, event.id()));
        let shown = stage.brand.api.get(&path).await.expect_status(200).text;
        assert!(shown.contains(&format!(r#""data":{}"#, event.data)), "{shown}");
    }
    let listed = stage
        .brand
        .api
        .get(&stage.brand.webhooks_path(&format!("/{}/events", webhook.id)))
        .await
        .expect_status(200)
        .text;
    for event in &events {
        assert!(listed.contains(&format!(r#""data":{}"#, event.data)), "{} in {listed}", event.data);
    }
}

/// Sizes of data around the bounds at which it travels in another way: by reference above 8 KiB, in the largest event.
const DATA_BYTES: [usize; 13] = [
    2,
    8 * 1024 - 1,
    8 * 1024,
    8 * 1024 + 1,
    16 * 1024 + 1,
    64 * 1024 - 1,
    64 * 1024,
    64 * 1024 + 1,
    128 * 1024,
    128 * 1024 + 1,
    255 * 1024,
    256 * 1024 - 400,
    // As large as the limit of the whole event allows.
    usize::MAX,
];

#[tokio::test]
async fn data_of_any_size_arrives_signed() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let text_of = |bytes: usize| format!(r#""{}""#, "x".repeat(bytes - 2));
    let most = 256 * 1024 - Event::sms("acme").data("").body().len();
    let events: Vec<_> =
        DATA_BYTES.iter().map(|bytes| Event::sms("acme").data(&text_of(*bytes.min(&most)))).collect();
    assert_eq!(events[DATA_BYTES.len() - 1].body().len(), 256 * 1024);

    stage.platform.producer().await.publish_all(&events).await;

    for event in &events {
        let request = endpoint.wait_for_event(event.id()).await;
        let bytes = event.data.len();
        assert!(request.text().ends_with(&format!(r#""data":{}}}"#, event.data)), "{bytes} bytes");
        request.verify(&webhook.secret).unwrap_or_else(|error| panic!("{bytes} bytes: {error}"));
    }
}

/// Path and query of an endpoint, and what the request line has in their place.
const TARGETS: [(&str, &str); 9] = [
    ("/a%2Fb/%zz//c%20d", "/a%2Fb/%zz//c%20d"),
    ("/%41%7e%00%25", "/%41%7e%00%25"),
    ("/!$&'()*+,;=:@-._~|^[]", "/!$&'()*+,;=:@-._~|^[]"),
    ("/x?a=1&&b=%26&c=d+e&f", "/x?a=1&&b=%26&c=d+e&f"),
    ("/x?!$&()*+,;=:@-._~|^`{}[]/??", "/x?!$&()*+,;=:@-._~|^`{}[]/??"),
    // A URL has these in another form (WHATWG).
    ("/\u{e4}\u{1f600}?q=\u{fc}'", "/%C3%A4%F0%9F%98%80?q=%C3%BC%27"),
    ("/\"<>{}`?\"<>", "/%22%3C%3E%7B%7D%60?%22%3C%3E"),
    ("/a/./b/../c", "/a/c"),
    ("?x=y", "/?x=y"),
];

#[tokio::test]
async fn the_path_and_query_of_an_endpoint_are_on_the_wire_as_they_were_given() {
    let stage = Stage::new().await;
    let server = WireServer::start(&stage.platform.authority, |_| WireReply::ok()).await;
    for (given, sent) in TARGETS {
        let url = server.url_of("localhost", given);
        let webhook = stage.brand.create_webhook(&url, &[SMS]).await;
        let event = stage.deliver_one(&webhook).await;
        let request = server.requests_of(event.id()).remove(0);
        assert_eq!(request.target, sent, "{given}");
        assert!(request.headers["host"].starts_with("localhost:"), "{:?}", request.headers);
        stage.brand.delete_webhook(&webhook).await;
    }
}

#[tokio::test]
async fn custom_headers_are_sent() {
    let stage = Stage::new().await;
    let endpoint = stage.receiver.endpoint("/hook");
    let headers = json!({"Authorization": "Bearer abc", "x-shop": "Köln 7"});
    let webhook = json!({"endpoint": endpoint.url(), "events": [SMS], "headers": headers});
    stage.brand.create_webhook_with(&webhook).await;

    stage.publish_event(&Event::sms("acme")).await;

    let request = &endpoint.wait_for_requests(1).await[0];
    assert_eq!(request.header("authorization"), "Bearer abc");
    assert_eq!(request.headers["x-shop"].as_bytes(), "Köln 7".as_bytes());
}

#[tokio::test]
async fn http1_and_http2_endpoints_are_served_over_few_connections() {
    let stage = Stage::with_builder(Platform::builder().set("POSTRIDER_HTTP2", "true")).await;
    for (alpn, version) in [("http/1.1", http::Version::HTTP_11), ("h2", http::Version::HTTP_2)] {
        let receiver = Receiver::start_with(&stage.platform.authority, &[alpn]).await;
        let endpoint = receiver.endpoint("/hook");
        let webhook = stage.brand.create_webhook(endpoint.url(), &[SMS]).await;
        for _ in 0..10 {
            // Only when the attempt is recorded has its response been read, and its connection is free again.
            stage.deliver_one(&webhook).await;
        }
        assert!(endpoint.requests().iter().all(|request| request.version == version), "{alpn}");
        // Only connections with a request count: the port may have been an endpoint of another test, whose deliverer
        // still calls it.
        let used: BTreeSet<usize> = endpoint.requests().iter().map(|request| request.connection).collect();
        let opened = receiver.count_connections();
        assert!(used.len() <= 5, "{alpn}: 10 requests in a row used {used:?} of {opened} connections");
        stage.brand.delete_webhook(&webhook).await;
    }
}

#[tokio::test]
async fn concurrency_stays_within_the_webhooks_limit() {
    let stage = Stage::new().await;
    let endpoint = stage.receiver.endpoint("/hook");
    let gate = Gate::closed();
    endpoint.always(Reply::ok().after(Duration::from_millis(100)).behind(&gate));
    let webhook = json!({"endpoint": endpoint.url(), "events": [SMS], "maxConcurrency": 3});
    stage.brand.create_webhook_with(&webhook).await;

    stage.platform.producer().await.publish_all(&Event::sms_batch("acme", 30)).await;

    endpoint.wait_for_requests(3).await;
    gate.open();
    endpoint.wait_for_requests(30).await;
    assert_eq!(endpoint.max_in_flight(), 3);
}

#[tokio::test]
async fn the_request_rate_stays_within_the_webhooks_limit() {
    let stage = Stage::new().await;
    let endpoint = stage.receiver.endpoint("/hook");
    let webhook = json!({"endpoint": endpoint.url(), "events": [SMS], "ratePerSecond": 5});
    let webhook = stage.brand.create_webhook_with(&webhook).await;

    let events = stage.deliver_many(&webhook, 20).await;

    let mut started = Vec::new();
    for event in &events {
        let attempts = stage.brand.list_attempts(&webhook, event.id()).await;
        let at = attempts[0]["startedAt"].as_str().expect("a time");
        started.push(DateTime::parse_from_rfc3339(at).expect("RFC 3339"));
    }
    started.sort();
    let took = (started[19] - started[0]).to_std().expect("in order");
    // The requests of one second may come at once, the others one by one.
    assert!(took >= Duration::from_millis(2800), "20 requests at 5 a second took {took:?}");
}
