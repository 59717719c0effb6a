//! Limits how often something is done.

use std::time::Duration;

use tokio::time::Instant;

/// Lets something be done at most once in an interval.
#[derive(Debug)]
pub(crate) struct Throttle {
    interval: Duration,
    passed: Option<Instant>,
}

impl Throttle {
    /// Creates a throttle that is open at once.
    pub(crate) fn open(interval: Duration) -> Self {
        Self { interval, passed: None }
    }

    /// Creates a throttle that opens an interval after `now`.
    pub(crate) fn passed_at(interval: Duration, now: Instant) -> Self {
        Self { interval, passed: Some(now) }
    }

    /// Whether the interval is over.
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        self.passed.is_none_or(|passed| now.saturating_duration_since(passed) >= self.interval)
    }

    /// Begins the next interval.
    pub(crate) fn pass(&mut self, now: Instant) {
        self.passed = Some(now);
    }

    /// Begins the next interval if this one is over. Returns whether it was.
    pub(crate) fn try_pass(&mut self, now: Instant) -> bool {
        let is_open = self.is_open(now);
        if is_open {
            self.pass(now);
        }
        is_open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_once_in_an_interval() {
        let began = Instant::now();
        let at = |millis| began + Duration::from_millis(millis);
        let mut throttle = Throttle::open(Duration::from_millis(100));
        let passes: Vec<bool> = [0, 50, 99, 100, 101, 200].map(|millis| throttle.try_pass(at(millis))).into();
        assert_eq!(passes, [true, false, false, true, false, true]);
    }

    #[test]
    fn a_failure_that_does_not_pass_leaves_it_open() {
        let now = Instant::now();
        let throttle = Throttle::open(Duration::from_secs(1));
        assert!(throttle.is_open(now) && throttle.is_open(now));
    }

    #[test]
    fn the_first_interval_can_begin_at_the_start() {
        let began = Instant::now();
        let mut throttle = Throttle::passed_at(Duration::from_secs(2), began);
        assert!(!throttle.try_pass(began + Duration::from_millis(1_999)));
        assert!(throttle.try_pass(began + Duration::from_secs(2)));
    }
}
