//! How attempts end, and what the attempt record keeps (contract §3).

use std::time::Duration;

use e2e::event::{Event, SMS};
use e2e::name_server::NameServer;
use e2e::platform::Platform;
use e2e::ports::Port;
use e2e::raw_server::RawServer;
use e2e::receiver::Receiver;
use e2e::script::{Body, Reply};
use e2e::tls::Authority;
use serde_json::{Value, json};

use crate::Stage;

/// Starts a platform whose first retry comes long after the test, so that each delivery has one attempt.
async fn start_stage() -> Stage {
    Stage::with_builder(Platform::builder().retries("10m")).await
}

/// Returns the first attempt at an endpoint that fails.
async fn first_failed_attempt(stage: &Stage, endpoint: &str) -> Value {
    let webhook = stage.brand.create_webhook(endpoint, &[SMS]).await;
    let event = Event::sms("acme");
    stage.publish_event(&event).await;
    let attempt = stage.brand.wait_attempts(&webhook, event.id(), 1).await.remove(0);
    let delivery =
        stage.brand.wait_delivery_status(&webhook, event.id(), "pending").await["delivery"].clone();
    assert_eq!(delivery["attempts"], 1, "{delivery}");
    assert!(delivery["nextAttemptAt"].is_string(), "{delivery}");
    assert!(delivery["lastError"].is_string(), "{delivery}");
    assert!(attempt["error"].as_str().is_some_and(|error| !error.is_empty()), "{attempt}");
    stage.brand.delete_webhook(&webhook).await;
    attempt
}

async fn expect_outcome(stage: &Stage, endpoint: &str, outcome: &str, status: Option<u16>) {
    let attempt = first_failed_attempt(stage, endpoint).await;
    assert_eq!(attempt["outcome"], outcome, "{endpoint}: {attempt}");
    assert_eq!(attempt["statusCode"], json!(status), "{endpoint}: {attempt}");
}

#[tokio::test]
async fn a_status_other_than_2xx_is_a_failure_with_a_recorded_answer() {
    let stage = start_stage().await;
    for status in [404, 500, 429] {
        let endpoint = stage.receiver.endpoint(&format!("/{status}"));
        endpoint.always(Reply::status(status).text("what went wrong\u{0}"));
        let attempt = first_failed_attempt(&stage, endpoint.url()).await;
        assert_eq!(attempt["outcome"], "http_status", "{attempt}");
        assert_eq!(attempt["statusCode"], status, "{attempt}");
        let body = attempt["responseBody"].as_str().expect("the answer");
        assert!(body.starts_with("what went wrong"), "{attempt}");
    }
}

#[tokio::test]
async fn redirects_are_failures_and_never_followed() {
    let stage = start_stage().await;
    let target = stage.receiver.endpoint("/target");
    for status in [301, 302, 303, 307, 308] {
        let endpoint = stage.receiver.endpoint(&format!("/{status}"));
        endpoint.always(Reply::status(status).header("location", target.url()));
        expect_outcome(&stage, endpoint.url(), "http_status", Some(status)).await;
    }
    assert!(target.requests().is_empty());
}

