//! Consumers: each has its own prefetch, and a channel of its own as long as those suffice, so that one that hangs
//! holds back only itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use domain::trace::TraceParent;
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use runtime::error::Chain;
use tokio::sync::Mutex;
use tracing::debug;

use crate::acks::{ACK, Acks, Share};
use crate::error::{BrokerError, within};
use crate::headers::{self, Death};
use crate::link::{Link, OPERATION};
use crate::unreadable::{self, Unreadable};

/// Channels that consumers spread over. One acknowledgement for many ends at the oldest message in hand of its channel,
/// so one that takes long costs those who share it an acknowledgement for each of theirs. Fewer where the broker allows
/// a connection fewer; it allows 2,047 unless told otherwise.
const CHANNELS: usize = 256;

/// Subscribes to queues over one link. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Consumers {
    link: Link,
    slots: Arc<Mutex<Vec<Slot>>>,
}

#[derive(Debug, Clone)]
struct Slot {
    acks: Arc<Acks>,
    used: Arc<AtomicUsize>,
    /// The prefetch of the channel's next consumer, once it was set. One subscribes at a time.
    prefetch: Arc<Mutex<Option<u16>>>,
    /// Nobody subscribes on the channel any more, because it is being closed.
    silent: Arc<AtomicBool>,
}

/// Closes a channel on which a subscription got no answer. A queue without a majority of its members does not refuse
/// a subscription: the broker carries it out once the majority is back, and hands messages out to a consumer that
/// nobody reads. The broker handles the close after the subscription, so that it ends that consumer whenever it began.
fn close_behind(channel: Channel) {
    tokio::spawn(async move {
        let closing = channel.close(200, "the subscription got no answer".into());
        if let Err(error) = closing.await {
            debug!(error = %Chain(&error), "a channel was closed by the broker before us");
        }
    });
}

/// How a subscription ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// What was handed out can still be acknowledged.
    Cancelled,
    /// With its channel, unless others share that: the broker may count messages as ours that never came, and now they
    /// do, with all else that is in hand.
    Closed,
}

impl Slot {
    fn is_open(&self) -> bool {
        self.acks.channel().status().connected() && !self.silent.load(Ordering::Relaxed)
    }
}

/// A queue that is being consumed. It ends when the broker or the connection ends it; whoever
/// holds it then subscribes again.
#[derive(Debug)]
pub struct Subscription {
    consumer: Consumer,
    acks: Arc<Acks>,
    share: Arc<Share>,
    silent: Arc<AtomicBool>,
    used: Used,
}

/// A place on a channel.
#[derive(Debug)]
struct Used(Arc<AtomicUsize>);

impl Used {
    fn take(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }

