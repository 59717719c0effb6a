//! Attempt statistics in time buckets, for plots.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use domain::delivery::attempt::Outcome;
// utoipa recognizes the type by this name.
use domain::time::Timestamp as DateTime;
use domain::time::{rfc3339, truncate_to_millis};
use serde::Serialize;
use store::delivery::activity::slice_start;
use store::delivery::stats::TimeBucket;
use utoipa::ToSchema;

use crate::http::problem::Result;
use crate::http::query::Query;
use crate::openapi::samples;
use crate::validation::timestamp::parse_bound;

/// Most buckets in a response.
const MAX_BUCKETS: i64 = 1000;
/// Number of buckets by default.
const DEFAULT_BUCKETS: i64 = 60;
/// Longest bucket.
const MAX_BUCKET_LENGTH: Duration = Duration::from_secs(7 * 24 * 3600);

/// The attempts that ended in one time bucket.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StatsStep, example = samples::stats_step)]
pub(crate) struct BucketView {
    /// Start of the bucket
    #[serde(with = "rfc3339")]
    at: DateTime,
    /// Number of attempts that ended in the bucket
    #[schema(minimum = 0)]
    attempts: i64,
    /// Number of these attempts by outcome
    outcomes: BTreeMap<&'static str, i64>,
    /// Deliveries that ended in the bucket
    events: EndedEvents,
    /// Percentiles of the duration of these attempts
    latency_ms: Latency,
}

/// Deliveries that ended. An event that failed had up to eight attempts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndedEvents {
    /// Number of events that were delivered
    #[schema(minimum = 0)]
    delivered: i64,
    /// Number of events whose last attempt failed
    #[schema(minimum = 0)]
    failed: i64,
}

/// Percentiles of the duration of attempts, in milliseconds; null without attempts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Latency {
    /// Median
    #[schema(required)]
    p50: Option<f64>,
    /// 90th percentile
    #[schema(required)]
    p90: Option<f64>,
    /// 99th percentile
    #[schema(required)]
    p99: Option<f64>,
}

/// A range of time, divided into buckets of equal length.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BucketedRange {
    pub(crate) from: DateTime,
    pub(crate) to: DateTime,
    pub(crate) bucket: Duration,
}

impl BucketedRange {
    /// The last `count` buckets up to now. The range starts at a multiple of `slice`, the unit in which activity is
    /// counted.
    pub(crate) fn latest(count: i32, bucket: Duration, slice: Duration) -> Self {
        let to = truncate_to_millis(Utc::now()) + TimeDelta::milliseconds(1);
        let length = TimeDelta::from_std(bucket).unwrap_or(TimeDelta::MAX);
        Self { from: slice_start(to - length * (count - 1), slice.max(bucket)), to, bucket }
    }

    /// Reads `from`, `to` and `step` of a query.
    pub(crate) fn parse(mut query: Query, slice: Duration) -> Result<Self> {
        let to = query
            .take("to", parse_bound)
            .unwrap_or_else(|| truncate_to_millis(Utc::now()) + TimeDelta::milliseconds(1));
        let from = query.take("from", parse_bound).unwrap_or_else(|| to - TimeDelta::hours(1));
        let from = slice_start(from, slice);
        if from >= to {
            query.add_error("from", "must be before to");
        }
        let millis = (to - from).num_milliseconds().max(1);
        let bucket = query
            .take("step", |text| parse_bucket_length(text, slice))
            .unwrap_or_else(|| default_bucket_length(millis, slice));
        let bucket_millis = i64::try_from(bucket.as_millis()).unwrap_or(i64::MAX).max(1);
        if millis.div_euclid(bucket_millis) >= MAX_BUCKETS {
            query.add_error("step", format!("must be longer: a response has at most {MAX_BUCKETS} steps"));
        }
        query.finish()?;
        Ok(Self { from, to, bucket })
    }

