//! Everything that exists in the broker, as one table, declared by whoever needs it.
//!
//! All queues are quorum queues: retries through classic ones lose messages by the thousand when
//! the broker dies. What they dead-letter to has an alternate exchange, so that no message is ever
//! unroutable, for those would stall every retry behind them.

use std::time::Duration;

use domain::ids::WebhookId;
use domain::retry::WaitLadder;
use lapin::options::{
    BasicGetOptions, BasicNackOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

use crate::channels::Channels;
use crate::error::BrokerError;
use crate::link::{Link, OPERATION};
use crate::names::Namespace;

/// Limit of returns for queues that only we publish to. Losing a connection is no reason to lose a message;
/// RabbitMQ 4 would drop one after 20 returns unless told otherwise.
const DELIVERY_LIMIT: i64 = 1_000_000;
/// Limit of returns for a queue that producers publish to. A message that was returned this often is one that its
/// consumer dies of: RabbitMQ moves it to the quarantine. A lost connection counts for all messages in hand, so the
/// limit is well above the number of connections that a message is likely to see fail.
pub const INGEST_DELIVERY_LIMIT: i64 = 50;
/// Limit of returns for the quarantine. Its consumer handles messages a few at a time, so that few are in hand when
/// one of them kills it; it gives back what it cannot pass on for half a minute, for an hour of which this suffices.
const QUARANTINE_DELIVERY_LIMIT: i64 = 100;

/// Binding key of a topic exchange that matches every routing key.
const ALL_TYPES: &str = "#";

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
    /// Several consumers compete; the broker moves a message that expired, that was returned more than `limit` times or that
    /// the consumer refused to the exchange `to`.
    WithWayOut { limit: i64, to: String },
    /// One consumer at a time; the next takes over when its connection dies.
    SingleActive,
    /// No consumer: everything leaves for `to` after `delay`.
    Wait { delay: Duration, to: String },
}

/// Which of the two queues takes events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intake {
    /// [`Namespace::ingest`], as long as it stores messages.
    Main,
    /// [`Namespace::ingest_spare`].
    Spare,
}

/// What the broker tells of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueState {
    /// Messages that are ready to be handed out.
    pub messages: u32,
    /// Consumers that subscribed to it.
    pub consumers: u32,
}

