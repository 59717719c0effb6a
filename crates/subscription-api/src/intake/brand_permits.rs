//! Permits that each brand has for itself, so that one brand's work never waits for another's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::ids::BrandId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Time that a request waits for the other requests of its brand.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(5);

type Brands = Arc<Mutex<HashMap<BrandId, Arc<Semaphore>>>>;

/// The permits of the brands that use some. A brand that uses none takes no memory.
#[derive(Debug)]
pub(super) struct BrandPermits {
    /// Number of permits of each brand.
    per_brand: usize,
    brands: Brands,
}

/// A permit of a brand, until it is dropped.
#[derive(Debug)]
pub(super) struct BrandPermit {
    permit: Option<OwnedSemaphorePermit>,
    brand: BrandId,
    brands: Brands,
}

impl BrandPermits {
    /// Creates permits, this number for each brand.
    pub(super) fn new(per_brand: usize) -> Self {
        Self { per_brand, brands: Brands::default() }
    }

    /// Waits for a permit of a brand. `None` when the brand's other requests keep theirs for too long.
    pub(super) async fn acquire(&self, brand: &BrandId) -> Option<BrandPermit> {
        let permits = {
            let mut brands = lock(&self.brands);
            let new = || Arc::new(Semaphore::new(self.per_brand));
            brands.entry(brand.clone()).or_insert_with(new).clone()
        };
        let acquired = tokio::time::timeout(PERMIT_TIMEOUT, permits.acquire_owned()).await;
        let permit = Some(acquired.ok()?.ok()?);
        Some(BrandPermit { permit, brand: brand.clone(), brands: self.brands.clone() })
    }
}

impl Drop for BrandPermit {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut brands = lock(&self.brands);
        // The map has one reference; each permit and each waiter has another.
        if brands.get(&self.brand).is_some_and(|own| Arc::strong_count(own) == 1) {
            brands.remove(&self.brand);
        }
    }
}

// A poisoned lock is safe to use, because no panic can leave the map half changed.
fn lock(brands: &Brands) -> MutexGuard<'_, HashMap<BrandId, Arc<Semaphore>>> {
    brands.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brand(name: &str) -> BrandId {
        name.parse().expect("a brand")
    }

    #[tokio::test(start_paused = true)]
    async fn a_brand_waits_for_its_own_permits_only() {
        let permits = BrandPermits::new(2);
        let acme = brand("acme");
        let one = permits.acquire(&acme).await.expect("a permit");
        let _two = permits.acquire(&acme).await.expect("a permit");
        assert!(permits.acquire(&acme).await.is_none(), "both are in use");
        assert!(permits.acquire(&brand("other")).await.is_some());
        let (third, ()) = tokio::join!(permits.acquire(&acme), async { drop(one) });
        assert!(third.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_brand_that_uses_no_permit_takes_no_memory() {
        let permits = BrandPermits::new(1);
        let one = permits.acquire(&brand("acme")).await.expect("a permit");
        assert!(permits.acquire(&brand("acme")).await.is_none());
        drop(one);
        assert!(lock(&permits.brands).is_empty());
    }
}
