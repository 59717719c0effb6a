//! Everything that exists in the broker, as one table, declared by whoever needs it.
//!
//! All queues are quorum queues: retries through classic ones lose messages by the thousand when
//! the broker dies. What they dead-letter to has an alternate exchange, so that no message is ever
//! unroutable, for those would stall every retry behind them.

use std::time::Duration;

use domain::ids::WebhookId;
use domain::retry::WaitLadder;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

use crate::channels::Channels;
use crate::error::BrokerError;
use crate::link::{Link, OPERATION};
use crate::names::Namespace;

/// How often a message may come back unacknowledged before the broker drops it. Losing a connection
/// is no reason to lose a message; RabbitMQ 4 would drop after 20 unless told otherwise.
const DELIVERY_LIMIT: i64 = 1_000_000;

/// Changes at once. With eight, RabbitMQ 3.10 answered 174 of 10,000 new quorum queues with `cluster_not_formed`,
/// closed the connection over it, and kept queues that crashed whoever subscribed to them.
const AT_ONCE: usize = 1;
/// Looks at once: they change nothing.
const LOOKS: usize = 8;

/// How soon after a queue is gone it may be declared again. RabbitMQ tells those who consumed it 30 ms after (3.10, busy
/// or not). When there is one of the name by then, it subscribes them to that instead of ending their subscription,
/// forgets it over that, and what the queue hands out to them never arrives.
const FAREWELL: Duration = Duration::from_millis(100);
/// How often it is looked, after as long each, whether someone else has declared it.
const OTHERS_FIRST: usize = 10;

/// One row of the table.
enum Object {
    Exchange { name: String, kind: ExchangeKind, alternate: Option<String> },
    Queue { name: String, kind: QueueKind },
    Binding { exchange: String, queue: String, key: String },
}

/// The kinds of queues that there are.
#[derive(Clone)]
enum QueueKind {
    /// Several consumers compete.
    Shared,
    /// One consumer at a time; the next takes over when its connection dies.
    SingleActive,
    /// No consumer: everything leaves for `to` after `delay`.
    Wait { delay: Duration, to: String },
}

/// The topology of one namespace.
#[derive(Debug, Clone)]
pub struct Topology {
    link: Link,
    names: Namespace,
    ladder: Option<WaitLadder>,
    changes: Channels,
    looks: Channels,
}

impl Topology {
    /// The topology, declared over `link`. Who delivers gives the ladder of its wait queues.
    #[must_use]
    pub fn new(link: Link, names: Namespace, ladder: Option<WaitLadder>) -> Self {
        let channels = |at_once| Channels::new(link.clone(), at_once);
        Self { changes: channels(AT_ONCE), looks: channels(LOOKS), link, names, ladder }
    }

    /// Declares all that is not of a single webhook. Declaring what is there changes nothing.
    ///
    /// # Errors
    /// When the broker fails, or holds something of the same name and another kind.
    pub async fn declare(&self) -> Result<(), BrokerError> {
        self.declare_all(&self.table()).await
    }

    /// Declares the queue of a webhook.
    ///
    /// # Errors
    /// When the broker fails.
    pub async fn declare_webhook(&self, id: WebhookId) -> Result<(), BrokerError> {
        let queue = self.names.webhook(id);
        let binding =
            Object::Binding { exchange: self.names.deliveries(), queue: queue.clone(), key: id.to_string() };
        self.declare_all(&[Object::Queue { name: queue, kind: QueueKind::SingleActive }, binding]).await
    }

    /// Declares the queue of a webhook unless it is there, which costs a third to find out. Whether it is bound
    /// is told by what is sent to it: where that is unrouted, the queue is declared.
    ///
    /// # Errors
    /// When the broker fails.
    pub async fn ensure_webhook(&self, id: WebhookId) -> Result<(), BrokerError> {
        match self.depth(&self.names.webhook(id)).await? {
            Some(_) => Ok(()),
            None => self.declare_webhook(id).await,
        }
    }

    /// Declares the queue of a webhook that may have lost it a moment ago, or was created a moment ago: whoever
    /// consumes it declares it, too, and is given a second to do so. A queue is seen before it is whole, and RabbitMQ
    /// 3.10 closes the connection of who subscribes to it then.
    ///
    /// # Errors
    /// When the broker fails.
    pub async fn declare_webhook_again(&self, id: WebhookId) -> Result<(), BrokerError> {
        let queue = self.names.webhook(id);
        for _ in 0..OTHERS_FIRST {
            if self.depth(&queue).await?.is_some() {
                break;
            }
            tokio::time::sleep(FAREWELL).await;
        }
        self.declare_webhook(id).await
    }

