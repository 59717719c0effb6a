//! The limited rates of one brand.

use std::time::Duration;

use super::{BrandQuota, Quota, RateBucket};

/// The quotas that limit a rate.
const RATES: [Quota; 3] = [Quota::EventsPerSecond, Quota::BytesPerSecond, Quota::DeliveriesPerSecond];

/// What events take from the quotas of their brand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Number of events.
    pub events: u64,
    /// Size of their messages.
    pub bytes: u64,
    /// Number of deliveries that they cause.
    pub deliveries: u64,
}

/// A bucket for each limited rate of a brand.
#[derive(Debug)]
pub struct BrandMeter {
    quotas: BrandQuota,
    buckets: [RateBucket; RATES.len()],
    sharers: u32,
}

impl Cost {
    fn get(&self, quota: Quota) -> u64 {
        match quota {
            Quota::EventsPerSecond => self.events,
            Quota::BytesPerSecond => self.bytes,
            Quota::DeliveriesPerSecond => self.deliveries,
            Quota::WaitingBytes => 0,
        }
    }
}

impl BrandMeter {
    /// Creates a meter with full buckets for a single process.
    #[must_use]
    pub fn new(quotas: BrandQuota) -> Self {
        Self { quotas, buckets: Default::default(), sharers: 1 }
    }

    /// Returns the quotas of the brand.
    #[must_use]
    pub const fn quotas(&self) -> &BrandQuota {
        &self.quotas
    }

    /// Replaces the quotas. If they differ, it forgets the debt, which was made under the old ones, so that a raised
    /// quota has an effect at once.
    pub fn set_quotas(&mut self, quotas: BrandQuota) {
        if self.quotas != quotas {
            self.quotas = quotas;
            self.buckets = Default::default();
        }
    }

    /// Sets the number of processes that share the rates equally.
    pub fn set_sharers(&mut self, sharers: u32) {
        self.sharers = sharers.max(1);
    }

    /// Returns the time until events may pass, and the quota that takes the longest; `None` if they may pass now.
    #[must_use]
    pub fn time_until_free(&self, now: Duration) -> Option<(Duration, Quota)> {
        let waits = RATES.into_iter().zip(&self.buckets).filter_map(|(quota, bucket)| {
            bucket.time_until_free(now, self.rate(quota)?).map(|wait| (wait, quota))
        });
        waits.max_by_key(|(wait, _)| *wait)
    }

    /// Takes the cost of events, whether they may pass or not.
    pub fn take(&mut self, now: Duration, cost: Cost) {
        self.for_each_rate(|quota, rate, bucket| bucket.take(now, rate, cost.get(quota)));
    }

    /// Gives back the cost of events that were not published.
    pub fn give_back(&mut self, cost: Cost) {
        self.for_each_rate(|quota, rate, bucket| bucket.give_back(rate, cost.get(quota)));
    }

    /// Returns whether the buckets are full, so that the meter is the same as a new one.
    #[must_use]
    pub fn is_full(&self, now: Duration) -> bool {
        self.buckets.iter().all(|bucket| bucket.is_full(now))
    }

    fn for_each_rate(&mut self, mut act: impl FnMut(Quota, f64, &mut RateBucket)) {
        let rates = RATES.map(|quota| self.rate(quota));
        for ((quota, rate), bucket) in RATES.into_iter().zip(rates).zip(&mut self.buckets) {
            if let Some(rate) = rate {
                act(quota, rate, bucket);
            }
        }
    }

    /// Returns the share of this process in a limited rate.
    fn rate(&self, quota: Quota) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "quotas are far below 2^52")]
        self.quotas.get(quota).map(|limit| limit as f64 / f64::from(self.sharers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn meter(limits: &[(Quota, u64)]) -> BrandMeter {
        let mut quotas = BrandQuota::default();
        for (quota, limit) in limits {
            quotas.set(*quota, Some(*limit)).expect("in range");
        }
        BrandMeter::new(quotas)
    }

    #[test]
    fn the_quota_that_refills_last_decides() {
        let mut meter = meter(&[(Quota::EventsPerSecond, 10), (Quota::DeliveriesPerSecond, 5)]);
        assert_eq!(meter.time_until_free(SECOND), None);
        meter.take(SECOND, Cost { events: 20, bytes: 1 << 40, deliveries: 50 });
        let (wait, quota) = meter.time_until_free(SECOND).expect("a debt");
        assert_eq!((wait.as_millis(), quota), (9200, Quota::DeliveriesPerSecond));
        meter.give_back(Cost { deliveries: 50, ..Cost::default() });
        let (wait, quota) = meter.time_until_free(SECOND).expect("a debt");
        assert_eq!((wait.as_millis(), quota), (1100, Quota::EventsPerSecond));
        assert!(!meter.is_full(SECOND) && meter.is_full(SECOND * 3));
    }

    #[test]
    fn processes_share_a_rate_and_a_changed_quota_forgets_the_debt() {
        let mut meter = meter(&[(Quota::EventsPerSecond, 10)]);
        meter.set_sharers(2);
        meter.take(SECOND, Cost { events: 5, ..Cost::default() });
        assert!(meter.time_until_free(SECOND).is_some(), "half of the rate");
        let same = *meter.quotas();
        meter.set_quotas(same);
        assert!(meter.time_until_free(SECOND).is_some());
        meter.set_quotas(BrandQuota::default());
        assert_eq!(meter.time_until_free(SECOND), None);
    }
}
