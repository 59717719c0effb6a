//! Subscriptions whose queue is deleted under them and declared again, against a real broker.

mod support;

use std::time::Duration;

use broker::{Consumers, Ending, Namespace, Outgoing, Publisher, Route, Subscription, Topology};
use domain::ids::WebhookId;
use lapin::ExchangeKind;
use lapin::options::{ExchangeDeclareOptions, ExchangeDeleteOptions};
use lapin::types::FieldTable;

use support::Ground;

const PREFETCH: u16 = 10;
/// Longest wait for something that has to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A webhook's queue and who consumes it.
struct Scene {
    ground: Ground,
    exchange: String,
    topology: Topology,
    webhook: WebhookId,
    queue: String,
    consumers: Consumers,
    subscription: Subscription,
    publisher: Publisher,
}

impl Scene {
    async fn set() -> Self {
        let ground = Ground::find().await;
        let names: Namespace = ground.name.parse().expect("a namespace");
        let webhook = WebhookId(uuid::Uuid::new_v4());
        let (exchange, durable) =
            (names.deliveries(), ExchangeDeclareOptions { durable: true, ..Default::default() });
        let (kind, none) = (ExchangeKind::Direct, FieldTable::default());
        ground
            .channel
            .exchange_declare(exchange.as_str().into(), kind, durable, none)
            .await
            .expect("declared");
        let topology = Topology::new(ground.link(), names.clone(), None);
        topology.declare_webhook(webhook).await.expect("a queue");
        let (queue, consumers) = (names.webhook(webhook), Consumers::new(ground.link()));
        let subscription = consumers.subscribe(&queue, PREFETCH).await.expect("a queue");
        let publisher = Publisher::new(ground.link());
        let mut scene =
            Self { ground, exchange, topology, webhook, queue, consumers, subscription, publisher };
        scene.publish("first").await;
        assert_eq!(scene.next().await.as_deref(), Some("first"));
        scene
    }

    async fn publish(&self, body: &str) {
        let route = Route { exchange: "", key: &self.queue };
        self.publisher.publish(route, &Outgoing::new(body.into())).await.expect("confirmed");
    }

    /// What comes next and is acknowledged; `None` when the subscription has ended.
    async fn next(&mut self) -> Option<String> {
        let next = tokio::time::timeout(PATIENCE, self.subscription.next());
        let message = next.await.expect("a message or an end in time")?;
        message.ack();
        Some(String::from_utf8(message.body.clone()).expect("text"))
    }

    /// Waits until the broker has handed out all that is in the queue.
    async fn wait_handed_out(&self) {
        let handed_out = async {
            while self.topology.depth(&self.queue).await.expect("an answer") != Some(0) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, handed_out).await.expect("it is handed out in time");
    }

    async fn delete_queue(&self) {
        self.topology.delete_webhook(self.webhook).await.expect("it goes");
    }

    /// Takes everything away.
    async fn end(self) {
        self.delete_queue().await;
        let exchange = self.exchange.as_str().into();
        let deleted = self.ground.channel.exchange_delete(exchange, ExchangeDeleteOptions::default()).await;
        deleted.expect("it goes");
    }

    /// Subscribes to the queue that is there now: what the broker has for it comes.
    async fn comes_to_the_next(mut self, body: &str) {
        self.subscription = self.consumers.subscribe(&self.queue, PREFETCH).await.expect("a queue");
        assert_eq!(self.next().await.as_deref(), Some(body));
        self.end().await;
    }
}

#[tokio::test]
async fn a_queue_is_declared_again_after_those_who_consumed_it_know_that_it_went() {
    let mut scene = Scene::set().await;
    scene.delete_queue().await;
    scene.topology.declare_webhook_again(scene.webhook).await.expect("it is there again");

    scene.publish("second").await;
    assert_eq!(scene.next().await, None);
    scene.comes_to_the_next("second").await;
}

/// RabbitMQ takes such a subscription over to the new queue, and loses it: what it counts as handed out comes only
/// when the channel closes.
#[tokio::test]
async fn what_a_lost_subscription_was_handed_out_comes_to_the_next() {
    let scene = Scene::set().await;
    scene.delete_queue().await;
    scene.topology.declare_webhook(scene.webhook).await.expect("it is there again");
    scene.publish("second").await;
    scene.wait_handed_out().await;

    scene.subscription.end(Ending::Closed).await;
    scene.comes_to_the_next("second").await;
}
