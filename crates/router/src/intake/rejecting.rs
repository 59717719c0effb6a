//! The memory of events from backlogs that are being rejected.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::ids::BrandId;

/// Counts the bytes of events from backlogs whose rejection is being published. Cheap to clone.
///
/// These events wait in the background until RabbitMQ confirms their copies, and no link has a bound on them. So they
/// count beside those that wait for their turn, and a backlog of invalid events is not pulled faster than it is rejected.
#[derive(Debug, Clone, Default)]
pub(crate) struct RejectingBytes(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    total: usize,
    /// Bytes of each brand that has any.
    brands: HashMap<BrandId, usize>,
}

/// Bytes that count until they are dropped.
#[derive(Debug)]
pub(crate) struct HeldBytes {
    rejecting: RejectingBytes,
    brand_id: BrandId,
    bytes: usize,
}

impl RejectingBytes {
    /// Counts bytes of a brand.
    pub(crate) fn hold(&self, brand_id: &BrandId, bytes: usize) -> HeldBytes {
        let mut inner = self.inner();
        inner.total += bytes;
        *inner.brands.entry(brand_id.clone()).or_default() += bytes;
        HeldBytes { rejecting: self.clone(), brand_id: brand_id.clone(), bytes }
    }

    /// Returns the bytes of a brand, and of all brands.
    pub(crate) fn count(&self, brand_id: &BrandId) -> (usize, usize) {
        let inner = self.inner();
        (inner.brands.get(brand_id).copied().unwrap_or(0), inner.total)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        let mut inner = self.rejecting.inner();
        inner.total -= self.bytes;
        if let Some(bytes) = inner.brands.get_mut(&self.brand_id) {
            *bytes -= self.bytes;
            if *bytes == 0 {
                inner.brands.remove(&self.brand_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_count_for_their_brand_and_in_all_until_they_are_dropped() {
        let rejecting = RejectingBytes::default();
        let [one, two] = ["one", "two"].map(|brand| brand.parse::<BrandId>().expect("a brand"));
        let held = [rejecting.hold(&one, 3), rejecting.hold(&one, 4)];
        let other = rejecting.hold(&two, 5);
        assert_eq!((rejecting.count(&one), rejecting.count(&two)), ((7, 12), (5, 12)));
        drop(held);
        assert_eq!((rejecting.count(&one), rejecting.count(&two)), ((0, 5), (5, 5)));
        drop(other);
        assert!(rejecting.inner().brands.is_empty() && rejecting.inner().total == 0);
    }
}
