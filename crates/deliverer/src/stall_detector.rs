//! Notices that the process stood still: stopped, starved, or its machine paused. Meanwhile the broker
//! may have given its messages to another replica, while they wait here as if nothing had happened.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often it beats.
const EVERY: Duration = Duration::from_millis(500);
/// A longer pause between two beats is a standstill. The broker gives up a connection only after
/// two heartbeats, so this is well before.
const STANDSTILL: Duration = Duration::from_secs(2);

const _: () = assert!(STANDSTILL.as_secs() < broker::HEARTBEAT_SECONDS as u64);

/// The pulse of the process. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Pulse(Arc<Mutex<Beats>>);

#[derive(Debug)]
struct Beats {
    last: Instant,
    /// The end of the latest standstill.
    missed: Option<Instant>,
}

impl Pulse {
    /// A pulse that beats in the background.
    pub(crate) fn start() -> Self {
        let pulse = Self(Arc::new(Mutex::new(Beats::new(Instant::now()))));
        let beating = pulse.clone();
        runtime::tasks::spawn_essential("pulse", async move {
            loop {
                beating.beat();
                tokio::time::sleep(EVERY).await;
            }
        });
        pulse
    }

    /// Whether the process stood still at some time after `since`. Who asks is a beat, too: whatever
    /// runs first after a standstill learns of it.
    pub(crate) fn missed_since(&self, since: Instant) -> bool {
        self.beat().is_some_and(|missed| missed > since)
    }

    fn beat(&self) -> Option<Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).beat(Instant::now())
    }
}

impl Beats {
    fn new(now: Instant) -> Self {
        Self { last: now, missed: None }
    }

    fn beat(&mut self, now: Instant) -> Option<Instant> {
        if now.saturating_duration_since(self.last) > STANDSTILL {
            self.missed = Some(now);
        }
        self.last = now;
        self.missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standstill_is_noticed_by_whoever_beats_next_and_a_busy_moment_is_none() {
        let began = Instant::now();
        let at = |millis: u64| began + Duration::from_millis(millis);
        let mut beats = Beats::new(began);
        assert_eq!(beats.beat(at(500)), None);
        assert_eq!(beats.beat(at(2_000)), None, "late, but no standstill");
        assert_eq!(beats.beat(at(12_000)), Some(at(12_000)));
        assert_eq!(beats.beat(at(12_500)), Some(at(12_000)), "what began before it stays in doubt");
    }
}
