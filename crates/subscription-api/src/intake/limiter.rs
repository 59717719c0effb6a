//! The rates of brands: a bucket for each rate of each brand, in memory.
//!
//! Each process has buckets of its own. The processes that take requests of a brand share its rate equally, so that a
//! producer that talks to a single process has the whole rate, and several processes together do not exceed it. A process
//! learns of another one with the next load, so that the rate is exceeded for a moment only.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use domain::ids::BrandId;
use domain::quota::{BrandMeter, BrandQuota, Cost};
use store::api::quota_shares::SHARE_TIMEOUT;
use tokio::time::Instant;

use super::OverQuota;

/// Interval at which a process renews its share. Three renewals may fail until the share ends.
const SHARE_RENEW_INTERVAL: Duration = Duration::from_millis(1500);

const _: () = assert!(SHARE_RENEW_INTERVAL.as_millis() * 4 <= SHARE_TIMEOUT.as_millis());

/// The buckets of all brands with a limited rate.
#[derive(Debug)]
pub(super) struct QuotaLimiter {
    /// The origin of the buckets' time.
    origin: Instant,
    brands: Mutex<HashMap<BrandId, BrandBuckets>>,
}

#[derive(Debug)]
struct BrandBuckets {
    meter: BrandMeter,
    /// When a request last took from the buckets.
    used_at: Duration,
    /// When the share of this process was last renewed.
    renewed_at: Option<Duration>,
}

impl Default for QuotaLimiter {
    fn default() -> Self {
        Self { origin: Instant::now(), brands: Mutex::default() }
    }
}

impl QuotaLimiter {
    /// Checks whether a request of a brand may pass now.
    ///
    /// # Errors
    /// When a bucket is empty: the quota that takes the longest to refill.
    pub(super) fn check(&self, brand: &BrandId, quotas: &BrandQuota) -> Result<(), OverQuota> {
        let now = self.origin.elapsed();
        self.with_buckets(brand, quotas, |buckets| buckets.check(now)).unwrap_or(Ok(()))
    }

    /// Takes the cost of a request.
    ///
    /// # Errors
    /// As [`Self::check`]; then nothing is taken.
    pub(super) fn take(&self, brand: &BrandId, quotas: &BrandQuota, cost: Cost) -> Result<(), OverQuota> {
        let now = self.origin.elapsed();
        let taken = self.with_buckets(brand, quotas, |buckets| {
            buckets.check(now)?;
            buckets.used_at = now;
            buckets.meter.take(now, cost);
            Ok(())
        });
        taken.unwrap_or(Ok(()))
    }

    /// Gives back the cost of a request that published nothing.
    pub(super) fn give_back(&self, brand: &BrandId, cost: Cost) {
        if let Some(buckets) = self.lock().get_mut(brand) {
            buckets.meter.give_back(cost);
        }
    }

    /// Lists the brands whose share this process has to renew, and forgets brands that sent nothing for long.
    pub(super) fn list_due_shares(&self) -> Vec<BrandId> {
        let now = self.origin.elapsed();
        let mut brands = self.lock();
        brands.retain(|_, buckets| !buckets.is_idle(now));
        let is_due = |buckets: &BrandBuckets| {
            let renewed = buckets.renewed_at.is_some_and(|at| now < at + SHARE_RENEW_INTERVAL);
            !renewed && now < buckets.used_at + SHARE_TIMEOUT
        };
        brands.iter().filter(|(_, buckets)| is_due(buckets)).map(|(brand, _)| brand.clone()).collect()
    }

    /// Sets the number of processes that share the rates of brands.
    pub(super) fn set_shares(&self, shares: Vec<(BrandId, u32)>) {
        let now = self.origin.elapsed();
        let mut brands = self.lock();
        for (brand, sharers) in shares {
            if let Some(buckets) = brands.get_mut(&brand) {
                buckets.meter.set_sharers(sharers);
                buckets.renewed_at = Some(now);
            }
        }
    }

    /// Runs `act` on the buckets of a brand. `None` when no rate is limited.
    fn with_buckets<R>(
        &self,
        brand: &BrandId,
        quotas: &BrandQuota,
        act: impl FnOnce(&mut BrandBuckets) -> R,
    ) -> Option<R> {
        if !quotas.limits_rate() {
            return None;
        }
        let mut brands = self.lock();
        if !brands.contains_key(brand) {
            brands.insert(brand.clone(), BrandBuckets::new(*quotas));
        }
        let buckets = brands.get_mut(brand)?;
        buckets.meter.set_quotas(*quotas);
        Some(act(buckets))
    }

