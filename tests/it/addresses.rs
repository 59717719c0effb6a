//! Forbidden addresses, rejected when a webhook is created and again when the deliverer connects
//! (contract §4, §6).

use std::time::{Duration, Instant};

use e2e::WAIT_TIMEOUT;
use e2e::brand::{Brand, Webhook};
use e2e::database;
use e2e::event::SMS;
use e2e::forbidden::{EMBEDDING, IPV4, IPV6, LOOPBACK, MALFORMED, PUBLIC, forbidden_addresses};
use e2e::name_server::NameServer;
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::ports::Port;
use e2e::receiver::Receiver;
use e2e::script::Reply;
use serde_json::{Value, json};

use crate::Stage;

/// Time within which the API has the addresses of a name, or accepts the name.
const LOOKUP_TIMEOUT: Duration = Duration::from_millis(1500);

/// A name in the receiver's certificate, whose resolution the test controls.
const NAME: &str = "hooks.test";
/// The error of an attempt whose name has a forbidden address.
const NOT_PUBLIC: &str = "the name hooks.test is not public: one of its addresses is forbidden";
/// The number of spellings that were tried before.
const MIN_SPELLINGS: usize = 149;

/// Creates a brand on a platform that runs only its API, with no network opened.
async fn start_strict_api() -> (Platform, Brand) {
    let builder = Platform::builder().routers(0).deliverers(0).unlimited_requests();
    let platform = builder.set("POSTRIDER_ALLOW_NETWORKS", "").start().await;
    let brand = platform.create_brand("acme").await;
    (platform, brand)
}

fn webhook_json(url: &str) -> Value {
    json!({"endpoint": url, "events": [SMS]})
}

#[tokio::test]
async fn every_spelling_of_a_forbidden_address_is_rejected() {
    let (_platform, brand) = start_strict_api().await;
    let taken = brand.create_webhook_with(&webhook_json("https://example.invalid/")).await;
    let mut refused = 0;
    for host in forbidden_addresses().chain(MALFORMED) {
        for url in [format!("https://{host}/hook"), format!("https://{host}:8443/")] {
            let created = brand.api.post(&brand.webhooks_path(""), &webhook_json(&url)).await;
            assert_eq!(created.error_pointers(), ["/endpoint"], "created with {url}");
            let changed = brand.api.patch(&brand.webhook_path(&taken, ""), &json!({"endpoint": url})).await;
            assert_eq!(changed.error_pointers(), ["/endpoint"], "changed to {url}");
        }
        refused += 1;
    }
    assert!(refused >= MIN_SPELLINGS, "{refused}");
    for host in PUBLIC {
        let url = format!("https://{host}/hook");
        let created = brand.api.post(&brand.webhooks_path(""), &webhook_json(&url)).await;
        assert_eq!(created.status, 201, "{url}: {}", created.text);
        assert_eq!(created.json()["endpoint"], url, "the endpoint is unchanged");
    }
    eprintln!("{refused} spellings rejected, {} public ones accepted", PUBLIC.len());
}

