//! What attempts came to, counted in slices of time.

use std::time::Duration;

use domain::time::Timestamp;

/// Upper bounds of the counts by duration, in milliseconds; one more counts what is longer.
pub const DURATION_BOUNDS_MS: [i32; 14] =
    [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000];
/// Counts by duration. `record/attempts.sql` names each of them: counting there is no subquery.
pub const DURATION_BUCKETS: usize = DURATION_BOUNDS_MS.len() + 1;
/// The health window has this many slices.
pub const SLICES_PER_WINDOW: u32 = 60;

/// The length of a slice for this health window.
#[must_use]
pub fn slice_length(window: Duration) -> Duration {
    (window / SLICES_PER_WINDOW).max(Duration::from_millis(1))
}

/// The start of the slice that an instant lies in.
#[must_use]
pub fn slice_start(at: Timestamp, slice: Duration) -> Timestamp {
    let length = i64::try_from(slice.as_millis()).unwrap_or(i64::MAX).max(1);
    let start = at.timestamp_millis().div_euclid(length) * length;
    Timestamp::from_timestamp_millis(start).unwrap_or(at)
}

/// Which of the counts by duration an attempt belongs to, from 0.
#[must_use]
pub fn duration_bucket(duration_ms: i32) -> i32 {
    let place = DURATION_BOUNDS_MS.partition_point(|bound| *bound <= duration_ms);
    i32::try_from(place).unwrap_or(i32::MAX)
}
