//! One brand can use only its share of a deliverer's memory (`crates/SECURITY.md`), and large events still arrive whole.

use std::time::Duration;

use e2e::WAIT_TIMEOUT;
use e2e::brand::Brand;
use e2e::event::{Event, SMS, time_ago, time_ahead};
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::process::Process;
use e2e::receiver::Endpoint;
use e2e::script::Reply;
use serde_json::json;

use crate::{LONG_WAIT_TIMEOUT, Stage};

/// The bound that the documents state, beyond an idle deliverer (`crates/docs/adr/0051-memory-shares.md`).
const MAX_GROWTH_BYTES: u64 = 256 * 1024 * 1024;
/// Requests of one brand that fit its share with small bodies, and with bodies of [`LARGE_BYTES`].
const MAX_SMALL_REQUESTS: f64 = 1365.0;
const MAX_LARGE_REQUESTS: f64 = 306.0;
/// Bytes of an event's data, just below the limit of an event.
const LARGE_BYTES: usize = 250_000;
/// Largest data that travels in messages.
const MAX_INLINE_BYTES: usize = 8 * 1024;
/// Longer than a test waits, because a hanging endpoint would let go only then.
const REQUEST_TIMEOUT: &str = "120s";
/// An event of another brand that takes longer than this has waited for the first brand's.
const MAX_VICTIM_DELAY: Duration = Duration::from_secs(5);

/// JSON data of this length that is the same nowhere.
fn data_of(bytes: usize) -> String {
    let text: String = (0..)
        .map(|n: usize| format!("{n:x}-"))
        .flat_map(String::into_bytes)
        .map(char::from)
        .take(bytes - 2)
        .collect();
    format!("\"{text}\"")
}

/// Subscribes hanging endpoints with the greatest concurrency.
async fn create_hanging(stage: &Stage, number: usize) -> Vec<Endpoint> {
    let mut endpoints = Vec::new();
    for n in 0..number {
        let endpoint = stage.receiver.endpoint(&format!("/hang/{n}"));
        endpoint.always(Reply::Hang);
        let webhook = json!({"endpoint": endpoint.url(), "events": [SMS], "maxConcurrency": 100});
        stage.brand.create_webhook_with(&webhook).await;
        endpoints.push(endpoint);
    }
    endpoints
}

/// Waits until this many requests are in flight and attempts wait for memory. Returns the number.
async fn wait_at_share(deliverer: &Process, requests: f64) {
    eventually("the brand is at its share", LONG_WAIT_TIMEOUT, async || {
        let in_flight = deliverer.read_metric("postrider_attempts_in_flight").await;
        let waits = deliverer.read_metric("postrider_deliverer_memory_waits_total").await;
        if in_flight >= requests && waits > 0.0 { Ok(()) } else { Err(format!("{in_flight}, {waits} waits")) }
    })
    .await;
}

/// Publishes events of another brand one after another, and asserts that each arrives in time.
async fn assert_unaffected(stage: &Stage, other: &Brand, data: &str) {
    let endpoint = stage.receiver.endpoint("/other");
    other.create_webhook(endpoint.url(), &[SMS]).await;
    // The first one also waits until the webhook is served.
    for turn in 0..10 {
        let event = Event::sms(&other.id).data(data);
        let began = tokio::time::Instant::now();
        stage.publish_event(&event).await;
        endpoint.wait_for_event(event.id()).await;
        assert!(turn == 0 || began.elapsed() < MAX_VICTIM_DELAY, "{:?}", began.elapsed());
    }
}

fn assert_growth(deliverer: &Process, idle: u64, what: &str) {
    let peak = deliverer.read_memory().peak;
    let growth = peak.saturating_sub(idle);
    eprintln!("{what}: {} MiB idle, {} MiB at most", idle >> 20, peak >> 20);
    assert!(growth < MAX_GROWTH_BYTES, "{} MiB beyond {} MiB", growth >> 20, idle >> 20);
}

