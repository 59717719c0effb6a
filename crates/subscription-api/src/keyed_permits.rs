//! Permits that each brand or client network has for itself, so that its work never waits for another's.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Time that a request waits for the other requests with its key.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(5);

type Keys<K> = Arc<Mutex<HashMap<K, Entry>>>;

/// The permits of the keys that some request uses or waits for. Another key takes no memory.
#[derive(Debug)]
pub(crate) struct KeyedPermits<K: Eq + Hash> {
    /// Number of permits of each key.
    per_key: usize,
    keys: Keys<K>,
}

#[derive(Debug)]
struct Entry {
    permits: Arc<Semaphore>,
    /// Number of permits in use, and of requests that wait for one.
    users: usize,
}

/// A permit of a key, until it is dropped.
#[derive(Debug)]
pub(crate) struct KeyedPermit<K: Eq + Hash> {
    _permit: OwnedSemaphorePermit,
    _user: User<K>,
}

/// A request that uses a permit, or waits for one and may be cancelled meanwhile.
#[derive(Debug)]
struct User<K: Eq + Hash> {
    key: K,
    keys: Keys<K>,
}

impl<K: Eq + Hash + Clone + Debug> KeyedPermits<K> {
    /// Creates permits, this number for each key.
    pub(crate) fn new(per_key: usize) -> Self {
        Self { per_key, keys: Keys::default() }
    }

    /// Waits for a permit of a key. `None` when the other requests with this key keep theirs for too long.
    pub(crate) async fn acquire(&self, key: &K) -> Option<KeyedPermit<K>> {
        let (permits, user) = self.register(key);
        let acquired = tokio::time::timeout(PERMIT_TIMEOUT, permits.acquire_owned()).await;
        Some(KeyedPermit { _permit: acquired.ok()?.ok()?, _user: user })
    }

    fn register(&self, key: &K) -> (Arc<Semaphore>, User<K>) {
        let mut keys = lock(&self.keys);
        let new = || Entry { permits: Arc::new(Semaphore::new(self.per_key)), users: 0 };
        let entry = keys.entry(key.clone()).or_insert_with(new);
        entry.users += 1;
        (Arc::clone(&entry.permits), User { key: key.clone(), keys: Arc::clone(&self.keys) })
    }
}

impl<K: Eq + Hash> Drop for User<K> {
    fn drop(&mut self) {
        let mut keys = lock(&self.keys);
        if let Some(entry) = keys.get_mut(&self.key) {
            entry.users -= 1;
            if entry.users == 0 {
                keys.remove(&self.key);
            }
        }
    }
}

// A poisoned lock is safe to use, because no panic can leave the map half changed.
fn lock<K>(keys: &Keys<K>) -> MutexGuard<'_, HashMap<K, Entry>> {
    keys.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_waits_for_its_own_permits_only() {
        let permits = KeyedPermits::new(2);
        let one = permits.acquire(&"acme").await.expect("a permit");
        let _two = permits.acquire(&"acme").await.expect("a permit");
        assert!(permits.acquire(&"acme").await.is_none(), "both are in use");
        assert!(permits.acquire(&"other").await.is_some());
        let (third, ()) = tokio::join!(permits.acquire(&"acme"), async { drop(one) });
        assert!(third.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_uses_no_permit_takes_no_memory() {
        let permits = KeyedPermits::new(1);
        let one = permits.acquire(&"acme").await.expect("a permit");
        assert!(permits.acquire(&"acme").await.is_none());
        // A request that is cancelled when the permit is free already, but before it has taken it.
        let mut cancelled = Box::pin(permits.acquire(&"acme"));
        tokio::select! {
            biased;
            _ = &mut cancelled => panic!("the permit is in use"),
            () = std::future::ready(()) => {}
        }
        drop(one);
        drop(cancelled);
        assert!(lock(&permits.keys).is_empty());
    }
}
