//! The platform's own queues hold up nobody when they store nothing. The services bypass each of them, and
//! use it again once it answers.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::event::Event;
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::private_broker::PrivateBroker;
use e2e::raw_producer::{RawMessage, RawProducer, encode_header, encode_long};
use e2e::script::Reply;
use e2e::support::REJECTED;
use serde_json::Value;

use crate::{LONG_WAIT_TIMEOUT, Stage};

/// How long a delivery may take until the service bypasses the silent queue.
const BYPASS_TIMEOUT: Duration = Duration::from_secs(30);
/// Failures beside a silent delay queue, more than the webhook may have in hand.
const FAILURES: usize = 60;

struct Scene {
    // Declared before the broker, so that it is dropped first and removes its queues.
    stage: Stage,
    broker: PrivateBroker,
}

impl Scene {
    async fn new(platform: impl FnOnce(e2e::platform::Builder) -> e2e::platform::Builder) -> Self {
        let broker = PrivateBroker::start().await;
        let stage = Stage::with_builder(platform(Platform::builder()).broker(&broker.url())).await;
        Self { stage, broker }
    }

    fn full_name(&self, name: &str) -> String {
        format!("{}.{name}", self.stage.platform.namespace)
    }
}

#[tokio::test]
async fn a_silent_delay_queue_delays_only_retries_and_is_recreated() {
    let scene = Scene::new(|platform| platform.retries("1s,2s").without_health_rule()).await;
    let stage = &scene.stage;
    let (endpoint, webhook) = stage.create_webhook("/failing").await;
    scene.broker.silence_queue(&scene.full_name("wait.1s")).await;
    endpoint.answer((0..FAILURES).map(|_| Reply::status(503)).chain([Reply::ok()]));

    let events = stage.publish_many(2 * FAILURES).await;

    stage
        .brand
        .wait_listed(&webhook, "status=delivered", &e2e::event::ids(&events), crate::LONG_WAIT_TIMEOUT)
        .await;
    // The queue answers again because it was deleted and declared, so that the next failure comes back
    // through it.
    e2e::poll::eventually("a new delay queue", crate::LONG_WAIT_TIMEOUT, async || {
        let log = stage.platform.deliverers[0].read_log();
        if log.contains("recreating it") { Ok(()) } else { Err("it was not recreated".to_owned()) }
    })
    .await;
    stage.deliver_one(&webhook).await;
}

#[tokio::test]
async fn a_silent_queue_of_rejected_messages_delays_and_loses_nothing() {
    let scene = Scene::new(|platform| platform).await;
    let stage = &scene.stage;
    let (endpoint, _) = stage.create_webhook("/hook").await;
    let queue = scene.full_name("rejected");
    scene.broker.silence_queue(&queue).await;

    for number in 0..50 {
        let body = format!("not JSON {number}");
        stage
            .platform
            .producer()
            .await
            .publish_raw("SOME.KEY", body.as_bytes(), None)
            .await
            .expect("a confirm");
        let event = Event::sms("acme");
        stage.publish_event(&event).await;
        endpoint
            .wait_until("events arrive all along", BYPASS_TIMEOUT, |all| {
                all.iter().any(|request| request.event_id() == event.id())
            })
            .await;
    }

    // The message keeps its reason, although its unreadable parts do not travel with it.
    let odd = Event::sms("acme");
    let message = RawMessage::new(odd.event_type.as_bytes(), odd.body().as_bytes()).text("app_id", b"\xff");
    let mut producer = RawProducer::connect(stage.platform.amqp_url(), &stage.platform.namespace).await;
    producer.publish(&message).await;
    let behind = Event::sms("acme");
    stage.publish_event(&behind).await;
    endpoint.wait_for_event(behind.id()).await;

    scene.broker.wake_queue(&queue).await;
    // What was published without a confirm is published again, and may come twice.
    let mut expected: BTreeSet<_> =
        (0..50).map(|number| ("invalid_json".to_owned(), format!("not JSON {number}"))).collect();
    expected.insert(("unreadable".to_owned(), odd.body()));
    eventually("each is listed", LONG_WAIT_TIMEOUT, async || {
        let items = stage.brand.support.list(REJECTED, 100).await;
        let text = |item: &Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
        let found = items.iter().map(|item| (text(item, "reason"), text(item, "body"))).collect();
        if expected == found { Ok(()) } else { Err(format!("{items:#?}")) }
    })
    .await;
}

