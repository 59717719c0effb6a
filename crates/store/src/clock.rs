//! The time by the database's clock, so that all processes agree on it.
//!
//! A process with a wrong clock of its own would otherwise sign requests with a time that endpoints refuse, and plan
//! attempts that no process makes.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;

use domain::time::Timestamp;

/// Bounds the round trip of an answer that is adopted as the time. A slower answer is too inexact.
const MAX_ROUND_TRIP: Duration = Duration::from_secs(1);

/// The latest time that the database reported. It advances by the monotonic clock, because nobody can set that one.
static ANCHOR: RwLock<Option<Anchor>> = RwLock::new(None);

#[derive(Debug, Clone, Copy)]
struct Anchor {
    at: Timestamp,
    since: Instant,
}

/// Returns the current time of the database. Before its first answer, this machine's clock is used.
#[must_use]
pub fn now() -> Timestamp {
    let anchor = *ANCHOR.read().unwrap_or_else(PoisonError::into_inner);
    anchor.map_or_else(chrono::Utc::now, |anchor| anchor.at + anchor.since.elapsed())
}

/// Adopts the time `at` that the database reported to a question of `asked`.
pub(crate) fn adopt_time(at: Timestamp, asked: Instant) {
    if asked.elapsed() <= MAX_ROUND_TRIP {
        *ANCHOR.write().unwrap_or_else(PoisonError::into_inner) = Some(Anchor { at, since: asked });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_advances_from_the_adopted_time_and_a_slow_answer_is_ignored() {
        let reported = chrono::Utc::now() + chrono::TimeDelta::days(10);
        adopt_time(reported, Instant::now());
        assert!(now() >= reported && now() < reported + MAX_ROUND_TRIP * 60);
        let late = Instant::now().checked_sub(MAX_ROUND_TRIP * 2).expect("a machine that runs for longer");
        adopt_time(reported - chrono::TimeDelta::days(20), late);
        assert!(now() >= reported, "the slow answer was ignored");
    }
}