#[tokio::test]
async fn a_name_with_one_forbidden_address_is_rejected() {
    let names = NameServer::start();
    names.set("public.test", &["9.9.9.9", "2620:fe::fe"]);
    names.set("private.test", &["10.1.2.3"]);
    names.set("mixed.test", &["9.9.9.9", "169.254.169.254"]);
    names.set("six.test", &["2620:fe::fe", "fd00::1"]);
    names.set("loop.test", &["::1"]);
    names.set("xn--bcher-kva.test", &["127.0.0.1"]);
    let builder = Platform::builder().routers(0).deliverers(0).unlimited_requests();
    let builder = builder.set("POSTRIDER_ALLOW_NETWORKS", "");
    let platform = builder.set("POSTRIDER_DNS_SERVERS", &names.setting()).start().await;
    let brand = platform.create_brand("acme").await;

    for host in ["private.test", "mixed.test", "six.test", "loop.test", "PRIVATE.test.", "b\u{fc}cher.test"] {
        let url = format!("https://{host}/");
        // A name that does not resolve within two seconds is accepted, which a busy machine may need once.
        let created = loop {
            let began = Instant::now();
            let created = brand.api.post(&brand.webhooks_path(""), &webhook_json(&url)).await;
            if created.status != 201 || began.elapsed() < LOOKUP_TIMEOUT {
                break created;
            }
        };
        let addresses = ["10.1.2.3", "169.254.169.254", "fd00::1", "::1", "127.0.0.1"];
        let is_told = addresses.iter().any(|address| created.text.contains(address));
        assert!(!is_told, "the answer does not reveal the address: {}", created.text);
        assert_eq!(created.error_pointers(), ["/endpoint"], "{url}");
    }
    for host in ["public.test", "not-there.test"] {
        brand.create_webhook_with(&webhook_json(&format!("https://{host}/"))).await;
    }
}

/// Waits until an attempt for a new event ends with this outcome. (The deliverer learns of a change within a
/// moment.)
async fn wait_outcome(stage: &Stage, webhook: &Webhook, outcome: &str) -> Value {
    eventually(&format!("an attempt ends as {outcome}"), WAIT_TIMEOUT, async || {
        let event = stage.publish_many(1).await.remove(0);
        let attempt = stage.brand.wait_attempts(webhook, event.id(), 1).await.remove(0);
        if attempt["outcome"] == outcome { Ok(attempt) } else { Err(attempt.to_string()) }
    })
    .await
}

#[tokio::test]
async fn a_name_that_changes_its_address_after_the_check_is_blocked() {
    let builder = Platform::builder().one_attempt().without_health_rule();
    let names = NameServer::start();
    names.set(NAME, &["127.0.0.1"]);
    let platform = builder.set("POSTRIDER_DNS_SERVERS", &names.setting()).start().await;
    let brand = platform.create_brand("acme").await;
    // Each request opens a new connection.
    let receiver = Receiver::start_with(&platform.authority, &["http/1.1"]).await;
    receiver.endpoint("/hook").always(Reply::ok().header("connection", "close"));
    let stage = Stage { platform, brand, receiver };
    let url = format!("https://{NAME}:{}/hook", stage.receiver.port());
    let webhook = stage.brand.create_webhook(&url, &[SMS]).await;
    wait_outcome(&stage, &webhook, "delivered").await;

    for address in ["10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"] {
        names.set(NAME, &["127.0.0.1"]);
        wait_outcome(&stage, &webhook, "delivered").await;
        names.set(NAME, &[address]);
        let attempt = wait_outcome(&stage, &webhook, "blocked").await;
        assert_eq!(attempt["error"], NOT_PUBLIC, "the attempt does not reveal the address: {attempt}");
    }
    names.set(NAME, &["127.0.0.1", "10.0.0.2"]);
    let attempt = wait_outcome(&stage, &webhook, "blocked").await;
    assert_eq!(attempt["error"], NOT_PUBLIC, "{attempt}");
    names.set(NAME, &["127.0.0.1"]);
    wait_outcome(&stage, &webhook, "delivered").await;
}

