//! Redelivery jobs: their view and their id in the path.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::delivery::DeliveryStatus;
// utoipa recognizes the type by this name.
use domain::time::Timestamp as DateTime;
use domain::time::rfc3339;
use serde::Serialize;
use store::redelivery::jobs::Job;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::http::path;
use crate::http::problem::{Problem, Result};
use crate::openapi::samples;
use crate::openapi::words::{DeliveryStatusWord, JobStateWord, TriggerWord};
use crate::resources::audit::hide_person;

/// A job that redelivers a range of events, with its progress.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RedeliveryJob, example = samples::redelivery_job)]
pub(crate) struct JobView {
    /// Id of the job
    id: Uuid,
    /// Id of the brand
    brand_id: String,
    /// Id of the webhook
    webhook_id: Uuid,
    /// `redeliver`, or `held` if support enabled the webhook again and had the held deliveries redelivered
    #[schema(value_type = TriggerWord)]
    trigger: &'static str,
    /// Start of the range
    #[serde(with = "rfc3339")]
    from: DateTime,
    /// End of the range
    #[serde(with = "rfc3339")]
    to: DateTime,
    /// Only deliveries that had this status; null for all
    #[schema(value_type = Option<DeliveryStatusWord>, required)]
    status: Option<&'static str>,
    /// Only events of this type or group; null for all
    #[serde(rename = "type")]
    #[schema(required)]
    pattern: Option<String>,
    /// `stopped` if the webhook stopped receiving, `cancelled` if a person ended the job; deliveries that were not attempted
    /// keep their status in both cases
    #[schema(value_type = JobStateWord)]
    state: &'static str,
    /// Who asked for it: `support`, or `support:` or `token:` with the id and name of the token. A brand sees `support` for
    /// everyone of support. Null for jobs of earlier versions
    #[schema(required)]
    actor: Option<String>,
    /// Number of deliveries, as far as they were counted
    #[schema(minimum = 0)]
    total: i64,
    /// Whether there are more deliveries than `total`, because no more than 100,000 were counted
    more: bool,
    /// Number of these deliveries that were attempted; failed ones are retried as usual
    #[schema(minimum = 0)]
    attempted: i64,
    /// Number of these attempts that succeeded
    #[schema(minimum = 0)]
    delivered: i64,
    /// When the job was created
    #[serde(with = "rfc3339")]
    created: DateTime,
    /// When the progress last changed
    #[serde(with = "rfc3339")]
    updated: DateTime,
}

impl From<Job> for JobView {
    fn from(job: Job) -> Self {
        Self {
            id: job.id,
            brand_id: job.brand.to_string(),
            webhook_id: job.webhook.0,
            trigger: job.trigger.as_str(),
            from: job.selection.from,
            to: job.selection.to,
            status: job.selection.status.map(DeliveryStatus::as_str),
            pattern: job.selection.pattern.map(|pattern| pattern.to_string()),
            state: job.state.as_str(),
            actor: job.actor,
            // A job that has walked past the counted deliveries knows better.
            total: job.total.max(job.queued),
            more: job.more && !job.walked,
            attempted: job.done,
            delivered: job.delivered,
            created: job.created,
            updated: job.updated,
        }
    }
}

impl JobView {
    /// Returns the view for a caller. A brand does not see who of support asked for the job.
    pub(crate) fn for_caller(job: Job, is_support: bool) -> Self {
        let mut view = Self::from(job);
        if !is_support {
            view.actor = view.actor.map(hide_person);
        }
        view
    }
}

/// The path parameter of a job.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
#[allow(dead_code, reason = "only the OpenAPI document uses it; JobInPath reads the path")]
pub(crate) struct JobPath {
    /// Id of the job
    #[param(format = Uuid)]
    job_id: String,
}

/// `{jobId}` of the path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JobInPath(pub(crate) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for JobInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let text = path::read_parameter(parts, state, "jobId").await?;
        text.parse().map(Self).map_err(|_| job_not_found())
    }
}

/// The 404 of a job.
pub(crate) fn job_not_found() -> Problem {
    Problem::not_found("this webhook has no such job; jobs are forgotten after the retention time")
}
