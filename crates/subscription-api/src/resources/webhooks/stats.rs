//! What attempts came to, step by step, for plots.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use chrono::{TimeDelta, Utc};
use domain::outcome::Outcome;
// By this name utoipa knows it.
use domain::time::Timestamp as DateTime;
use domain::time::{rfc3339, whole_millis};
use serde::Serialize;
use store::activity::{slice_for, slice_of};
use store::stats::{self, Step};
use utoipa::{IntoParams, ToSchema};

use crate::api::Api;
use crate::auth::BrandReader;
use crate::http::path::{BrandPath, WebhookInPath, WebhookPath};
use crate::http::problem::Result;
use crate::http::query::{Query, instant};
use crate::resources::webhooks::find_webhook;

/// Most steps of one answer.
const MAX_BUCKETS: i64 = 1000;
/// Steps of an answer unless asked otherwise.
const DEFAULT_BUCKETS: i64 = 60;
/// Longest step.
const MAX_BUCKET_LENGTH: Duration = Duration::from_secs(7 * 24 * 3600);

/// What attempts came to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// When the first step begins
    #[serde(with = "rfc3339")]
    from: DateTime,
    #[serde(with = "rfc3339")]
    to: DateTime,
    /// The length of a step
    step_seconds: f64,
    /// The steps, in order, without gaps
    items: Vec<BucketView>,
}

/// The attempts that ended in one step.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StatsStep)]
pub struct BucketView {
    /// When it begins
    #[serde(with = "rfc3339")]
    at: DateTime,
    /// How many attempts ended
    #[schema(minimum = 0)]
    attempts: i64,
    /// How many of them ended how
    outcomes: BTreeMap<&'static str, i64>,
    latency_ms: Latency,
}

/// How long attempts took, in milliseconds; null where there were none.
#[derive(Debug, Serialize, ToSchema)]
pub struct Latency {
    #[schema(required)]
    p50: Option<f64>,
    #[schema(required)]
    p90: Option<f64>,
    #[schema(required)]
    p99: Option<f64>,
}

/// Which time is asked for.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "for the OpenAPI document; BucketedRange reads the parameters")]
pub struct StatsParams {
    /// From this instant, rounded down to where counting begins anew (the minute, unless set otherwise);
    /// an hour before `to` unless given
    #[param(format = DateTime)]
    from: Option<String>,
    /// Up to this instant; now unless given
    #[param(format = DateTime)]
    to: Option<String>,
    /// The length of a step, such as `60s`, `5m` or `1h`; a sixtieth of the whole unless given
    #[param(example = "5m", pattern = "^[0-9]+(ms|s|m|h|d)?$")]
    step: Option<String>,
}

/// The time that is asked for, in steps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BucketedRange {
    from: DateTime,
    to: DateTime,
    step: Duration,
}

/// How webhooks' attempts went
///
/// Attempts that ended in [`from`, `to`), by outcome and with percentiles of their duration, for each
/// step.
#[utoipa::path(
    get, path = "/v1/{brandId}/webhooks/{webhookId}/stats", tag = "webhooks", operation_id = "readStats",
    params(BrandPath, WebhookPath, StatsParams),
    responses((status = 200, description = "The steps", body = Stats))
)]
pub async fn read_stats(
    State(api): State<Api>,
    by: BrandReader,
    WebhookInPath(id): WebhookInPath,
    query: Query,
) -> Result<Json<Stats>> {
    find_webhook(&api.store, &by.brand, id).await?;
    let range = BucketedRange::read(query, slice_for(api.health.window))?;
    let steps = stats::of_webhook(&api.store, id, range.from, range.to, range.step).await?;
    Ok(Json(Stats {
        from: range.from,
        to: range.to,
        step_seconds: range.step.as_secs_f64(),
        items: range.fill_gaps(steps),
    }))
}

impl BucketedRange {
    /// The last `steps` steps up to now.
    pub(crate) fn latest(steps: i32, step: Duration, slice: Duration) -> Self {
        let to = whole_millis(Utc::now()) + TimeDelta::milliseconds(1);
        let length = TimeDelta::from_std(step).unwrap_or(TimeDelta::MAX);
        Self { from: slice_of(to - length * (steps - 1), slice.max(step)), to, step }
    }

