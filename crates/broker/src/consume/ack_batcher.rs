//! Acknowledges a channel's messages many at once: one for each is a quarter of what broker and client need for a
//! message of a bare hop. What it gives here, and what not: `tests/README.md`.
//!
//! Messages are handled in any order, while one acknowledgement for many is for all that the broker handed out
//! before. So it goes as far as everything was handled, and no further; what was handled beyond a message that
//! is still in hand waits a little, and is then acknowledged by itself.

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

/// How long an acknowledgement waits for others where one was just sent: where little goes on none waits. When the
/// process dies meanwhile, the messages come again, marked, and the database says that they are done.
const LINGER: Duration = Duration::from_millis(40);
/// Bound for handing an acknowledgement to the connection.
pub(crate) const ACK: Duration = Duration::from_secs(10);
/// A consumer may have as many messages in hand as its prefetch; acknowledgements wait no longer once those of one
/// consumer make up this part of it.
const PART: usize = 2;

/// The acknowledgements of one channel.
#[derive(Debug)]
pub(crate) struct Acks {
    channel: Channel,
    tags: Mutex<Tags>,
    /// There are enough of them.
    enough: Notify,
    /// Held while acknowledgements are worked out and sent: the broker closes the channel over one for many that
    /// comes after another that includes it.
    sending: tokio::sync::Mutex<()>,
}

/// One consumer's part in the acknowledgements of its channel.
#[derive(Debug)]
pub(crate) struct Share {
    prefetch: u16,
    /// How many of its messages were handled and are not acknowledged yet.
    waiting: AtomicUsize,
}

/// An acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ack {
    tag: DeliveryTag,
    /// For all before it, too.
    multiple: bool,
}

/// Which messages of a channel are settled. The broker numbers them from 1, without gaps.
#[derive(Debug, Default)]
struct Tags {
    /// All up to this one are.
    through: DeliveryTag,
    /// So are these beyond it, from first to last: no more ranges than there are messages in hand between them,
    /// however long one of those takes.
    beyond: BTreeMap<DeliveryTag, DeliveryTag>,
    /// Handled, and not acknowledged yet.
    handled: BTreeMap<DeliveryTag, Handled>,
    /// Whether somebody will look at those.
    expected: bool,
}

/// A message that was handled.
#[derive(Debug)]
struct Handled {
    of: Arc<Share>,
    /// Whether it could not be acknowledged with others when that was tried.
    waited: bool,
}

impl Share {
    pub(crate) fn new(prefetch: u16) -> Arc<Self> {
        Arc::new(Self { prefetch, waiting: AtomicUsize::new(0) })
    }

    /// Whether so many wait that they should wait no longer.
    fn is_enough(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) * PART >= usize::from(self.prefetch)
    }
}

impl Handled {
    fn new(of: &Arc<Share>) -> Self {
        of.waiting.fetch_add(1, Ordering::Relaxed);
        Self { of: Arc::clone(of), waited: false }
    }
}

