//! The topology: every exchange, queue and binding, declared by each process that needs them.
//!
//! [`table`] lists the objects that every namespace has; the queues of webhooks come and go with the webhooks. All
//! queues are quorum queues, because retries through classic queues lose messages by the thousand when RabbitMQ dies.
//! The exchange that delay queues dead-letter to has an alternate exchange, because an unroutable message would stall
//! every retry behind it.

mod legacy_queue;
mod table;

use std::time::Duration;

use domain::delivery::retry::DelayLevels;
use domain::ids::{BrandId, WebhookId};
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Channel, ExchangeKind};

use crate::connection::{ChannelPool, Link, OPERATION_TIMEOUT};
use crate::error::BrokerError;
use crate::names::Namespace;
pub use table::INGEST_DELIVERY_LIMIT;
use table::{ALL_TYPES, Object, QueueKind, declare_object, unbind_queue};

/// Topology changes in progress at once. With eight, RabbitMQ 3.10 answered 174 of 10,000 new quorum queues with
/// `cluster_not_formed`, closed the connection, and kept queues that crashed their subscribers.
const MAX_CONCURRENT_CHANGES: usize = 1;
/// Lookups in progress at once. More than one is safe because a lookup changes nothing.
const MAX_CONCURRENT_LOOKUPS: usize = 8;

/// Shortest time between the loss of a queue and its new declaration. RabbitMQ 3.10 tells the consumers of a deleted
/// queue 30 ms after the deletion, busy or not. If a queue of the same name exists by then, RabbitMQ attaches the old
/// consumers to it without telling them, and messages delivered to such a consumer never arrive.
const QUEUE_RECREATE_DELAY: Duration = Duration::from_millis(100);
/// Checks, [`QUEUE_RECREATE_DELAY`] apart, whether another process has declared the queue again.
const MAX_RECREATE_CHECKS: usize = 10;

/// The two queues that can take events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IngestQueue {
    /// [`Namespace::ingest_queue`], used while it stores messages.
    Main,
    /// [`Namespace::ingest_spare_queue`].
    Spare,
}

/// State of a queue, as RabbitMQ reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueState {
    /// Messages that are ready for delivery.
    pub messages: u32,
    /// Consumers that are subscribed.
    pub consumers: u32,
}

/// The topology of one namespace. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Topology {
    names: Namespace,
    levels: Option<DelayLevels>,
    changes: ChannelPool,
    lookups: ChannelPool,
}

impl Topology {
    /// Creates a topology that is declared over `link`. Processes that deliver pass the levels of the delay queues.
    #[must_use]
    pub fn new(link: Link, names: Namespace, levels: Option<DelayLevels>) -> Self {
        let changes = ChannelPool::new(link.clone(), MAX_CONCURRENT_CHANGES);
        let lookups = ChannelPool::new(link, MAX_CONCURRENT_LOOKUPS);
        Self { changes, lookups, names, levels }
    }

    /// Declares everything except the queues of webhooks. Objects that exist already stay as they are.
    ///
    /// # Errors
    /// When RabbitMQ fails, or has an object of the same name and another kind.
    pub async fn declare(&self) -> Result<(), BrokerError> {
        self.declare_all(&table::objects(&self.names, self.levels.as_ref())).await
    }

    /// Declares the same objects without the binding that routes events to [`Namespace::ingest_queue`], because the
    /// routers may have routed them to its spare meanwhile.
    ///
    /// # Errors
    /// As [`Self::declare`].
    pub async fn redeclare_objects(&self) -> Result<(), BrokerError> {
        let mut objects = table::objects(&self.names, self.levels.as_ref());
        let events = self.names.events_exchange();
        objects.retain(|object| !matches!(object, Object::Binding { exchange, .. } if *exchange == events));
        self.declare_all(&objects).await
    }

    /// Routes events to one of the two ingest queues, and then no longer to the other. In between both take them, so
    /// that every event finds a queue; an event in both is stored once.
    ///
    /// # Errors
    /// When RabbitMQ fails; both queues may take events then.
    pub async fn route_events_to(&self, queue: IngestQueue) -> Result<(), BrokerError> {
        let (used, unused) = match queue {
            IngestQueue::Main => (self.names.ingest_queue(), self.names.ingest_spare_queue()),
            IngestQueue::Spare => (self.names.ingest_spare_queue(), self.names.ingest_queue()),
        };
        let events = self.names.events_exchange();
        let binding = Object::Binding { exchange: events.clone(), queue: used, key: ALL_TYPES.to_owned() };
        self.with_channel(async |channel| {
            declare_object(channel, &binding).await?;
            unbind_queue(channel, &events, &unused).await?;
            // Another router may have routed events the other way meanwhile. Because both end with a binding, at
            // least one of the two bindings exists in the end.
            declare_object(channel, &binding).await
        })
        .await
    }