    /// Deletes the queue of a webhook with all that is in it; the caller has settled that.
    ///
    /// # Errors
    /// When the broker fails.
    pub async fn delete_webhook(&self, id: WebhookId) -> Result<(), BrokerError> {
        let queue = self.names.webhook(id);
        self.with_channel(async |channel| {
            channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.map(|_| ())
        })
        .await
    }

    /// Messages that are ready in a queue; `None` when there is no such queue.
    ///
    /// # Errors
    /// When the broker fails.
    pub async fn depth(&self, queue: &str) -> Result<Option<u32>, BrokerError> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let looking = self.looks.run(OPERATION, "look for a queue", async |channel| {
            channel
                .queue_declare(queue.into(), options, FieldTable::default())
                .await
                .map(|queue| queue.message_count())
        });
        match looking.await {
            Ok(messages) => Ok(Some(messages)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks the broker whether it is there.
    ///
    /// # Errors
    /// When it is not.
    pub async fn ping(&self) -> Result<(), BrokerError> {
        self.link.ping().await
    }

    fn table(&self) -> Vec<Object> {
        let names = &self.names;
        let exchange = |name, kind, alternate| Object::Exchange { name, kind, alternate };
        let shared = |name| Object::Queue { name, kind: QueueKind::Shared };
        let bind = |exchange, queue, key: &str| Object::Binding { exchange, queue, key: key.to_owned() };
        let mut table = vec![
            // Plain, so that a producer who declares it as the contract says agrees with us.
            exchange(names.events(), ExchangeKind::Topic, None),
            exchange(names.notices(), ExchangeKind::Topic, None),
            exchange(names.unrouted(), ExchangeKind::Fanout, None),
            exchange(names.deliveries(), ExchangeKind::Direct, Some(names.unrouted())),
            shared(names.router()),
            shared(names.rejected()),
            shared(names.unrouted()),
            bind(names.events(), names.router(), "#"),
            bind(names.unrouted(), names.unrouted(), ""),
        ];
        for delay in self.ladder.iter().flat_map(WaitLadder::steps) {
            let name = names.wait(*delay);
            // Fanout, so that the routing key is free to be the webhook's id, which dead-lettering keeps.
            table.push(exchange(name.clone(), ExchangeKind::Fanout, None));
            let kind = QueueKind::Wait { delay: *delay, to: names.deliveries() };
            table.push(Object::Queue { name: name.clone(), kind });
            table.push(bind(name.clone(), name, ""));
        }
        table
    }

    async fn declare_all(&self, objects: &[Object]) -> Result<(), BrokerError> {
        self.with_channel(async |channel| {
            for object in objects {
                declare(channel, object).await?;
            }
            Ok(())
        })
        .await
    }

    /// Runs a step when its turn comes.
    async fn with_channel<T>(
        &self,
        step: impl AsyncFnOnce(&Channel) -> lapin::Result<T>,
    ) -> Result<T, BrokerError> {
        self.changes.run(OPERATION, "change the topology", step).await
    }
}

async fn declare(channel: &Channel, object: &Object) -> lapin::Result<()> {
    match object {
        Object::Exchange { name, kind, alternate } => {
            let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
            let mut arguments = FieldTable::default();
            if let Some(alternate) = alternate {
                arguments.insert("alternate-exchange".into(), long_string(alternate));
            }
            channel.exchange_declare(name.as_str().into(), kind.clone(), options, arguments).await
        }
        Object::Queue { name, kind } => {
            let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(name.as_str().into(), options, kind.arguments()).await.map(|_| ())
        }
        Object::Binding { exchange, queue, key } => {
            let (queue, exchange, key) =
                (queue.as_str().into(), exchange.as_str().into(), key.as_str().into());
            channel.queue_bind(queue, exchange, key, QueueBindOptions::default(), FieldTable::default()).await
        }
    }
}

impl QueueKind {
    fn arguments(&self) -> FieldTable {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), long_string("quorum"));
        match self {
            Self::Shared => {
                arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT));
            }
            Self::SingleActive => {
                arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT));
                arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
            }
            Self::Wait { delay, to } => {
                arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT));
                let millis = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
                arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(millis));
                arguments.insert("x-dead-letter-exchange".into(), long_string(to));
                arguments.insert("x-dead-letter-strategy".into(), long_string("at-least-once"));
                arguments.insert("x-overflow".into(), long_string("reject-publish"));
            }
        }
        arguments
    }
}

fn long_string(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}
