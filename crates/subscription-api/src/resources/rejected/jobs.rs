//! Jobs on rejected messages: their routes, their view, and their entries in the audit.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
// utoipa recognizes the type by this name.
use domain::time::Timestamp as DateTime;
use domain::time::rfc3339;
use serde::Serialize;
use serde_json::{Value, json};
use store::AuditedTransaction;
use store::api::audit::{self, ActOutcome, Entry};
use store::api::rejected_jobs::{self, Job, JobAction, JobState, NewJob};
use store::keyset::KeysetPosition;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::api::Api;
use crate::auth::Support;
use crate::http::page::{self, CursorPosition, Page, PageParams};
use crate::http::path;
use crate::http::problem::{Problem, Result};
use crate::http::query::Query;
use crate::openapi::samples;

/// Name of the list in its cursors.
const LIST: &str = "rejected-jobs";
/// Subject of the entries of the audit.
const SUBJECT: &str = "rejected";

/// A job that republishes or deletes rejected messages.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RejectedJob, example = samples::rejected_job)]
pub(crate) struct JobView {
    /// Id of the job
    id: Uuid,
    /// What it does with the messages
    #[schema(value_type = JobActionWord)]
    action: &'static str,
    /// Only messages of this brand; null for all
    #[schema(required)]
    brand_id: Option<String>,
    /// Only messages with this reason; null for all
    #[schema(required)]
    reason: Option<String>,
    /// Only messages of this type; null for all
    #[serde(rename = "type")]
    #[schema(required)]
    event_type: Option<String>,
    /// State; `stopped` if it was cancelled, or could not go on
    #[schema(value_type = JobStateWord)]
    state: &'static str,
    /// Number of messages that were republished or deleted
    #[schema(minimum = 0)]
    done: i64,
    /// Number of messages when it began; null until they are counted, and if there are too many to count
    #[schema(required, minimum = 0)]
    total: Option<i64>,
    /// When the job was created
    #[serde(with = "rfc3339")]
    created: DateTime,
    /// When the progress last changed
    #[serde(with = "rfc3339")]
    updated: DateTime,
    /// Who created it, as in the audit
    actor: String,
}

/// What a job does.
#[derive(Debug, ToSchema)]
#[schema(as = RejectedJobAction, rename_all = "snake_case")]
#[allow(dead_code, reason = "only the OpenAPI document uses the variants")]
pub(crate) enum JobActionWord {
    /// Publishes the messages again
    Republish,
    /// Deletes the messages
    Delete,
}

/// State of a job.
#[derive(Debug, ToSchema)]
#[schema(as = RejectedJobState, rename_all = "snake_case")]
#[allow(dead_code, reason = "only the OpenAPI document uses the variants")]
pub(crate) enum JobStateWord {
    /// The job is running
    Running,
    /// All messages were handled
    Finished,
    /// The job was cancelled, or could not go on
    Stopped,
}

impl From<Job> for JobView {
    fn from(job: Job) -> Self {
        Self {
            id: job.id,
            action: job.work.action.as_str(),
            brand_id: job.work.brand.map(|brand| brand.to_string()),
            reason: job.work.reason,
            event_type: job.work.event_type,
            state: job.state.as_str(),
            done: job.done,
            total: job.total,
            created: job.created,
            updated: job.updated,
            actor: job.work.actor,
        }
    }
}

/// List the jobs on rejected messages
///
/// Newest first.
#[utoipa::path(
    get, path = "/admin/v1/rejected/jobs", tag = "support", operation_id = "listRejectedJobs",
    params(PageParams),
    responses((status = 200, description = "A page of jobs.", body = Page<JobView>))
)]
pub(crate) async fn list_jobs(
    State(api): State<Api>,
    _: Support,
    mut query: Query,
) -> Result<Json<Page<JobView>>> {
    let limit = query.take_limit();
    let before = page::take_position(&mut query, LIST).unwrap_or_else(KeysetPosition::last);
    query.finish()?;
    let rows = rejected_jobs::list_jobs(&api.store, before, limit + 1).await?;
    let position = |job: &Job| CursorPosition::from(KeysetPosition { at: job.created, id: job.id });
    Ok(Json(Page::from_rows(LIST, rows, limit, position, JobView::from)))
}

