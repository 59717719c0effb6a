//! Sending again: one event, a range of them, and test events.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use chrono::Utc;
use domain::delivery::DeliveryStatus;
use domain::event_type::EventType;
use domain::ids::{EventId, WebhookId};
use domain::outcome::Trigger;
// By this name utoipa knows it.
use domain::time::Timestamp as DateTime;
use domain::time::{rfc3339, whole_millis};
use domain::webhook::WebhookStatus;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use store::audit::Entry;
use store::redeliveries::{self, Job, Selection};
use store::webhooks::Webhook;
use store::{Change, Db, deliveries, event_types};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::api::Api;
use crate::auth::{BrandReader, BrandWriter};
use crate::http::body::{JsonBody, OptionalJsonBody};
use crate::http::path::{
    self, BrandPath, EventInPath, EventPath, WebhookInPath, WebhookPath, event_not_found,
};
use crate::http::problem::{Problem, Result};
use crate::openapi::request_schemas;
use crate::resources::views::{DeliveryStatusWord, TriggerWord};
use crate::resources::webhooks::{find_webhook, lock_webhook};
use crate::validation::errors::ValidationErrors;
use crate::validation::fields::Fields;
use crate::validation::subscribable_types::SubscribableTypes;
use crate::validation::validators;

/// How many deliveries will be sent again.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueuedDeliveries {
    /// The job that sends a range; its progress is at `redeliver/{jobId}`
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<Uuid>,
    /// How many deliveries will be made
    #[schema(minimum = 0)]
    queued: i64,
}

/// A test event that will be sent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueuedTestEvent {
    /// Its id: Get Events shows what becomes of it
    #[schema(value_type = String)]
    event_id: EventId,
}

/// How far the sending of a range got.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RedeliveryJob)]
pub struct JobView {
    id: Uuid,
    webhook_id: Uuid,
    /// `redeliver`, or `held` for what support had sent with re-enabling
    #[schema(value_type = TriggerWord)]
    trigger: &'static str,
    #[serde(with = "rfc3339")]
    from: DateTime,
    #[serde(with = "rfc3339")]
    to: DateTime,
    /// Only what stood here
    #[schema(value_type = Option<DeliveryStatusWord>, required)]
    status: Option<&'static str>,
    /// Only of this type or group
    #[serde(rename = "type")]
    #[schema(required)]
    pattern: Option<String>,
    /// `stopped` when the webhook stopped receiving: what was not begun stays as it was
    state: JobState,
    /// How many deliveries there were when it was asked for
    #[schema(minimum = 0)]
    total: i64,
    /// How many of them had their attempt; what failed is retried like everything else
    #[schema(minimum = 0)]
    attempted: i64,
    /// How many of those attempts succeeded
    #[schema(minimum = 0)]
    delivered: i64,
    #[serde(with = "rfc3339")]
    created: DateTime,
    #[serde(with = "rfc3339")]
    updated: DateTime,
}

/// Whether a job goes on.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It goes on.
    Running,
    /// All were attempted.
    Finished,
    /// The webhook stopped receiving.
    Stopped,
}

impl From<Job> for JobView {
    fn from(job: Job) -> Self {
        let state = match (job.stopped, job.walked && job.done >= job.queued) {
            (true, _) => JobState::Stopped,
            (false, true) => JobState::Finished,
            (false, false) => JobState::Running,
        };
        Self {
            id: job.id,
            webhook_id: job.webhook.0,
            trigger: job.trigger.as_str(),
            from: job.selection.from,
            to: job.selection.to,
            status: job.selection.status.map(DeliveryStatus::as_str),
            pattern: job.selection.pattern.map(|pattern| pattern.to_string()),
            state,
            total: job.total,
            attempted: job.done,
            delivered: job.delivered,
            created: job.created,
            updated: job.updated,
        }
    }
}

/// The path of a job.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
#[allow(dead_code, reason = "for the OpenAPI document; JobInPath reads the path")]
pub struct JobPath {
    /// The job
    #[param(format = Uuid)]
    job_id: String,
}

/// `{jobId}` of the path.
#[derive(Debug, Clone, Copy)]
pub struct JobInPath(Uuid);

impl<S: Send + Sync> FromRequestParts<S> for JobInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        path::read_parameter(parts, state, "jobId").await?.parse().map(Self).map_err(|_| job_not_found())
    }
}

