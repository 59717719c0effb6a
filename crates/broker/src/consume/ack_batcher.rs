//! Acknowledges the messages of a channel in batches, because an acknowledgement for each message costs a quarter of
//! the time that RabbitMQ and the client need for the message.
//!
//! Messages are handled in any order, while an AMQP acknowledgement with `multiple` covers every message that RabbitMQ
//! delivered before. So a batch ends before the oldest message that is not handled yet. A message that was handled out
//! of order, beyond that one, waits for a short time and is then acknowledged by itself.

use runtime::tasks;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use lapin::Channel;
use lapin::options::BasicAckOptions;
use lapin::types::DeliveryTag;
use runtime::error::Chain;
use tokio::sync::Notify;
use tracing::debug;

use crate::error::{BrokerError, within};

/// Longest wait of an acknowledgement for others, after one was just sent; on a quiet channel none waits. If the
/// process dies meanwhile, RabbitMQ redelivers the messages, and the database says that they are done.
const LINGER: Duration = Duration::from_millis(40);
/// Longest time for handing an acknowledgement to the connection.
pub(super) const ACK_TIMEOUT: Duration = Duration::from_secs(10);
/// Acknowledgements are sent at once when those of one consumer make up this part of its prefetch, because RabbitMQ
/// delivers no more than the prefetch unacknowledged.
const MAX_WAITING_PART: usize = 2;

/// Collects the acknowledgements of one channel.
#[derive(Debug)]
pub(super) struct AckBatcher {
    channel: Channel,
    tags: Mutex<Tags>,
    /// Signals that the acknowledgements should wait no longer.
    enough: Notify,
    /// Held from choosing the acknowledgements until they are sent, because RabbitMQ closes the channel over an
    /// acknowledgement of a message that an earlier acknowledgement covers.
    sending: tokio::sync::Mutex<()>,
}

/// One consumer's prefetch, and how much of it waits for acknowledgements.
#[derive(Debug)]
pub(super) struct ConsumerQuota {
    prefetch: u16,
    /// Messages that were handled and are not acknowledged yet.
    waiting: AtomicUsize,
}

/// An acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ack {
    tag: DeliveryTag,
    /// Whether it covers all messages before this one, too.
    multiple: bool,
}

/// The messages of a channel that are acknowledged or requeued. RabbitMQ numbers them from 1, without gaps.
#[derive(Debug, Default)]
struct Tags {
    /// All messages up to this one are settled.
    contiguous_to: DeliveryTag,
    /// Settled ranges beyond it, from first to last. Between two ranges lies at least one message that is not handled,
    /// so the number of unacknowledged messages bounds the number of ranges.
    out_of_order: BTreeMap<DeliveryTag, DeliveryTag>,
    /// Messages that were handled and are not acknowledged yet.
    handled: BTreeMap<DeliveryTag, Handled>,
    /// Whether a task is running that will acknowledge them.
    sender_running: bool,
}

/// A message that was handled.
#[derive(Debug)]
struct Handled {
    quota: Arc<ConsumerQuota>,
    /// Whether an earlier batch could not cover the message.
    waited: bool,
}

impl ConsumerQuota {
    pub(super) fn new(prefetch: u16) -> Arc<Self> {
        Arc::new(Self { prefetch, waiting: AtomicUsize::new(0) })
    }

    /// Returns whether enough messages wait to acknowledge them at once.
    fn is_enough(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) * MAX_WAITING_PART >= usize::from(self.prefetch)
    }
}

impl Handled {
    fn new(quota: &Arc<ConsumerQuota>) -> Self {
        quota.waiting.fetch_add(1, Ordering::Relaxed);
        Self { quota: Arc::clone(quota), waited: false }
    }
}