    // A poisoned lock is safe to use, because no panic can leave a bucket half changed.
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<BrandId, BrandBuckets>> {
        self.brands.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl BrandBuckets {
    fn new(quotas: BrandQuota) -> Self {
        Self { meter: BrandMeter::new(quotas), used_at: Duration::ZERO, renewed_at: None }
    }

    fn check(&self, now: Duration) -> Result<(), OverQuota> {
        let Some((wait, quota)) = self.meter.time_until_free(now) else { return Ok(()) };
        let retry_after_seconds = (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1);
        Err(OverQuota { quota, limit: self.meter.quotas().get(quota).unwrap_or(0), retry_after_seconds })
    }

    /// Returns whether the buckets are as good as new ones, and this process has no share.
    fn is_idle(&self, now: Duration) -> bool {
        now >= self.used_at + SHARE_TIMEOUT && self.meter.is_full(now)
    }
}

#[cfg(test)]
mod tests {
    use domain::quota::Quota;

    use super::*;

    fn brand(name: &str) -> BrandId {
        name.parse().expect("a brand")
    }

    fn quotas(limits: &[(Quota, u64)]) -> BrandQuota {
        let mut quotas = BrandQuota::default();
        for (quota, limit) in limits {
            quotas.set(*quota, Some(*limit)).expect("in range");
        }
        quotas
    }

    fn events(events: u64) -> Cost {
        Cost { events, ..Cost::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_brand_that_waits_as_told_passes_again() {
        let limiter = QuotaLimiter::default();
        let acme = brand("acme");
        let ten = quotas(&[(Quota::EventsPerSecond, 10)]);
        assert_eq!(limiter.take(&acme, &ten, events(500)), Ok(()), "a large request passes");
        let over = limiter.take(&acme, &ten, events(1)).expect_err("a debt");
        assert_eq!(over, OverQuota { quota: Quota::EventsPerSecond, limit: 10, retry_after_seconds: 50 });
        assert_eq!(limiter.check(&acme, &ten), Err(over));
        assert_eq!(limiter.take(&brand("other"), &ten, events(1)), Ok(()), "another brand is not affected");
        tokio::time::advance(Duration::from_secs(over.retry_after_seconds)).await;
        assert_eq!(limiter.take(&acme, &ten, events(1)), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_quota_that_refills_last_is_named() {
        let limiter = QuotaLimiter::default();
        let acme = brand("acme");
        let all = quotas(&[
            (Quota::EventsPerSecond, 10),
            (Quota::BytesPerSecond, 1024),
            (Quota::DeliveriesPerSecond, 5),
        ]);
        let cost = Cost { events: 20, bytes: 102_400, deliveries: 50 };
        assert_eq!(limiter.take(&acme, &all, cost), Ok(()));
        let over = limiter.check(&acme, &all).expect_err("a debt");
        assert_eq!((over.quota, over.limit), (Quota::BytesPerSecond, 1024));
        limiter.give_back(&acme, Cost { events: 0, deliveries: 0, ..cost });
        let over = limiter.check(&acme, &all).expect_err("a debt");
        assert_eq!((over.quota, over.retry_after_seconds), (Quota::DeliveriesPerSecond, 10));
        limiter.give_back(&acme, cost);
        assert_eq!(limiter.check(&acme, &all), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_quota_has_an_effect_at_once() {
        let limiter = QuotaLimiter::default();
        let acme = brand("acme");
        assert_eq!(limiter.take(&acme, &quotas(&[(Quota::EventsPerSecond, 1)]), events(500)), Ok(()));
        assert!(limiter.check(&acme, &quotas(&[(Quota::EventsPerSecond, 1)])).is_err());
        assert_eq!(limiter.check(&acme, &quotas(&[(Quota::EventsPerSecond, 2)])), Ok(()));
        assert_eq!(limiter.check(&acme, &BrandQuota::default()), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn processes_share_a_rate() {
        let limiter = QuotaLimiter::default();
        let acme = brand("acme");
        let ten = quotas(&[(Quota::EventsPerSecond, 10)]);
        assert_eq!(limiter.take(&acme, &ten, events(1)), Ok(()));
        assert_eq!(limiter.list_due_shares(), std::slice::from_ref(&acme));
        limiter.set_shares(vec![(acme.clone(), 2), (brand("unknown"), 9)]);
        assert_eq!(limiter.list_due_shares(), []);
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..5 {
            assert_eq!(limiter.take(&acme, &ten, events(1)), Ok(()));
        }
        assert!(limiter.check(&acme, &ten).is_err(), "half of the rate");
        tokio::time::advance(SHARE_RENEW_INTERVAL).await;
        assert_eq!(limiter.list_due_shares(), std::slice::from_ref(&acme));
        tokio::time::advance(SHARE_TIMEOUT).await;
        assert_eq!(limiter.list_due_shares(), []);
        assert!(limiter.lock().is_empty(), "an idle brand takes no memory");
    }

    #[tokio::test(start_paused = true)]
    async fn a_brand_without_limited_rates_takes_no_memory() {
        let limiter = QuotaLimiter::default();
        let waiting = quotas(&[(Quota::WaitingBytes, 1 << 20)]);
        assert_eq!(limiter.take(&brand("acme"), &waiting, events(500)), Ok(()));
        limiter.give_back(&brand("acme"), events(500));
        assert!(limiter.lock().is_empty());
    }
}
