//! The number of webhooks that an event of a brand matches, for brands whose deliveries have a quota.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use domain::event::event_type::patterns_covering;
use domain::ids::BrandId;
use store::routing::publishing::{self, Subscription};
use store::{Store, StoreError};

use crate::keyed_permits::KeyedPermits;

/// Most brands whose numbers are kept. Each takes some tens of bytes for each type of the catalogue.
const MAX_CACHED_BRANDS: usize = 1000;

/// The number of webhooks for each type of a brand.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FanOut(HashMap<String, u64>);

impl FanOut {
    /// Counts the webhooks for each of the types.
    fn new(types: Vec<String>, subscriptions: &[Subscription]) -> Self {
        let mut by_pattern: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, subscription) in subscriptions.iter().enumerate() {
            for pattern in &subscription.events {
                by_pattern.entry(pattern.as_str()).or_default().push(index);
            }
        }
        // The type for which a subscription was counted last, so that several of its patterns count once.
        let mut counted_for = vec![usize::MAX; subscriptions.len()];
        let mut counts = HashMap::new();
        for (number, name) in types.into_iter().enumerate() {
            let mut webhooks = 0;
            for index in patterns_covering(&name).filter_map(|pattern| by_pattern.get(pattern)).flatten() {
                if std::mem::replace(&mut counted_for[*index], number) != number {
                    webhooks += u64::try_from(subscriptions[*index].webhooks).unwrap_or(0);
                }
            }
            if webhooks > 0 {
                counts.insert(name, webhooks);
            }
        }
        Self(counts)
    }

    /// Returns the number of webhooks for a type.
    pub(super) fn count(&self, event_type: &str) -> u64 {
        self.0.get(event_type).copied().unwrap_or(0)
    }
}

/// Numbers that were counted, with the version of the configuration that they show at least.
#[derive(Debug)]
pub(super) struct FanOutCache {
    counted: Mutex<HashMap<BrandId, (i64, Arc<FanOut>)>>,
    /// Requests of a brand that miss count one after another, so that the second one finds the numbers of the first.
    counting: KeyedPermits<BrandId>,
}

impl Default for FanOutCache {
    fn default() -> Self {
        Self { counted: Mutex::default(), counting: KeyedPermits::new(1) }
    }
}

impl FanOutCache {
    /// Finds the numbers of a brand, which show the version `wanted` or a later one. `known` is the version that is
    /// loaded, and `list_types` lists the types that are enabled for the brand.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn find(
        &self,
        store: &Store,
        brand: &BrandId,
        wanted: i64,
        known: i64,
        list_types: impl FnOnce() -> Vec<String>,
    ) -> Result<Arc<FanOut>, StoreError> {
        if let Some(counted) = self.get(brand, wanted) {
            return Ok(counted);
        }
        // Without a permit the request counts by itself; the numbers are the same.
        let _permit = self.counting.acquire(brand).await;
        if let Some(counted) = self.get(brand, wanted) {
            return Ok(counted);
        }
        let subscriptions = publishing::load_subscriptions(store, brand).await?;
        let fan_out = Arc::new(FanOut::new(list_types(), &subscriptions));
        self.insert(brand.clone(), known, fan_out.clone());
        Ok(fan_out)
    }

    fn get(&self, brand: &BrandId, wanted: i64) -> Option<Arc<FanOut>> {
        let counted = self.counted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        counted.get(brand).filter(|(version, _)| *version >= wanted).map(|(_, fan_out)| fan_out.clone())
    }

    fn insert(&self, brand: BrandId, version: i64, fan_out: Arc<FanOut>) {
        let mut counted = self.counted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if counted.len() >= MAX_CACHED_BRANDS && !counted.contains_key(&brand) {
            // So many brands with this quota are not expected, and counting again is cheap.
            counted.clear();
        }
        counted.insert(brand, (version, fan_out));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(events: &[&str], webhooks: i64) -> Subscription {
        Subscription {
            events: events.iter().map(|text| text.parse().expect("a pattern")).collect(),
            webhooks,
        }
    }

    #[test]
    fn a_webhook_counts_once_for_a_type() {
        let subscriptions = [
            subscription(&["A.B"], 3),
            subscription(&["A", "A.B", "*"], 2),
            subscription(&["A.C"], 10),
            subscription(&["*"], 100),
        ];
        let types = ["A.B", "A.C", "X"].map(str::to_owned).to_vec();
        let fan_out = FanOut::new(types, &subscriptions);
        assert_eq!(["A.B", "A.C", "X"].map(|name| fan_out.count(name)), [105, 112, 102]);
        assert_eq!(fan_out.count("Y"), 0, "a type that is not enabled causes no delivery");
    }

    #[test]
    fn a_type_without_webhooks_takes_no_memory() {
        assert_eq!(FanOut::new(vec!["A".to_owned()], &[subscription(&["B"], 1)]), FanOut::default());
    }

    #[test]
    fn numbers_of_an_older_version_are_not_used() {
        let cache = FanOutCache::default();
        let brand: BrandId = "acme".parse().expect("a brand");
        cache.insert(brand.clone(), 5, Arc::default());
        assert!(cache.get(&brand, 5).is_some() && cache.get(&brand, 4).is_some());
        assert!(cache.get(&brand, 6).is_none());
    }

    #[test]
    fn the_number_of_brands_is_bounded() {
        let cache = FanOutCache::default();
        for number in 0..=MAX_CACHED_BRANDS {
            cache.insert(format!("b{number}").parse().expect("a brand"), 1, Arc::default());
        }
        assert_eq!(cache.counted.lock().expect("the map").len(), 1);
    }
}
