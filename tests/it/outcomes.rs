//! How attempts end, and what the attempt record keeps (contract §3).

use std::time::Duration;

use e2e::event::{Event, SMS};
use e2e::platform::Platform;
use e2e::ports::Port;
use e2e::raw_server::RawServer;
use e2e::receiver::Receiver;
use e2e::script::{Body, Reply};
use e2e::tls::Authority;
use serde_json::{Value, json};

use crate::Stage;

/// Starts a platform whose first retry comes long after the test, so that each delivery has one attempt.
async fn stage() -> Stage {
    Stage::with(Platform::builder().retries("10m")).await
}

/// Returns the first attempt at an endpoint that fails.
async fn failure(stage: &Stage, endpoint: &str) -> Value {
    let webhook = stage.brand.webhook(endpoint, &[SMS]).await;
    let event = Event::sms("acme");
    stage.publish(&event).await;
    let attempt = stage.brand.wait_attempts(&webhook, event.id(), 1).await.remove(0);
    let delivery = stage.brand.wait_status(&webhook, event.id(), "pending").await["delivery"].clone();
    assert_eq!(delivery["attempts"], 1, "{delivery}");
    assert!(delivery["nextAttemptAt"].is_string(), "{delivery}");
    assert!(delivery["lastError"].is_string(), "{delivery}");
    assert!(attempt["error"].as_str().is_some_and(|error| !error.is_empty()), "{attempt}");
    stage.brand.delete(&webhook).await;
    attempt
}

async fn expect(stage: &Stage, endpoint: &str, outcome: &str, status: Option<u16>) {
    let attempt = failure(stage, endpoint).await;
    assert_eq!(attempt["outcome"], outcome, "{endpoint}: {attempt}");
    assert_eq!(attempt["statusCode"], json!(status), "{endpoint}: {attempt}");
}

#[tokio::test]
async fn a_status_other_than_2xx_is_a_failure_with_its_answer_kept() {
    let stage = stage().await;
    for status in [404, 500, 429] {
        let endpoint = stage.receiver.endpoint(&format!("/{status}"));
        endpoint.always(Reply::status(status).text("what went wrong\u{0}"));
        let attempt = failure(&stage, endpoint.url()).await;
        assert_eq!(attempt["outcome"], "http_status", "{attempt}");
        assert_eq!(attempt["statusCode"], status, "{attempt}");
        let body = attempt["responseBody"].as_str().expect("the answer");
        assert!(body.starts_with("what went wrong"), "{attempt}");
    }
}

#[tokio::test]
async fn redirects_are_failures_and_never_followed() {
    let stage = stage().await;
    let target = stage.receiver.endpoint("/target");
    for status in [301, 302, 303, 307, 308] {
        let endpoint = stage.receiver.endpoint(&format!("/{status}"));
        endpoint.always(Reply::status(status).header("location", target.url()));
        expect(&stage, endpoint.url(), "http_status", Some(status)).await;
    }
    assert!(target.requests().is_empty());
}