fn job_not_found() -> Problem {
    Problem::not_found("this webhook has no such job; jobs are forgotten after the retention time")
}

/// Redeliver an event
///
/// One more delivery, whatever became of the event, with retries of its own. Within a second or two it
/// is under way.
#[utoipa::path(
    post, path = "/v1/{brandId}/webhooks/{webhookId}/events/{eventId}/redeliver", tag = "events",
    operation_id = "redeliverEvent",
    params(BrandPath, WebhookPath, EventPath),
    responses(
        (status = 202, description = "It will be sent", body = QueuedDeliveries),
        (status = 409, description = "The webhook is not active"),
    )
)]
pub async fn redeliver_event(
    State(api): State<Api>,
    by: BrandWriter,
    WebhookInPath(id): WebhookInPath,
    EventInPath(event): EventInPath,
) -> Result<impl IntoResponse> {
    let mut client = api.store.client().await?;
    let change = Change::begin(&mut client).await?;
    let webhook = lock_webhook(&change, &by.brand, id).await?;
    let delivery = deliveries::find(&change, &by.brand, id, event).await?.ok_or_else(event_not_found)?;
    check_active(&webhook)?;
    let places = [delivery.place()];
    redeliveries::begin(&change, id, &places, Trigger::Redeliver, None, None).await?;
    change.commit(&audit_entry(&by, "webhook.redeliver", id, json!({"eventId": event}))).await?;
    Ok((StatusCode::ACCEPTED, Json(QueuedDeliveries { job_id: None, queued: 1 })))
}

/// Redeliver a range of events
///
/// Everything created in [`from`, `to`), of the status and type that are given: catching up after an
/// outage. Any number of events is sent at the endpoint's own pace, beside fresh ones.
#[utoipa::path(
    post, path = "/v1/{brandId}/webhooks/{webhookId}/redeliver", tag = "events", operation_id = "redeliverRange",
    params(BrandPath, WebhookPath), request_body = request_schemas::Redelivery,
    responses(
        (status = 202, description = "They will be sent", body = QueuedDeliveries,
         headers(("Location" = String, description = "Where the progress is"))),
        (status = 409, description = "The webhook is not active"),
    )
)]
pub async fn redeliver_range(
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
    let change = Change::begin(&mut client).await?;
    check_active(&lock_webhook(&change, &by.brand, id).await?)?;
    let job = redeliveries::insert_job(&change, id, Trigger::Redeliver, &selection).await?;
    let (job_id, queued) = (job.id, job.total);
    let after = crate::resources::views::audit_value(&JobView::from(job));
    change.commit(&audit_entry(&by, "webhook.redeliver_range", id, after)).await?;
    let location = format!("/v1/{}/webhooks/{id}/redeliver/{job_id}", by.brand);
    let queued = QueuedDeliveries { job_id: Some(job_id), queued };
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(queued)))
}

/// Read how far the redelivery of a range got
#[utoipa::path(
    get, path = "/v1/{brandId}/webhooks/{webhookId}/redeliver/{jobId}", tag = "events",
    operation_id = "readRedelivery",
    params(BrandPath, WebhookPath, JobPath),
    responses((status = 200, description = "How far it got", body = JobView))
)]
pub async fn read_redelivery(
    State(api): State<Api>,
    by: BrandReader,
    WebhookInPath(id): WebhookInPath,
    JobInPath(job): JobInPath,
) -> Result<Json<JobView>> {
    find_webhook(&api.store, &by.brand, id).await?;
    let job = redeliveries::find_job(&api.store, id, job).await?.ok_or_else(job_not_found)?;
    Ok(Json(job.into()))
}