#[tokio::test]
async fn events_bypass_a_silent_queue_until_it_answers() {
    let mut scene = Scene::new(|platform| platform).await;
    let (endpoint, _) = scene.stage.create_webhook("/hook").await;
    let queue = scene.full_name("ingest");
    scene.stage.platform.routers[0].terminate().await;
    let before = Event::sms("acme");
    scene.stage.publish_event(&before).await;
    scene.broker.silence_queue(&queue).await;
    scene.stage.platform.routers[0].start();

    // A producer republishes an event that is not confirmed.
    let during = Event::sms("acme");
    let producer = scene.stage.platform.producer().await;
    while producer.try_publish(&during).await.is_err() {}
    endpoint.wait_for_event(during.id()).await;

    scene.broker.wake_queue(&queue).await;
    endpoint.wait_for_event(before.id()).await;
    let after = Event::sms("acme");
    scene.stage.publish_event(&after).await;
    endpoint.wait_for_event(after.id()).await;
}

#[tokio::test]
async fn a_silent_queue_of_unrouted_deliveries_delays_nothing() {
    let scene = Scene::new(|platform| platform).await;
    let stage = &scene.stage;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let (other, _) = stage.create_webhook("/other").await;
    scene.broker.silence_queue(&scene.full_name("unrouted")).await;
    stage.platform.rabbit().await.delete_queue(&format!("webhook.{}", webhook.id)).await;

    for _ in 0..3 {
        let event = Event::sms("acme");
        stage.publish_event(&event).await;
        for endpoint in [&other, &endpoint] {
            endpoint
                .wait_until("events arrive all along", BYPASS_TIMEOUT, |all| {
                    all.iter().any(|request| request.event_id() == event.id())
                })
                .await;
        }
    }
}

/// RabbitMQ writes this header itself when it moves a message, and 3.10 fails on some forms of it, which ends
/// dead-lettering with confirms for all queues of the node.
#[tokio::test]
async fn malformed_broker_headers_stop_neither_retries_nor_new_webhooks() {
    let mut scene = Scene::new(|platform| platform.retries("1s")).await;
    let (before, _) = scene.stage.create_webhook("/before").await;
    let platform = &mut scene.stage.platform;
    platform.routers[0].terminate().await;
    let ingest = format!("{}.ingest", platform.namespace);
    let number = [b"I".as_slice(), &5_u32.to_be_bytes()].concat();
    let table = |fields: &[Vec<u8>]| [b"F".to_vec(), encode_long(&fields.concat())].concat();
    let text = |name: &[u8], text: &[u8]| encode_header(name, &[b"S".to_vec(), encode_long(text)].concat());
    let known = [text(b"queue", ingest.as_bytes()), text(b"reason", b"expired")];
    let odd_count = [known.to_vec(), vec![text(b"count", b"x")]].concat();
    for deaths in [number.clone(), [table(&known), number].concat(), table(&odd_count)] {
        let event = Event::sms("acme");
        let message = RawMessage::new(event.event_type.as_bytes(), event.body().as_bytes());
        let deaths = encode_header(b"x-death", &[b"A".to_vec(), encode_long(&deaths)].concat());
        let message = message.headers(&deaths).text("expiration", b"1");
        // The broker restarts the queue after each of them, and may refuse the next one meanwhile.
        let mut producer = RawProducer::connect(platform.amqp_url(), &platform.namespace).await;
        while producer.try_publish(&message).await.is_err() {
            producer = RawProducer::connect(platform.amqp_url(), &platform.namespace).await;
        }
    }
    scene.stage.platform.routers[0].start();
    let producer = scene.stage.platform.producer().await;
    let behind = Event::sms("acme");
    while producer.try_publish(&behind).await.is_err() {}
    before.wait_for_event(behind.id()).await;

    let (endpoint, webhook) = scene.stage.create_webhook("/flaky").await;
    endpoint.answer([Reply::status(503), Reply::ok()]);
    let event = Event::sms("acme");
    scene.stage.publish_event(&event).await;
    let attempts = scene.stage.brand.wait_attempts(&webhook, event.id(), 2).await;
    assert_eq!(attempts[1]["outcome"], "delivered", "its retry came back");
    let (other, _) = scene.stage.create_webhook("/new").await;
    let event = Event::sms("acme");
    scene.stage.publish_event(&event).await;
    other.wait_for_event(event.id()).await;
}
