//! The bucket of a rate: it refills steadily, and a taker that finds it filled may take more than it holds.

use std::time::Duration;

/// Time whose worth of units a bucket holds at most. So many small requests of one second pass together.
pub const BURST: Duration = Duration::from_secs(1);

/// A bucket of units that refills at a rate.
///
/// A request of any size passes while at least one unit is left. It may leave the bucket in debt, and then nothing passes
/// until the debt is refilled, so that the rate holds on average and no single request is too large for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct RateBucket {
    /// The time at which everything that was taken is refilled, since an origin that the caller chooses.
    refilled_at: Duration,
}

impl RateBucket {
    /// Returns the time until a unit is left; `None` when a request may pass now. `rate` is in units per second.
    #[must_use]
    pub fn time_until_free(&self, now: Duration, rate: f64) -> Option<Duration> {
        let missing = self.refilled_at.saturating_sub(now);
        let allowed = BURST.saturating_sub(time_for(1, rate));
        missing.checked_sub(allowed).filter(|wait| !wait.is_zero())
    }

    /// Takes units, whether they are left or not.
    pub fn take(&mut self, now: Duration, rate: f64, units: u64) {
        self.refilled_at = self.refilled_at.max(now).saturating_add(time_for(units, rate));
    }

    /// Gives back units that were taken and not used.
    pub fn give_back(&mut self, rate: f64, units: u64) {
        self.refilled_at = self.refilled_at.saturating_sub(time_for(units, rate));
    }

    /// Returns whether the bucket is full, so that it is the same as a new one.
    #[must_use]
    pub fn is_full(&self, now: Duration) -> bool {
        self.refilled_at <= now
    }
}

/// Returns the time in which a rate refills some units, rounded down so that a whole second's worth passes.
fn time_for(units: u64, rate: f64) -> Duration {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "52 bits of a number of units are enough, and a time that is too long saturates"
    )]
    let nanos = (units as f64 / rate * 1e9) as u64;
    Duration::from_nanos(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_second_of_single_units_passes_at_once() {
        for rate in [1.0, 3.0, 7.0, 10.0, 999.0] {
            let mut bucket = RateBucket::default();
            let mut passed = 0.0;
            while bucket.time_until_free(at(5000), rate).is_none() {
                bucket.take(at(5000), rate, 1);
                passed += 1.0;
            }
            assert!((passed - rate).abs() < 0.5, "{passed} of {rate}");
        }
    }

    #[test]
    fn a_large_request_passes_and_leaves_a_debt() {
        let mut bucket = RateBucket::default();
        assert_eq!(bucket.time_until_free(at(0), 10.0), None);
        bucket.take(at(0), 10.0, 500);
        assert_eq!(bucket.time_until_free(at(0), 10.0), Some(at(49_100)));
        assert_eq!(bucket.time_until_free(at(49_099), 10.0), Some(at(1)));
        assert_eq!(bucket.time_until_free(at(49_100), 10.0), None, "after the time that was named");
        bucket.take(at(49_100), 10.0, 1);
        assert_eq!(bucket.time_until_free(at(49_100), 10.0), Some(at(100)));
        assert!(!bucket.is_full(at(50_099)) && bucket.is_full(at(50_100)));
    }

    #[test]
    fn an_idle_time_saves_one_burst_and_no_more() {
        let mut bucket = RateBucket::default();
        bucket.take(at(0), 10.0, 10);
        bucket.take(at(3_600_000), 10.0, 11);
        assert_eq!(bucket.time_until_free(at(3_600_000), 10.0), Some(at(200)));
    }

    #[test]
    fn a_rate_below_one_unit_passes_one_at_a_time() {
        let mut bucket = RateBucket::default();
        assert_eq!(bucket.time_until_free(at(0), 0.25), None);
        bucket.take(at(0), 0.25, 1);
        assert_eq!(bucket.time_until_free(at(0), 0.25), Some(at(4000)));
    }

    #[test]
    fn units_are_given_back() {
        let mut bucket = RateBucket::default();
        bucket.take(at(0), 10.0, 30);
        bucket.give_back(10.0, 30);
        assert!(bucket.is_full(at(0)));
        bucket.give_back(10.0, 30);
        assert!(bucket.is_full(at(0)), "nothing is below full");
    }

    #[test]
    fn absurd_numbers_saturate() {
        let mut bucket = RateBucket::default();
        bucket.take(at(0), 1e-12, u64::MAX);
        bucket.take(at(0), 1.0, u64::MAX);
        assert!(bucket.time_until_free(at(0), 1.0).is_some());
    }
}
