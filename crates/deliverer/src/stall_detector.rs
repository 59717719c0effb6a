//! Detects that the process stood still: stopped, starved, or its machine paused.
//!
//! While it stood still, RabbitMQ may have given its messages to another replica, and they wait here as if nothing had
//! happened.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How often the background task beats.
const BEAT_INTERVAL: Duration = Duration::from_millis(500);
/// A longer pause between two beats is a stall. RabbitMQ gives up a connection only after two heartbeats, so that a
/// stall is detected well before.
const MIN_STALL: Duration = Duration::from_secs(2);

const _: () = assert!(MIN_STALL.as_secs() < broker::HEARTBEAT_SECONDS as u64);

/// Detects stalls of the process. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct StallDetector(Arc<Mutex<Beats>>);

#[derive(Debug)]
struct Beats {
    last: Instant,
    /// The end of the latest stall.
    stall_ended: Option<Instant>,
}

impl StallDetector {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Beats::new(Instant::now()))))
    }

    /// Starts a detector that beats in the background.
    pub(crate) fn start() -> Self {
        let detector = Self::new();
        let beating = detector.clone();
        runtime::tasks::spawn_essential("stall detector", async move {
            loop {
                beating.record_beat();
                tokio::time::sleep(BEAT_INTERVAL).await;
            }
        });
        detector
    }

    /// Whether a stall ended after `since`. The call counts as a beat, so that the first task to run after a stall
    /// learns of it.
    pub(crate) fn stalled_since(&self, since: Instant) -> bool {
        self.record_beat().is_some_and(|ended| ended > since)
    }

    fn record_beat(&self) -> Option<Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).record(Instant::now())
    }
}

impl Beats {
    fn new(now: Instant) -> Self {
        Self { last: now, stall_ended: None }
    }

    /// Records a beat and returns the end of the latest stall.
    fn record(&mut self, now: Instant) -> Option<Instant> {
        if now.saturating_duration_since(self.last) > MIN_STALL {
            self.stall_ended = Some(now);
        }
        self.last = now;
        self.stall_ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_beat_after_a_stall_detects_it_and_a_busy_moment_is_none() {
        let began = Instant::now();
        let at = |millis: u64| began + Duration::from_millis(millis);
        let mut beats = Beats::new(began);
        assert_eq!(beats.record(at(500)), None);
        assert_eq!(beats.record(at(2_000)), None, "late, but no stall");
        assert_eq!(beats.record(at(12_000)), Some(at(12_000)));
        assert_eq!(beats.record(at(12_500)), Some(at(12_000)), "work that began before it stays in doubt");
    }

    #[tokio::test(start_paused = true)]
    async fn only_work_that_began_before_the_stall_is_in_doubt() {
        let detector = StallDetector::new();
        let before = Instant::now();
        tokio::time::advance(MIN_STALL + Duration::from_millis(1)).await;
        assert!(detector.stalled_since(before));
        let after = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!detector.stalled_since(after));
        assert!(detector.stalled_since(before), "the doubt stays");
    }

    #[tokio::test(start_paused = true)]
    async fn beats_in_the_background_keep_a_quiet_process_free_of_doubt() {
        let detector = StallDetector::start();
        let began = Instant::now();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!detector.stalled_since(began));
    }
}
