//! Webhooks whose queue confirmed nothing a moment ago.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a queue is passed by before it is asked again.
const FOR: Duration = Duration::from_secs(15);

/// The webhooks to pass by. It holds no more than the queues that are silent.
#[derive(Debug, Default)]
pub(crate) struct Silent(Mutex<HashMap<String, Instant>>);

/// How a webhook's queue is to be treated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Hearing {
    /// Nothing is known against it.
    Answers,
    /// It was silent a moment ago.
    PassBy,
    /// It was silent for a while: it is passed by, and the caller looks whether it answers.
    AskAgain,
}

impl Silent {
    /// Passes a webhook's queue by from now on.
    pub(crate) fn note(&self, webhook: &str) {
        self.silent().insert(webhook.to_owned(), Instant::now());
    }

    /// Passes it by no longer.
    pub(crate) fn clear(&self, webhook: &str) {
        self.silent().remove(webhook);
    }

    /// How it is to be treated. One caller at a time is told to ask again.
    pub(crate) fn of(&self, webhook: &str) -> Hearing {
        match self.silent().get_mut(webhook) {
            None => Hearing::Answers,
            Some(since) if since.elapsed() < FOR => Hearing::PassBy,
            Some(since) => {
                *since = Instant::now();
                Hearing::AskAgain
            }
        }
    }

    fn silent(&self) -> std::sync::MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
