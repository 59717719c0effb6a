//! Redeliveries: of one event, and of a range of events by a job.

pub(crate) mod job;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{TimeDelta, Utc};
use domain::delivery::attempt::Trigger;
use domain::ids::WebhookId;
use domain::time::truncate_to_millis;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use store::delivery::deliveries;
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
use crate::http::query::Query;
use crate::openapi::request_schemas;
use crate::resources::redeliveries::job::{JobInPath, JobPath, JobView, job_not_found};
use crate::resources::views::audit_value;
use crate::resources::webhooks::lookup::{audit_action, check_active, find_webhook, lock_webhook};
use crate::validation::errors::ValidationErrors;
use crate::validation::fields::Fields;
use crate::validation::validators;

/// Deliveries that were queued.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Queued)]
pub(crate) struct QueuedDeliveries {
    /// Id of the job that redelivers a range; read its progress at `redeliver/{jobId}`
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<Uuid>,
    /// Number of deliveries, as far as they were counted
    #[schema(minimum = 0)]
    queued: i64,
    /// True if the range has more deliveries than `queued`, because no more than 100,000 are counted
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    more: bool,
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
        (status = 202, description = "Accepted. The event will be redelivered.", body = QueuedDeliveries),
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
    Ok((StatusCode::ACCEPTED, Json(QueuedDeliveries { job_id: None, queued: 1, more: false })))
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
    Err(Problem::conflict(format!(
        "{MAX_SINGLE_REDELIVERIES} deliveries of this webhook wait for their redelivery, and no more may; try again when \
         some were attempted, or redeliver a range of events"
    )))
}

/// Redeliver a range of events
///
/// Redelivers every event created in [`from`, `to`), optionally only those with a given status or type. Use it to
/// catch up after an outage: any number of events is redelivered at the pace of the endpoint, next to new events. One
/// job of a webhook runs at a time. With `dryRun`, the events are only counted.
#[utoipa::path(
    post, path = "/v1/{brandId}/webhooks/{webhookId}/redeliver", tag = "events", operation_id = "redeliverRange",
    params(BrandPath, WebhookPath, DryRunParams), request_body = request_schemas::Redelivery,
    responses(
        (status = 200, description = "The number of events that would be redelivered (`dryRun`).", body = QueuedDeliveries),
        (status = 202, description = "Accepted. A job redelivers the events.", body = QueuedDeliveries,
         headers(("Location" = String, description = "Path of the job with its progress"))),
        (status = 409, description = "The webhook is not active, or another job of it runs; `detail` names the job."),
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
    let selection = parse_selection(&body.0, &mut errors);
    let found = find_webhook(&api.store, &by.brand, id).await?;
    let selection = errors.into_result(selection)?;
    check_active(&found)?;
    if !is_dry_run {
        // Before the events are counted, so that a refused request costs little.
        check_no_job_runs(&api.store, id).await?;
    }
    let count = jobs::count_selected(&api.store, id, &selection).await?;
    let queued = QueuedDeliveries { job_id: None, queued: count.selected, more: count.more };
    if is_dry_run {
        return Ok(Json(queued).into_response());
    }
    let job = create_job(&api, &by, id, &selection, count).await?;
    let location = format!("/v1/{}/webhooks/{id}/redeliver/{job}", by.brand);
    let queued = QueuedDeliveries { job_id: Some(job), ..queued };
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(queued)).into_response())
}

/// Creates the job of a range, and returns its id.
async fn create_job(
    api: &Api,
    by: &BrandWriter,
    id: WebhookId,
    selection: &Selection,
    count: SelectionCount,
) -> Result<Uuid> {
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    check_active(&lock_webhook(&change, &by.brand, id).await?)?;
    check_no_job_runs(&change, id).await?;
    let job = match jobs::insert_job(&change, id, Trigger::Redeliver, selection, count).await {
        Ok(job) => job,
        // Every request locks the webhook first, so that this needs a writer that does not.
        Err(error) if error.broken_constraint() == Some(jobs::ONE_RUNNING) => {
            return Err(Problem::conflict(
                "another redelivery job of this webhook runs; wait until it has finished",
            ));
        }
        Err(error) => return Err(error.into()),
    };
    let job_id = job.id;
    let details = audit_value(&JobView::from(job));
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
        Some(job) => Err(Problem::conflict(format!(
            "redelivery job {job} of this webhook runs, and a webhook has one at a time; wait until it has finished"
        ))),
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
    Ok(Json(job.into()))
}

fn parse_selection(raw: &RawValue, errors: &mut ValidationErrors) -> Option<Selection> {
    let mut fields = Fields::parse(raw, "", errors)?;
    let from = fields.required("from", validators::bound);
    let to = fields.required("to", validators::bound);
    let status = fields.optional("status", validators::parsed_text);
    let pattern = fields.optional("type", validators::parsed_text);
    let range = from.zip(to);
    if range.is_some_and(|(from, to)| from >= to) {
        fields.add_error("from", "must be before to");
    }
    fields.finish();
    let (from, to) = range?;
    // A job redelivers only events that exist when it is created.
    let to = to.min(truncate_to_millis(Utc::now()) + TimeDelta::milliseconds(1));
    Some(Selection { from, to, status, pattern })
}
