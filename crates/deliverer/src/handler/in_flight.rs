//! Keeps one delivery from being handled twice at once in this process.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use store::delivery::record::DeliveryKey;
use tokio::sync::Notify;

/// The deliveries in flight. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct InFlight(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    keys: Mutex<HashSet<DeliveryKey>>,
    left: Notify,
}

/// Keeps a delivery in flight until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlightGuard {
    inner: Arc<Inner>,
    key: DeliveryKey,
}

impl InFlight {
    /// Whether a delivery is in flight.
    pub(crate) fn contains(&self, key: &DeliveryKey) -> bool {
        self.0.keys().contains(key)
    }

    /// Enters a delivery once no other task has it. Returns whether this task had to wait for another.
    pub(crate) async fn enter(&self, key: DeliveryKey) -> (InFlightGuard, bool) {
        let mut has_waited = false;
        loop {
            // Register for the notification before checking the set, so that a departure in between is not missed.
            let left = self.0.left.notified();
            if self.0.keys().insert(key) {
                return (InFlightGuard { inner: Arc::clone(&self.0), key }, has_waited);
            }
            left.await;
            has_waited = true;
        }
    }
}

impl Inner {
    fn keys(&self) -> MutexGuard<'_, HashSet<DeliveryKey>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.inner.keys().remove(&self.key);
        self.inner.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::{EventId, WebhookId};
    use domain::time::Timestamp;
    use futures_util::FutureExt;
    use uuid::Uuid;

    use super::*;

    fn key(number: u128) -> DeliveryKey {
        DeliveryKey {
            webhook: WebhookId(Uuid::from_u128(7)),
            created: Timestamp::UNIX_EPOCH,
            event: EventId::from_uuid(Uuid::from_u128(number)),
        }
    }

    #[tokio::test]
    async fn a_second_task_waits_and_learns_that_it_did() {
        let in_flight = InFlight::default();
        let (first, has_waited) = in_flight.enter(key(1)).await;
        assert!(!has_waited && in_flight.contains(&key(1)));
        let mut second = Box::pin(in_flight.enter(key(1)));
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        let (second, has_waited) = second.await;
        assert!(has_waited && in_flight.contains(&key(1)));
        drop(second);
        assert!(!in_flight.contains(&key(1)));
    }

    #[tokio::test]
    async fn other_deliveries_do_not_wait() {
        let in_flight = InFlight::default();
        let (_first, _) = in_flight.enter(key(1)).await;
        let entered = in_flight.enter(key(2)).now_or_never();
        assert!(entered.is_some_and(|(_, has_waited)| !has_waited));
    }

    #[tokio::test]
    async fn of_many_tasks_only_one_is_in_at_a_time() {
        let in_flight = InFlight::default();
        let inside = Arc::new(Mutex::new(0));
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let in_flight = in_flight.clone();
                let inside = Arc::clone(&inside);
                runtime::tasks::spawn_named("test", async move {
                    let _guard = in_flight.enter(key(1)).await;
                    *inside.lock().expect("no panic") += 1;
                    tokio::task::yield_now().await;
                    let mut inside = inside.lock().expect("no panic");
                    assert_eq!(*inside, 1);
                    *inside -= 1;
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("one at a time");
        }
    }
}
