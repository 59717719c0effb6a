//! Redeliveries: of one event, and by a job of a range of events or of events by their ids.

pub(crate) mod job;
pub(crate) mod job_list;
mod selection;

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::delivery::attempt::Trigger;
use domain::ids::{BrandId, EventId, WebhookId};
use serde::Serialize;
use serde_json::json;
use store::delivery::deliveries;
use store::keyset::KeysetPosition;
use store::redelivery::jobs::{self, Selection, SelectionCount};
use store::redelivery::queue::{self, MAX_SINGLE_REDELIVERIES};
use store::{AuditedTransaction, Executor};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::api::Api;
use crate::auth::{BrandReader, BrandWriter};
use crate::http::body::JsonBody;
use crate::http::path::{BrandPath, EventInPath, EventPath, WebhookInPath, WebhookPath, event_not_found};
use crate::http::problem::{Problem, Result};
use crate::http::problem_kind::ProblemKind;
use crate::http::query::Query;
use crate::openapi::{request_schemas, samples};
use crate::resources::redeliveries::job::{JobInPath, JobPath, JobView, job_not_found};
use crate::resources::redeliveries::selection::{RequestedEvents, parse_requested};
use crate::resources::views::audit_value;
use crate::resources::webhooks::lookup::{audit_action, check_active, find_webhook, lock_webhook};
use crate::validation::errors::ValidationErrors;

/// Deliveries that were queued.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Queued, example = samples::queued)]
pub(crate) struct QueuedDeliveries {
    /// Id of the job; read its progress at `redeliver/{jobId}`. Absent for a single event and for `dryRun`
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<Uuid>,
    /// Number of deliveries, as far as they were counted
    #[schema(minimum = 0)]
    queued: i64,
    /// True if the range has more deliveries than `queued`, because no more than 100,000 are counted; absent otherwise
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    more: bool,
    /// Ids of the request for which the webhook has no event; absent if there are none
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, value_type = Vec<String>)]
    unknown: Vec<EventId>,
}

impl QueuedDeliveries {
    fn of_count(count: SelectionCount) -> Self {
        Self { job_id: None, queued: count.selected, more: count.more, unknown: Vec::new() }
    }
}

/// The query parameter of a range.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[allow(dead_code, reason = "only the OpenAPI document uses it; the handler reads the parameter")]
pub(crate) struct DryRunParams {
    /// Only count the deliveries, and redeliver none; default: `false`
    dry_run: Option<bool>,
}

/// Redeliver an event
///
/// Starts one more delivery, whatever the status of the event, with retries of its own. The first attempt starts
/// within about two seconds.
#[utoipa::path(
    post, path = "/v1/{brandId}/webhooks/{webhookId}/events/{eventId}/redeliver", tag = "events",
    operation_id = "redeliverEvent",
    params(BrandPath, WebhookPath, EventPath),
    responses(
        (status = 202, description = "Accepted. The event will be redelivered.", body = QueuedDeliveries,
         example = json!({"queued": 1})),
        (status = 409, description = "The webhook is not active, or 10,000 events wait for their redelivery already."),
    )
)]
pub(crate) async fn redeliver_event(
    State(api): State<Api>,
    by: BrandWriter,
    WebhookInPath(id): WebhookInPath,
    EventInPath(event): EventInPath,
) -> Result<impl IntoResponse> {
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    let webhook = lock_webhook(&change, &by.brand, id).await?;
    let delivery =
        deliveries::find_delivery(&change, &by.brand, id, event).await?.ok_or_else(event_not_found)?;
    check_active(&webhook)?;
    check_queue_space(&change, id).await?;
    let places = [delivery.position()];
    queue::begin_rounds(&change, id, &places, Trigger::Redeliver, None, None).await?;
    change.commit(&audit_action(&by, "webhook.redeliver", id, json!({"eventId": event}))).await?;
    Ok((StatusCode::ACCEPTED, Json(QueuedDeliveries::of_count(SelectionCount { selected: 1, more: false }))))
}

