//! A quorum queue that the broker has lost answers nothing. The platform recreates it from the database, and
//! meanwhile it holds up nobody else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::brand::Webhook;
use e2e::event::{Event, ids};
use e2e::platform::Platform;
use e2e::private_broker::PrivateBroker;
use e2e::receiver::{Endpoint, Received};

use crate::Stage;

/// Maximum delay of other deliveries. The router waits ten seconds for the queue's confirm, and five more
/// when it asks the queue separately, before it bypasses the queue.
const MAX_DELAY: Duration = Duration::from_secs(25);
/// How soon after the fault a silent queue is served again; overdue deliveries reveal it.
const REPAIR_TIMEOUT: Duration = Duration::from_secs(80);
/// More unrouted deliveries than the deliverer takes at once, eight in a message.
const WAITING: usize = 500;

/// Two webhooks that were served until one of their queues fell silent.
struct Scene {
    // Declared before the broker, so that it is dropped first and removes its queues.
    stage: Stage,
    broker: PrivateBroker,
    lost: (Endpoint, Webhook),
    other: (Endpoint, Webhook),
    published: BTreeSet<String>,
}

impl Scene {
    async fn new() -> Self {
        let broker = PrivateBroker::start().await;
        let stage = Stage::with_builder(Platform::builder().broker(&broker.url())).await;
        let lost = stage.create_webhook("/lost").await;
        let other = stage.create_webhook("/other").await;
        let mut scene = Self { stage, broker, lost, other, published: BTreeSet::new() };
        let first = scene.publish().await;
        scene.lost.0.wait_for_event(&first).await;
        scene.other.0.wait_for_event(&first).await;
        scene
    }

    fn queue_name(&self) -> String {
        format!("webhook.{}", self.lost.1.id)
    }

    async fn silence_queue(&self) {
        self.broker.silence_queue(&format!("{}.{}", self.stage.platform.namespace, self.queue_name())).await;
    }

    async fn publish(&mut self) -> String {
        let event = Event::sms("acme");
        self.stage.publish_event(&event).await;
        self.published.insert(event.id().to_owned());
        event.id().to_owned()
    }

    async fn publish_many(&mut self, number: usize) -> BTreeSet<String> {
        let events = Event::sms_batch("acme", number);
        self.stage.platform.producer().await.publish_all(&events).await;
        let ids = ids(&events);
        self.published.extend(ids.iter().cloned());
        ids
    }

    /// Publishes one event after the other, each as soon as the other webhook has the previous one, until the
    /// silent queue's webhook is served again.
    async fn publish_until_repaired(&mut self) {
        let began = Instant::now();
        let before = self.lost.0.requests().len();
        while self.lost.0.requests().len() == before {
            assert!(began.elapsed() < REPAIR_TIMEOUT, "not served again within {REPAIR_TIMEOUT:?}");
            let event = self.publish().await;
            let arrives = |all: &[Arc<Received>]| all.iter().any(|request| request.event_id() == event);
            self.other.0.wait_until("the other webhook is served all along", MAX_DELAY, arrives).await;
        }
    }

    /// Asserts that both webhooks received each published event once. An event that was queued again from the
    /// database and is also still in a queue is attempted once.
    async fn assert_nothing_lost(&self) {
        for (endpoint, webhook) in [&self.lost, &self.other] {
            self.stage.brand.wait_listed(webhook, "status=delivered", &self.published, REPAIR_TIMEOUT).await;
            let arrived: Vec<_> = endpoint.requests().iter().map(|request| request.event_id()).collect();
            assert_eq!(arrived.iter().cloned().collect::<BTreeSet<_>>(), self.published);
            assert_eq!(arrived.len(), self.published.len(), "some came twice");
        }
    }
}

/// As after `kill -9` of the broker, when router and deliverer come back to a queue without a leader.
#[tokio::test]
async fn a_queue_lost_between_two_subscriptions_is_recreated() {
    let mut scene = Scene::new().await;
    scene.stage.platform.deliverers[0].terminate().await;
    let waiting = scene.publish_many(WAITING).await;
    scene.stage.wait_queued(&scene.lost.1, &waiting).await;
    scene.silence_queue().await;

    scene.stage.platform.routers[0].start();
    scene.stage.platform.deliverers[0].start();

    scene.publish_until_repaired().await;
    scene.assert_nothing_lost().await;
}

/// The deliverer keeps its subscription, and receives no more messages over it.
#[tokio::test]
async fn a_queue_lost_under_a_subscription_is_recreated() {
    let mut scene = Scene::new().await;

    scene.silence_queue().await;

    scene.publish_until_repaired().await;
    scene.assert_nothing_lost().await;
}

/// RabbitMQ 3.10, killed in the second after it created a queue, forgets the place of the queue.
#[tokio::test]
async fn queues_created_just_before_a_broker_crash_are_recreated() {
    let mut scene = Scene::new().await;
    scene.publish_many(20).await;

    scene.broker.kill();
    scene.broker.restart().await;

    for (_, webhook) in [&scene.lost, &scene.other] {
        scene.stage.brand.wait_listed(webhook, "status=delivered", &scene.published, REPAIR_TIMEOUT).await;
    }
}
