//! Queries of the broker, and the removal of a test's namespace.

use std::time::Duration;

use lapin::message::BasicGetMessage;
use lapin::options::{
    BasicGetOptions, BasicNackOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

use crate::WAIT_TIMEOUT;
use crate::poll::eventually;

/// The queue from which the routers take events, below the namespace.
pub const INGEST_QUEUE: &str = "ingest";
/// The queue of messages that the router rejected, below the namespace.
pub const REJECTED_QUEUE: &str = "rejected";

/// The exchanges and queues of a namespace, without the ones of its delays and webhooks.
const FIXED_NAMES: [&str; 11] = [
    "events",
    INGEST_QUEUE,
    "ingest.spare",
    "quarantine",
    "probe",
    "router",
    REJECTED_QUEUE,
    "deliveries",
    "unrouted",
    "notices",
    "backlog",
];

/// A message that was taken from a queue.
#[derive(Debug)]
pub struct TakenMessage {
    /// The body.
    pub body: Vec<u8>,
    /// Its properties.
    pub properties: BasicProperties,
}

impl TakenMessage {
    /// A header as text.
    ///
    /// # Panics
    /// When it is missing or not text.
    #[must_use]
    pub fn header(&self, name: &str) -> String {
        let headers = self.properties.headers().as_ref().expect("headers");
        match headers.inner().get(name) {
            Some(AMQPValue::LongString(text)) => text.to_string(),
            Some(AMQPValue::ShortString(text)) => text.to_string(),
            other => panic!("header {name} is {other:?}"),
        }
    }
}

/// A queue of the test's own, bound to an exchange; it is deleted with the connection.
#[derive(Debug)]
pub struct BoundQueue {
    channel: Channel,
    queue: String,
}

impl BoundQueue {
    /// Waits for the next message.
    pub async fn next_message(&self) -> TakenMessage {
        take_message(&self.channel, &self.queue).await
    }
}

/// Takes the next message of a queue, waiting for it.
async fn take_message(channel: &Channel, queue: &str) -> TakenMessage {
    let delivery = get_message(channel, queue, true).await.delivery;
    TakenMessage { body: delivery.data, properties: delivery.properties }
}

async fn get_message(channel: &Channel, queue: &str, no_ack: bool) -> BasicGetMessage {
    let options = BasicGetOptions { no_ack };
    eventually(&format!("a message in {queue}"), WAIT_TIMEOUT, async || {
        let got = channel.basic_get(queue.into(), options).await.map_err(|e| e.to_string())?;
        got.ok_or_else(|| "it is empty".to_owned())
    })
    .await
}

/// A connection to the broker for looking into a namespace.
#[derive(Debug)]
pub struct Rabbit {
    connection: Connection,
    namespace: String,
}

impl Rabbit {
    /// Connects.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn connect(amqp_url: &str, namespace: &str) -> Result<Self, lapin::Error> {
        let connection = Connection::connect(amqp_url, ConnectionProperties::default()).await?;
        Ok(Self { connection, namespace: namespace.to_owned() })
    }

    /// Opens a channel for one query, because a look at a missing queue closes the channel.
    async fn open_channel(&self) -> Channel {
        self.connection.create_channel().await.expect("a channel")
    }

    fn full_name(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.namespace)
    }

    /// Returns the number of ready messages in `{namespace}.{queue}`; `None` when there is no such queue.
    pub async fn queue_depth(&self, queue: &str) -> Option<u32> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let name = self.full_name(queue).into();
        let declared = self.open_channel().await.queue_declare(name, options, FieldTable::default()).await;
        declared.ok().map(|queue| queue.message_count())
    }

    /// Waits until `{namespace}.{queue}` holds this number of messages.
    ///
    /// RabbitMQ says 0, too, when a quorum queue does not answer within a quarter of a second. So 0 has to be seen twice.
    pub async fn wait_queue_depth(&self, queue: &str, messages: u32) {
        let what = format!("{} has {messages} messages", self.full_name(queue));
        eventually(&what, WAIT_TIMEOUT, async || {
            let depth = self.queue_depth(queue).await;
            let is_sure = depth != Some(0) || self.queue_depth(queue).await == depth;
            if depth == Some(messages) && is_sure { Ok(()) } else { Err(format!("{depth:?}")) }
        })
        .await;
    }

    /// Waits until `{namespace}.{queue}` holds messages, and returns their number.
    pub async fn wait_messages(&self, queue: &str) -> u32 {
        eventually(&format!("{} has messages", self.full_name(queue)), WAIT_TIMEOUT, async || {
            match self.queue_depth(queue).await {
                Some(depth) if depth > 0 => Ok(depth),
                other => Err(format!("{other:?}")),
            }
        })
        .await
    }

    /// Waits for the next message of `{namespace}.{queue}`, and takes it.
    pub async fn take_message(&self, queue: &str) -> TakenMessage {
        take_message(&self.open_channel().await, &self.full_name(queue)).await
    }

    /// Takes the next message of `{namespace}.{queue}`, requeues it, and waits until the queue holds it again.
    ///
    /// # Panics
    /// When the broker does not take it back.
    pub async fn requeue_next(&self, queue: &str) {
        self.requeue_ready(queue).await;
        self.wait_queue_depth(queue, 1).await;
    }

    /// Takes the next message and requeues it without waiting, because the broker may move a message that
    /// was returned too often.
    ///
    /// # Panics
    /// When the broker does not take it back.
    pub async fn requeue_ready(&self, queue: &str) {
        let channel = self.open_channel().await;
        let message = get_message(&channel, &self.full_name(queue), false).await;
        let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
        message.delivery.nack(options).await.expect("the message is requeued");
    }

    /// Receives from now on the messages that are published to the exchange `{namespace}.{exchange}` with
    /// this key.
    ///
    /// # Panics
    /// When there is no such exchange.
    pub async fn bind_queue(&self, exchange: &str, key: &str) -> BoundQueue {
        let channel = self.open_channel().await;
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let queue = channel.queue_declare("".into(), options, FieldTable::default()).await.expect("a queue");
        let queue = queue.name().to_string();
        let exchange = self.full_name(exchange);
        let options = QueueBindOptions::default();
        let none = FieldTable::default();
        let bound =
            channel.queue_bind(queue.as_str().into(), exchange.into(), key.into(), options, none).await;
        bound.expect("an exchange to bind to");
        BoundQueue { channel, queue }
    }

    /// Declares a classic queue in the namespace, which conflicts with the platform's declaration.
    ///
    /// # Panics
    /// When the broker refuses.
    pub async fn declare_classic(&self, queue: &str) {
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let name = self.full_name(queue).into();
        let declared = self.open_channel().await.queue_declare(name, options, FieldTable::default()).await;
        declared.expect("a queue");
    }

    /// Deletes a queue of the namespace, if it exists.
    pub async fn delete_queue(&self, queue: &str) {
        let name = self.full_name(queue).into();
        if let Ok(channel) = self.connection.create_channel().await {
            let _ = channel.queue_delete(name, QueueDeleteOptions::default()).await;
        }
    }

    /// Removes a binding in the namespace, as after the death of a process before it was created.
    ///
    /// # Panics
    /// When the broker refuses.
    pub async fn unbind_queue(&self, exchange: &str, queue: &str, key: &str) {
        let queue = self.full_name(queue).into();
        let exchange = self.full_name(exchange).into();
        let unbound =
            self.open_channel().await.queue_unbind(queue, exchange, key.into(), FieldTable::default()).await;
        unbound.expect("the binding is removed");
    }

    async fn delete_exchange(&self, exchange: &str) {
        let name = self.full_name(exchange).into();
        if let Ok(channel) = self.connection.create_channel().await {
            let _ = channel.exchange_delete(name, ExchangeDeleteOptions::default()).await;
        }
    }

    /// Deletes everything that a test's services declared, as far as names are known; `extra` are the names
    /// of its webhooks and delays. Nothing else may use the namespace any more.
    pub async fn remove_namespace(&self, extra: &[String]) {
        for name in FIXED_NAMES.into_iter().chain(extra.iter().map(String::as_str)) {
            // A broker of the test's own may close the connection when it stops.
            if !self.connection.status().connected() {
                return;
            }
            self.delete_queue(name).await;
            self.delete_exchange(name).await;
        }
        let _ = tokio::time::timeout(Duration::from_secs(2), self.connection.close(0, "done".into())).await;
    }
}
