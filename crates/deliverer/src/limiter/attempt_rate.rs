//! How much a replica has to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::MissedTickBehavior;

/// How many attempts a replica makes, counted once a second. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tempo(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    since: AtomicU32,
    per_second: AtomicU32,
}

impl Tempo {
    /// With its task in the background.
    pub(crate) fn start() -> Self {
        let tempo = Self::default();
        let counted = Arc::clone(&tempo.0);
        runtime::tasks::spawn_essential("tempo", async move {
            let mut seconds = tokio::time::interval(Duration::from_secs(1));
            seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                seconds.tick().await;
                counted.per_second.store(counted.since.swap(0, Ordering::Relaxed), Ordering::Relaxed);
            }
        });
        tempo
    }

    pub(crate) fn count(&self) {
        self.0.since.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn per_second(&self) -> u32 {
        self.0.per_second.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn set(&self, per_second: u32) {
        self.0.per_second.store(per_second, Ordering::Relaxed);
    }
}