    fn is_alone(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 1
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A message and the means to acknowledge it.
#[derive(Debug)]
pub struct Message {
    /// The body.
    pub body: Vec<u8>,
    /// The routing key that it was published with; not the one, where [`Self::unreadable`] says that it is not UTF-8.
    pub key: String,
    /// The AMQP property `message_id`. One that is not UTF-8 is left out, because its bytes cannot be published again.
    pub message_id: Option<String>,
    /// What came with it that cannot be read, if anything.
    pub unreadable: Option<Unreadable>,
    /// The producer's trace: the header `traceparent`, where it is one.
    pub trace: Option<TraceParent>,
    /// Whether it was handed out before: whoever had it may have acted on it.
    pub redelivered: bool,
    /// How often it was returned to its quorum queue.
    pub returns: i64,
    /// Why the broker took it out of other queues, the latest first.
    pub deaths: Vec<Death>,
    /// Whether it is marked as a probe of ours ([`Outgoing::probe`](crate::Outgoing::probe)).
    pub is_marked_probe: bool,
    /// Reason and detail of a message that the router refused before.
    pub refusal: Option<(String, String)>,
    /// The exchange that it came through last.
    pub exchange: String,
    delivery: Delivery,
    acks: Arc<Acks>,
    share: Arc<Share>,
}

impl Consumers {
    /// Consumers over a link of their own.
    #[must_use]
    pub fn new(link: Link) -> Self {
        Self { link, slots: Arc::default() }
    }

    /// Subscribes to a queue with at most `prefetch` messages unacknowledged.
    ///
    /// # Errors
    /// When the broker fails or has no such queue.
    pub async fn subscribe(&self, queue: &str, prefetch: u16) -> Result<Subscription, BrokerError> {
        loop {
            let (slot, used) = self.free_slot().await?;
            let mut set = slot.prefetch.lock().await;
            // Whoever had the turn before may have found the channel silent.
            if !slot.is_open() {
                continue;
            }
            let (acks, channel) = (Arc::clone(&slot.acks), slot.acks.channel());
            let consuming = async {
                if *set != Some(prefetch) {
                    *set = None;
                    channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
                    *set = Some(prefetch);
                }
                let options = BasicConsumeOptions::default();
                channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await
            };
            let consumer = within(OPERATION, "subscribe", consuming).await;
            if consumer.is_err() {
                slot.silent.store(true, Ordering::Relaxed);
                close_behind(channel.clone());
            }
            let silent = Arc::clone(&slot.silent);
            return Ok(Subscription { consumer: consumer?, acks, share: Share::new(prefetch), silent, used });
        }
    }

    /// The channel that fewest use, or a new one where all are used; a permit for it is taken.
    async fn free_slot(&self) -> Result<(Slot, Used), BrokerError> {
        let mut slots = self.slots.lock().await;
        slots.retain(Slot::is_open);
        let most = self.link.most_channels().await.map_or(CHANNELS, |most| CHANNELS.min(most.into()));
        let users = |slot: &&Slot| slot.used.load(Ordering::Relaxed);
        if let Some(slot) = slots.iter().min_by_key(users)
            && (users(&slot) == 0 || slots.len() >= most)
        {
            return Ok((slot.clone(), Used::take(&slot.used)));
        }
        let acks = Acks::new(self.link.channel().await?);
        let slot = Slot { acks, used: Arc::default(), prefetch: Arc::default(), silent: Arc::default() };
        slots.push(slot.clone());
        let used = Used::take(&slot.used);
        Ok((slot, used))
    }

    /// Acknowledges what was handled and closes the link: all else goes to another consumer at once.
    pub async fn close(&self) {
        let slots = self.slots.lock().await;
        join_all(slots.iter().map(|slot| slot.acks.flush())).await;
        self.link.close().await;
    }
}

impl Subscription {
    /// The next message, or `None` when the subscription has ended.
    pub async fn next(&mut self) -> Option<Message> {
        let delivery = self.consumer.next().await?.ok()?;
        Some(Message::new(delivery, Arc::clone(&self.acks), Arc::clone(&self.share)))
    }

    /// The next messages: waits for one, and takes what else is there already, up to `most`. Empty
    /// when the subscription has ended.
    pub async fn next_batch(&mut self, most: usize) -> Vec<Message> {
        let mut batch: Vec<Message> = self.next().await.into_iter().collect();
        while !batch.is_empty() && batch.len() < most {
            match self.next().now_or_never().flatten() {
                Some(message) => batch.push(message),
                None => break,
            }
        }
        batch
    }

    /// Stops receiving.
    pub async fn end(&self, ending: Ending) {
        let channel = self.acks.channel();
        let cancelling = channel.basic_cancel(self.consumer.tag(), BasicCancelOptions::default());
        // When the broker does not hear it, it has ended the subscription or soon will.
        let _ = within(OPERATION, "end a subscription", cancelling).await;
        if ending == Ending::Closed && self.used.is_alone() {
            // Whoever is about to subscribe there takes another.
            self.silent.store(true, Ordering::Relaxed);
            self.acks.flush().await;
            let _ = within(OPERATION, "close a channel", channel.close(200, "subscribed anew".into())).await;
        }
    }
}

impl Message {
    fn new(mut delivery: Delivery, acks: Arc<Acks>, share: Arc<Share>) -> Self {
        // They are dropped once they are read, because headers take many times the memory that they took on the wire.
        let properties = std::mem::take(&mut delivery.properties);
        Self {
            body: std::mem::take(&mut delivery.data),
            key: delivery.routing_key.to_string(),
            message_id: unreadable::message_id(&properties),
            unreadable: Unreadable::find(&delivery.routing_key, &properties),
            trace: headers::trace(&properties),
            redelivered: delivery.redelivered,
            returns: headers::returns(&properties),
            deaths: headers::deaths(&properties),
            is_marked_probe: headers::is_probe(&properties),
            refusal: headers::refusal(&properties),
            exchange: delivery.exchange.to_string(),
            delivery,
            acks,
            share,
        }
    }

    /// Its number on its channel.
    #[must_use]
    pub fn tag(&self) -> u64 {
        self.delivery.delivery_tag
    }

    /// Whether it says nothing: it was there to be confirmed, or to be handed out.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.body.is_empty()
    }

    /// Whether the broker counts it as ours, as long as it is not acknowledged; else it hands it out again.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.acks.channel().status().connected()
    }

    /// Has it acknowledged soon, with others: the broker then forgets it. When the channel goes before, it comes
    /// again. For those of a channel that are not acknowledged by [`Self::ack_multiple`].
    pub fn ack(&self) {
        self.acks.handled(self.delivery.delivery_tag, &self.share);
    }

    /// Acknowledges it and all that came before it on its channel, at once.
    ///
    /// # Errors
    /// When the channel is gone; the broker hands the messages out again.
    pub async fn ack_multiple(&self) -> Result<(), BrokerError> {
        let options = BasicAckOptions { multiple: true };
        within(ACK, "take an acknowledgement", self.delivery.ack(options)).await.map(|_| ())
    }

    /// Gives it back, to be handed out again.
    ///
    /// # Errors
    /// When the channel is gone; then it is given back anyway.
    pub async fn requeue(&self) -> Result<(), BrokerError> {
        let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
        within(ACK, "take a message back", self.delivery.nack(options)).await?;
        self.acks.given_back(self.delivery.delivery_tag);
        Ok(())
    }
}
