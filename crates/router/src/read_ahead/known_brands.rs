//! The brands that exist, for the tasks that read events.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use domain::ids::BrandId;

/// The brands of the subscription index. A brand that was created a moment ago may be missing. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownBrands(Arc<RwLock<HashSet<BrandId>>>);

impl KnownBrands {
    /// Adds the brands of the index. Brands are never removed from it.
    pub(crate) fn update<'a>(&self, brands: impl ExactSizeIterator<Item = &'a BrandId>) {
        if self.0.read().unwrap_or_else(PoisonError::into_inner).len() < brands.len() {
            self.0.write().unwrap_or_else(PoisonError::into_inner).extend(brands.cloned());
        }
    }

    pub(crate) fn contains(&self, brand_id: &BrandId) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(brand_id)
    }
}
