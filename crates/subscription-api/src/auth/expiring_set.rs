//! A bounded set whose members expire.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A set whose members expire. While it is full, further members are left out.
#[derive(Debug)]
pub(crate) struct ExpiringSet<K> {
    max: usize,
    ttl: Duration,
    members: Mutex<HashMap<K, Instant>>,
}

impl<K: Hash + Eq> ExpiringSet<K> {
    pub(crate) fn new(max: usize, ttl: Duration) -> Self {
        Self { max, ttl, members: Mutex::default() }
    }

    fn with_members<R>(&self, act: impl FnOnce(&mut HashMap<K, Instant>) -> R) -> R {
        // A poisoned lock is safe to use, because no panic can leave the map half changed.
        act(&mut self.members.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn insert(&self, key: K) {
        let until = Instant::now() + self.ttl;
        self.with_members(|members| {
            if members.len() < self.max || members.contains_key(&key) {
                members.insert(key, until);
            }
        });
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.with_members(|members| members.get(key).is_some_and(|until| *until > Instant::now()))
    }

    pub(crate) fn remove(&self, key: &K) {
        self.with_members(|members| members.remove(key));
    }

    /// Removes the members that have expired. The caller repeats this at an interval.
    pub(crate) fn remove_expired(&self) {
        let now = Instant::now();
        self.with_members(|members| members.retain(|_, until| *until > now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn members_expire_and_a_full_set_takes_no_more() {
        let set = ExpiringSet::new(2, Duration::from_secs(5));
        set.insert(1);
        set.insert(2);
        set.insert(3);
        assert_eq!([1, 2, 3].map(|key| set.contains(&key)), [true, true, false]);
        tokio::time::advance(Duration::from_secs(6)).await;
        assert!(!set.contains(&1));
        set.insert(3);
        assert!(!set.contains(&3), "expired members take their place until they are removed");
        set.remove_expired();
        set.insert(3);
        assert!(set.contains(&3));
        set.remove(&3);
        assert!(!set.contains(&3));
    }
}
