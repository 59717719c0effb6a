//! Subscriptions to queues.
//!
//! Each consumer has its own prefetch, and a channel of its own while channels suffice, so that a consumer that hangs
//! blocks only itself.

use runtime::tasks;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use runtime::error::Chain;
use tokio::sync::Mutex;
use tracing::debug;

use super::ack_batcher::{AckBatcher, ConsumerQuota};
use super::message::Message;
use crate::connection::{Link, OPERATION_TIMEOUT};
use crate::error::{BrokerError, within};

/// Channels that the consumers spread over; fewer if RabbitMQ allows a connection fewer than that, and by default it
/// allows 2,047. A batch of acknowledgements ends at the oldest unacknowledged message of its channel, so a message
/// that takes long forces the other consumers of its channel to acknowledge each message by itself.
const MAX_CHANNELS: usize = 256;

/// Subscribes to queues over one link. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Consumers {
    link: Link,
    channels: Arc<Mutex<Vec<SharedChannel>>>,
}

/// A channel and the consumers on it.
#[derive(Debug, Clone)]
struct SharedChannel {
    acks: Arc<AckBatcher>,
    consumers: Arc<AtomicUsize>,
    /// The prefetch of the channel's next consumer, if it is set. The lock is held while a consumer subscribes.
    prefetch: Arc<Mutex<Option<u16>>>,
    /// Whether the channel is being closed, so that no further consumer subscribes on it.
    closing: Arc<AtomicBool>,
}

/// Closes a channel on which a subscription got no answer, in the background.
///
/// A queue without a majority of its members does not refuse a subscription. RabbitMQ carries it out once the majority
/// is back, and delivers messages to a consumer that no process reads. Because RabbitMQ handles the close after the
/// subscription, it ends that consumer whenever it began.
fn close_after_subscribe(channel: Channel) {
    tasks::spawn_named("close channel", async move {
        let closing = channel.close(200, "the subscription got no answer".into());
        if let Err(error) = closing.await {
            debug!(error = %Chain(&error), "could not close a channel; RabbitMQ has closed it before");
        }
    });
}

/// How to end a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The channel stays open, so that delivered messages can still be acknowledged.
    Cancelled,
    /// The channel is closed, too, unless other consumers share it. RabbitMQ then requeues every unacknowledged
    /// message, including messages that it counts as delivered although they never arrived.
    Closed,
}

impl SharedChannel {
    fn is_open(&self) -> bool {
        self.acks.channel().status().connected() && !self.closing.load(Ordering::Relaxed)
    }
}

/// A subscription to a queue. RabbitMQ or a lost connection may end it; the caller then subscribes again.
#[derive(Debug)]
pub struct Subscription {
    consumer: Consumer,
    acks: Arc<AckBatcher>,
    quota: Arc<ConsumerQuota>,
    closing: Arc<AtomicBool>,
    registration: Registration,
}

/// Counts a consumer on its channel until it is dropped.
#[derive(Debug)]
struct Registration(Arc<AtomicUsize>);

impl Registration {
    fn add_to(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }

    fn is_only_consumer(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 1
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Consumers {
    /// Creates consumers over a link of their own.
    #[must_use]
    pub fn new(link: Link) -> Self {
        Self { link, channels: Arc::default() }
    }

    /// Subscribes to a queue with at most `prefetch` messages unacknowledged.
    ///
    /// # Errors
    /// When RabbitMQ fails or has no such queue.
    pub async fn subscribe(&self, queue: &str, prefetch: u16) -> Result<Subscription, BrokerError> {
        loop {
            let (shared, registration) = self.choose_channel().await?;
            let mut current_prefetch = shared.prefetch.lock().await;
            // The previous holder of the lock may have begun to close the channel.
            if !shared.is_open() {
                continue;
            }
            let channel = shared.acks.channel();
            let consuming = async {
                if *current_prefetch != Some(prefetch) {
                    *current_prefetch = None;
                    channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
                    *current_prefetch = Some(prefetch);
                }
                let options = BasicConsumeOptions::default();
                channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await
            };
            let consumer = within(OPERATION_TIMEOUT, "subscribe", consuming).await;
            if consumer.is_err() {
                shared.closing.store(true, Ordering::Relaxed);
                close_after_subscribe(channel.clone());
            }
            return Ok(Subscription {
                consumer: consumer?,
                acks: Arc::clone(&shared.acks),
                quota: ConsumerQuota::new(prefetch),
                closing: Arc::clone(&shared.closing),
                registration,
            });
        }
    }

    /// Returns an unused channel, opens one, or returns the channel with the fewest consumers, and registers a
    /// consumer.
    async fn choose_channel(&self) -> Result<(SharedChannel, Registration), BrokerError> {
        let mut channels = self.channels.lock().await;
        channels.retain(SharedChannel::is_open);
        let max = self.link.max_channels().await.map_or(MAX_CHANNELS, |max| MAX_CHANNELS.min(max.into()));
        let consumers = |channel: &&SharedChannel| channel.consumers.load(Ordering::Relaxed);
        if let Some(channel) = channels.iter().min_by_key(consumers)
            && (consumers(&channel) == 0 || channels.len() >= max)
        {
            return Ok((channel.clone(), Registration::add_to(&channel.consumers)));
        }
        let channel = SharedChannel {
            acks: AckBatcher::new(self.link.open_channel().await?),
            consumers: Arc::default(),
            prefetch: Arc::default(),
            closing: Arc::default(),
        };
        channels.push(channel.clone());
        let registration = Registration::add_to(&channel.consumers);
        Ok((channel, registration))
    }

    /// Acknowledges the handled messages and closes the link, so that other consumers get the rest at once.
    pub async fn close(&self) {
        let channels = self.channels.lock().await;
        join_all(channels.iter().map(|channel| channel.acks.flush())).await;
        self.link.close().await;
    }
}

impl Subscription {
    /// Returns the next message, or `None` when the subscription has ended.
    pub async fn next(&mut self) -> Option<Message> {
        let delivery = self.consumer.next().await?.ok()?;
        Some(Message::new(delivery, Arc::clone(&self.acks), Arc::clone(&self.quota)))
    }

    /// Waits for a message, and returns it with the messages that have arrived, at most `max`. An empty batch means
    /// that the subscription has ended.
    pub async fn next_batch(&mut self, max: usize) -> Vec<Message> {
        let mut batch: Vec<Message> = self.next().await.into_iter().collect();
        while !batch.is_empty() && batch.len() < max {
            match self.next().now_or_never().flatten() {
                Some(message) => batch.push(message),
                None => break,
            }
        }
        batch
    }

    /// Ends the subscription.
    pub async fn end(&self, ending: Ending) {
        let channel = self.acks.channel();
        let cancelling = channel.basic_cancel(self.consumer.tag(), BasicCancelOptions::default());
        // An error means that the channel is closed or hangs. RabbitMQ has ended the subscription then, or soon will.
        let _ = within(OPERATION_TIMEOUT, "end a subscription", cancelling).await;
        if ending == Ending::Closed && self.registration.is_only_consumer() {
            // A consumer that is about to subscribe on the channel chooses another one.
            self.closing.store(true, Ordering::Relaxed);
            self.acks.flush().await;
            let closing = channel.close(200, "subscribed again".into());
            let _ = within(OPERATION_TIMEOUT, "close a channel", closing).await;
        }
    }
}
