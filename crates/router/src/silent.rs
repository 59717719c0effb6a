//! Webhooks whose queue confirmed nothing a moment ago.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a queue is passed by.
const FOR: Duration = Duration::from_secs(30);

/// The webhooks to pass by, each for a while. It holds no more than the queues that are silent.
#[derive(Debug, Default)]
pub(crate) struct Silent(Mutex<HashMap<String, Instant>>);

impl Silent {
    /// Passes a webhook's queue by from now on.
    pub(crate) fn note(&self, webhook: &str) {
        let mut silent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        silent.retain(|_, since| since.elapsed() < FOR);
        silent.insert(webhook.to_owned(), Instant::now());
    }

    /// Whether a webhook's queue is passed by.
    pub(crate) fn holds(&self, webhook: &str) -> bool {
        let silent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        silent.get(webhook).is_some_and(|since| since.elapsed() < FOR)
    }
}