/// The topology of one namespace.
#[derive(Debug, Clone)]
pub struct Topology {
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
        Self { changes: channels(AT_ONCE), looks: channels(LOOKS), names, ladder }
    }

    /// Declares all that is not of a single webhook. Declaring what is there changes nothing.
    ///
    /// # Errors
    /// When the broker fails, or holds something of the same name and another kind.
    pub async fn declare(&self) -> Result<(), BrokerError> {
        self.declare_all(&self.table()).await
    }

    /// Declares the same but for the binding that leads events to [`Namespace::ingest`]: the routers may have led
    /// them to its spare meanwhile.
    ///
    /// # Errors
    /// As [`Self::declare`].
    pub async fn declare_again(&self) -> Result<(), BrokerError> {
        let mut table = self.table();
        let events = self.names.events();
        table.retain(|object| !matches!(object, Object::Binding { exchange, .. } if *exchange == events));
        self.declare_all(&table).await
    }

    /// Leads events to one of the two queues that take them, and then no longer to the other. In between both take
    /// them, so that no event finds none; an event in both is stored once.
    ///
    /// # Errors
    /// When the broker fails; then both may take them.
    pub async fn lead_events(&self, to: Intake) -> Result<(), BrokerError> {
        let (used, unused) = match to {
            Intake::Main => (self.names.ingest(), self.names.ingest_spare()),
            Intake::Spare => (self.names.ingest_spare(), self.names.ingest()),
        };
        let events = self.names.events();
        let binding = Object::Binding { exchange: events.clone(), queue: used, key: ALL_TYPES.to_owned() };
        self.with_channel(async |channel| {
            declare(channel, &binding).await?;
            unbind(channel, &events, &unused).await?;
            // Another router may have led events the other way meanwhile: with a binding as the last step of each,
            // one of the two is there in the end.
            declare(channel, &binding).await
        })
        .await
    }

    /// Leads no more events to [`Namespace::legacy_router`], which a process of an earlier version that still runs may have
    /// bound again. Whether that queue is there.
    ///
    /// # Errors
    /// When the broker fails.
    pub async fn retire_legacy_router(&self) -> Result<bool, BrokerError> {
        let (events, queue) = (self.names.events(), self.names.legacy_router());
        if self.look(&queue).await?.is_none() {
            return Ok(false);
        }
        self.with_channel(async |channel| unbind(channel, &events, &queue).await).await?;
        Ok(true)
    }

    /// Whether [`Namespace::legacy_router`] is empty and nobody consumes it. Its leader itself has to say so: a queue
    /// whose leader is away looks empty.
    ///
    /// # Errors
    /// When the broker fails or does not answer.
    pub async fn is_legacy_router_empty(&self) -> Result<bool, BrokerError> {
        let queue = self.names.legacy_router();
        if self.look(&queue).await?.is_none_or(|state| state.consumers > 0) {
            return Ok(false);
        }
        self.with_channel(async |channel| {
            match channel.basic_get(queue.as_str().into(), BasicGetOptions::default()).await? {
                None => Ok(true),
                Some(message) => {
                    let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
                    message.delivery.nack(options).await.map(|_| false)
                }
            }
        })
        .await
    }

    /// Deletes [`Namespace::legacy_router`], which [`Self::is_legacy_router_empty`]. An event that reaches it at this
    /// moment is in [`Namespace::ingest`] too, which was bound before.
    ///
    /// # Errors
    /// When the broker fails.
    pub async fn delete_legacy_router(&self) -> Result<(), BrokerError> {
        self.delete(&self.names.legacy_router()).await
    }

    /// Deletes the wait queue of a delay with all that is in it, and declares it again. What was in it is in the
    /// database, with the time at which it is due.
    ///
    /// # Errors
    /// When the broker fails.
    pub async fn recreate_wait_queue(&self, delay: Duration) -> Result<(), BrokerError> {
        self.delete(&self.names.wait(delay)).await?;
        self.declare_again().await
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
        self.delete(&self.names.webhook(id)).await
    }

    async fn delete(&self, queue: &str) -> Result<(), BrokerError> {
        self.with_channel(async |channel| {
            channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.map(|_| ())
        })
        .await
    }

    /// Messages that are ready in a queue; `None` when there is no such queue.
    ///
    /// # Errors
    /// When the broker fails.
    pub async fn depth(&self, queue: &str) -> Result<Option<u32>, BrokerError> {
        Ok(self.look(queue).await?.map(|state| state.messages))
    }

    /// What the broker tells of a queue without waiting for it; `None` when there is no such queue. A queue none of
    /// whose members is up looks empty.
    ///
    /// # Errors
    /// When the broker fails.
    pub async fn look(&self, queue: &str) -> Result<Option<QueueState>, BrokerError> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let looking = self.looks.run(OPERATION, "look for a queue", async |channel| {
            channel.queue_declare(queue.into(), options, FieldTable::default()).await.map(|queue| {
                QueueState { messages: queue.message_count(), consumers: queue.consumer_count() }
            })
        });
        match looking.await {
            Ok(state) => Ok(Some(state)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The names of this topology.
    #[must_use]
    pub fn names(&self) -> &Namespace {
        &self.names
    }

    /// The delays of its wait queues.
    #[must_use]
    pub fn delays(&self) -> &[Duration] {
        self.ladder.as_ref().map_or(&[], WaitLadder::steps)
    }

    fn table(&self) -> Vec<Object> {
        let names = &self.names;
        let exchange = |name, kind, alternate| Object::Exchange { name, kind, alternate };
        let shared = |name| Object::Queue { name, kind: QueueKind::Shared };
        let with_way_out =
            |name, limit, to| Object::Queue { name, kind: QueueKind::WithWayOut { limit, to } };
        let bind = |exchange, queue, key: &str| Object::Binding { exchange, queue, key: key.to_owned() };
        let mut table = vec![
            // Plain, so that a producer who declares it as the contract says agrees with us.
            exchange(names.events(), ExchangeKind::Topic, None),
            exchange(names.notices(), ExchangeKind::Topic, None),
            exchange(names.unrouted(), ExchangeKind::Fanout, None),
            exchange(names.deliveries(), ExchangeKind::Direct, Some(names.unrouted())),
            exchange(names.rejected(), ExchangeKind::Fanout, None),
            exchange(names.quarantine(), ExchangeKind::Fanout, None),
            exchange(names.ingest(), ExchangeKind::Direct, None),
            exchange(names.probe(), ExchangeKind::Fanout, None),
            shared(names.rejected()),
            bind(names.rejected(), names.rejected(), ""),
            with_way_out(names.quarantine(), QUARANTINE_DELIVERY_LIMIT, names.rejected()),
            bind(names.quarantine(), names.quarantine(), ""),
            with_way_out(names.ingest(), INGEST_DELIVERY_LIMIT, names.quarantine()),
            bind(names.ingest(), names.ingest(), &names.ingest()),
            bind(names.events(), names.ingest(), ALL_TYPES),
            with_way_out(names.ingest_spare(), INGEST_DELIVERY_LIMIT, names.quarantine()),
            bind(names.ingest(), names.ingest_spare(), &names.ingest_spare()),
            shared(names.unrouted()),
            bind(names.unrouted(), names.unrouted(), ""),
            shared(names.probe()),
            bind(names.probe(), names.probe(), ""),
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

async fn unbind(channel: &Channel, exchange: &str, queue: &str) -> lapin::Result<()> {
    channel.queue_unbind(queue.into(), exchange.into(), ALL_TYPES.into(), FieldTable::default()).await
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
            Self::WithWayOut { limit, to } => {
                arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(*limit));
                // Without a confirm. RabbitMQ 3.10's dead-lettering with confirms dies of a header `x-death` that a
                // producer malformed: for all queues of the node, and again at each start. Nothing of ours depends on
                // it, because what the router refuses is published to where it goes.
                arguments.insert("x-dead-letter-exchange".into(), long_string(to));
            }
            Self::Wait { delay, to } => {
                arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT));
                let millis = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
                arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(millis));
                dead_letter(&mut arguments, to);
            }
        }
        arguments
    }
}

/// Has what leaves a queue published to an exchange with a confirm before it is forgotten. RabbitMQ does that only
/// for a queue that refuses messages when it is full; without a length limit none ever is. For queues that only we
/// publish to.
fn dead_letter(arguments: &mut FieldTable, to: &str) {
    arguments.insert("x-dead-letter-exchange".into(), long_string(to));
    arguments.insert("x-dead-letter-strategy".into(), long_string("at-least-once"));
    arguments.insert("x-overflow".into(), long_string("reject-publish"));
}

fn long_string(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}
