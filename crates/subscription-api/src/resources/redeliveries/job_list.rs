//! Lists of redelivery jobs, and how a job is cancelled.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use domain::ids::WebhookId;
use domain::redelivery_job::JobState;
use serde::{Deserialize, Serialize};
use store::AuditedTransaction;
use store::keyset::KeysetPosition;
use store::redelivery::jobs::{self, Job, JobScope};
use utoipa::IntoParams;

use crate::api::Api;
use crate::auth::{BrandReader, BrandWriter, Support};
use crate::http::cursor;
use crate::http::page::{CursorPosition, Page, PageParams};
use crate::http::path::{BrandPath, WebhookInPath, WebhookPath};
use crate::http::problem::{Problem, Result};
use crate::http::query::Query;
use crate::openapi::words::JobStateWord;
use crate::resources::redeliveries::job::{JobInPath, JobPath, JobView, job_not_found};
use crate::resources::views::audit_value;
use crate::resources::webhooks::lookup::{audit_action, find_webhook, lock_webhook};

/// The filter of a list of jobs.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "only the OpenAPI document uses it; JobListing reads the parameter")]
pub(crate) struct JobListParams {
    /// Only jobs in this state
    state: Option<JobStateWord>,
}

/// The position and the filter of a list, which its cursor carries.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct JobCursor {
    state: Option<JobState>,
    before: CursorPosition,
}

/// A list of jobs with its position.
struct JobListing {
    list: String,
    state: Option<JobState>,
    before: KeysetPosition,
    limit: i64,
}

impl JobListing {
    fn parse(mut query: Query, list: String) -> Result<Self> {
        let limit = query.take_limit();
        let requested: Option<JobState> = query.take_parsed("state");
        let continued = query.take("cursor", |text| cursor::decode::<JobCursor>(&list, text));
        if continued.is_some_and(|own| requested.is_some() && requested != own.state) {
            query.add_error("cursor", "belongs to this list with another state; repeat it or leave it out");
        }
        query.finish()?;
        let state = continued.map_or(requested, |own| own.state);
        let before = continued.map_or_else(KeysetPosition::last, |own| own.before.into());
        Ok(Self { list, state, before, limit })
    }

    async fn read_page(
        self,
        api: &Api,
        scope: JobScope<'_>,
        is_support: bool,
    ) -> Result<Json<Page<JobView>>> {
        let rows = jobs::list_jobs(&api.store, scope, self.state, self.before, self.limit + 1).await?;
        let position = |job: &Job| JobCursor {
            state: self.state,
            before: KeysetPosition { at: job.created, id: job.id }.into(),
        };
        let view = |job| JobView::for_caller(job, is_support);
        Ok(Json(Page::from_rows(&self.list, rows, self.limit, position, view)))
    }
}

/// List the redelivery jobs of a webhook
///
/// Newest first, with their progress. Jobs are forgotten after the retention time.
#[utoipa::path(
    get, path = "/v1/{brandId}/webhooks/{webhookId}/redeliver", tag = "events", operation_id = "listRedeliveries",
    params(BrandPath, WebhookPath, JobListParams, PageParams),
    responses((status = 200, description = "A page of jobs.", body = Page<JobView>))
)]
pub(crate) async fn list_redeliveries(
    State(api): State<Api>,
    by: BrandReader,
    WebhookInPath(id): WebhookInPath,
    query: Query,
) -> Result<Json<Page<JobView>>> {
    find_webhook(&api.store, &by.brand, id).await?;
    let listing = JobListing::parse(query, format!("redeliveries/{id}"))?;
    listing.read_page(&api, JobScope::Webhook(id), by.is_support).await
}

/// List the redelivery jobs of a brand
///
/// Newest first, of all webhooks of the brand.
#[utoipa::path(
    get, path = "/v1/{brandId}/redeliveries", tag = "events", operation_id = "listBrandRedeliveries",
    params(BrandPath, JobListParams, PageParams),
    responses((status = 200, description = "A page of jobs.", body = Page<JobView>))
)]
pub(crate) async fn list_brand_redeliveries(
    State(api): State<Api>,
    by: BrandReader,
    query: Query,
) -> Result<Json<Page<JobView>>> {
    let listing = JobListing::parse(query, format!("redeliveries/{}", by.brand))?;
    listing.read_page(&api, JobScope::Brand(&by.brand), by.is_support).await
}

/// List the redelivery jobs of all brands
///
/// Newest first.
#[utoipa::path(
    get, path = "/admin/v1/redeliveries", tag = "support", operation_id = "listAllRedeliveries",
    params(JobListParams, PageParams),
    responses((status = 200, description = "A page of jobs.", body = Page<JobView>))
)]
pub(crate) async fn list_all_redeliveries(
    State(api): State<Api>,
    _: Support,
    query: Query,
) -> Result<Json<Page<JobView>>> {
    JobListing::parse(query, "redeliveries".to_owned())?.read_page(&api, JobScope::All, true).await
}

/// Cancel a redelivery job
///
/// The job queues no further events. Its events that were not attempted yet return to the status that they had. An attempt
/// in flight ends as usual, and failed attempts are retried.
#[utoipa::path(
    delete, path = "/v1/{brandId}/webhooks/{webhookId}/redeliver/{jobId}", tag = "events",
    operation_id = "cancelRedelivery",
    params(BrandPath, WebhookPath, JobPath),
    responses(
        (status = 204, description = "The job is cancelled."),
        (status = 409, description = "The job has ended before."),
    )
)]
pub(crate) async fn cancel_redelivery(
    State(api): State<Api>,
    by: BrandWriter,
    WebhookInPath(id): WebhookInPath,
    JobInPath(job): JobInPath,
) -> Result<StatusCode> {
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    lock_webhook(&change, &by.brand, id).await?;
    let cancelled = jobs::cancel_job(&change, id, job).await?;
    let found = jobs::find_job(&change, id, job).await?.ok_or_else(job_not_found)?;
    match (cancelled, found.state) {
        (true, _) => {
            let details = audit_value(&JobView::from(found));
            change.commit(&audit_action(&by, "webhook.cancel_redelivery", id, details)).await?;
            Ok(StatusCode::NO_CONTENT)
        }
        (false, JobState::Cancelled) => Ok(StatusCode::NO_CONTENT),
        (false, state) => Err(ended(id, state)),
    }
}

fn ended(webhook: WebhookId, state: JobState) -> Problem {
    Problem::conflict(format!(
        "this redelivery job of webhook {webhook} is {state}; only a running job can be cancelled"
    ))
}