/// Checks that one more delivery may wait for its redelivery. The caller holds the lock on the webhook, so that no other
/// request counts at the same time.
///
/// # Errors
/// 409 when [`MAX_SINGLE_REDELIVERIES`] wait.
pub(crate) async fn check_queue_space(change: &AuditedTransaction<'_>, webhook: WebhookId) -> Result<()> {
    if queue::count_single(change, webhook).await? < MAX_SINGLE_REDELIVERIES {
        return Ok(());
    }
    Err(Problem::new(
        ProblemKind::LimitReached,
        format!(
            "{MAX_SINGLE_REDELIVERIES} deliveries of this webhook wait for their redelivery, and no more may; try again when \
         some were attempted, or redeliver a range of events"
        ),
    ))
}

/// Redeliver a range of events, or events by their ids
///
/// Redelivers the events created in [`from`, `to`) whose delivery failed, or with another `status`; `all` also sends
/// delivered events again. Use it to catch up after an outage: any number of events is redelivered at the pace of the
/// endpoint, next to new events. Or redelivers up to 1,000 events by their `ids`, whatever their status. One job of a webhook
/// runs at a time. With `dryRun`, the events are only counted. Every call counts as 50 requests of the token's rate, also
/// with `dryRun` or `ids`.
///
/// The webhook must be active. Events that arrived while the webhook was paused were not recorded, so they cannot be
/// redelivered. Events that arrived while it was disabled are `held`; redeliver them with `"status":"held"` once support has
/// enabled the webhook.
#[utoipa::path(
    post, path = "/v1/{brandId}/webhooks/{webhookId}/redeliver", tag = "events", operation_id = "redeliverRange",
    params(BrandPath, WebhookPath, DryRunParams), request_body = request_schemas::Redelivery,
    responses(
        (status = 200, description = "The number of events that would be redelivered (`dryRun`).", body = QueuedDeliveries,
         example = json!({"queued": 128})),
        (status = 202, description = "Accepted. A job redelivers the events.", body = QueuedDeliveries,
         headers(("Location" = String, description = "Path of the job with its progress"))),
        (status = 409, description = "The webhook is not active, or another job of it runs; `jobId` and `detail` name the job."),
    )
)]
pub(crate) async fn redeliver_range(
    State(api): State<Api>,
    by: BrandWriter,
    WebhookInPath(id): WebhookInPath,
    mut query: Query,
    body: JsonBody,
) -> Result<Response> {
    let is_dry_run = query.take("dryRun", |text| text.parse::<bool>().map_err(|_| "must be true or false"));
    let is_dry_run = is_dry_run.unwrap_or(false);
    query.finish()?;
    let mut errors = ValidationErrors::default();
    let requested = parse_requested(&body.0, &mut errors);
    let found = find_webhook(&api.store, &by.brand, id).await?;
    let requested = errors.into_result(requested)?;
    check_active(&found)?;
    if !is_dry_run {
        // Before the events are counted, so that a refused request costs little.
        check_no_job_runs(&api.store, id).await?;
    }
    let (events, counted) = count_requested(&api, &by.brand, id, requested).await?;
    if is_dry_run {
        return Ok(Json(counted).into_response());
    }
    let job = create_job(&api, &by, id, &events).await?;
    let location = format!("/v1/{}/webhooks/{id}/redeliver/{job}", by.brand);
    let queued = QueuedDeliveries { job_id: Some(job), ..counted };
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(queued)).into_response())
}

/// The events of a job that is to be created.
enum JobEvents {
    /// The events of a range, and their number.
    Range(Selection, SelectionCount),
    /// These events.
    Positions(Vec<KeysetPosition>),
}

