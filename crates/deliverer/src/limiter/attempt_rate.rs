//! Measures how many attempts this replica makes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::MissedTickBehavior;

/// How often the attempts are counted.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);

/// Attempts a second over all endpoints. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct AttemptRate(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    current: AtomicU32,
    per_second: AtomicU32,
}

impl AttemptRate {
    /// Starts the meter with its task in the background.
    pub(crate) fn start() -> Self {
        let rate = Self::default();
        let counted = rate.clone();
        runtime::tasks::spawn_essential("attempt rate", async move {
            let mut seconds = tokio::time::interval(COUNT_INTERVAL);
            seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                seconds.tick().await;
                counted.end_second();
            }
        });
        rate
    }

    pub(crate) fn record_attempt(&self) {
        self.0.current.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn per_second(&self) -> u32 {
        self.0.per_second.load(Ordering::Relaxed)
    }

    fn end_second(&self) {
        let attempts = self.0.current.swap(0, Ordering::Relaxed);
        self.0.per_second.store(attempts, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(crate) fn set_rate(&self, per_second: u32) {
        self.0.per_second.store(per_second, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_the_number_of_attempts_of_the_last_second() {
        let rate = AttemptRate::default();
        (0..3).for_each(|_| rate.record_attempt());
        assert_eq!(rate.per_second(), 0, "the second is not over");
        rate.end_second();
        assert_eq!(rate.per_second(), 3);
        rate.end_second();
        assert_eq!(rate.per_second(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_task_counts_every_second() {
        let rate = AttemptRate::start();
        tokio::time::sleep(COUNT_INTERVAL / 2).await;
        rate.record_attempt();
        tokio::time::sleep(COUNT_INTERVAL).await;
        assert_eq!(rate.per_second(), 1);
    }
}