/// The worst case that was found before: hanging endpoints, and more large events than they have in hand. The
/// restart has all of them in the queues at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_events_for_hanging_endpoints_stay_within_the_bound() {
    let builder = Platform::builder().set("POSTRIDER_REQUEST_TIMEOUT", REQUEST_TIMEOUT).without_health_rule();
    let mut stage = Stage::with_builder(builder.unlimited_requests()).await;
    let other = stage.platform.create_brand("other").await;
    let idle = stage.platform.deliverers[0].read_memory().now;
    create_hanging(&stage, 20).await;
    let large = data_of(LARGE_BYTES);
    for _ in 0..20 {
        let events: Vec<Event> = (0..20).map(|_| Event::sms("acme").data(&large)).collect();
        stage.platform.producer().await.publish_all(&events).await;
    }

    wait_at_share(&stage.platform.deliverers[0], MAX_LARGE_REQUESTS).await;
    assert_unaffected(&stage, &other, &large).await;
    assert_growth(&stage.platform.deliverers[0], idle, "large events");

    stage.platform.deliverers[0].kill();
    stage.platform.deliverers[0].start();
    stage.platform.deliverers[0].wait_ready().await;
    wait_at_share(&stage.platform.deliverers[0], MAX_LARGE_REQUESTS).await;
    assert_growth(&stage.platform.deliverers[0], idle, "large events, after a restart");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_brands_requests_in_flight_stay_within_the_bound() {
    let builder = Platform::builder().set("POSTRIDER_REQUEST_TIMEOUT", REQUEST_TIMEOUT).without_health_rule();
    let stage = Stage::with_builder(builder.unlimited_requests()).await;
    let other = stage.platform.create_brand("other").await;
    let deliverer = &stage.platform.deliverers[0];
    let idle = deliverer.read_memory().now;
    let endpoints = create_hanging(&stage, 30).await;
    // As large as a message allows, so that the messages in hand are, too.
    let data = data_of(MAX_INLINE_BYTES / 4);
    let events: Vec<Event> = (0..600).map(|_| Event::sms("acme").data(&data)).collect();
    stage.platform.producer().await.publish_all(&events).await;

    wait_at_share(deliverer, MAX_SMALL_REQUESTS).await;
    assert_unaffected(&stage, &other, "1").await;
    // The last requests of the other brand may not be over. Those of the first hang for longer than a test waits.
    eventually("the brand is within its share", WAIT_TIMEOUT, async || {
        let in_flight = deliverer.read_metric("postrider_attempts_in_flight").await;
        if in_flight <= MAX_SMALL_REQUESTS { Ok(()) } else { Err(format!("{in_flight} are in flight")) }
    })
    .await;
    assert_growth(deliverer, idle, "many requests");
    // The brand's own webhooks share what it has. The events of some may have come after the share was used up.
    eventually("each webhook has its turn", WAIT_TIMEOUT, async || {
        let idle = endpoints.iter().filter(|endpoint| endpoint.max_in_flight() == 0).count();
        if idle == 0 { Ok(()) } else { Err(format!("{idle} have none")) }
    })
    .await;
}

#[tokio::test]
async fn data_of_every_size_arrives_byte_for_byte_at_each_attempt() {
    let stage = Stage::with_builder(Platform::builder().retries("1s,1s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let sizes = [2, MAX_INLINE_BYTES - 1, MAX_INLINE_BYTES, MAX_INLINE_BYTES + 1, 100_000, LARGE_BYTES];
    endpoint.answer_each([Reply::status(500), Reply::status(500), Reply::ok()]);
    let events: Vec<Event> = sizes.iter().map(|bytes| Event::sms("acme").data(&data_of(*bytes))).collect();
    stage.platform.producer().await.publish_all(&events).await;
    stage.wait_settled(&webhook, "delivered", &events).await;

    let range = json!({"from": time_ago(Duration::from_secs(3600)), "to": time_ahead(Duration::from_secs(3600)), "status": "all"});
    let job = stage.brand.redeliver_range(&webhook, &range).await;
    stage.brand.wait_job(&job, "finished", WAIT_TIMEOUT).await;

    for event in &events {
        let requests = endpoint.requests_of(event.id());
        assert_eq!(requests.len(), 4, "three attempts, and the redelivery");
        let data = format!("\"data\":{}}}", event.data);
        assert!(requests.iter().all(|request| request.text().ends_with(&data)), "{} bytes", data.len());
        assert!(requests.iter().all(|request| request.verify(&webhook.secret).is_ok()));
    }
    let loaded =
        stage.platform.deliverers[0].read_metric("postrider_deliverer_loaded_data_bytes_total").await;
    assert!(loaded > 0.0);
}

/// The message of a large event may come after the event has expired.
#[tokio::test]
async fn a_large_event_that_has_expired_ends_without_an_attempt() {
    let mut stage = Stage::new().await;
    let endpoint = stage.receiver.endpoint("/hook");
    let webhook = json!({"endpoint": endpoint.url(), "events": [SMS], "maxConcurrency": 1});
    let webhook = stage.brand.create_webhook_with(&webhook).await;
    stage.deliver_one(&webhook).await;
    stage.platform.deliverers[0].terminate().await;
    let expired = Event::sms("acme").data(&data_of(LARGE_BYTES));
    stage.publish_event(&expired).await;
    let queue = format!("webhook.{}", webhook.id);
    stage.platform.rabbit().await.wait_queue_depth(&queue, 1).await;
    let database = e2e::database::connect(&stage.platform.database_url()).await.expect("the database");
    let gone = "DELETE FROM deliveries d USING events e WHERE e.id = d.event_id AND length(e.data) > 100000;
                DELETE FROM events WHERE length(data) > 100000";
    database.batch_execute(gone).await.expect("deleted");

    stage.platform.deliverers[0].start();
    // With a single permit, the second of these comes behind the expired one.
    for _ in 0..2 {
        let later = stage.publish_many(1).await.remove(0);
        endpoint.wait_for_event(later.id()).await;
    }
    stage.platform.deliverers[0].terminate().await;
    // A message that was not acknowledged would be back.
    stage.platform.rabbit().await.wait_queue_depth(&queue, 0).await;
    assert!(endpoint.requests_of(expired.id()).is_empty());
}
