//! A bounded map whose entries expire.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A map whose entries expire. While it is full, further keys are left out.
#[derive(Debug)]
pub(crate) struct ExpiringMap<K, V> {
    max: usize,
    ttl: Duration,
    entries: Mutex<HashMap<K, (V, Instant)>>,
}

impl<K: Hash + Eq, V: Copy> ExpiringMap<K, V> {
    pub(crate) fn new(max: usize, ttl: Duration) -> Self {
        Self { max, ttl, entries: Mutex::default() }
    }

    fn with_entries<R>(&self, act: impl FnOnce(&mut HashMap<K, (V, Instant)>) -> R) -> R {
        // A poisoned lock is safe to use, because no panic can leave the map half changed.
        act(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn insert(&self, key: K, value: V) {
        let until = Instant::now() + self.ttl;
        self.with_entries(|entries| {
            if entries.len() < self.max || entries.contains_key(&key) {
                entries.insert(key, (value, until));
            }
        });
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let now = Instant::now();
        self.with_entries(|entries| {
            entries.get(key).filter(|(_, until)| *until > now).map(|(value, _)| *value)
        })
    }

    pub(crate) fn remove(&self, key: &K) {
        self.with_entries(|entries| entries.remove(key));
    }

    /// Removes the entries that have expired. The caller repeats this at an interval.
    pub(crate) fn remove_expired(&self) {
        let now = Instant::now();
        self.with_entries(|entries| entries.retain(|_, (_, until)| *until > now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn entries_expire_and_a_full_map_takes_no_more() {
        let map = ExpiringMap::new(2, Duration::from_secs(5));
        let has = |key| map.get(&key) == Some(key * 10);
        map.insert(1, 10);
        map.insert(2, 20);
        map.insert(3, 30);
        assert_eq!([1, 2, 3].map(has), [true, true, false]);
        tokio::time::advance(Duration::from_secs(6)).await;
        assert!(!has(1));
        map.insert(3, 30);
        assert!(!has(3), "expired entries take their place until they are removed");
        map.remove_expired();
        map.insert(3, 30);
        assert!(has(3));
        map.remove(&3);
        assert!(!has(3));
    }
}
