//! Queues that stored nothing a moment ago. Publishers bypass them, as a circuit breaker does.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Time between two probes of a blocked queue.
const PROBE_INTERVAL: Duration = Duration::from_secs(15);

/// Time after which a blocked queue without publishers is forgotten, such as the queue of a deleted webhook.
const FORGET_DELAY: Duration = Duration::from_secs(60);

/// The blocked queues, by the names that their publishers use. It holds no more than the queues that were blocked
/// within the last minute.
#[derive(Debug, Default)]
pub struct BlockedQueues(Mutex<HashMap<String, Instant>>);

/// Health of a queue, as far as its publishers know.
#[derive(Debug, PartialEq, Eq)]
pub enum QueueHealth {
    /// The queue is not blocked.
    Healthy,
    /// The queue was blocked or probed a moment ago.
    Blocked,
    /// The queue is blocked, and the caller has to probe it.
    ProbeDue,
}

impl BlockedQueues {
    /// Marks a queue as blocked, and returns whether it was healthy before.
    pub fn block(&self, queue: &str) -> bool {
        self.lock_queues().insert(queue.to_owned(), Instant::now()).is_none()
    }

    /// Marks a queue as healthy.
    pub fn unblock(&self, queue: &str) {
        self.lock_queues().remove(queue);
    }

    /// Returns whether a queue is blocked.
    #[must_use]
    pub fn contains(&self, queue: &str) -> bool {
        self.lock_queues().contains_key(queue)
    }

    /// Returns the health of a queue. One caller in each `PROBE_INTERVAL` gets [`QueueHealth::ProbeDue`].
    pub fn health_of(&self, queue: &str) -> QueueHealth {
        match self.lock_queues().get_mut(queue) {
            None => QueueHealth::Healthy,
            Some(since) if since.elapsed() < PROBE_INTERVAL => QueueHealth::Blocked,
            Some(since) => {
                *since = Instant::now();
                QueueHealth::ProbeDue
            }
        }
    }

    /// Returns how many queues are blocked, after it has dropped the entries older than `FORGET_DELAY`.
    pub fn count(&self) -> usize {
        let mut queues = self.lock_queues();
        queues.retain(|_, since| since.elapsed() < FORGET_DELAY);
        queues.len()
    }

    fn lock_queues(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
