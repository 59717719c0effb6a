//! Decides when a router uses the backlog queue of a brand, so that a queue that fails holds up no other.
//!
//! A router does several operations at once, at most one for each brand. A queue that failed is tried again after a
//! delay, and few such tries run at a time ([`BacklogAccess`]). A router drains a limited number of backlogs, and a backlog
//! gives its place to another one after its turn ([`may_give_way`]).

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// Delay before a queue is tried again that did not answer. It doubles with each such try.
pub const MIN_SILENCE_DELAY: Duration = Duration::from_secs(10);
/// Longest delay before a queue is tried again that did not answer. Few tries, because RabbitMQ may count each of them as
/// a return of the first message once the queue answers again.
pub const MAX_SILENCE_DELAY: Duration = Duration::from_secs(300);
/// Age of an operation beyond which it counts as slow. A queue that works answers sooner.
pub const SLOW_AFTER: Duration = Duration::from_secs(1);

/// Bounds of the operations that run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessBounds {
    /// Maximum number of operations.
    pub all: usize,
    /// Maximum number of operations that are not slow, so that slow ones take no places of the others.
    pub quick: usize,
    /// Maximum number of tries of queues that failed.
    pub failing: usize,
    /// Delay before a queue is tried again that refused an operation.
    pub refusal_delay: Duration,
}

/// How an operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// RabbitMQ or PostgreSQL answered with an error, or could not be reached.
    Refused,
    /// The queue did not answer.
    Silent,
}

/// The queues that a router uses, and the queues that failed last. Times are since an origin that the caller chooses. It holds
/// at most one entry for each brand.
#[derive(Debug)]
pub struct BacklogAccess<K> {
    bounds: AccessBounds,
    /// When the running operations began.
    running: HashMap<K, Duration>,
    failing: HashMap<K, Failing>,
}

/// A queue whose last operation failed.
#[derive(Debug, Clone, Copy)]
struct Failing {
    retry_at: Duration,
    next_silence_delay: Duration,
}

impl<K: Clone + Eq + Hash> BacklogAccess<K> {
    /// Creates an access without any operation.
    #[must_use]
    pub fn new(bounds: AccessBounds) -> Self {
        Self { bounds, running: HashMap::new(), failing: HashMap::new() }
    }

    /// Returns whether any operation may begin.
    #[must_use]
    pub fn has_room(&self, now: Duration) -> bool {
        let quick = self.running.values().filter(|since| now.saturating_sub(**since) < SLOW_AFTER).count();
        self.running.len() < self.bounds.all && quick < self.bounds.quick
    }

    /// Returns whether an operation on the queue of a brand may begin.
    #[must_use]
    pub fn may_begin(&self, brand: &K, now: Duration) -> bool {
        let is_free = self.has_room(now) && !self.running.contains_key(brand);
        is_free
            && self.failing.get(brand).is_none_or(|failing| {
                let tries = self.running.keys().filter(|brand| self.failing.contains_key(brand)).count();
                failing.retry_at <= now && tries < self.bounds.failing
            })
    }

    /// Records that an operation begins.
    pub fn begin(&mut self, brand: K, now: Duration) {
        self.running.insert(brand, now);
    }

    /// Records that an operation succeeded.
    pub fn succeed(&mut self, brand: &K) {
        self.running.remove(brand);
        self.failing.remove(brand);
    }

    /// Records that an operation failed.
    pub fn fail(&mut self, brand: &K, now: Duration, failure: Failure) {
        self.running.remove(brand);
        let before = self.failing.get(brand).map_or(MIN_SILENCE_DELAY, |failing| failing.next_silence_delay);
        let (delay, next_silence_delay) = match failure {
            Failure::Refused => (self.bounds.refusal_delay, before),
            Failure::Silent => (before, (before * 2).min(MAX_SILENCE_DELAY)),
        };
        self.failing.insert(brand.clone(), Failing { retry_at: now + delay, next_silence_delay });
    }

    /// Returns whether an operation on the queue of a brand runs.
    #[must_use]
    pub fn is_running(&self, brand: &K) -> bool {
        self.running.contains_key(brand)
    }

    /// Returns whether the last operation on the queue of a brand failed.
    #[must_use]
    pub fn is_failing(&self, brand: &K) -> bool {
        self.failing.contains_key(brand)
    }
}