/// Counts the events of a request.
async fn count_requested(
    api: &Api,
    brand: &BrandId,
    webhook: WebhookId,
    requested: RequestedEvents,
) -> Result<(JobEvents, QueuedDeliveries)> {
    match requested {
        RequestedEvents::Range(selection) => {
            let count = jobs::count_selected(&api.store, webhook, &selection).await?;
            Ok((JobEvents::Range(selection, count), QueuedDeliveries::of_count(count)))
        }
        RequestedEvents::Ids(ids) => {
            let positions = jobs::find_positions(&api.store, brand, webhook, &ids).await?;
            let known: HashSet<Uuid> = positions.iter().map(|position| position.id).collect();
            if known.is_empty() {
                let mut errors = ValidationErrors::default();
                errors.add(
                    "/ids",
                    "has no id of an event of this webhook; events expire after the retention time",
                );
                return Err(errors.into());
            }
            let unknown = ids.into_iter().filter(|id| !known.contains(&id.to_uuid())).collect();
            let selected = i64::try_from(positions.len()).unwrap_or(i64::MAX);
            let count = SelectionCount { selected, more: false };
            Ok((
                JobEvents::Positions(positions),
                QueuedDeliveries { unknown, ..QueuedDeliveries::of_count(count) },
            ))
        }
    }
}

/// Creates the job of a request with one audit entry, and returns its id.
async fn create_job(api: &Api, by: &BrandWriter, id: WebhookId, events: &JobEvents) -> Result<Uuid> {
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    check_active(&lock_webhook(&change, &by.brand, id).await?)?;
    check_no_job_runs(&change, id).await?;
    let created = match events {
        JobEvents::Range(selection, count) => {
            jobs::insert_job(&change, id, Trigger::Redeliver, selection, *count, &by.actor).await
        }
        JobEvents::Positions(positions) => {
            jobs::insert_job_of_events(&change, id, positions, &by.actor).await
        }
    };
    let job = match created {
        Ok(job) => job,
        // Every request locks the webhook first, so that this needs a writer that does not.
        Err(error) if error.broken_constraint() == Some(jobs::ONE_RUNNING) => {
            return Err(Problem::new(
                ProblemKind::RedeliveryRunning,
                "another redelivery job of this webhook runs; wait until it has finished, or cancel it",
            ));
        }
        Err(error) => return Err(error.into()),
    };
    let job_id = job.id;
    let mut details = audit_value(&JobView::from(job));
    if let (JobEvents::Positions(positions), Some(details)) = (events, details.as_object_mut()) {
        let ids = positions.iter().map(|position| EventId::from_uuid(position.id).to_string());
        details.insert("ids".to_owned(), ids.collect());
    }
    change.commit(&audit_action(by, "webhook.redeliver_range", id, details)).await?;
    Ok(job_id)
}

/// Checks that no redelivery job of a webhook runs.
///
/// # Errors
/// 409 that names the job when one does.
async fn check_no_job_runs(db: &impl Executor, webhook: WebhookId) -> Result<()> {
    match jobs::find_running_job(db, webhook).await? {
        None => Ok(()),
        Some(job) => Err(Problem::new(
            ProblemKind::RedeliveryRunning,
            format!(
                "redelivery job {job} of this webhook runs, and a webhook has one at a time; wait until it has finished, \
                 or cancel it"
            ),
        )
        .with_job(job)),
    }
}

/// Read a redelivery job
///
/// Shows the progress of the redelivery of a range.
#[utoipa::path(
    get, path = "/v1/{brandId}/webhooks/{webhookId}/redeliver/{jobId}", tag = "events",
    operation_id = "readRedelivery",
    params(BrandPath, WebhookPath, JobPath),
    responses((status = 200, description = "The job with its progress.", body = JobView))
)]
pub(crate) async fn read_redelivery(
    State(api): State<Api>,
    by: BrandReader,
    WebhookInPath(id): WebhookInPath,
    JobInPath(job): JobInPath,
) -> Result<Json<JobView>> {
    find_webhook(&api.store, &by.brand, id).await?;
    let job = jobs::find_job(&api.store, id, job).await?.ok_or_else(job_not_found)?;
    Ok(Json(JobView::for_caller(job, by.is_support)))
}
