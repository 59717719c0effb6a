//! A running attack, and the count of the answers to it.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinSet;

/// Tasks that attack until they are dropped.
#[derive(Debug)]
pub(crate) struct Attack {
    tasks: JoinSet<()>,
    /// Counts the results of the attack's requests and messages.
    pub(crate) tally: Arc<Tally>,
}

impl Attack {
    pub(crate) fn new() -> Self {
        Self { tasks: JoinSet::new(), tally: Arc::default() }
    }

    /// Adds a task.
    pub(crate) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Stops the attack, and describes its results.
    ///
    /// # Panics
    /// When one of its tasks panicked, because then it was no attack.
    pub(crate) async fn stop(mut self) -> String {
        self.tasks.abort_all();
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                assert!(error.is_cancelled(), "a task of the attack failed: {error}");
            }
        }
        self.tally.to_string()
    }
}

/// Numbers by name.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<BTreeMap<String, u64>>);

impl Tally {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, name: impl ToString, number: u64) {
        *self.lock().entry(name.to_string()).or_default() += number;
    }

    /// Returns a number so far.
    pub(crate) fn read(&self, name: &str) -> u64 {
        self.lock().get(name).copied().unwrap_or_default()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> =
            self.lock().iter().map(|(name, number)| format!("{number} {name}")).collect();
        f.write_str(&parts.join(", "))
    }
}
