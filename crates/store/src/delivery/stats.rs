//! Statistics of attempts in time buckets, for charts.

use std::time::Duration;

use domain::delivery::attempt::Outcome;
use domain::ids::{BrandId, WebhookId};
use domain::time::Timestamp;
use tokio_postgres::Row;

use crate::delivery::activity::DURATION_BOUNDS_MS;
use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::read;

/// The attempts that ended in one time bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeBucket {
    /// When the bucket begins.
    pub at: Timestamp,
    /// The number of attempts of each outcome, in the order of [`Outcome::ALL`].
    pub outcomes: Vec<(Outcome, i64)>,
    /// The number of attempts in each duration bucket ([`DURATION_BOUNDS_MS`]).
    durations: Vec<i32>,
    /// Number of deliveries that were delivered in the bucket.
    pub delivered: i64,
    /// Number of deliveries that failed in the bucket.
    pub failed: i64,
}

impl TimeBucket {
    /// Returns the number of attempts.
    #[must_use]
    pub fn attempts(&self) -> i64 {
        self.outcomes.iter().map(|(_, count)| count).sum()
    }

    /// Returns the duration in milliseconds within which this share (0 to 1) of the attempts ended.
    ///
    /// Attempts count as evenly distributed within each duration bucket. `None` without attempts.
    #[must_use]
    pub fn percentile_ms(&self, share: f64) -> Option<f64> {
        let total: i64 = self.durations.iter().copied().map(i64::from).sum();
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let wanted = share * total as f64;
        let mut before = 0.0;
        for (bucket, count) in self.durations.iter().copied().map(f64::from).enumerate() {
            if count > 0.0 && before + count >= wanted {
                let (low, high) = duration_bounds(bucket);
                return Some(low + (high - low) * ((wanted - before) / count).clamp(0.0, 1.0));
            }
            before += count;
        }
        None
    }
}

/// Returns the bounds of a duration bucket in milliseconds. The last bucket has no upper bound and counts as its lower
/// bound.
fn duration_bounds(bucket: usize) -> (f64, f64) {
    let at = |bucket: usize| DURATION_BOUNDS_MS.get(bucket).copied().map(f64::from);
    let low = bucket.checked_sub(1).and_then(at).unwrap_or(0.0);
    (low, at(bucket).unwrap_or(low))
}

/// Loads the non-empty time buckets of `[from, to)` for the attempts of a webhook, in order.
///
/// A bucket of this `length` begins at `from`.
///
/// # Errors
/// When the database fails.
pub async fn load_webhook_stats(
    store: &Store,
    webhook: WebhookId,
    from: Timestamp,
    to: Timestamp,
    length: Duration,
) -> Result<Vec<TimeBucket>, StoreError> {
    let seconds = length.as_secs_f64();
    let rows = store.query(sql!("stats/one_webhook"), &[&webhook.0, &from, &to, &seconds]).await?;
    rows.iter().map(read_bucket).collect()
}

/// Loads the non-empty time buckets of `[from, to)` for the attempts of all webhooks of a brand, in order. Deleted webhooks
/// are included.
///
/// # Errors
/// When the database fails.
pub async fn load_brand_stats(
    store: &Store,
    brand: &BrandId,
    from: Timestamp,
    to: Timestamp,
    length: Duration,
) -> Result<Vec<TimeBucket>, StoreError> {
    let seconds = length.as_secs_f64();
    let rows = store.query(sql!("stats/one_brand"), &[&brand.as_str(), &from, &to, &seconds]).await?;
    rows.iter().map(read_bucket).collect()
}

/// Loads the non-empty time buckets of `[from, to)` for the attempts of all webhooks, in order.
///
/// # Errors
/// When the database fails.
pub async fn load_total_stats(
    store: &Store,
    from: Timestamp,
    to: Timestamp,
    length: Duration,
) -> Result<Vec<TimeBucket>, StoreError> {
    let rows = store.query(sql!("stats/all_webhooks"), &[&from, &to, &length.as_secs_f64()]).await?;
    rows.iter().map(read_bucket).collect()
}

fn read_bucket(row: &Row) -> Result<TimeBucket, StoreError> {
    let count = |outcome: &Outcome| Ok((*outcome, read(row, outcome.as_str())?));
    Ok(TimeBucket {
        at: read(row, "at")?,
        outcomes: Outcome::ALL.iter().map(count).collect::<Result<_, StoreError>>()?,
        durations: read(row, "durations")?,
        delivered: read(row, "events_delivered")?,
        failed: read(row, "events_failed")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(durations: &[i32]) -> TimeBucket {
        TimeBucket {
            at: Timestamp::UNIX_EPOCH,
            outcomes: Vec::new(),
            durations: durations.to_vec(),
            delivered: 0,
            failed: 0,
        }
    }

    #[test]
    fn percentiles_are_interpolated_within_their_bucket() {
        // 90 attempts of up to 1 ms, 10 of 10 to 20 ms.
        let mut counts = [0; 15];
        counts[0] = 90;
        counts[4] = 10;
        let bucket = bucket(&counts);
        assert_eq!(bucket.percentile_ms(0.45), Some(0.5));
        assert_eq!(bucket.percentile_ms(0.95), Some(15.0));
        assert_eq!(bucket.percentile_ms(1.0), Some(20.0));
    }

    #[test]
    fn percentile_is_the_last_bound_for_longer_attempts_and_none_without_attempts() {
        let mut counts = [0; 15];
        counts[14] = 3;
        assert_eq!(bucket(&counts).percentile_ms(0.5), Some(15_000.0));
        assert_eq!(bucket(&[0; 15]).percentile_ms(0.5), None);
    }
}
