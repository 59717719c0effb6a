//! Counters of attempts by time slice, outcome and duration.

use std::time::Duration;

use domain::time::Timestamp;

/// Upper bounds of the duration buckets in milliseconds. One more bucket counts longer attempts.
pub const DURATION_BOUNDS_MS: [i32; 14] =
    [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000];
/// The number of duration buckets. `record/attempts.sql` names each bucket, so that it needs no subquery to count.
pub const DURATION_BUCKETS: usize = DURATION_BOUNDS_MS.len() + 1;
/// The number of time slices in a health window.
pub const SLICES_PER_WINDOW: u32 = 60;

/// Returns the length of a time slice for this health window.
#[must_use]
pub fn slice_length(window: Duration) -> Duration {
    (window / SLICES_PER_WINDOW).max(Duration::from_millis(1))
}

/// Returns the start of the time slice that contains an instant.
#[must_use]
pub fn slice_start(at: Timestamp, slice: Duration) -> Timestamp {
    let length = i64::try_from(slice.as_millis()).unwrap_or(i64::MAX).max(1);
    let start = at.timestamp_millis().div_euclid(length) * length;
    Timestamp::from_timestamp_millis(start).unwrap_or(at)
}

/// Returns the duration bucket of an attempt, from 0.
#[must_use]
pub fn duration_bucket(duration_ms: i32) -> i32 {
    let bucket = DURATION_BOUNDS_MS.partition_point(|bound| *bound <= duration_ms);
    i32::try_from(bucket).unwrap_or(i32::MAX)
}