    /// Deletes the delay queue of a level with its messages, and declares it again. The database has the deliveries of
    /// these messages, with the times at which they are due.
    ///
    /// # Errors
    /// When RabbitMQ fails.
    pub async fn recreate_delay_queue(&self, delay: Duration) -> Result<(), BrokerError> {
        self.delete_queue(&self.names.delay_queue(delay)).await?;
        self.redeclare_objects().await
    }

    /// Declares the queue of a webhook.
    ///
    /// # Errors
    /// When RabbitMQ fails.
    pub async fn declare_webhook_queue(&self, id: WebhookId) -> Result<(), BrokerError> {
        let queue = self.names.webhook_queue(id);
        let exchange = self.names.deliveries_exchange();
        let binding = Object::Binding { exchange, queue: queue.clone(), key: id.to_string() };
        self.declare_all(&[Object::Queue { name: queue, kind: QueueKind::SingleActive }, binding]).await
    }

    /// Declares the queue of a webhook unless it exists, because a check costs a third of a declaration. The check does
    /// not cover the binding: a message to a queue without one becomes unroutable, and its consumer declares the queue.
    ///
    /// # Errors
    /// When RabbitMQ fails.
    pub async fn ensure_webhook_queue(&self, id: WebhookId) -> Result<(), BrokerError> {
        match self.queue_depth(&self.names.webhook_queue(id)).await? {
            Some(_) => Ok(()),
            None => self.declare_webhook_queue(id).await,
        }
    }

    /// Declares the queue of a webhook that was lost or created a moment ago, after its consumer had a second to do so.
    /// A queue is visible before it is complete, and RabbitMQ 3.10 closes the connection of a client that subscribes to
    /// an incomplete queue.
    ///
    /// # Errors
    /// When RabbitMQ fails.
    pub async fn redeclare_webhook_queue(&self, id: WebhookId) -> Result<(), BrokerError> {
        let queue = self.names.webhook_queue(id);
        for _ in 0..MAX_RECREATE_CHECKS {
            if self.queue_depth(&queue).await?.is_some() {
                break;
            }
            tokio::time::sleep(QUEUE_RECREATE_DELAY).await;
        }
        self.declare_webhook_queue(id).await
    }

    /// Declares the backlog queue of a brand. It is never deleted, because RabbitMQ cannot delete a quorum queue on the
    /// condition that it is empty.
    ///
    /// # Errors
    /// When RabbitMQ fails.
    pub async fn declare_backlog_queue(&self, brand: &BrandId) -> Result<(), BrokerError> {
        let kind =
            QueueKind::DeadLettering { limit: INGEST_DELIVERY_LIMIT, to: self.names.quarantine_queue() };
        let (exchange, queue) = (self.names.backlog_exchange(), self.names.backlog_queue(brand));
        self.declare_all(&[
            Object::Exchange { name: exchange.clone(), kind: ExchangeKind::Direct, alternate: None },
            Object::Queue { name: queue.clone(), kind },
            Object::Binding { exchange, queue, key: brand.to_string() },
        ])
        .await
    }

    /// Deletes the queue of a webhook with its messages. The caller has closed out their deliveries before.
    ///
    /// # Errors
    /// When RabbitMQ fails.
    pub async fn delete_webhook_queue(&self, id: WebhookId) -> Result<(), BrokerError> {
        self.delete_queue(&self.names.webhook_queue(id)).await
    }

    async fn delete_queue(&self, queue: &str) -> Result<(), BrokerError> {
        self.with_channel(async |channel| {
            channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.map(|_| ())
        })
        .await
    }

    /// Returns the number of ready messages in a queue; `None` if the queue does not exist.
    ///
    /// # Errors
    /// When RabbitMQ fails.
    pub async fn queue_depth(&self, queue: &str) -> Result<Option<u32>, BrokerError> {
        Ok(self.queue_state(queue).await?.map(|state| state.messages))
    }

    /// Returns the state of a queue; `None` if the queue does not exist. RabbitMQ answers without asking the queue: a
    /// queue without a running member looks empty.
    ///
    /// # Errors
    /// When RabbitMQ fails.
    pub async fn queue_state(&self, queue: &str) -> Result<Option<QueueState>, BrokerError> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let looking_up = self.lookups.run(OPERATION_TIMEOUT, "look up a queue", async |channel| {
            channel.queue_declare(queue.into(), options, FieldTable::default()).await.map(|queue| {
                QueueState { messages: queue.message_count(), consumers: queue.consumer_count() }
            })
        });
        match looking_up.await {
            Ok(state) => Ok(Some(state)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the names of this topology.
    #[must_use]
    pub fn names(&self) -> &Namespace {
        &self.names
    }

    async fn declare_all(&self, objects: &[Object]) -> Result<(), BrokerError> {
        self.with_channel(async |channel| {
            for object in objects {
                declare_object(channel, object).await?;
            }
            Ok(())
        })
        .await
    }

    /// Runs a change on a channel of its own once a permit is free.
    async fn with_channel<T>(
        &self,
        change: impl AsyncFnOnce(&Channel) -> lapin::Result<T>,
    ) -> Result<T, BrokerError> {
        self.changes.run(OPERATION_TIMEOUT, "change the topology", change).await
    }
}
