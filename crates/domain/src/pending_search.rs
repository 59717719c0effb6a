//! Decides from where pending deliveries are searched for, so that a search costs what is pending.
//!
//! Every delivery passes through the index of pending ones. While a long transaction runs, such as a database dump,
//! PostgreSQL cannot remove the entries of deliveries that ended since. A search from the beginning visits all of them.
//! Therefore a search remembers a floor for each webhook: at the last search nothing below it was pending.
//!
//! A row may appear below the floor nevertheless, because producers may send old events. A full search finds it. Full
//! searches follow one another at once while they are quick, and rarely while they are slow.

use std::time::Duration;

use chrono::TimeDelta;

use crate::time::Timestamp;

/// Rows that appear late by this much are found without a full search. It is longer than the transaction that writes
/// such a row, and short enough that few entries of ended deliveries lie above the floor.
pub const LATE_ROW_MARGIN: TimeDelta = TimeDelta::seconds(60);
/// Interval of full searches in multiples of the duration of the last one, so that they keep a hundredth of a
/// connection busy.
pub const FULL_SEARCH_FACTOR: u32 = 100;

/// Whether a search from the beginning is due: `since` the end of the last one, which lasted for `took`.
#[must_use]
pub fn is_full_search_due(since: Option<Duration>, took: Duration) -> bool {
    since.is_none_or(|since| since >= took.saturating_mul(FULL_SEARCH_FACTOR))
}

/// Returns the floor after a search at `searched_at` that found `oldest` as the first pending delivery.
#[must_use]
pub fn next_floor(oldest: Option<Timestamp>, searched_at: Timestamp) -> Timestamp {
    let late = searched_at - LATE_ROW_MARGIN;
    oldest.map_or(late, |oldest| oldest.min(late))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn full_searches_keep_a_hundredth_of_a_connection_busy() {
        let millis = Duration::from_millis;
        assert!(is_full_search_due(None, millis(0)), "nothing was searched yet");
        assert!(is_full_search_due(Some(millis(500)), millis(5)));
        assert!(!is_full_search_due(Some(millis(499)), millis(5)));
        assert!(!is_full_search_due(Some(Duration::from_secs(3600)), Duration::MAX));
    }

    #[test]
    fn the_floor_is_below_everything_that_is_pending_or_may_appear_late() {
        let searched_at = at(1000);
        let late = searched_at - LATE_ROW_MARGIN;
        assert_eq!(next_floor(None, searched_at), late);
        assert_eq!(next_floor(Some(at(1)), searched_at), at(1));
        assert_eq!(next_floor(Some(at(999)), searched_at), late);
    }
}
