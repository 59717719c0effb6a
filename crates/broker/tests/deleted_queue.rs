//! Subscriptions whose queue is deleted and declared again, against a real broker.

mod support;

use std::time::Duration;

use broker::{Consumers, Ending, Namespace, Outgoing, Publisher, Route, Subscription, Topology};
use domain::ids::WebhookId;
use lapin::ExchangeKind;
use lapin::options::{ExchangeDeclareOptions, ExchangeDeleteOptions};
use lapin::types::FieldTable;

use support::TestBroker;

const PREFETCH: u16 = 10;
/// Longest wait for a message or the end of a subscription.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a test tries to declare a queue before its deletion is known.
const MAX_ROUNDS: usize = 20;

/// A webhook's queue and its consumer.
struct WebhookQueue {
    broker: TestBroker,
    exchange: String,
    topology: Topology,
    webhook: WebhookId,
    queue: String,
    consumers: Consumers,
    subscription: Subscription,
    publisher: Publisher,
}

impl WebhookQueue {
    async fn create() -> Self {
        let broker = TestBroker::connect().await;
        let names: Namespace = broker.name.parse().expect("a namespace");
        let webhook = WebhookId(uuid::Uuid::new_v4());
        let exchange = names.deliveries_exchange();
        let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
        let kind = ExchangeKind::Direct;
        let none = FieldTable::default();
        broker
            .channel
            .exchange_declare(exchange.as_str().into(), kind, durable, none)
            .await
            .expect("declared");
        let topology = Topology::new(broker.new_link(), names.clone(), None);
        topology.declare_webhook_queue(webhook).await.expect("a queue");
        let queue = names.webhook_queue(webhook);
        let consumers = Consumers::new(broker.new_link());
        let subscription = consumers.subscribe(&queue, PREFETCH).await.expect("a queue");
        let publisher = Publisher::new(broker.new_link());
        let mut scene =
            Self { broker, exchange, topology, webhook, queue, consumers, subscription, publisher };
        scene.publish_body("first").await;
        assert_eq!(scene.next_body().await.as_deref(), Some("first"));
        scene
    }

    async fn publish_body(&self, body: &str) {
        let route = Route { exchange: "", key: &self.queue };
        self.publisher.publish(route, &Outgoing::new(body.into())).await.expect("confirmed");
    }

    /// Receives and acknowledges the next message; `None` when the subscription has ended.
    async fn next_body(&mut self) -> Option<String> {
        let next = tokio::time::timeout(MESSAGE_TIMEOUT, self.subscription.next());
        let message = next.await.expect("a message or an end in time")?;
        message.ack();
        Some(String::from_utf8(message.body.clone()).expect("text"))
    }

    /// Waits until RabbitMQ has delivered every message in the queue to the subscription. `false` if the subscription
    /// has ended instead.
    async fn is_delivered(&mut self) -> bool {
        let delivered = async {
            while self.topology.queue_depth(&self.queue).await.expect("an answer") != Some(0) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let delivered = async {
            tokio::select! {
                () = delivered => true,
                next = self.subscription.next() => {
                    assert!(next.is_none(), "the subscription is not lost");
                    false
                }
            }
        };
        tokio::time::timeout(MESSAGE_TIMEOUT, delivered).await.expect("the messages are delivered in time")
    }

    async fn delete_queue(&self) {
        self.topology.delete_webhook_queue(self.webhook).await.expect("deleted");
    }

    /// Deletes the queue and the exchange.
    async fn clean_up(self) {
        self.delete_queue().await;
        let exchange = self.exchange.as_str().into();
        let deleted = self.broker.channel.exchange_delete(exchange, ExchangeDeleteOptions::default()).await;
        deleted.expect("deleted");
    }

    /// Subscribes to the new queue, and checks that the next message has this body.
    async fn expect_after_resubscribing(mut self, body: &str) {
        self.subscription = self.consumers.subscribe(&self.queue, PREFETCH).await.expect("a queue");
        assert_eq!(self.next_body().await.as_deref(), Some(body));
        self.clean_up().await;
    }
}

#[tokio::test]
async fn a_queue_is_redeclared_only_after_its_consumers_know_that_it_was_deleted() {
    let mut scene = WebhookQueue::create().await;
    scene.delete_queue().await;
    scene.topology.redeclare_webhook_queue(scene.webhook).await.expect("declared again");

    scene.publish_body("second").await;
    assert_eq!(scene.next_body().await, None);
    scene.expect_after_resubscribing("second").await;
}

/// RabbitMQ attaches the old subscription to the new queue and then loses it. It requeues the messages that it counts
/// as delivered only when the channel closes.
#[tokio::test]
async fn messages_delivered_to_a_lost_subscription_come_to_the_next_one() {
    for _ in 0..MAX_ROUNDS {
        let mut scene = WebhookQueue::create().await;
        scene.delete_queue().await;
        scene.topology.declare_webhook_queue(scene.webhook).await.expect("declared again");
        scene.publish_body("second").await;
        // On a busy machine, RabbitMQ may tell the subscription of the deletion before the queue is declared again.
        if scene.is_delivered().await {
            scene.subscription.end(Ending::Closed).await;
            scene.expect_after_resubscribing("second").await;
            return;
        }
        scene.clean_up().await;
    }
    panic!("no subscription was lost");
}
