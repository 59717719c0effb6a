//! Detection of stalled work.
//!
//! A service may reach both of its servers and still make no progress, for example because PostgreSQL refuses a
//! statement again and again, a queue confirms nothing, or a lock is never released. [`WorkProgress`] watches one kind
//! of work that is quick unless something is wrong. [`crate::readiness::Readiness`] combines several of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Time without progress after which unfinished work is stalled (contract §7).
pub const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// The progress of one kind of work, cheap to clone.
///
/// The time without progress counts from the latest of three events: the first item began while none was unfinished, a
/// call of [`Self::advance`], a call of [`WorkItem::done`]. An item that is dropped without `done` is no progress.
#[derive(Debug, Clone)]
pub struct WorkProgress(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: &'static str,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    unfinished: usize,
    /// When the latest progress happened, or when the first of the unfinished items began.
    since: Instant,
}

/// An item of work, which is unfinished until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct WorkItem(WorkProgress);

impl WorkProgress {
    /// Creates the progress of work with this name, which is a label value of a metric.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self(Arc::new(Inner { name, state: Mutex::new(State { unfinished: 0, since: Instant::now() }) }))
    }

    /// Returns the name of the work.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// Begins an item of work.
    pub fn begin(&self) -> WorkItem {
        self.state().begin(Instant::now());
        WorkItem(self.clone())
    }

    /// Records progress of an item that is still unfinished.
    pub fn advance(&self) {
        self.state().since = Instant::now();
    }

    /// Returns for how long the work has made no progress, if that is longer than [`STALL_TIMEOUT`].
    #[must_use]
    pub fn stalled_for(&self) -> Option<Duration> {
        self.state().stalled_for(Instant::now())
    }

    /// Moves the latest progress into the past.
    #[cfg(test)]
    pub(crate) fn rewind(&self, by: Duration) {
        let mut state = self.state();
        state.since = state.since.checked_sub(by).expect("the machine has run for longer");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WorkItem {
    /// Finishes the item, which is progress.
    pub fn done(self) {
        self.0.advance();
    }
}

impl Drop for WorkItem {
    fn drop(&mut self) {
        self.0.state().unfinished -= 1;
    }
}

impl State {
    fn begin(&mut self, now: Instant) {
        if self.unfinished == 0 {
            self.since = now;
        }
        self.unfinished += 1;
    }

    fn stalled_for(&self, now: Instant) -> Option<Duration> {
        let idle = now.saturating_duration_since(self.since);
        (self.unfinished > 0 && idle >= STALL_TIMEOUT).then_some(idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns work without unfinished items, and a clock that starts at second 0.
    fn idle() -> (State, impl Fn(u64) -> Instant) {
        let began = Instant::now();
        (State { unfinished: 0, since: began }, move |second| began + Duration::from_secs(second))
    }

    #[test]
    fn work_without_progress_for_a_minute_is_stalled() {
        let (mut state, at) = idle();
        state.begin(at(0));
        assert_eq!(state.stalled_for(at(59)), None);
        assert_eq!(state.stalled_for(at(60)), Some(Duration::from_secs(60)));
        assert_eq!(state.stalled_for(at(75)), Some(Duration::from_secs(75)));
    }

    #[test]
    fn finished_work_is_never_stalled_and_the_next_item_has_a_whole_minute() {
        let (mut state, at) = idle();
        assert_eq!(state.stalled_for(at(3600)), None);
        state.begin(at(3600));
        assert_eq!(state.stalled_for(at(3659)), None);
        assert_eq!(state.stalled_for(at(3660)), Some(STALL_TIMEOUT));
    }

    #[test]
    fn a_new_item_is_no_progress_but_a_finished_item_is() {
        let (mut state, at) = idle();
        state.begin(at(0));
        state.begin(at(50));
        assert_eq!(state.stalled_for(at(60)), Some(STALL_TIMEOUT));
        state.since = at(60);
        assert_eq!(state.stalled_for(at(119)), None);
        assert_eq!(state.stalled_for(at(120)), Some(STALL_TIMEOUT));
    }

    #[test]
    fn a_finished_item_is_progress_but_a_dropped_item_is_not() {
        let progress = WorkProgress::new("test");
        let one = progress.begin();
        let other = progress.begin();
        let third = progress.begin();
        progress.rewind(STALL_TIMEOUT);
        drop(one);
        assert!(progress.stalled_for().is_some());
        other.done();
        assert_eq!((progress.stalled_for(), progress.state().unfinished), (None, 1));
        progress.rewind(STALL_TIMEOUT);
        drop(third);
        assert_eq!(progress.stalled_for(), None, "no item is unfinished");
    }

    #[test]
    fn a_clock_that_is_behind_the_last_progress_is_no_stall() {
        let (mut state, at) = idle();
        state.begin(at(100));
        assert_eq!(state.stalled_for(at(0)), None);
    }
}