/// Writing to the database bypasses the check no more than using the API.
#[tokio::test]
async fn a_forbidden_address_in_the_database_is_blocked() {
    let stage =
        Stage::with_builder(Platform::builder().one_attempt().without_health_rule().unlimited_requests())
            .await;
    let endpoint = stage.receiver.endpoint("/hook");
    let database = database::connect(&stage.platform.database_url()).await.expect("the database");
    // 127.0.0.0/8 is open here; all its other spellings, except the mapped and embedded ones, mean the same.
    let hosts: Vec<_> = IPV4.into_iter().chain(IPV6).chain(EMBEDDING).collect();
    let mut webhooks = Vec::new();
    for host in hosts {
        let webhook = stage.brand.create_webhook(endpoint.url(), &[SMS]).await;
        let url = format!("https://{host}:{}/hook", stage.receiver.port());
        let id = webhook.id.clone();
        let update = "UPDATE webhooks SET endpoint = $1 WHERE id = $2::text::uuid";
        assert_eq!(database.execute(update, &[&url, &id]).await.expect("a changed row"), 1);
        webhooks.push((url, webhook));
    }

    // Events that come before the deliverer has refreshed would go to the old address.
    wait_outcome(&stage, &webhooks[webhooks.len() - 1].1, "blocked").await;
    let event = stage.publish_many(1).await.remove(0);

    for (url, webhook) in &webhooks {
        let attempt = stage.brand.wait_attempts(webhook, event.id(), 1).await.remove(0);
        assert_eq!(attempt["outcome"], "blocked", "{url}: {attempt}");
    }
    assert!(endpoint.requests().iter().all(|request| request.event_id() != event.id()), "nothing is sent");
    eprintln!("{} addresses in the database blocked", webhooks.len());
}

#[tokio::test]
async fn a_literal_address_is_blocked_once_its_network_is_closed() {
    let mut stage = Stage::with_builder(Platform::builder().one_attempt().without_health_rule()).await;
    // Its connections are counted, and deliverers of other tests may still call other ports that their receivers had.
    let port = Port::reserve();
    stage.receiver = Receiver::start_on(&stage.platform.authority, &port).await;
    let url = format!("https://127.0.0.1:{}/hook", stage.receiver.port());
    let webhook = stage.brand.create_webhook(&url, &[SMS]).await;
    wait_outcome(&stage, &webhook, "delivered").await;
    let deliverer = &mut stage.platform.deliverers[0];
    deliverer.kill();
    deliverer.unset("POSTRIDER_ALLOW_NETWORKS");
    deliverer.start();
    deliverer.wait_ready().await;
    let connections = stage.receiver.count_connections();

    let event = stage.publish_many(1).await.remove(0);

    let attempt = stage.brand.wait_attempts(&webhook, event.id(), 1).await.remove(0);
    assert_eq!(attempt["outcome"], "blocked", "{attempt}");
    assert_eq!(stage.receiver.count_connections(), connections, "the deliverer does not connect");
}

#[tokio::test]
async fn a_redirect_to_a_forbidden_address_is_not_followed() {
    let stage = Stage::with_builder(Platform::builder().one_attempt().without_health_rule()).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let target = stage.receiver.endpoint("/target");
    let port = stage.receiver.port();
    let hosts: Vec<_> = forbidden_addresses().chain(["example.invalid"]).collect();
    // The spellings of this machine lead to a receiver that would see the request.
    let statuses = [301, 302, 303, 307, 308].into_iter().cycle();
    let redirect = |(host, status): (&str, u16)| {
        Reply::status(status).header("location", redirect_location(&format!("https://{host}:{port}/target")))
    };
    endpoint.answer(hosts.iter().copied().zip(statuses).map(redirect));

    let events = stage.publish_many(hosts.len()).await;

    stage.wait_settled(&webhook, "failed", &events).await;
    for event in &events {
        let attempts = stage.brand.list_attempts(&webhook, event.id()).await;
        assert_eq!(attempts.len(), 1, "{attempts:?}");
        assert_eq!(attempts[0]["outcome"], "http_status", "{attempts:?}");
        assert!(attempts[0]["statusCode"].as_u64().is_some_and(|status| status / 100 == 3), "{attempts:?}");
    }
    assert!(LOOPBACK.len() > 20 && target.requests().is_empty(), "nobody followed");
    assert_eq!(endpoint.requests().len(), hosts.len());
}

/// A header holds ASCII, so that other scripts are percent-encoded.
fn redirect_location(url: &str) -> String {
    let encode = |c: char| {
        let mut bytes = [0; 4];
        match c {
            '!'..='~' => c.to_string(),
            _ => c.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")).collect(),
        }
    };
    url.chars().map(encode).collect()
}
