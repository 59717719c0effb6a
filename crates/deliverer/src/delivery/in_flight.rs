//! Which deliveries are being handled in this process, so that none is handled twice at once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use store::record::DeliveryKey;
use tokio::sync::Notify;

/// The deliveries in flight. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct InFlight(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    keys: Mutex<HashSet<DeliveryKey>>,
    left: Notify,
}

/// A delivery is in flight as long as this lives.
#[derive(Debug)]
pub(crate) struct Guard {
    inner: Arc<Inner>,
    key: DeliveryKey,
}

impl InFlight {
    /// Whether a delivery is being handled.
    pub(crate) fn contains(&self, key: &DeliveryKey) -> bool {
        self.0.keys.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    /// Enters a delivery, once nobody else has it; and whether somebody had.
    pub(crate) async fn enter(&self, key: DeliveryKey) -> (Guard, bool) {
        let mut waited = false;
        loop {
            // Register for the notification before checking the set, so that a departure in between is not missed.
            let left = self.0.left.notified();
            if self.0.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key) {
                return (Guard { inner: Arc::clone(&self.0), key }, waited);
            }
            left.await;
            waited = true;
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.inner.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
        self.inner.left.notify_waiters();
    }
}
