//! How hard an endpoint is pressed: the number of requests in flight halves with each failure, down
//! to one, and grows by one with each success (additive increase, multiplicative decrease). One that does
//! nothing but fail rests after each request, the longer the more there is to do for others: a failure costs the
//! platform more than a success does, and the next request shows as well as many that it works again.

use std::time::{Duration, Instant};

/// From so many failures in a row an endpoint does nothing but fail.
pub const FAILURES_IN_ROW: u32 = 100;
/// How long such an endpoint rests for each attempt that was made within a second, at whatever endpoint. Alone it
/// gets 500 attempts a second at most; beside 5,000 it gets 50.
const REST_FOR_EACH: Duration = Duration::from_micros(4);
/// The longest rest.
pub const LONGEST_REST: Duration = Duration::from_millis(100);

/// How many requests may be in flight to one endpoint, and how soon the next may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pressure {
    most: u16,
    now: u16,
    /// Failures since the last success, and when the last of them ended.
    failures: u32,
    failed: Option<Instant>,
}

impl Pressure {
    /// Full pressure: `most` at once, one at least.
    #[must_use]
    pub fn new(most: u16) -> Self {
        Self { most: most.max(1), now: most.max(1), failures: 0, failed: None }
    }

    /// How many may be in flight now.
    #[must_use]
    pub fn in_flight(self) -> u16 {
        self.now
    }

    /// How long the next request has to wait, when so many attempts a second are made at all endpoints together.
    #[must_use]
    pub fn rest(self, now: Instant, attempts_per_second: u32) -> Duration {
        let Some(failed) = self.failed.filter(|_| self.failures >= FAILURES_IN_ROW) else {
            return Duration::ZERO;
        };
        let rest = REST_FOR_EACH.saturating_mul(attempts_per_second).min(LONGEST_REST);
        (failed + rest).saturating_duration_since(now)
    }

    /// Takes in how a request ended.
    pub fn report(&mut self, delivered: bool, now: Instant) {
        if delivered {
            self.now = (self.now + 1).min(self.most);
            (self.failures, self.failed) = (0, None);
        } else {
            self.now = (self.now / 2).max(1);
            (self.failures, self.failed) = (self.failures.saturating_add(1), Some(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn failures_lead_to_one_quickly_and_successes_back_to_full() {
        let (mut pressure, now) = (Pressure::new(10), Instant::now());
        (0..4).for_each(|_| pressure.report(false, now));
        assert_eq!(pressure.in_flight(), 1);
        (0..9).for_each(|_| pressure.report(true, now));
        assert_eq!(pressure.in_flight(), 10);
    }

    #[test]
    fn only_an_endpoint_that_does_nothing_but_fail_rests_and_a_success_ends_it() {
        let (mut pressure, now) = (Pressure::new(10), Instant::now());
        for _ in 0..FAILURES_IN_ROW {
            assert_eq!(pressure.rest(now, u32::MAX), Duration::ZERO);
            pressure.report(false, now);
        }
        for (attempts, millis) in [(0, 0), (500, 2), (5_000, 20), (25_000, 100), (u32::MAX, 100)] {
            let rest = Duration::from_millis(millis);
            assert_eq!(pressure.rest(now, attempts), rest, "{attempts}");
            assert_eq!(pressure.rest(now + rest, attempts), Duration::ZERO, "{attempts}");
        }
        pressure.report(true, now);
        assert_eq!(pressure.rest(now, u32::MAX), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn it_stays_within_one_and_the_most(most in 0u16..200, ends in prop::collection::vec(any::<bool>(), 0..300)) {
            let (mut pressure, now) = (Pressure::new(most), Instant::now());
            for delivered in ends {
                pressure.report(delivered, now);
                prop_assert!((1..=most.max(1)).contains(&pressure.in_flight()));
            }
        }
    }
}