#[tokio::test]
async fn a_request_that_is_not_answered_in_time_is_a_timeout() {
    let impatient = Platform::builder().retries("10m").set("POSTRIDER_REQUEST_TIMEOUT", "1s");
    let stage = Stage::with(impatient).await;
    let endpoint = stage.receiver.endpoint("/hook");
    endpoint.always(Reply::Hang);
    let attempt = failure(&stage, endpoint.url()).await;
    assert_eq!(attempt["outcome"], "timeout", "{attempt}");
    let took = attempt["durationMs"].as_u64().expect("milliseconds");
    // The default would be fifteen seconds.
    assert!((900..14_000).contains(&took), "{attempt}");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_dns() {
    let mut platform = Platform::builder().retries("10m").prepare().await;
    // The machine's own name server may take long to answer.
    let hosts = platform.dir().join("hosts");
    std::fs::write(&hosts, "127.0.0.1 localhost\n").expect("a file of names");
    platform.apis.iter_mut().chain(&mut platform.deliverers).for_each(|process| process.own_names(&hosts));
    platform.start_all().await;
    expect(&Stage::on(platform).await, "https://webhooks.invalid/hook", "dns", None).await;
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_connect() {
    let closed = Port::take();
    let endpoint = format!("https://127.0.0.1:{}/hook", closed.number());
    expect(&stage().await, &endpoint, "connect", None).await;
}

#[tokio::test]
async fn a_certificate_of_nobody_trusted_or_no_tls_at_all_is_tls() {
    let stage = stage().await;
    let stranger = Receiver::start(&Authority::generate()).await;
    expect(&stage, stranger.endpoint("/hook").url(), "tls", None).await;
    assert!(stranger.endpoint("/hook").requests().is_empty(), "nothing is sent to a stranger");
    let plain = RawServer::plain(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    expect(&stage, &plain.url(), "tls", None).await;
}

#[tokio::test]
async fn an_answer_that_is_no_http_is_protocol() {
    let stage = stage().await;
    for bytes in [b"SSH-2.0-OpenSSH_9.2\r\n\r\n".as_slice(), b"HTTP/1.1 abc\r\n\r\n", b""] {
        let server = RawServer::tls(&stage.platform.authority, bytes).await;
        let attempt = failure(&stage, &server.url()).await;
        // A connection that closes without an answer may also be called reset.
        let fitting: &[&str] = if bytes.is_empty() { &["protocol", "connect"] } else { &["protocol"] };
        assert!(fitting.contains(&attempt["outcome"].as_str().unwrap_or("")), "{attempt}");
    }
}

#[tokio::test]
async fn an_address_that_is_forbidden_when_it_is_dialled_is_blocked() {
    let mut stage = stage().await;
    let (endpoint, webhook) = stage.webhook("/hook").await;
    let deliverer = &mut stage.platform.deliverers[0];
    deliverer.kill();
    deliverer.unset("POSTRIDER_ALLOW_NETWORKS");
    deliverer.start();
    deliverer.wait_ready().await;
    let event = Event::sms("acme");

    stage.publish(&event).await;

    let attempt = stage.brand.wait_attempts(&webhook, event.id(), 1).await.remove(0);
    assert_eq!(attempt["outcome"], "blocked", "{attempt}");
    assert!(endpoint.requests().is_empty());
    assert_eq!(stage.receiver.connections(), 0, "the deliverer does not connect");
}

#[tokio::test]
async fn a_2xx_counts_whatever_becomes_of_its_body() {
    // A dripping body is read until the request times out.
    let brief = Platform::builder().retries("10m").set("POSTRIDER_REQUEST_TIMEOUT", "5s");
    let stage = Stage::with(brief).await;
    let long = Reply::ok().text("a".repeat(1024 * 1024));
    let drip = Reply::status(204).body(Body::Whole("".into()));
    let replies = [
        ("/endless", Reply::status(201).body(Body::Endless)),
        ("/drip", Reply::status(202).body(Body::Drip(Duration::from_millis(200)))),
        ("/long", long),
        ("/none", drip),
    ];
    for (path, reply) in replies {
        let (endpoint, webhook) = stage.webhook(path).await;
        endpoint.always(reply);
        let event = Event::sms("acme");
        stage.publish(&event).await;
        let listed = stage.brand.wait_status(&webhook, event.id(), "delivered").await;
        assert_eq!(listed["delivery"]["attempts"], 1, "{path}: {listed}");
        let attempt = stage.brand.wait_attempts(&webhook, event.id(), 1).await.remove(0);
        assert_eq!(attempt["outcome"], "delivered", "{path}: {attempt}");
        let kept = attempt["responseBody"].as_str().map_or(0, str::len);
        assert!(kept <= 4096, "{path}: {kept} bytes kept");
        stage.brand.delete(&webhook).await;
    }
}

#[tokio::test]
async fn the_secret_is_shown_on_creation_and_at_its_own_path_alone() {
    let stage = stage().await;
    let (_, webhook) = stage.webhook("/hook").await;
    let path = stage.brand.path(&format!("/{}/secret", webhook.id));
    let shown = stage.brand.api.get(&path).await.expect(200).json();
    assert_eq!(shown["secret"], webhook.secret);
    let read = stage.brand.read(&webhook).await;
    assert!(read.get("secret").is_none(), "only shown on creation and at /secret: {read}");
}
