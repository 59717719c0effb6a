//! The bare hop through the broker: published with confirms, many in flight, consumed, acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use e2e::platform::Platform;
use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer, ExchangeKind};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Limit;
use crate::args::Args;
use crate::stage::Stage;

/// Messages on their way at most: as many as the router's batch.
const ON_THE_WAY: usize = 500;
/// What is left out while things begin to flow.
const WARM_UP: Duration = Duration::from_secs(1);

/// How a consumer takes and acknowledges messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taking {
    /// Messages handed out ahead.
    prefetch: u16,
    /// Acknowledged at once at most.
    at_once: usize,
    /// How long an acknowledgement waits for others.
    linger: Duration,
}

impl Taking {
    /// As the router does.
    pub(super) const EVENTS: Self = Self { prefetch: 1000, at_once: 500, linger: Duration::ZERO };

    /// A little better than the deliverer does with a webhook's queue, whose channel has others.
    pub(super) fn deliveries(max_concurrency: u16) -> Self {
        Self {
            prefetch: max_concurrency * 4,
            at_once: usize::from(max_concurrency),
            linger: Duration::from_millis(20),
        }
    }
}

/// Sends messages through `queues` quorum queues.
pub(super) async fn measure(stage: &Stage, args: &Args, name: &str, queues: u32, taking: Taking) -> Limit {
    let hop = Hop::declare(&stage.platform, name, queues).await;
    let (room, done) = (Arc::new(Semaphore::new(ON_THE_WAY)), Arc::new(AtomicUsize::new(0)));
    let mut working = JoinSet::new();
    for consumer in hop.consume(taking.prefetch).await {
        working.spawn(acknowledge(consumer, taking, Arc::clone(&room), Arc::clone(&done)));
    }
    working.spawn(publish(hop.publisher().await, hop.clone(), vec![b'.'; args.bytes], Arc::clone(&room)));
    tokio::time::sleep(WARM_UP).await;
    let meter = stage.meter();
    let (began, count, before) = (Instant::now(), done.load(Ordering::Relaxed), meter.read());
    tokio::time::sleep(args.span()).await;
    let (seconds, after) = (began.elapsed().as_secs_f64(), meter.read());
    let limit = Limit::of(done.load(Ordering::Relaxed) - count, seconds, &before, &after);
    working.abort_all();
    hop.delete().await;
    limit
}

/// An exchange with its queues, each bound by its own name.
#[derive(Clone)]
struct Hop {
    publishing: Arc<Connection>,
    consuming: Arc<Connection>,
    exchange: String,
    queues: Vec<String>,
}

impl Hop {
    async fn declare(platform: &Platform, name: &str, queues: u32) -> Self {
        let connect = || async {
            let connection = Connection::connect(platform.amqp_url(), ConnectionProperties::default()).await;
            Arc::new(connection.expect("the broker"))
        };
        let exchange = format!("{}.{name}", platform.namespace);
        let queues: Vec<String> = (0..queues).map(|n| format!("{exchange}.{n}")).collect();
        let hop = Self { publishing: connect().await, consuming: connect().await, exchange, queues };
        hop.declare_all().await.expect("an exchange with its queues");
        hop
    }

    async fn declare_all(&self) -> lapin::Result<()> {
        let channel = self.publishing.create_channel().await?;
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let exchange = self.exchange.as_str();
        channel
            .exchange_declare(exchange.into(), ExchangeKind::Direct, durable, FieldTable::default())
            .await?;
        for queue in self.queues.iter().map(String::as_str) {
            let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            let mut arguments = FieldTable::default();
            arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
            channel.queue_declare(queue.into(), durable, arguments).await?;
            let (options, none) = (QueueBindOptions::default(), FieldTable::default());
            channel.queue_bind(queue.into(), exchange.into(), queue.into(), options, none).await?;
        }
        Ok(())
    }

    async fn publisher(&self) -> Channel {
        let channel = self.publishing.create_channel().await.expect("a channel");
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
        channel
    }

    /// Each on a channel of its own: what is acknowledged together is its own.
    async fn consume(&self, prefetch: u16) -> Vec<Consumer> {
        let mut consumers = Vec::new();
        for queue in self.queues.iter().map(String::as_str) {
            let channel = self.consuming.create_channel().await.expect("a channel");
            channel.basic_qos(prefetch, BasicQosOptions::default()).await.expect("a prefetch");
            let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
            consumers
                .push(channel.basic_consume(queue.into(), "".into(), options, none).await.expect("a queue"));
        }
        consumers
    }

    async fn delete(&self) {
        let channel = self.publishing.create_channel().await.expect("a channel");
        for queue in self.queues.iter().map(String::as_str) {
            let _ = channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await;
        }
        let _ =
            channel.exchange_delete(self.exchange.as_str().into(), ExchangeDeleteOptions::default()).await;
    }
}

async fn publish(channel: Channel, hop: Hop, body: Vec<u8>, room: Arc<Semaphore>) {
    let mut confirming = JoinSet::new();
    for queue in hop.queues.iter().map(String::as_str).cycle() {
        room.acquire().await.expect("it is never closed").forget();
        let properties = BasicProperties::default().with_delivery_mode(2);
        let (exchange, options) = (hop.exchange.as_str().into(), BasicPublishOptions::default());
        let sent = channel.basic_publish(exchange, queue.into(), options, &body, properties).await;
        let confirm = sent.expect("the broker takes it");
        confirming.spawn(async move { assert!(confirm.await.expect("a confirm").is_ack()) });
        while confirming.try_join_next().is_some() {}
    }
}

async fn acknowledge(mut consumer: Consumer, taking: Taking, room: Arc<Semaphore>, done: Arc<AtomicUsize>) {
    while let Some(Ok(mut last)) = consumer.next().await {
        let (mut taken, until) = (1, tokio::time::Instant::now() + taking.linger);
        while taken < taking.at_once
            && let Ok(Some(Ok(delivery))) = tokio::time::timeout_at(until, consumer.next()).await
        {
            (last, taken) = (delivery, taken + 1);
        }
        last.ack(BasicAckOptions { multiple: taken > 1 }).await.expect("an open channel");
        done.fetch_add(taken, Ordering::Relaxed);
        room.add_permits(taken);
    }
}