#[tokio::test]
async fn a_request_without_an_answer_in_time_is_a_timeout() {
    let impatient = Platform::builder().retries("10m").set("POSTRIDER_REQUEST_TIMEOUT", "1s");
    let stage = Stage::with_builder(impatient).await;
    let endpoint = stage.receiver.endpoint("/hook");
    endpoint.always(Reply::Hang);
    let attempt = first_failed_attempt(&stage, endpoint.url()).await;
    assert_eq!(attempt["outcome"], "timeout", "{attempt}");
    let took = attempt["durationMs"].as_u64().expect("milliseconds");
    // The default would be fifteen seconds.
    assert!((900..14_000).contains(&took), "{attempt}");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_dns() {
    let names = NameServer::start();
    let builder = Platform::builder().retries("10m").set("POSTRIDER_DNS_SERVERS", &names.setting());
    let stage = Stage::with_builder(builder).await;
    for host in ["webhooks.invalid", "missing.test"] {
        expect_outcome(&stage, &format!("https://{host}/hook"), "dns", None).await;
    }
}

#[tokio::test]
async fn a_closed_port_is_connect() {
    let closed = Port::reserve();
    let endpoint = format!("https://127.0.0.1:{}/hook", closed.number());
    expect_outcome(&start_stage().await, &endpoint, "connect", None).await;
}

#[tokio::test]
async fn an_untrusted_certificate_or_plain_text_is_tls() {
    let stage = start_stage().await;
    let stranger = Receiver::start(&Authority::generate()).await;
    expect_outcome(&stage, stranger.endpoint("/hook").url(), "tls", None).await;
    assert!(stranger.endpoint("/hook").requests().is_empty(), "nothing is sent to a stranger");
    let plain = RawServer::plain(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    expect_outcome(&stage, &plain.url(), "tls", None).await;
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_protocol() {
    let stage = start_stage().await;
    for bytes in [b"SSH-2.0-OpenSSH_9.2\r\n\r\n".as_slice(), b"HTTP/1.1 abc\r\n\r\n", b""] {
        let server = RawServer::tls(&stage.platform.authority, bytes).await;
        let attempt = first_failed_attempt(&stage, &server.url()).await;
        // A connection that closes without an answer may also be called reset.
        let fitting: &[&str] = if bytes.is_empty() { &["protocol", "connect"] } else { &["protocol"] };
        assert!(fitting.contains(&attempt["outcome"].as_str().unwrap_or("")), "{attempt}");
    }
}

#[tokio::test]
async fn an_address_forbidden_at_the_attempt_is_blocked() {
    let mut stage = start_stage().await;
    // Its connections are counted, and deliverers of other tests may still call other ports that their receivers had.
    let port = Port::reserve();
    stage.receiver = Receiver::start_on(&stage.platform.authority, &port).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let deliverer = &mut stage.platform.deliverers[0];
    deliverer.kill();
    deliverer.unset("POSTRIDER_ALLOW_NETWORKS");
    deliverer.start();
    deliverer.wait_ready().await;
    let event = Event::sms("acme");

    stage.publish_event(&event).await;

    let attempt = stage.brand.wait_attempts(&webhook, event.id(), 1).await.remove(0);
    assert_eq!(attempt["outcome"], "blocked", "{attempt}");
    assert!(endpoint.requests().is_empty());
    assert_eq!(stage.receiver.count_connections(), 0, "the deliverer does not connect");
}

#[tokio::test]
async fn a_2xx_counts_despite_a_bad_body() {
    // A dripping body is read until the request times out.
    let brief = Platform::builder().retries("10m").set("POSTRIDER_REQUEST_TIMEOUT", "5s");
    let stage = Stage::with_builder(brief).await;
    let long = Reply::ok().text("a".repeat(1024 * 1024));
    let drip = Reply::status(204).body(Body::Whole("".into()));
    let replies = [
        ("/endless", Reply::status(201).body(Body::Endless)),
        ("/drip", Reply::status(202).body(Body::Drip(Duration::from_millis(200)))),
        ("/long", long),
        ("/none", drip),
    ];
    for (path, reply) in replies {
        let (endpoint, webhook) = stage.create_webhook(path).await;
        endpoint.always(reply);
        let event = Event::sms("acme");
        stage.publish_event(&event).await;
        let listed = stage.brand.wait_delivery_status(&webhook, event.id(), "delivered").await;
        assert_eq!(listed["delivery"]["attempts"], 1, "{path}: {listed}");
        let attempt = stage.brand.wait_attempts(&webhook, event.id(), 1).await.remove(0);
        assert_eq!(attempt["outcome"], "delivered", "{path}: {attempt}");
        let kept = attempt["responseBody"].as_str().map_or(0, str::len);
        assert!(kept <= 4096, "{path}: {kept} bytes kept");
        stage.brand.delete_webhook(&webhook).await;
    }
}

#[tokio::test]
async fn the_secret_is_shown_only_on_creation_and_at_its_path() {
    let stage = start_stage().await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    let path = stage.brand.webhooks_path(&format!("/{}/secret", webhook.id));
    let shown = stage.brand.api.get(&path).await.expect_status(200).json();
    assert_eq!(shown["secret"], webhook.secret);
    let read = stage.brand.read_webhook(&webhook).await;
    assert!(read.get("secret").is_none(), "only shown on creation and at /secret: {read}");
}
