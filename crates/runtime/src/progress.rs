//! Whether work that a service has in hand moves.
//!
//! A service may reach both of its servers and still stand still: a statement that is refused again and
//! again, a queue that confirms nothing, a lock that nobody releases. [`Progress`] watches one kind of work
//! that is quick whenever all is well. [`crate::ops::Readiness`] takes several of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long work may be in hand without any progress before the service is not ready (contract §7).
pub const STALLED_AFTER: Duration = Duration::from_secs(60);

/// Watches one kind of work. Cheap to clone.
///
/// Time counts from the latest of three: nothing was in hand before, [`Self::advance`], [`InHand::done`].
/// An item that is given up, so that its [`InHand`] is dropped, is no progress.
#[derive(Debug, Clone)]
pub struct Progress(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    what: &'static str,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    in_hand: usize,
    /// The latest progress, or when the first item came into empty hands.
    since: Instant,
}

/// An item of the work, in hand as long as this lives.
#[derive(Debug)]
#[must_use]
pub struct InHand(Progress);

impl Progress {
    /// Watches work of this name, a label of a metric, with nothing in hand.
    #[must_use]
    pub fn new(what: &'static str) -> Self {
        Self(Arc::new(Inner { what, state: Mutex::new(State { in_hand: 0, since: Instant::now() }) }))
    }

    /// The name of the work.
    #[must_use]
    pub fn what(&self) -> &'static str {
        self.0.what
    }

    /// Takes one more item in hand.
    pub fn begin(&self) -> InHand {
        self.state().begin(Instant::now());
        InHand(self.clone())
    }

    /// Notes that a step of the work succeeded.
    pub fn advance(&self) {
        self.state().since = Instant::now();
    }

    /// Returns for how long nothing moved, if that is too long.
    #[must_use]
    pub fn stalled(&self) -> Option<Duration> {
        self.state().stalled(Instant::now())
    }

    /// Lets the latest progress be this much longer ago.
    #[cfg(test)]
    pub(crate) fn rewind(&self, by: Duration) {
        let mut state = self.state();
        state.since = state.since.checked_sub(by).expect("a machine that runs for longer");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InHand {
    /// Ends the item, which is progress.
    pub fn done(self) {
        self.0.advance();
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.state().in_hand -= 1;
    }
}

impl State {
    fn begin(&mut self, now: Instant) {
        if self.in_hand == 0 {
            self.since = now;
        }
        self.in_hand += 1;
    }

    fn stalled(&self, now: Instant) -> Option<Duration> {
        let still = now.saturating_duration_since(self.since);
        (self.in_hand > 0 && still >= STALLED_AFTER).then_some(still)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Work that had nothing in hand at second 0.
    fn idle() -> (State, impl Fn(u64) -> Instant) {
        let began = Instant::now();
        (State { in_hand: 0, since: began }, move |second| began + Duration::from_secs(second))
    }

    #[test]
    fn work_that_does_not_move_for_a_minute_is_stalled() {
        let (mut state, at) = idle();
        state.begin(at(0));
        assert_eq!(state.stalled(at(59)), None);
        assert_eq!(state.stalled(at(60)), Some(Duration::from_secs(60)));
        assert_eq!(state.stalled(at(75)), Some(Duration::from_secs(75)));
    }

    #[test]
    fn nothing_in_hand_is_never_stalled_and_the_next_item_has_its_whole_minute() {
        let (mut state, at) = idle();
        assert_eq!(state.stalled(at(3600)), None);
        state.begin(at(3600));
        assert_eq!(state.stalled(at(3659)), None);
        assert_eq!(state.stalled(at(3660)), Some(STALLED_AFTER));
    }

    #[test]
    fn a_further_item_is_no_progress_and_a_success_of_any_is() {
        let (mut state, at) = idle();
        state.begin(at(0));
        state.begin(at(50));
        assert_eq!(state.stalled(at(60)), Some(STALLED_AFTER));
        state.since = at(60);
        assert_eq!(state.stalled(at(119)), None);
        assert_eq!(state.stalled(at(120)), Some(STALLED_AFTER));
    }

    #[test]
    fn an_item_that_is_done_is_progress_and_one_that_is_dropped_is_not() {
        let progress = Progress::new("test");
        let one = progress.begin();
        let other = progress.begin();
        let third = progress.begin();
        progress.rewind(STALLED_AFTER);
        drop(one);
        assert!(progress.stalled().is_some());
        other.done();
        assert_eq!((progress.stalled(), progress.state().in_hand), (None, 1));
        progress.rewind(STALLED_AFTER);
        drop(third);
        assert_eq!(progress.stalled(), None, "nothing is left in hand");
    }

    #[test]
    fn a_clock_that_reads_earlier_than_the_last_progress_is_no_stall() {
        let (mut state, at) = idle();
        state.begin(at(100));
        assert_eq!(state.stalled(at(0)), None);
    }
}