impl Drop for Handled {
    fn drop(&mut self) {
        self.quota.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AckBatcher {
    pub(super) fn new(channel: Channel) -> Arc<Self> {
        Arc::new(Self {
            channel,
            tags: Mutex::default(),
            enough: Notify::new(),
            sending: tokio::sync::Mutex::default(),
        })
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Records that a message of this consumer was handled, so that it is acknowledged soon.
    pub(super) fn acknowledge_soon(self: &Arc<Self>, tag: DeliveryTag, quota: &Arc<ConsumerQuota>) {
        let mut tags = self.lock_tags();
        tags.handled.insert(tag, Handled::new(quota));
        let enough = quota.is_enough();
        let sender_running = std::mem::replace(&mut tags.sender_running, true);
        drop(tags);
        if enough {
            self.enough.notify_one();
        }
        if !sender_running {
            tasks::spawn_named("acknowledgements", Arc::clone(self).send_batches());
        }
    }

    /// Records that a message was requeued. Call it after the requeue was sent, because otherwise a batch could cover
    /// the message and acknowledge it.
    pub(super) fn record_requeued(&self, tag: DeliveryTag) {
        self.lock_tags().mark_settled(tag);
    }

    /// Acknowledges all handled messages at once.
    pub(super) async fn flush(&self) {
        // The second batch covers the messages that the first one could not cover.
        if self.send_batch().await.is_ok() {
            let _ = self.send_batch().await;
        }
    }

    async fn send_batches(self: Arc<Self>) {
        loop {
            if let Err(error) = self.send_batch().await {
                debug!(error = %Chain(&error), "could not acknowledge messages; RabbitMQ will redeliver them");
            }
            let _ = tokio::time::timeout(LINGER, self.enough.notified()).await;
            let mut tags = self.lock_tags();
            // RabbitMQ requeues the messages of a closed channel.
            if tags.handled.is_empty() || !self.channel.status().connected() {
                tags.sender_running = false;
                return;
            }
        }
    }

    async fn send_batch(&self) -> Result<(), BrokerError> {
        let _sending = self.sending.lock().await;
        let acks = self.lock_tags().take_due();
        let send = |ack: Ack| self.channel.basic_ack(ack.tag, BasicAckOptions { multiple: ack.multiple });
        // All are sent before the first is awaited, so that an error of one does not drop the others.
        within(ACK_TIMEOUT, "take acknowledgements", try_join_all(acks.into_iter().map(send))).await.map(drop)
    }

    fn lock_tags(&self) -> MutexGuard<'_, Tags> {
        self.tags.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tags {
    /// Returns the acknowledgements to send now, in order. Their messages count as settled from here on.
    fn take_due(&mut self) -> Vec<Ack> {
        let mut due = Vec::new();
        let mut last = None;
        let mut count = 0;
        loop {
            let next = self.contiguous_to + 1;
            if self.handled.remove(&next).is_some() {
                last = Some(next);
                count += 1;
                self.contiguous_to = next;
            } else if let Some(end) = self.out_of_order.remove(&next) {
                self.contiguous_to = end;
            } else {
                break;
            }
        }
        // RabbitMQ must know the tag itself as unacknowledged. So this is the last handled message, which may come
        // before the last settled one.
        due.extend(last.map(|tag| Ack { tag, multiple: count > 1 }));
        let waited: Vec<DeliveryTag> =
            self.handled.iter().filter_map(|(tag, handled)| handled.waited.then_some(*tag)).collect();
        for tag in waited {
            self.handled.remove(&tag);
            self.mark_settled(tag);
            due.push(Ack { tag, multiple: false });
        }
        self.handled.values_mut().for_each(|handled| handled.waited = true);
        due
    }

    /// Adds a message to the settled ranges beyond [`Self::contiguous_to`].
    fn mark_settled(&mut self, tag: DeliveryTag) {
        let end = self.out_of_order.remove(&(tag + 1)).unwrap_or(tag);
        let before = self.out_of_order.range(..tag).next_back().map(|(first, last)| (*first, *last));
        let start = before.filter(|(_, last)| last + 1 == tag).map_or(tag, |(first, _)| first);
        self.out_of_order.insert(start, end);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    /// An operation on a channel.
    #[derive(Debug, Clone)]
    enum Operation {
        Deliver,
        /// Handles an unacknowledged message, chosen by this number modulo their count.
        Handle(usize),
        Requeue(usize),
        Send,
    }

    /// A model of RabbitMQ's side of the channel.
    #[derive(Debug, Default)]
    struct Broker {
        last: DeliveryTag,
        unacknowledged: BTreeSet<DeliveryTag>,
        acknowledged: BTreeSet<DeliveryTag>,
    }

    impl Broker {
        fn acknowledge(&mut self, ack: Ack) {
            assert!(self.unacknowledged.contains(&ack.tag), "{ack:?} closes the channel: {self:?}");
            let covered: Vec<DeliveryTag> = match ack.multiple {
                true => self.unacknowledged.range(..=ack.tag).copied().collect(),
                false => vec![ack.tag],
            };
            for tag in covered {
                self.unacknowledged.remove(&tag);
                self.acknowledged.insert(tag);
            }
        }
    }

    fn any_operation() -> impl Strategy<Value = Operation> {
        prop_oneof![
            4 => Just(Operation::Deliver),
            4 => any::<usize>().prop_map(Operation::Handle),
            1 => any::<usize>().prop_map(Operation::Requeue),
            1 => Just(Operation::Send),
        ]
    }

    proptest! {
        #[test]
        fn every_handled_message_is_acknowledged_once_and_no_other_message(
            operations in prop::collection::vec(any_operation(), 0..200),
        ) {
            let mut broker = Broker::default();
            let mut tags = Tags::default();
            let quota = ConsumerQuota::new(40);
            let mut in_hand = Vec::new();
            let mut handled = BTreeSet::new();
            let mut sends = 0;
            for operation in operations {
                match operation {
                    Operation::Deliver => {
                        broker.last += 1;
                        broker.unacknowledged.insert(broker.last);
                        in_hand.push(broker.last);
                    }
                    Operation::Handle(which) if !in_hand.is_empty() => {
                        let tag = in_hand.swap_remove(which % in_hand.len());
                        tags.handled.insert(tag, Handled::new(&quota));
                        handled.insert(tag);
                    }
                    Operation::Requeue(which) if !in_hand.is_empty() => {
                        let tag = in_hand.swap_remove(which % in_hand.len());
                        broker.unacknowledged.remove(&tag);
                        tags.mark_settled(tag);
                    }
                    Operation::Send => {
                        tags.take_due().into_iter().for_each(|ack| broker.acknowledge(ack));
                        sends += 1;
                    }
                    Operation::Handle(_) | Operation::Requeue(_) => {}
                }
                prop_assert!(broker.acknowledged.is_subset(&handled), "{:?}", broker);
                prop_assert_eq!(quota.waiting.load(Ordering::Relaxed), tags.handled.len());
            }
            for _ in 0..2 {
                tags.take_due().into_iter().for_each(|ack| broker.acknowledge(ack));
            }
            prop_assert_eq!(&broker.acknowledged, &handled, "after {} and two more", sends);
            prop_assert_eq!(broker.unacknowledged.len(), in_hand.len());
            prop_assert!(tags.handled.is_empty());
            prop_assert!(tags.out_of_order.len() <= in_hand.len(), "{:?}", tags);
        }
    }

    #[test]
    fn messages_in_a_row_share_an_acknowledgement_and_a_message_beyond_a_gap_waits_once() {
        let mut tags = Tags::default();
        let quota = ConsumerQuota::new(8);
        for tag in [2, 1, 3, 5] {
            tags.handled.insert(tag, Handled::new(&quota));
        }
        assert_eq!(tags.take_due(), [Ack { tag: 3, multiple: true }]);
        assert_eq!(tags.take_due(), [Ack { tag: 5, multiple: false }], "4 is not handled yet");
        tags.handled.insert(4, Handled::new(&quota));
        assert_eq!(tags.take_due(), [Ack { tag: 4, multiple: false }], "by itself, because 5 is settled");
        assert_eq!((tags.contiguous_to, tags.out_of_order.len()), (5, 0));
    }
}