/// Read a job on rejected messages
///
/// Returns the state of the job, and how many messages it has handled.
#[utoipa::path(
    get, path = "/admin/v1/rejected/jobs/{jobId}", tag = "support", operation_id = "readRejectedJob",
    params(JobPath),
    responses((status = 200, description = "The job with its progress.", body = JobView))
)]
pub(crate) async fn read_job(
    State(api): State<Api>,
    _: Support,
    JobInPath(id): JobInPath,
) -> Result<Json<JobView>> {
    let job = rejected_jobs::find_job(&api.store, id).await?.ok_or_else(job_not_found)?;
    Ok(Json(job.into()))
}

/// Cancel a job on rejected messages
///
/// The step that is under way ends first. Messages that were republished or deleted stay so.
#[utoipa::path(
    delete, path = "/admin/v1/rejected/jobs/{jobId}", tag = "support", operation_id = "cancelRejectedJob",
    params(JobPath),
    responses(
        (status = 204, description = "The job is cancelled."),
        (status = 409, description = "The job has ended."),
    )
)]
pub(crate) async fn cancel_job(
    State(api): State<Api>,
    by: Support,
    JobInPath(id): JobInPath,
) -> Result<StatusCode> {
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    let Some(job) = rejected_jobs::cancel_job(&change, id).await? else {
        let found = rejected_jobs::find_job(&change, id).await?.ok_or_else(job_not_found)?;
        return Err(Problem::conflict(format!("this job has ended: it is {}", found.state.as_str())));
    };
    // The process that works on it corrects the number after its step, if it is alive.
    audit::set_outcome(&change, job.audit_id, ActOutcome::Done, &outcome_of(&job)).await?;
    let entry = Entry {
        actor: by.actor,
        action: "rejected.cancel",
        brand_id: job.work.brand.clone(),
        subject: SUBJECT.to_owned(),
        before: None,
        after: Some(json!({"job": job.id})),
    };
    change.commit(&entry).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Creates a job with its entry in the audit, and answers with it.
pub(super) async fn create_job(api: &Api, work: NewJob) -> Result<Response> {
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    let entry_id = Uuid::now_v7();
    let Some(job) = rejected_jobs::insert_job(&change, &work, entry_id).await? else {
        return Err(another_job_runs(&change).await?);
    };
    change.commit_started(entry_id, &begin_entry(&job)).await?;
    api.rejected_jobs.notify_one();
    let location = format!("/admin/v1/rejected/jobs/{}", job.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(JobView::from(job))).into_response())
}

async fn another_job_runs(change: &AuditedTransaction<'_>) -> Result<Problem> {
    Ok(match rejected_jobs::find_running(change).await? {
        Some(id) => Problem::conflict(format!(
            "the job {id} is running, and one job at a time may change the rejected messages; wait for it, or cancel it"
        ))
        .with_job(id),
        // It ended just now.
        None => Problem::conflict("another job was running; send the request again"),
    })
}

fn begin_entry(job: &Job) -> Entry {
    let action = match job.work.action {
        JobAction::Republish => "rejected.republish",
        JobAction::Delete => "rejected.delete",
    };
    Entry {
        actor: job.work.actor.clone(),
        action,
        brand_id: job.work.brand.clone(),
        subject: SUBJECT.to_owned(),
        before: None,
        after: Some(outcome_of(job)),
    }
}

/// What a job came to so far, for its entry in the audit.
pub(super) fn outcome_of(job: &Job) -> Value {
    let done = match job.work.action {
        JobAction::Republish => "republished",
        JobAction::Delete => "deleted",
    };
    let mut outcome = json!({"job": job.id, done: job.done});
    let filters = [
        ("brandId", job.work.brand.as_ref().map(|brand| json!(brand))),
        ("reason", job.work.reason.as_ref().map(|reason| json!(reason))),
        ("type", job.work.event_type.as_ref().map(|event_type| json!(event_type))),
        ("limit", job.work.max_messages.map(|limit| json!(limit))),
        ("total", job.total.map(|total| json!(total))),
        ("state", Some(json!(job.state.as_str())).filter(|_| job.state != JobState::Running)),
    ];
    for (name, value) in filters {
        if let Some(value) = value {
            outcome[name] = value;
        }
    }
    outcome
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
pub(crate) struct JobInPath(Uuid);

impl<S: Send + Sync> FromRequestParts<S> for JobInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let text = path::read_parameter(parts, state, "jobId").await?;
        text.parse().map(Self).map_err(|_| job_not_found())
    }
}

fn job_not_found() -> Problem {
    Problem::not_found("there is no such job; ended jobs are forgotten after the retention time")
}
