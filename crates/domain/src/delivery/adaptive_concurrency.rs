//! Adaptive concurrency: how many requests to one endpoint may be in flight, and how soon the next may start.
//!
//! The limit follows AIMD (additive increase, multiplicative decrease): it grows by one with each success and halves
//! with each failure, down to one.
//!
//! When an endpoint has failed [`FAILURES_BEFORE_COOLDOWN`] times in a row, a cool-down follows each failed request,
//! and the next request waits it out. The cool-down grows with the attempts that this replica makes at all endpoints,
//! because a failure costs the platform more than a success does. A few requests are enough to show that the endpoint
//! works again.

use std::time::{Duration, Instant};

/// Number of consecutive failures after which an endpoint gets cool-downs.
pub const FAILURES_BEFORE_COOLDOWN: u32 = 100;
/// Length of the cool-down for each attempt a second at any endpoint.
///
/// With this value a failing endpoint that is alone gets at most 500 attempts a second. Beside 5,000 attempts a second
/// it gets 50, so that the other endpoints get most of the capacity.
const COOLDOWN_PER_ATTEMPT: Duration = Duration::from_micros(4);
/// Maximum length of a cool-down, so that an endpoint that works again is noticed at once.
pub const MAX_COOLDOWN: Duration = Duration::from_millis(100);

/// The concurrency limit of one endpoint, and its cool-down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdaptiveConcurrency {
    max: u16,
    limit: u16,
    /// Failures since the last success.
    failures: u32,
    /// When the last of these failures ended.
    last_failure: Option<Instant>,
}

impl AdaptiveConcurrency {
    /// Creates the state of an endpoint without failures: `max` requests at once, at least one.
    #[must_use]
    pub fn new(max: u16) -> Self {
        Self { max: max.max(1), limit: max.max(1), failures: 0, last_failure: None }
    }

    /// Returns how many requests may be in flight now.
    #[must_use]
    pub fn limit(self) -> u16 {
        self.limit
    }

    /// Returns how long the next request has to wait.
    ///
    /// `attempts_per_second` is the attempt rate of this replica at all endpoints.
    #[must_use]
    pub fn cooldown(self, now: Instant, attempts_per_second: u32) -> Duration {
        let Some(last_failure) = self.last_failure.filter(|_| self.failures >= FAILURES_BEFORE_COOLDOWN)
        else {
            return Duration::ZERO;
        };
        let cooldown = COOLDOWN_PER_ATTEMPT.saturating_mul(attempts_per_second).min(MAX_COOLDOWN);
        (last_failure + cooldown).saturating_duration_since(now)
    }

    /// Records how a request ended, and adapts the limit.
    pub fn record(&mut self, delivered: bool, now: Instant) {
        if delivered {
            self.limit = (self.limit + 1).min(self.max);
            self.failures = 0;
            self.last_failure = None;
        } else {
            self.limit = (self.limit / 2).max(1);
            self.failures = self.failures.saturating_add(1);
            self.last_failure = Some(now);
        }
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the domain has no tokio, and the tests only add to one instant"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn failures_reduce_the_limit_to_one_quickly_and_successes_restore_it() {
        let now = Instant::now();
        let mut concurrency = AdaptiveConcurrency::new(10);
        (0..4).for_each(|_| concurrency.record(false, now));
        assert_eq!(concurrency.limit(), 1);
        (0..9).for_each(|_| concurrency.record(true, now));
        assert_eq!(concurrency.limit(), 10);
    }

    #[test]
    fn only_consecutive_failures_cause_a_cooldown_and_a_success_ends_it() {
        let now = Instant::now();
        let mut concurrency = AdaptiveConcurrency::new(10);
        for _ in 0..FAILURES_BEFORE_COOLDOWN {
            assert_eq!(concurrency.cooldown(now, u32::MAX), Duration::ZERO);
            concurrency.record(false, now);
        }
        for (attempts, millis) in [(0, 0), (500, 2), (5_000, 20), (25_000, 100), (u32::MAX, 100)] {
            let cooldown = Duration::from_millis(millis);
            assert_eq!(concurrency.cooldown(now, attempts), cooldown, "{attempts}");
            assert_eq!(concurrency.cooldown(now + cooldown, attempts), Duration::ZERO, "{attempts}");
        }
        concurrency.record(true, now);
        assert_eq!(concurrency.cooldown(now, u32::MAX), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn the_limit_stays_between_one_and_the_maximum(max in 0u16..200, ends in prop::collection::vec(any::<bool>(), 0..300)) {
            let now = Instant::now();
            let mut concurrency = AdaptiveConcurrency::new(max);
            for delivered in ends {
                concurrency.record(delivered, now);
                prop_assert!((1..=max.max(1)).contains(&concurrency.limit()));
            }
        }
    }
}