    fn read(mut query: Query, slice: Duration) -> Result<Self> {
        let to = query
            .take("to", instant)
            .unwrap_or_else(|| whole_millis(Utc::now()) + TimeDelta::milliseconds(1));
        let from = query.take("from", instant).unwrap_or_else(|| to - TimeDelta::hours(1));
        let from = slice_of(from, slice);
        if from >= to {
            query.add_error("from", "must be before to");
        }
        let whole = (to - from).num_milliseconds().max(1);
        let step = query
            .take("step", |text| parse_bucket_length(text, slice))
            .unwrap_or_else(|| default_bucket_length(whole, slice));
        let millis = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
        if whole.div_euclid(millis) >= MAX_BUCKETS {
            query.add_error("step", format!("must be longer: an answer has {MAX_BUCKETS} steps at most"));
        }
        query.finish()?;
        Ok(Self { from, to, step })
    }

    pub(crate) fn from(&self) -> DateTime {
        self.from
    }

    pub(crate) fn to(&self) -> DateTime {
        self.to
    }

    pub(crate) fn step(&self) -> Duration {
        self.step
    }

    /// All the steps, those without attempts too.
    pub(crate) fn fill_gaps(&self, steps: Vec<Step>) -> Vec<BucketView> {
        let length = TimeDelta::from_std(self.step).unwrap_or(TimeDelta::MAX);
        let mut known = steps.into_iter().peekable();
        let mut items = Vec::new();
        let mut at = self.from;
        while at < self.to {
            let step = known.next_if(|step| step.at == at);
            items.push(step.map_or_else(|| BucketView::empty(at), BucketView::from));
            at += length;
        }
        items
    }
}

fn parse_bucket_length(text: &str, slice: Duration) -> std::result::Result<Duration, String> {
    let range = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => runtime::settings::duration_within(text, MAX_BUCKET_LENGTH)?,
    };
    if range < slice || range > MAX_BUCKET_LENGTH {
        return Err(format!("must lie between {slice:?} and 7d"));
    }
    Ok(range)
}

/// A sixtieth of so many milliseconds, in whole slices.
fn default_bucket_length(whole_millis: i64, slice: Duration) -> Duration {
    let slice_millis = i64::try_from(slice.as_millis()).unwrap_or(i64::MAX).max(1);
    let slices = (whole_millis / DEFAULT_BUCKETS / slice_millis).max(1);
    slice * u32::try_from(slices).unwrap_or(u32::MAX)
}

impl BucketView {
    fn empty(at: DateTime) -> Self {
        Self {
            at,
            attempts: 0,
            outcomes: Outcome::ALL.iter().map(|outcome| (outcome.as_str(), 0)).collect(),
            latency_ms: Latency { p50: None, p90: None, p99: None },
        }
    }
}

impl From<Step> for BucketView {
    fn from(step: Step) -> Self {
        let percentile = |share| step.percentile_ms(share).map(|ms| (ms * 10.0).round() / 10.0);
        Self {
            at: step.at,
            attempts: step.attempts(),
            outcomes: step.outcomes.iter().map(|(outcome, count)| (outcome.as_str(), *count)).collect(),
            latency_ms: Latency { p50: percentile(0.5), p90: percentile(0.9), p99: percentile(0.99) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::time::parse;

    const MINUTE: Duration = Duration::from_secs(60);

    fn read(text: &str) -> Result<BucketedRange> {
        BucketedRange::read(Query::parse(text), MINUTE)
    }

    #[test]
    fn a_span_has_sixty_steps_unless_asked_otherwise() {
        let range = read("from=2021-04-08T10:00:30Z&to=2021-04-08T11:00:30Z").expect("valid");
        assert_eq!((range.from, range.step), (parse("2021-04-08T10:00:00Z").expect("valid"), MINUTE));
        assert_eq!(
            read("from=2021-04-08T10:00:00Z&to=2021-04-08T20:00:00Z").expect("valid").step,
            10 * MINUTE
        );
        assert_eq!(read("step=5m").expect("valid").step, 5 * MINUTE);
        assert_eq!(read("step=120").expect("valid").step, 2 * MINUTE);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
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
    fn steps_without_attempts_are_there() {
        let range = read("from=2021-04-08T10:00:00Z&to=2021-04-08T10:03:00Z&step=60s").expect("valid");
        let items = range.fill_gaps(Vec::new());
        assert_eq!(items.len(), 3);
        assert!(items.iter().all(|item| item.attempts == 0 && item.outcomes.len() == Outcome::ALL.len()));
    }
}