    /// Returns every bucket of the range, those without attempts included.
    pub(crate) fn fill_gaps(&self, found: Vec<TimeBucket>) -> Vec<BucketView> {
        let length = TimeDelta::from_std(self.bucket).unwrap_or(TimeDelta::MAX);
        let mut found = found.into_iter().peekable();
        let mut buckets = Vec::new();
        let mut at = self.from;
        while at < self.to {
            let bucket = found.next_if(|bucket| bucket.at == at);
            buckets.push(bucket.map_or_else(|| BucketView::empty(at), BucketView::from));
            at += length;
        }
        buckets
    }
}

fn parse_bucket_length(text: &str, slice: Duration) -> std::result::Result<Duration, String> {
    let length = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => runtime::settings::parse_duration_within(text, MAX_BUCKET_LENGTH)?,
    };
    if length < slice || length > MAX_BUCKET_LENGTH {
        return Err(format!("must lie between {slice:?} and 7d"));
    }
    Ok(length)
}

/// The default length of a bucket: a sixtieth of the range, in whole slices.
fn default_bucket_length(range_millis: i64, slice: Duration) -> Duration {
    let slice_millis = i64::try_from(slice.as_millis()).unwrap_or(i64::MAX).max(1);
    let slices = (range_millis / DEFAULT_BUCKETS / slice_millis).max(1);
    slice * u32::try_from(slices).unwrap_or(u32::MAX)
}

impl BucketView {
    fn empty(at: DateTime) -> Self {
        Self {
            at,
            attempts: 0,
            outcomes: Outcome::ALL.iter().map(|outcome| (outcome.as_str(), 0)).collect(),
            events: EndedEvents { delivered: 0, failed: 0 },
            latency_ms: Latency { p50: None, p90: None, p99: None },
        }
    }
}

impl From<TimeBucket> for BucketView {
    fn from(step: TimeBucket) -> Self {
        let percentile = |share| step.percentile_ms(share).map(|ms| (ms * 10.0).round() / 10.0);
        Self {
            at: step.at,
            attempts: step.attempts(),
            outcomes: step.outcomes.iter().map(|(outcome, count)| (outcome.as_str(), *count)).collect(),
            events: EndedEvents { delivered: step.delivered, failed: step.failed },
            latency_ms: Latency { p50: percentile(0.5), p90: percentile(0.9), p99: percentile(0.99) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::time::parse_timestamp;

    const MINUTE: Duration = Duration::from_secs(60);

    fn read(text: &str) -> Result<BucketedRange> {
        BucketedRange::parse(Query::parse(text), MINUTE)
    }

    #[test]
    fn a_range_has_sixty_buckets_by_default() {
        let range = read("from=2021-04-08T10:00:30Z&to=2021-04-08T11:00:30Z").expect("valid");
        assert_eq!(
            (range.from, range.bucket),
            (parse_timestamp("2021-04-08T10:00:00Z").expect("valid"), MINUTE)
        );
        assert_eq!(
            read("from=2021-04-08T10:00:00Z&to=2021-04-08T20:00:00Z").expect("valid").bucket,
            10 * MINUTE
        );
        assert_eq!(read("step=5m").expect("valid").bucket, 5 * MINUTE);
        assert_eq!(read("step=120").expect("valid").bucket, 2 * MINUTE);
    }

    #[test]
    fn invalid_ranges_are_refused() {
        for bad in [
            "step=0",
            "step=59s",
            "step=8d",
            "step=x",
            "from=x",
            "to=2021-04-08T10:00:00Z&from=2021-04-08T10:00:00Z",
            "from=2021-04-01T00:00:00Z&to=2021-04-08T00:00:00Z&step=60s",
            "limit=5",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn buckets_without_attempts_are_included() {
        let range = read("from=2021-04-08T10:00:00Z&to=2021-04-08T10:03:00Z&step=60s").expect("valid");
        let items = range.fill_gaps(Vec::new());
        assert_eq!(items.len(), 3);
        assert!(items.iter().all(|item| item.attempts == 0 && item.outcomes.len() == Outcome::ALL.len()));
    }
}
