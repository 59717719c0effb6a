//! The bare hop through the broker, published with confirms, many in flight, consumed, acknowledged.

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
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer, ExchangeKind, PublisherConfirm,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::limit::Limit;
use crate::args::Args;
use crate::stage::Stage;
use crate::window::Latency;

/// Maximum number of messages in flight, the same as the router's batch.
const MAX_IN_FLIGHT: usize = 500;
/// Start of the measurement that does not count.
const WARM_UP: Duration = Duration::from_secs(1);

/// How a consumer prefetches and acknowledges messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taking {
    /// Messages that the broker delivers in advance.
    pub(super) prefetch: u16,
    /// Maximum number of messages in one acknowledgement.
    at_once: usize,
    /// How long an acknowledgement waits for others.
    linger: Duration,
}

impl Taking {
    /// The router's values.
    pub(super) const EVENTS: Self = Self { prefetch: 1000, at_once: 500, linger: Duration::ZERO };

    /// Returns values a little better than the deliverer's for a webhook's queue, which shares its channel.
    /// Each message is one delivery, whereas the deliverer's may hold several.
    pub(super) fn for_deliveries(max_concurrency: u16) -> Self {
        Self {
            prefetch: max_concurrency * 4,
            at_once: usize::from(max_concurrency) * 2,
            linger: Duration::from_millis(40),
        }
    }
}

/// Sends messages through `queues` quorum queues.
pub(super) async fn measure_throughput(
    stage: &Stage,
    args: &Args,
    name: &str,
    queues: u32,
    taking: Taking,
) -> Limit {
    let hop = Hop::declare(&stage.platform, name, queues).await;
    let room = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
    let done = Arc::new(AtomicUsize::new(0));
    let mut working = JoinSet::new();
    for consumer in hop.consume(taking.prefetch).await {
        working.spawn(acknowledge_all(consumer, taking, Arc::clone(&room), Arc::clone(&done)));
    }
    working.spawn(publish_all(hop.publisher().await, hop.clone(), vec![b'.'; args.bytes], Arc::clone(&room)));
    tokio::time::sleep(WARM_UP).await;
    let meter = stage.meter();
    let began = Instant::now();
    let count = done.load(Ordering::Relaxed);
    let before = meter.read_times();
    tokio::time::sleep(args.span()).await;
    let seconds = began.elapsed().as_secs_f64();
    let after = meter.read_times();
    let limit = Limit::from_readings(done.load(Ordering::Relaxed) - count, seconds, &before, &after);
    working.abort_all();
    hop.delete().await;
    limit
}

/// Sends messages through one quorum queue at the rate of the open loop, and measures the time from publish
/// to delivery.
pub(super) async fn measure_latency(stage: &Stage, args: &Args, name: &str) -> Latency {
    let hop = Hop::declare(&stage.platform, name, 1).await;
    let consumer = hop.consume(Taking::EVENTS.prefetch).await.remove(0);
    let publisher = hop.publisher().await;
    let began = Instant::now();
    let rate = args.rate.max(1);
    let number = rate * u32::try_from((WARM_UP + args.span()).as_secs()).expect("seconds");
    let publishing = async {
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
        let mut confirming = JoinSet::new();
        for _ in 0..number {
            ticks.tick().await;
            let mut body = began.elapsed().as_micros().to_string().into_bytes();
            body.resize(args.bytes.max(body.len()), b' ');
            let confirm = hop.send(&publisher, &hop.queues[0], &body).await;
            confirming.spawn(async move { assert!(confirm.await.expect("a confirm").is_ack()) });
        }
        confirming.join_all().await;
    };
    let (took, ()) = tokio::join!(receive_all(consumer, number, began), publishing);
    hop.delete().await;
    Latency::of(took)
}

/// Returns the times of the messages that were published after the warm-up.
async fn receive_all(mut consumer: Consumer, number: u32, began: Instant) -> Vec<Duration> {
    let mut took = Vec::new();
    for _ in 0..number {
        let delivery = consumer.next().await.expect("a message").expect("an open channel");
        let text = std::str::from_utf8(&delivery.data).expect("a published message");
        let sent = Duration::from_micros(text.trim_end().parse().expect("the time of its publish"));
        if sent > WARM_UP {
            took.push(began.elapsed().saturating_sub(sent));
        }
        delivery.ack(BasicAckOptions::default()).await.expect("an open channel");
    }
    took
}

/// An exchange with its queues, each bound with its own name as the key.
#[derive(Clone)]
pub(super) struct Hop {
    publishing: Arc<Connection>,
    consuming: Arc<Connection>,
    exchange: String,
    pub(super) queues: Vec<String>,
}

impl Hop {
    pub(super) async fn declare(platform: &Platform, name: &str, queues: u32) -> Self {
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
            let options = QueueBindOptions::default();
            let none = FieldTable::default();
            channel.queue_bind(queue.into(), exchange.into(), queue.into(), options, none).await?;
        }
        Ok(())
    }

    pub(super) async fn publisher(&self) -> Channel {
        let channel = self.publishing.create_channel().await.expect("a channel");
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
        channel
    }

    /// Consumes each queue on a channel of its own, because an acknowledgement of several messages covers a
    /// channel.
    pub(super) async fn consume(&self, prefetch: u16) -> Vec<Consumer> {
        let mut consumers = Vec::new();
        for queue in self.queues.iter().map(String::as_str) {
            let channel = self.consuming.create_channel().await.expect("a channel");
            channel.basic_qos(prefetch, BasicQosOptions::default()).await.expect("a prefetch");
            let options = BasicConsumeOptions::default();
            let none = FieldTable::default();
            consumers
                .push(channel.basic_consume(queue.into(), "".into(), options, none).await.expect("a queue"));
        }
        consumers
    }

    pub(super) async fn send(&self, channel: &Channel, queue: &str, body: &[u8]) -> PublisherConfirm {
        let properties = BasicProperties::default().with_delivery_mode(2);
        let exchange = self.exchange.as_str().into();
        let options = BasicPublishOptions::default();
        let sent = channel.basic_publish(exchange, queue.into(), options, body, properties).await;
        sent.expect("the broker accepts it")
    }

    pub(super) async fn delete(&self) {
        let channel = self.publishing.create_channel().await.expect("a channel");
        for queue in self.queues.iter().map(String::as_str) {
            let _ = channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await;
        }
        let _ =
            channel.exchange_delete(self.exchange.as_str().into(), ExchangeDeleteOptions::default()).await;
    }
}

async fn publish_all(channel: Channel, hop: Hop, body: Vec<u8>, room: Arc<Semaphore>) {
    let mut confirming = JoinSet::new();
    for queue in hop.queues.iter().map(String::as_str).cycle() {
        room.acquire().await.expect("it is never closed").forget();
        let confirm = hop.send(&channel, queue, &body).await;
        confirming.spawn(async move { assert!(confirm.await.expect("a confirm").is_ack()) });
        while confirming.try_join_next().is_some() {}
    }
}

async fn acknowledge_all(
    mut consumer: Consumer,
    taking: Taking,
    room: Arc<Semaphore>,
    done: Arc<AtomicUsize>,
) {
    while let Some(Ok(mut last)) = consumer.next().await {
        let mut taken = 1;
        let until = tokio::time::Instant::now() + taking.linger;
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