impl Drop for Handled {
    fn drop(&mut self) {
        self.of.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Acks {
    pub(crate) fn new(channel: Channel) -> Arc<Self> {
        Arc::new(Self {
            channel,
            tags: Mutex::default(),
            enough: Notify::new(),
            sending: tokio::sync::Mutex::default(),
        })
    }

    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Notes that a message of this consumer was handled: it is acknowledged soon.
    pub(crate) fn handled(self: &Arc<Self>, tag: DeliveryTag, of: &Arc<Share>) {
        let mut tags = self.tags();
        tags.handled.insert(tag, Handled::new(of));
        let enough = of.is_enough();
        let expected = std::mem::replace(&mut tags.expected, true);
        drop(tags);
        if enough {
            self.enough.notify_one();
        }
        if !expected {
            tokio::spawn(Arc::clone(self).send_soon());
        }
    }

    /// Notes that a message was given back. Before that is sent it may not be noted: an acknowledgement for many
    /// would include it.
    pub(crate) fn given_back(&self, tag: DeliveryTag) {
        self.tags().settle(tag);
    }

    /// Acknowledges at once all that was handled.
    pub(crate) async fn flush(&self) {
        // The second time, what was handled has waited.
        if self.send().await.is_ok() {
            let _ = self.send().await;
        }
    }

    async fn send_soon(self: Arc<Self>) {
        loop {
            if let Err(error) = self.send().await {
                debug!(error = %Chain(&error), "messages could not be acknowledged; they will come again");
            }
            let _ = tokio::time::timeout(LINGER, self.enough.notified()).await;
            let mut tags = self.tags();
            // A channel that is gone takes its messages with it.
            if tags.handled.is_empty() || !self.channel.status().connected() {
                tags.expected = false;
                return;
            }
        }
    }

    async fn send(&self) -> Result<(), BrokerError> {
        let _sending = self.sending.lock().await;
        let due = self.tags().due();
        let send = |ack: Ack| self.channel.basic_ack(ack.tag, BasicAckOptions { multiple: ack.multiple });
        // All are handed over before the first is waited for: none is forgotten over another.
        within(ACK, "take acknowledgements", try_join_all(due.into_iter().map(send))).await.map(drop)
    }

    fn tags(&self) -> MutexGuard<'_, Tags> {
        self.tags.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tags {
    /// What is to be acknowledged now, in this order; it counts as settled from here on.
    fn due(&mut self) -> Vec<Ack> {
        let (mut due, mut last, mut many) = (Vec::new(), None, 0);
        loop {
            let next = self.through + 1;
            if self.handled.remove(&next).is_some() {
                (last, many, self.through) = (Some(next), many + 1, next);
            } else if let Some(end) = self.beyond.remove(&next) {
                self.through = end;
            } else {
                break;
            }
        }
        // The broker has to know the message itself: the last that is acknowledged, and not the last that is settled.
        due.extend(last.map(|tag| Ack { tag, multiple: many > 1 }));
        let waited: Vec<DeliveryTag> =
            self.handled.iter().filter_map(|(tag, handled)| handled.waited.then_some(*tag)).collect();
        for tag in waited {
            self.handled.remove(&tag);
            self.settle(tag);
            due.push(Ack { tag, multiple: false });
        }
        self.handled.values_mut().for_each(|handled| handled.waited = true);
        due
    }

    /// Adds one to those that are settled beyond [`Self::through`].
    fn settle(&mut self, tag: DeliveryTag) {
        let end = self.beyond.remove(&(tag + 1)).unwrap_or(tag);
        let before = self.beyond.range(..tag).next_back().map(|(first, last)| (*first, *last));
        let start = before.filter(|(_, last)| last + 1 == tag).map_or(tag, |(first, _)| first);
        self.beyond.insert(start, end);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    /// What happens on a channel.
    #[derive(Debug, Clone)]
    enum Step {
        HandOut,
        /// One of those in hand, by a number that is taken modulo their count.
        Handle(usize),
        GiveBack(usize),
        Send,
    }

    /// The broker's side of it, as RabbitMQ does it.
    #[derive(Debug, Default)]
    struct Broker {
        last: DeliveryTag,
        unacknowledged: BTreeSet<DeliveryTag>,
        acknowledged: BTreeSet<DeliveryTag>,
    }

    impl Broker {
        fn acknowledge(&mut self, ack: Ack) {
            assert!(self.unacknowledged.contains(&ack.tag), "{ack:?} closes the channel: {self:?}");
            let of_these: Vec<DeliveryTag> = match ack.multiple {
                true => self.unacknowledged.range(..=ack.tag).copied().collect(),
                false => vec![ack.tag],
            };
            for tag in of_these {
                self.unacknowledged.remove(&tag);
                self.acknowledged.insert(tag);
            }
        }
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::HandOut),
            4 => any::<usize>().prop_map(Step::Handle),
            1 => any::<usize>().prop_map(Step::GiveBack),
            1 => Just(Step::Send),
        ]
    }

    proptest! {
        #[test]
        fn what_was_handled_is_acknowledged_once_and_nothing_else_ever_is(
            steps in prop::collection::vec(step(), 0..200),
        ) {
            let (mut broker, mut tags, share) = (Broker::default(), Tags::default(), Share::new(40));
            let (mut in_hand, mut handled, mut sends) = (Vec::new(), BTreeSet::new(), 0);
            for step in steps {
                match step {
                    Step::HandOut => {
                        broker.last += 1;
                        broker.unacknowledged.insert(broker.last);
                        in_hand.push(broker.last);
                    }
                    Step::Handle(which) if !in_hand.is_empty() => {
                        let tag = in_hand.swap_remove(which % in_hand.len());
                        tags.handled.insert(tag, Handled::new(&share));
                        handled.insert(tag);
                    }
                    Step::GiveBack(which) if !in_hand.is_empty() => {
                        let tag = in_hand.swap_remove(which % in_hand.len());
                        broker.unacknowledged.remove(&tag);
                        tags.settle(tag);
                    }
                    Step::Send => {
                        tags.due().into_iter().for_each(|ack| broker.acknowledge(ack));
                        sends += 1;
                    }
                    Step::Handle(_) | Step::GiveBack(_) => {}
                }
                prop_assert!(broker.acknowledged.is_subset(&handled), "{:?}", broker);
                prop_assert_eq!(share.waiting.load(Ordering::Relaxed), tags.handled.len());
            }
            for _ in 0..2 {
                tags.due().into_iter().for_each(|ack| broker.acknowledge(ack));
            }
            prop_assert_eq!(&broker.acknowledged, &handled, "after {} and two more", sends);
            prop_assert_eq!(broker.unacknowledged.len(), in_hand.len());
            prop_assert!(tags.handled.is_empty());
            prop_assert!(tags.beyond.len() <= in_hand.len(), "{:?}", tags);
        }
    }

    #[test]
    fn those_handled_in_a_row_are_one_acknowledgement_and_one_beyond_a_gap_waits_once() {
        let (mut tags, share) = (Tags::default(), Share::new(8));
        for tag in [2, 1, 3, 5] {
            tags.handled.insert(tag, Handled::new(&share));
        }
        assert_eq!(tags.due(), [Ack { tag: 3, multiple: true }]);
        assert_eq!(tags.due(), [Ack { tag: 5, multiple: false }], "4 is still in hand");
        tags.handled.insert(4, Handled::new(&share));
        assert_eq!(tags.due(), [Ack { tag: 4, multiple: false }], "alone, since 5 is settled");
        assert_eq!((tags.through, tags.beyond.len()), (5, 0));
    }
}
