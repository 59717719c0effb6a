//! Test events: the example of an event type, sent to one webhook.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use chrono::Utc;
use domain::event::event_type::EventType;
use domain::ids::EventId;
use domain::time::truncate_to_millis;
use domain::webhook::WebhookStatus;
use serde::Serialize;
use serde_json::{Value, json};
use store::AuditedTransaction;
use store::api::audit::Entry;
use store::api::event_types;
use store::api::webhooks::Webhook;
use store::redelivery::queue;
use utoipa::ToSchema;

use crate::api::Api;
use crate::auth::{BrandWriter, Support};
use crate::http::body::OptionalJsonBody;
use crate::http::path::{BrandPath, WebhookInPath, WebhookPath};
use crate::http::problem::{Problem, Result};
use crate::openapi::request_schemas;
use crate::resources::redeliveries::check_queue_space;
use crate::resources::webhooks::lookup::{audit_action, check_active, lock_webhook};
use crate::resources::webhooks::support::lock_existing;
use crate::validation::errors::ValidationErrors;
use crate::validation::fields::Fields;
use crate::validation::subscribable_types::SubscribableTypes;
use crate::validation::validators;

/// A test event that was queued.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TestSent)]
pub(crate) struct QueuedTestEvent {
    /// Id of the test event; Get Events shows its delivery
    #[schema(value_type = String)]
    event_id: EventId,
}

/// Send a test event
///
/// Sends the example of an event type to this webhook only. The default for `type` is the first type that the
/// webhook subscribes to and the brand may receive.
///
/// The endpoint cannot tell the request from one for a real event: `"test":true` is only in the lists of the API. The test
/// event is retried, and counts for the health of the webhook, as a real one.
#[utoipa::path(
    post, path = "/v1/{brandId}/webhooks/{webhookId}/test", tag = "webhooks", operation_id = "testWebhook",
    params(BrandPath, WebhookPath), request_body = request_schemas::TestEvent,
    responses(
        (status = 202, description = "Accepted. The test event will be sent.", body = QueuedTestEvent),
        (status = 409, description = "The webhook is not active, or 10,000 events wait for their redelivery already."),
    )
)]
pub(crate) async fn test_webhook(
    State(api): State<Api>,
    by: BrandWriter,
    WebhookInPath(id): WebhookInPath,
    body: OptionalJsonBody,
) -> Result<impl IntoResponse> {
    let (requested, errors) = parse_requested_type(&body);
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    let webhook = lock_webhook(&change, &by.brand, id).await?;
    let requested = errors.into_result(requested)?;
    check_active(&webhook)?;
    let (event, details) = insert_test_event(&change, &webhook, requested).await?;
    change.commit(&audit_action(&by, "webhook.test", id, details)).await?;
    Ok((StatusCode::ACCEPTED, Json(QueuedTestEvent { event_id: event })))
}

/// Send a test event, also to a disabled webhook
///
/// As `POST /v1/{brandId}/webhooks/{webhookId}/test`. A disabled webhook gets a single attempt, which tells whether its
/// endpoint works again: it counts neither for the health nor for the statistics of the webhook, which stays disabled.
#[utoipa::path(
    post, path = "/admin/v1/webhooks/{webhookId}/test", tag = "support", operation_id = "testAnyWebhook",
    params(WebhookPath), request_body = request_schemas::TestEvent,
    responses(
        (status = 202, description = "Accepted. The test event will be sent.", body = QueuedTestEvent),
        (status = 409, description = "The webhook is paused, or 10,000 events wait for their redelivery already."),
    )
)]
pub(crate) async fn test_any_webhook(
    State(api): State<Api>,
    by: Support,
    WebhookInPath(id): WebhookInPath,
    body: OptionalJsonBody,
) -> Result<impl IntoResponse> {
    let (requested, errors) = parse_requested_type(&body);
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    let webhook = lock_existing(&change, id).await?;
    let requested = errors.into_result(requested)?;
    if webhook.status == WebhookStatus::Paused {
        return Err(Problem::conflict(
            "this webhook is paused by its brand; it must be active or disabled for this",
        ));
    }
    let (event, details) = insert_test_event(&change, &webhook, requested).await?;
    let entry = Entry {
        actor: by.actor,
        action: "webhook.test",
        brand_id: Some(webhook.brand_id),
        subject: id.to_string(),
        before: None,
        after: Some(details),
    };
    change.commit(&entry).await?;
    Ok((StatusCode::ACCEPTED, Json(QueuedTestEvent { event_id: event })))
}

/// Reads the type of the body; the outer `None` stands for errors.
fn parse_requested_type(body: &OptionalJsonBody) -> (Option<Option<EventType>>, ValidationErrors) {
    let mut errors = ValidationErrors::default();
    let requested = Fields::parse(&body.0, "", &mut errors).map(|mut fields| {
        let requested = fields.optional("type", validators::parsed_text::<EventType>);
        fields.finish();
        requested
    });
    (requested, errors)
}

/// Queues a test event for a webhook that the caller has locked. Returns its id, and the details for the audit.
async fn insert_test_event(
    change: &AuditedTransaction<'_>,
    webhook: &Webhook,
    requested: Option<EventType>,
) -> Result<(EventId, Value)> {
    check_queue_space(change, webhook.id).await?;
    let (event_type, data) = choose_example(change, webhook, requested).await?;
    let now = Utc::now();
    let event = EventId::generate(u64::try_from(now.timestamp_millis()).unwrap_or(0));
    queue::insert_test_event(change, webhook.id, event, truncate_to_millis(now), &event_type, &data).await?;
    Ok((event, json!({"eventId": event, "type": event_type.as_str()})))
}

/// Chooses the type of the test event and returns it with its example.
async fn choose_example(
    change: &AuditedTransaction<'_>,
    webhook: &Webhook,
    requested: Option<EventType>,
) -> Result<(EventType, String)> {
    let types = SubscribableTypes::load(change, &webhook.brand_id).await?;
    let mut errors = ValidationErrors::default();
    let chosen = match &requested {
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
    let entry = event_types::find_event_type(change, &event_type).await?;
    let example = entry.and_then(|entry| entry.example).map(|example| example.get().to_owned());
    Ok((event_type, example.unwrap_or_else(|| "{}".to_owned())))
}