/// Send a test event
///
/// The catalogue's example of a type, to this webhook alone. Without a `type` it is the first type that
/// the webhook subscribes to and the brand may receive.
#[utoipa::path(
    post, path = "/v1/{brandId}/webhooks/{webhookId}/test", tag = "webhooks", operation_id = "testWebhook",
    params(BrandPath, WebhookPath), request_body = request_schemas::TestEvent,
    responses(
        (status = 202, description = "It will be sent", body = QueuedTestEvent),
        (status = 409, description = "The webhook is not active"),
    )
)]
pub async fn test_webhook(
    State(api): State<Api>,
    by: BrandWriter,
    WebhookInPath(id): WebhookInPath,
    body: OptionalJsonBody,
) -> Result<impl IntoResponse> {
    let mut errors = ValidationErrors::default();
    let wanted = Fields::parse(&body.0, "", &mut errors).map(|mut fields| {
        let wanted = fields.optional("type", validators::parsed_text::<EventType>);
        fields.finish();
        wanted
    });
    let mut client = api.store.client().await?;
    let change = Change::begin(&mut client).await?;
    let webhook = lock_webhook(&change, &by.brand, id).await?;
    let wanted = errors.into_result(wanted)?;
    check_active(&webhook)?;
    let (event_type, data) = choose_example(&change, &webhook, wanted).await?;
    let now = Utc::now();
    let event = EventId::draw(u64::try_from(now.timestamp_millis()).unwrap_or(0));
    redeliveries::insert_test(&change, id, event, whole_millis(now), &event_type, &data).await?;
    let after = json!({"eventId": event, "type": event_type.as_str()});
    change.commit(&audit_entry(&by, "webhook.test", id, after)).await?;
    Ok((StatusCode::ACCEPTED, Json(QueuedTestEvent { event_id: event })))
}

/// The type of a test event and its example.
async fn choose_example(
    change: &Change<'_>,
    webhook: &Webhook,
    wanted: Option<EventType>,
) -> Result<(EventType, String)> {
    let types = SubscribableTypes::load(change, &webhook.brand_id).await?;
    let mut errors = ValidationErrors::default();
    let chosen = match &wanted {
        Some(event_type) => {
            types.check_type(event_type, "/type", &mut errors);
            Some(event_type.clone())
        }
        None => types.first_match(&webhook.events).and_then(|name| name.parse().ok()),
    };
    if chosen.is_none() {
        errors.add("/type", "is required here: the webhook subscribes to no type that the brand may receive");
    }
    let event_type = errors.into_result(chosen)?;
    let entry = event_types::find(change, &event_type).await?;
    let example = entry.and_then(|entry| entry.example).map(|example| example.get().to_owned());
    Ok((event_type, example.unwrap_or_else(|| "{}".to_owned())))
}

fn parse_selection(raw: &RawValue, errors: &mut ValidationErrors) -> Option<Selection> {
    let mut fields = Fields::parse(raw, "", errors)?;
    let from = fields.required("from", validators::timestamp);
    let to = fields.required("to", validators::timestamp);
    let status = fields.optional("status", validators::parsed_text);
    let pattern = fields.optional("type", validators::parsed_text);
    let span = from.zip(to);
    if span.is_some_and(|(from, to)| from >= to) {
        fields.add_error("from", "must be before to");
    }
    fields.finish();
    let (from, to) = span?;
    // What has yet to happen is not sent again.
    let to = to.min(whole_millis(Utc::now()) + chrono::TimeDelta::milliseconds(1));
    Some(Selection { from, to, status, pattern })
}

/// Whether a webhook may be sent something on request.
fn check_active(webhook: &Webhook) -> Result<()> {
    match webhook.status {
        WebhookStatus::Active => Ok(()),
        status => Err(Problem::conflict(format!("this webhook is {status}; it must be active for this"))),
    }
}

fn audit_entry(
    by: &BrandWriter,
    action: &'static str,
    webhook: WebhookId,
    after: serde_json::Value,
) -> Entry {
    Entry {
        actor: by.actor.clone(),
        action,
        brand_id: Some(by.brand.clone()),
        subject: webhook.to_string(),
        before: None,
        after: Some(after),
    }
}

/// Has everything sent that is held for a webhook which support enables again.
///
/// # Errors
/// When the database fails.
pub(crate) async fn redeliver_held_events(db: &impl Db, webhook: WebhookId) -> Result<Job> {
    let selection = Selection {
        from: DateTime::UNIX_EPOCH,
        // The platform takes events that lie a little ahead.
        to: whole_millis(Utc::now()) + chrono::TimeDelta::seconds(domain::limits::CREATED_AHEAD_SECONDS + 1),
        status: Some(DeliveryStatus::Held),
        pattern: None,
    };
    Ok(redeliveries::insert_job(db, webhook, Trigger::Held, &selection).await?)
}
