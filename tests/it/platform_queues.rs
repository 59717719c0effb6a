//! The platform's own queues hold up nobody when they store nothing. The services bypass each of them, and
//! use it again once it answers.

use std::time::Duration;

use e2e::event::Event;
use e2e::platform::Platform;
use e2e::private_broker::PrivateBroker;
use e2e::raw_producer::{RawMessage, RawProducer, header, long};
use e2e::script::Reply;
use e2e::support::wait_rejected;

use crate::Stage;

/// How long a delivery may take until the service bypasses the silent queue.
const PASSED_BY: Duration = Duration::from_secs(30);
/// Failures beside a silent delay queue, more than the webhook may have in hand.
const FAILURES: usize = 60;

struct Scene {
    // Declared before the broker, so that it is dropped first and removes its queues.
    stage: Stage,
    broker: PrivateBroker,
}

impl Scene {
    async fn set(platform: impl FnOnce(e2e::platform::Builder) -> e2e::platform::Builder) -> Self {
        let broker = PrivateBroker::start().await;
        let stage = Stage::with(platform(Platform::builder()).broker(&broker.url())).await;
        Self { stage, broker }
    }

    fn queue(&self, name: &str) -> String {
        format!("{}.{name}", self.stage.platform.namespace)
    }
}

#[tokio::test]
async fn a_silent_wait_queue_delays_what_failed_and_nothing_else_and_is_made_anew() {
    let scene = Scene::set(|platform| platform.retries("1s,2s").never_disabled()).await;
    let stage = &scene.stage;
    let (endpoint, webhook) = stage.webhook("/failing").await;
    scene.broker.silence(&scene.queue("wait.1s")).await;
    endpoint.answer((0..FAILURES).map(|_| Reply::status(503)).chain([Reply::ok()]));

    let events = stage.published(2 * FAILURES).await;

    stage
        .brand
        .wait_listed(&webhook, "status=delivered", &e2e::event::ids(&events), crate::LONG_PATIENCE)
        .await;
    // The queue answers again because it was deleted and declared, so that the next failure comes back
    // through it.
    e2e::poll::eventually("a new delay queue", crate::LONG_PATIENCE, async || {
        let log = stage.platform.deliverers[0].log();
        if log.contains("making it anew") { Ok(()) } else { Err("it was not recreated".to_owned()) }
    })
    .await;
    stage.one_more(&webhook).await;
}

#[tokio::test]
async fn a_silent_queue_of_refused_messages_holds_up_no_event_and_no_refused_message_is_lost() {
    let scene = Scene::set(|platform| platform).await;
    let stage = &scene.stage;
    let (endpoint, _) = stage.webhook("/hook").await;
    let queue = scene.queue("rejected");
    scene.broker.silence(&queue).await;

    for number in 0..50 {
        let body = format!("not JSON {number}");
        stage.platform.producer().await.raw("SOME.KEY", body.as_bytes(), None).await.expect("a confirm");
        let event = Event::sms("acme");
        stage.publish(&event).await;
        endpoint
            .wait_until("events arrive all along", PASSED_BY, |all| {
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
    stage.publish(&behind).await;
    endpoint.wait_for_event(behind.id()).await;

    scene.broker.wake(&queue).await;
    let items = wait_rejected(&stage.brand.support, 51).await;
    let of = |reason: &str| items.iter().filter(|item| item["reason"] == reason).count();
    assert_eq!((of("invalid_json"), of("unreadable")), (50, 1), "{items:#?}");
}

#[tokio::test]
async fn events_are_led_past_a_silent_queue_and_those_in_it_arrive_once_it_answers() {
    let mut scene = Scene::set(|platform| platform).await;
    let (endpoint, _) = scene.stage.webhook("/hook").await;
    let queue = scene.queue("ingest");
    scene.stage.platform.routers[0].terminate().await;
    let before = Event::sms("acme");
    scene.stage.publish(&before).await;
    scene.broker.silence(&queue).await;
    scene.stage.platform.routers[0].start();

    // A producer republishes an event that is not confirmed.
    let during = Event::sms("acme");
    let producer = scene.stage.platform.producer().await;
    while producer.try_publish(&during).await.is_err() {}
    endpoint.wait_for_event(during.id()).await;

    scene.broker.wake(&queue).await;
    endpoint.wait_for_event(before.id()).await;
    let after = Event::sms("acme");
    scene.stage.publish(&after).await;
    endpoint.wait_for_event(after.id()).await;
}

#[tokio::test]
async fn a_silent_queue_of_unrouted_deliveries_holds_up_nobody() {
    let scene = Scene::set(|platform| platform).await;
    let stage = &scene.stage;
    let (endpoint, webhook) = stage.webhook("/hook").await;
    let (other, _) = stage.webhook("/other").await;
    scene.broker.silence(&scene.queue("unrouted")).await;
    stage.platform.rabbit().await.delete_queue(&format!("webhook.{}", webhook.id)).await;

    for _ in 0..3 {
        let event = Event::sms("acme");
        stage.publish(&event).await;
        for endpoint in [&other, &endpoint] {
            endpoint
                .wait_until("events arrive all along", PASSED_BY, |all| {
                    all.iter().any(|request| request.event_id() == event.id())
                })
                .await;
        }
    }
}

/// RabbitMQ writes this header itself when it moves a message, and 3.10 fails on some forms of it, which ends
/// dead-lettering with confirms for all queues of the node.
#[tokio::test]
async fn malformed_headers_of_the_broker_s_own_stop_no_retry_and_no_new_webhook() {
    let mut scene = Scene::set(|platform| platform.retries("1s")).await;
    let (before, _) = scene.stage.webhook("/before").await;
    let platform = &mut scene.stage.platform;
    platform.routers[0].terminate().await;
    let ingest = format!("{}.ingest", platform.namespace);
    let number = [b"I".as_slice(), &5_u32.to_be_bytes()].concat();
    let table = |fields: &[Vec<u8>]| [b"F".to_vec(), long(&fields.concat())].concat();
    let text = |name: &[u8], text: &[u8]| header(name, &[b"S".to_vec(), long(text)].concat());
    let known = [text(b"queue", ingest.as_bytes()), text(b"reason", b"expired")];
    let odd_count = [known.to_vec(), vec![text(b"count", b"x")]].concat();
    for deaths in [number.clone(), [table(&known), number].concat(), table(&odd_count)] {
        let event = Event::sms("acme");
        let message = RawMessage::new(event.event_type.as_bytes(), event.body().as_bytes());
        let deaths = header(b"x-death", &[b"A".to_vec(), long(&deaths)].concat());
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

    let (endpoint, webhook) = scene.stage.webhook("/flaky").await;
    endpoint.answer([Reply::status(503), Reply::ok()]);
    let event = Event::sms("acme");
    scene.stage.publish(&event).await;
    let attempts = scene.stage.brand.wait_attempts(&webhook, event.id(), 2).await;
    assert_eq!(attempts[1]["outcome"], "delivered", "its retry came back");
    let (other, _) = scene.stage.webhook("/new").await;
    let event = Event::sms("acme");
    scene.stage.publish(&event).await;
    other.wait_for_event(event.id()).await;
}
