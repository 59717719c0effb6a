//! The time by the database's clock, so that all processes agree on it and one with a wrong clock neither signs requests
//! with a time that endpoints refuse nor plans attempts that nobody makes.

use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use domain::time::Timestamp;

/// An answer of the database that took longer than this does not tell the time well enough.
const MAX_ROUND_TRIP: Duration = Duration::from_secs(1);

/// The latest time that the database told. It goes on by the monotonic clock, which nobody can set.
static ANCHOR: RwLock<Option<Anchor>> = RwLock::new(None);

#[derive(Debug, Clone, Copy)]
struct Anchor {
    at: Timestamp,
    since: Instant,
}

/// The time now, as the database told it last. Until it did, by this machine's clock.
#[must_use]
pub fn now() -> Timestamp {
    let anchor = *ANCHOR.read().unwrap_or_else(PoisonError::into_inner);
    anchor.map_or_else(chrono::Utc::now, |anchor| anchor.at + anchor.since.elapsed())
}

/// Takes the time that the database told when it was asked at `asked`.
pub(crate) fn adopt_time(at: Timestamp, asked: Instant) {
    if asked.elapsed() <= MAX_ROUND_TRIP {
        *ANCHOR.write().unwrap_or_else(PoisonError::into_inner) = Some(Anchor { at, since: asked });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_goes_on_from_what_the_database_told_and_a_slow_answer_tells_nothing() {
        let told = chrono::Utc::now() + chrono::TimeDelta::days(10);
        adopt_time(told, Instant::now());
        assert!(now() >= told && now() < told + MAX_ROUND_TRIP * 60);
        let late = Instant::now().checked_sub(MAX_ROUND_TRIP * 2).expect("a machine that runs for longer");
        adopt_time(told - chrono::TimeDelta::days(20), late);
        assert!(now() >= told, "it was not taken");
    }
}
