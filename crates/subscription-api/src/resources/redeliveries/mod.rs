//! Redeliveries: of one event, and of a range of events by a job.

pub(crate) mod job;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use chrono::{TimeDelta, Utc};
use domain::delivery::attempt::Trigger;
use domain::time::truncate_to_millis;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use store::AuditedTransaction;
use store::delivery::deliveries;
use store::redelivery::jobs::{self, Selection};
use store::redelivery::queue;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::Api;
use crate::auth::{BrandReader, BrandWriter};
use crate::http::body::JsonBody;
use crate::http::path::{BrandPath, EventInPath, EventPath, WebhookInPath, WebhookPath, event_not_found};
use crate::http::problem::Result;
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
    /// Number of deliveries
    #[schema(minimum = 0)]
    queued: i64,
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
        (status = 409, description = "The webhook is not active."),
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
    let places = [delivery.position()];
    queue::begin_rounds(&change, id, &places, Trigger::Redeliver, None, None).await?;
    change.commit(&audit_action(&by, "webhook.redeliver", id, json!({"eventId": event}))).await?;
    Ok((StatusCode::ACCEPTED, Json(QueuedDeliveries { job_id: None, queued: 1 })))
}

/// Redeliver a range of events
///
/// Redelivers every event created in [`from`, `to`), optionally only those with a given status or type. Use it to
/// catch up after an outage: any number of events is redelivered at the pace of the endpoint, next to new events.
#[utoipa::path(
    post, path = "/v1/{brandId}/webhooks/{webhookId}/redeliver", tag = "events", operation_id = "redeliverRange",
    params(BrandPath, WebhookPath), request_body = request_schemas::Redelivery,
    responses(
        (status = 202, description = "Accepted. A job redelivers the events.", body = QueuedDeliveries,
         headers(("Location" = String, description = "Path of the job with its progress"))),
        (status = 409, description = "The webhook is not active."),
    )
)]
pub(crate) async fn redeliver_range(
    State(api): State<Api>,
    by: BrandWriter,
    WebhookInPath(id): WebhookInPath,
    body: JsonBody,
) -> Result<impl IntoResponse> {
    let mut errors = ValidationErrors::default();
    let selection = parse_selection(&body.0, &mut errors);
    let found = find_webhook(&api.store, &by.brand, id).await?;
    let selection = errors.into_result(selection)?;
    check_active(&found)?;
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    check_active(&lock_webhook(&change, &by.brand, id).await?)?;
    let job = jobs::insert_job(&change, id, Trigger::Redeliver, &selection).await?;
    let location = format!("/v1/{}/webhooks/{id}/redeliver/{}", by.brand, job.id);
    let queued = QueuedDeliveries { job_id: Some(job.id), queued: job.total };
    let details = audit_value(&JobView::from(job));
    change.commit(&audit_action(&by, "webhook.redeliver_range", id, details)).await?;
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(queued)))
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
    let from = fields.required("from", validators::timestamp);
    let to = fields.required("to", validators::timestamp);
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
