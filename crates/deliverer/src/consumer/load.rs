//! Counts the messages of one webhook that this replica holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The queue may hold more messages if at least this part of the prefetch is in hand: messages are acknowledged all the
/// time, so that the prefetch is seldom full.
const BACKLOG_DIVISOR: usize = 2;

/// The messages of one webhook that this replica holds.
#[derive(Debug)]
pub(crate) struct MessageLoad {
    prefetch: usize,
    /// Messages that are neither acknowledged nor requeued.
    in_hand: AtomicUsize,
    /// All messages that RabbitMQ has handed out.
    received: AtomicUsize,
}

/// Counts a message as in hand until it is dropped.
#[derive(Debug)]
pub(crate) struct MessageInHand(Arc<MessageLoad>);

impl MessageLoad {
    pub(crate) fn new(prefetch: u16) -> Self {
        Self { prefetch: prefetch.into(), in_hand: AtomicUsize::new(0), received: AtomicUsize::new(0) }
    }

    /// Counts a message that was received.
    pub(crate) fn begin_message(self: &Arc<Self>) -> MessageInHand {
        self.received.fetch_add(1, Ordering::Relaxed);
        self.in_hand.fetch_add(1, Ordering::Relaxed);
        MessageInHand(Arc::clone(self))
    }

    /// Whether the queue may hold many messages, so that the message of a retry may be far behind.
    pub(crate) fn is_backlogged(&self) -> bool {
        self.in_hand.load(Ordering::Relaxed) * BACKLOG_DIVISOR >= self.prefetch
    }

    /// Returns how many messages were received so far, if none is in hand. If two calls return the same, the replica had
    /// nothing to do in between.
    pub(crate) fn idle_after(&self) -> Option<usize> {
        let is_idle = self.in_hand.load(Ordering::Relaxed) == 0;
        is_idle.then(|| self.received.load(Ordering::Relaxed))
    }
}

impl Drop for MessageInHand {
    fn drop(&mut self) {
        self.0.in_hand.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Lets one task at a time do something.
#[derive(Debug, Clone, Default)]
pub(crate) struct SingleFlight(Arc<AtomicBool>);

/// Keeps other tasks out until it is dropped.
#[derive(Debug)]
pub(crate) struct FlightGuard(Arc<AtomicBool>);

impl SingleFlight {
    /// Returns a guard, unless another task has one.
    pub(crate) fn try_begin(&self) -> Option<FlightGuard> {
        let is_running = self.0.swap(true, Ordering::AcqRel);
        (!is_running).then(|| FlightGuard(Arc::clone(&self.0)))
    }

    pub(crate) fn is_running(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Drop for FlightGuard {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_prefetch_in_hand_means_a_backlog() {
        let load = Arc::new(MessageLoad::new(4));
        let first = load.begin_message();
        assert!(!load.is_backlogged());
        let second = load.begin_message();
        assert!(load.is_backlogged());
        drop((first, second));
        assert!(!load.is_backlogged());
    }

    #[test]
    fn a_replica_is_idle_if_nothing_is_in_hand_and_nothing_came_in_between() {
        let load = Arc::new(MessageLoad::new(4));
        let before = load.idle_after();
        assert_eq!(before, Some(0));
        let message = load.begin_message();
        assert_eq!(load.idle_after(), None);
        drop(message);
        assert_ne!(load.idle_after(), before, "a message came and went");
        assert_eq!(load.idle_after(), load.idle_after());
    }

    #[test]
    fn one_task_at_a_time_and_the_next_after_it() {
        let flight = SingleFlight::default();
        let guard = flight.try_begin().expect("the first");
        assert!(flight.clone().try_begin().is_none() && flight.is_running());
        drop(guard);
        assert!(!flight.is_running() && flight.try_begin().is_some());
    }
}