/// A backlog that a router drains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DrainedBacklog {
    /// Whether an operation on its queue runs, or some of its messages are not acknowledged.
    pub is_in_use: bool,
    /// Whether a message was taken from it.
    pub had_turn: bool,
    /// Whether its queue failed, or its brand is over its quota.
    pub is_stopped: bool,
}

/// Returns whether a backlog gives its place to another, which is not drained yet.
#[must_use]
pub fn may_give_way(backlog: DrainedBacklog) -> bool {
    !backlog.is_in_use && (backlog.had_turn || backlog.is_stopped)
}

/// Brings sorted keys into the order in which they get places: the keys after `last` come first.
pub fn rotate_after<K: Ord>(sorted: &mut [K], last: Option<&K>) {
    if let Some(last) = last {
        sorted.rotate_left(sorted.partition_point(|key| key <= last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: AccessBounds =
        AccessBounds { all: 4, quick: 2, failing: 1, refusal_delay: Duration::from_secs(1) };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn access() -> BacklogAccess<u8> {
        BacklogAccess::new(BOUNDS)
    }

    #[test]
    fn a_brand_has_one_operation_at_a_time_and_all_together_a_few() {
        let mut access = access();
        access.begin(1, at(0));
        assert!(!access.may_begin(&1, at(0)) && access.may_begin(&2, at(0)) && access.is_running(&1));
        access.begin(2, at(0));
        assert!(!access.has_room(at(0)) && !access.may_begin(&3, at(0)));
        access.succeed(&1);
        assert!(access.may_begin(&1, at(0)) && access.may_begin(&3, at(0)));
    }

    #[test]
    fn slow_operations_take_no_places_of_the_others() {
        let mut access = access();
        (1..3).for_each(|brand| access.begin(brand, at(0)));
        assert!(!access.may_begin(&3, at(0)));
        assert!(access.may_begin(&3, at(1)));
        (3..5).for_each(|brand| access.begin(brand, at(1)));
        assert!(!access.may_begin(&5, at(9)), "all places are taken");
    }

    #[test]
    fn a_silent_queue_is_tried_more_and_more_rarely() {
        let mut access = access();
        let mut now = at(0);
        let mut delays = Vec::new();
        for _ in 0..7 {
            access.begin(1, now);
            access.fail(&1, now, Failure::Silent);
            let began = now;
            while !access.may_begin(&1, now) {
                now += at(1);
            }
            delays.push((now - began).as_secs());
        }
        assert_eq!(delays, [10, 20, 40, 80, 160, 300, 300]);
        access.begin(1, now);
        access.succeed(&1);
        assert!(!access.is_failing(&1));
        access.fail(&1, now, Failure::Silent);
        assert!(access.may_begin(&1, now + at(10)), "a success forgets the earlier failures");
    }

    #[test]
    fn a_refusal_has_a_short_delay_that_does_not_grow() {
        let mut access = access();
        for second in 0..9 {
            assert!(access.may_begin(&1, at(second)));
            access.fail(&1, at(second), Failure::Refused);
            assert!(!access.may_begin(&1, at(second)) && access.may_begin(&2, at(second)));
        }
    }

    #[test]
    fn queues_that_failed_have_few_tries_at_once() {
        let mut access = access();
        (1..4).for_each(|brand| access.fail(&brand, at(0), Failure::Silent));
        access.begin(1, at(10));
        assert!(!access.may_begin(&2, at(30)) && access.may_begin(&4, at(30)));
        access.fail(&1, at(20), Failure::Silent);
        assert!(access.may_begin(&2, at(30)));
    }

    #[test]
    fn a_backlog_gives_way_after_its_turn_or_while_it_is_stopped() {
        let backlog = DrainedBacklog::default();
        assert!(!may_give_way(backlog), "it has had no turn");
        for (had_turn, is_stopped) in [(true, false), (false, true), (true, true)] {
            let backlog = DrainedBacklog { is_in_use: false, had_turn, is_stopped };
            assert!(may_give_way(backlog));
            assert!(!may_give_way(DrainedBacklog { is_in_use: true, ..backlog }));
        }
    }

    #[test]
    fn every_brand_comes_first_once() {
        for (last, first) in [(None, 1), (Some(0), 1), (Some(1), 3), (Some(2), 3), (Some(3), 5), (Some(5), 1)]
        {
            let mut sorted = [1, 3, 5];
            rotate_after(&mut sorted, last.as_ref());
            assert_eq!(sorted[0], first, "after {last:?}");
        }
        rotate_after::<u8>(&mut [], Some(&1));
    }
}
