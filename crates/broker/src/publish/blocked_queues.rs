//! Queues that stored nothing a moment ago, so that publishers pass them by.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a queue is passed by before it is probed again.
const PROBE_AGAIN_AFTER: Duration = Duration::from_secs(15);

/// How long a queue is remembered that nobody publishes to any more, such as that of a deleted webhook.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// The queues to pass by, by the name that the publisher gives them. It holds no more than the queues that were blocked a minute ago.
#[derive(Debug, Default)]
pub struct BlockedQueues(Mutex<HashMap<String, Instant>>);

/// How a queue is to be treated.
#[derive(Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Nothing is known against it.
    Use,
    /// It was blocked a moment ago.
    PassBy,
    /// It was blocked for a while: it is passed by, and the caller probes it.
    Probe,
}

impl BlockedQueues {
    /// Passes a queue by from now on. Whether it was in use until now.
    pub fn block(&self, queue: &str) -> bool {
        self.queues().insert(queue.to_owned(), Instant::now()).is_none()
    }

    /// Passes it by no longer.
    pub fn unblock(&self, queue: &str) {
        self.queues().remove(queue);
    }

    /// Whether it is passed by.
    #[must_use]
    pub fn contains(&self, queue: &str) -> bool {
        self.queues().contains_key(queue)
    }

    /// How it is to be treated. One caller at a time is told to probe it.
    pub fn treatment(&self, queue: &str) -> Treatment {
        match self.queues().get_mut(queue) {
            None => Treatment::Use,
            Some(since) if since.elapsed() < PROBE_AGAIN_AFTER => Treatment::PassBy,
            Some(since) => {
                *since = Instant::now();
                Treatment::Probe
            }
        }
    }

    /// How many there are, after those are forgotten that nobody published to for long.
    pub fn count(&self) -> usize {
        let mut queues = self.queues();
        queues.retain(|_, since| since.elapsed() < FORGET_AFTER);
        queues.len()
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
