//! The statistics of a webhook and of a brand.

use axum::Json;
use axum::extract::State;
// utoipa recognizes the type by this name.
use domain::time::Timestamp as DateTime;
use domain::time::rfc3339;
use serde::Serialize;
use store::delivery::activity::slice_length;
use store::delivery::stats::{self, TimeBucket};
use utoipa::{IntoParams, ToSchema};

use crate::api::Api;
use crate::auth::BrandReader;
use crate::http::path::{BrandPath, WebhookInPath, WebhookPath};
use crate::http::problem::Result;
use crate::http::query::Query;
use crate::openapi::samples;
use crate::resources::webhooks::lookup::find_webhook;
use crate::resources::webhooks::time_buckets::{BucketView, BucketedRange};

/// Statistics by time bucket.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = samples::stats)]
pub(crate) struct Stats {
    /// Start of the first bucket
    #[serde(with = "rfc3339")]
    from: DateTime,
    /// End of the range
    #[serde(with = "rfc3339")]
    to: DateTime,
    /// Length of a bucket
    step_seconds: f64,
    /// The time buckets in order, without gaps
    items: Vec<BucketView>,
}

impl Stats {
    fn new(range: &BucketedRange, found: Vec<TimeBucket>) -> Self {
        Self {
            from: range.from,
            to: range.to,
            step_seconds: range.bucket.as_secs_f64(),
            items: range.fill_gaps(found),
        }
    }
}

/// The range of the statistics.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "only the OpenAPI document uses it; BucketedRange reads the parameters")]
pub(crate) struct StatsParams {
    /// Start of the range, rounded down to a whole counting interval (by default a minute); default: an hour before
    /// `to`
    #[param(format = DateTime)]
    from: Option<String>,
    /// End of the range; default: now
    #[param(format = DateTime)]
    to: Option<String>,
    /// Length of a time bucket, such as `60s`, `5m` or `1h`; default: a sixtieth of the range
    #[param(example = "5m", pattern = "^[0-9]+(ms|s|m|h|d)?$")]
    step: Option<String>,
}

/// Read the statistics of a webhook
///
/// Counts the attempts that ended in [`from`, `to`) by outcome, with percentiles of their duration, for each time
/// bucket of the length `step`.
#[utoipa::path(
    get, path = "/v1/{brandId}/webhooks/{webhookId}/stats", tag = "webhooks", operation_id = "readStats",
    params(BrandPath, WebhookPath, StatsParams),
    responses((status = 200, description = "The statistics by time bucket.", body = Stats))
)]
pub(crate) async fn read_stats(
    State(api): State<Api>,
    by: BrandReader,
    WebhookInPath(id): WebhookInPath,
    query: Query,
) -> Result<Json<Stats>> {
    find_webhook(&api.store, &by.brand, id).await?;
    let range = BucketedRange::parse(query, slice_length(api.health.window))?;
    let found = stats::load_webhook_stats(&api.store, id, range.from, range.to, range.bucket).await?;
    Ok(Json(Stats::new(&range, found)))
}

/// Read the statistics of a brand
///
/// The sum over all webhooks of the brand, deleted ones included. Counts the attempts that ended in [`from`, `to`) by
/// outcome and the events that were delivered or failed, for each time bucket of the length `step`.
#[utoipa::path(
    get, path = "/v1/{brandId}/stats", tag = "webhooks", operation_id = "readBrandStats",
    params(BrandPath, StatsParams),
    responses((status = 200, description = "The statistics by time bucket.", body = Stats))
)]
pub(crate) async fn read_brand_stats(
    State(api): State<Api>,
    by: BrandReader,
    query: Query,
) -> Result<Json<Stats>> {
    let range = BucketedRange::parse(query, slice_length(api.health.window))?;
    let found = stats::load_brand_stats(&api.store, &by.brand, range.from, range.to, range.bucket).await?;
    Ok(Json(Stats::new(&range, found)))
}
