//! Get Events: the events of a webhook with their deliveries and attempts.

pub(crate) mod exchange;
pub(crate) mod listing;
pub(crate) mod publish;

use axum::Json;
use axum::extract::State;
use chrono::Utc;
use domain::delivery::DeliveryStatus;
use domain::ids::{AttemptId, EventId, WebhookId};
// utoipa recognizes the type by this name.
use domain::time::Timestamp as DateTime;
use domain::time::rfc3339;
use domain::webhook::WebhookStatus;
use serde::Serialize;
use serde_json::value::RawValue;
use store::api::event_lookup::EventDelivery;
use store::api::webhooks::{self, Webhook};
use store::delivery::attempts::{self, Attempt};
use store::delivery::deliveries::{self, Delivery};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::api::Api;
use crate::auth::BrandReader;
use crate::auth::request_cost::filter_surcharge;
use crate::http::cursor;
use crate::http::page::{Page, PageParams};
use crate::http::path::{
    BrandPath, EventInPath, EventPath, WebhookInPath, WebhookPath, event_not_found, webhook_not_found,
};
use crate::http::problem::{Problem, Result};
use crate::http::query::Query;
use crate::openapi::samples;
use crate::openapi::words::{DeliveryStatusWord, OutcomeWord, TriggerWord};
use crate::resources::events::listing::EventListing;
use crate::resources::views::serialize_optional;

/// An event of a webhook, with its delivery.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Event, example = samples::event)]
pub(crate) struct EventView {
    /// ULID of the event; receivers deduplicate by it
    #[schema(value_type = String)]
    id: EventId,
    /// Id of the brand
    brand_id: String,
    /// Id of the webhook
    webhook_id: Uuid,
    /// When the event happened
    #[serde(with = "rfc3339")]
    created: DateTime,
    /// Event type
    #[serde(rename = "type")]
    event_type: String,
    /// The data as it was published
    #[schema(value_type = Value)]
    data: Box<RawValue>,
    /// True for a test event; absent otherwise
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    test: bool,
    /// Delivery of the event to this webhook
    delivery: DeliveryView,
}

/// The delivery of an event to a webhook.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Delivery, example = samples::delivery)]
pub(crate) struct DeliveryView {
    /// Status of the delivery
    #[schema(value_type = DeliveryStatusWord)]
    status: DeliveryStatus,
    /// Number of attempts so far
    #[schema(minimum = 0)]
    attempts: i32,
    /// When the last attempt started; null before the first attempt
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    last_attempt_at: Option<DateTime>,
    /// When the next attempt is due; null if none is planned
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    next_attempt_at: Option<DateTime>,
    /// Why the last attempt failed; null if it did not
    #[schema(required)]
    last_error: Option<String>,
}

impl From<&Delivery> for DeliveryView {
    fn from(delivery: &Delivery) -> Self {
        Self {
            status: delivery.status,
            attempts: delivery.attempts,
            last_attempt_at: delivery.last_attempt_at,
            next_attempt_at: delivery.next_attempt_at,
            last_error: delivery.last_error.clone(),
        }
    }
}

impl From<&EventDelivery> for DeliveryView {
    fn from(delivery: &EventDelivery) -> Self {
        Self {
            status: delivery.status,
            attempts: delivery.attempts,
            last_attempt_at: delivery.last_attempt_at,
            next_attempt_at: delivery.next_attempt_at,
            last_error: delivery.last_error.clone(),
        }
    }
}

/// One HTTP request of a delivery.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Attempt, example = samples::attempt)]
pub(crate) struct AttemptView {
    /// ULID of the attempt
    #[schema(value_type = String)]
    attempt_id: AttemptId,
    /// When the attempt started
    #[serde(with = "rfc3339")]
    started_at: DateTime,
    /// Duration of the attempt in milliseconds
    duration_ms: i32,
    /// How the attempt ended
    #[schema(value_type = OutcomeWord)]
    outcome: &'static str,
    /// HTTP status of the response; null if there was none
    #[schema(required)]
    status_code: Option<i32>,
    /// Error of the attempt; null if the event was delivered
    #[schema(required)]
    error: Option<String>,
    /// Beginning of the response body, at most 4 KiB
    #[schema(required)]
    response_body: Option<String>,
    /// Why the attempt was made
    #[schema(value_type = TriggerWord)]
    trigger: &'static str,
}

/// The filters of the list.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[allow(dead_code, reason = "only the OpenAPI document uses it; EventListing reads the parameters")]
pub(crate) struct EventParams {
    /// Only events created at this instant or later; default: the start of the
    /// retention period (seven days ago, unless configured otherwise)
    #[param(format = DateTime)]
    from: Option<String>,
    /// Only events created before this instant
    #[param(format = DateTime)]
    to: Option<String>,
    /// Only events of this type or group
    r#type: Option<String>,
    /// Only events whose delivery has this status
    status: Option<DeliveryStatusWord>,
    /// Only events whose last attempt ended like this
    outcome: Option<OutcomeWord>,
    /// Only events whose last attempt got a response with this HTTP status
    #[param(minimum = 100, maximum = 599)]
    status_code: Option<u16>,
    /// Order by `created`; default: `asc`
    #[param(inline)]
    order: Option<OrderWord>,
}

/// The order of a list.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "only the OpenAPI document uses it; EventListing reads the word")]
pub(crate) enum OrderWord {
    /// Oldest first
    #[schema(rename = "asc")]
    Ascending,
    /// Newest first
    #[schema(rename = "desc")]
    Descending,
}

/// Get Events
///
/// Lists every event of the webhook that was created in [`from`, `to`), oldest first by default. A page may have
/// fewer items than `limit`; the list ends only when `nextCursor` is null.
#[utoipa::path(
    get, path = "/v1/{brandId}/webhooks/{webhookId}/events", tag = "events", operation_id = "listEvents",
    params(BrandPath, WebhookPath, EventParams, PageParams),
    responses((status = 200, description = "A page of events.", body = Page<EventView>))
)]
pub(crate) async fn list_events(
    State(api): State<Api>,
    by: BrandReader,
    WebhookInPath(id): WebhookInPath,
    mut query: Query,
) -> Result<Json<Page<EventView>>> {
    let webhook = find_readable_webhook(&api, &by, id).await?;
    let limit = query.take_limit();
    let listing = EventListing::parse(query, id, Utc::now() - api.retention)?;
    by.charge.spend(&api, filter_surcharge(listing.has_filter()))?;
    let page = deliveries::list_deliveries(&api.store, webhook.id, &listing.range(), limit).await?;
    let items = page.items.into_iter().map(|delivery| event_view(id, delivery)).collect::<Result<_>>()?;
    Ok(Json(Page { items, next_cursor: page.more_after.map(|place| listing.cursor(id, place)) }))
}

/// Read an event
///
/// Returns the event with its data and the state of its delivery to this webhook.
#[utoipa::path(
    get, path = "/v1/{brandId}/webhooks/{webhookId}/events/{eventId}", tag = "events", operation_id = "readEvent",
    params(BrandPath, WebhookPath, EventPath),
    responses((status = 200, description = "The event with its delivery.", body = EventView))
)]
pub(crate) async fn read_event(
    State(api): State<Api>,
    by: BrandReader,
    WebhookInPath(id): WebhookInPath,
    EventInPath(event): EventInPath,
) -> Result<Json<EventView>> {
    event_view(id, find_delivery(&api, &by, id, event).await?).map(Json)
}

/// List the attempts of an event
///
/// Oldest first.
#[utoipa::path(
    get, path = "/v1/{brandId}/webhooks/{webhookId}/events/{eventId}/attempts", tag = "events",
    operation_id = "listAttempts",
    params(BrandPath, WebhookPath, EventPath, PageParams),
    responses((status = 200, description = "A page of attempts.", body = Page<AttemptView>))
)]
pub(crate) async fn list_attempts(
    State(api): State<Api>,
    by: BrandReader,
    WebhookInPath(id): WebhookInPath,
    EventInPath(event): EventInPath,
    mut query: Query,
) -> Result<Json<Page<AttemptView>>> {
    let found = find_delivery(&api, &by, id, event).await?;
    let list = format!("attempts/{id}/{event}");
    let limit = query.take_limit();
    let after = query.take("cursor", |text| cursor::decode(&list, text));
    query.finish()?;
    let rows = attempts::list_attempts(&api.store, id, (event, found.created), after, limit + 1).await?;
    Ok(Json(Page::from_rows(&list, rows, limit, |attempt| attempt.id, attempt_view)))
}

/// Finds a webhook whose events the caller may read. Support can also read the events of a deleted webhook.
async fn find_readable_webhook(api: &Api, by: &BrandReader, id: WebhookId) -> Result<Webhook> {
    let readable = |webhook: &Webhook| {
        webhook.brand_id == by.brand && (by.is_support || webhook.status != WebhookStatus::Deleted)
    };
    webhooks::find_webhook(&api.store, id).await?.filter(readable).ok_or_else(webhook_not_found)
}

async fn find_delivery(api: &Api, by: &BrandReader, id: WebhookId, event: EventId) -> Result<Delivery> {
    find_readable_webhook(api, by, id).await?;
    deliveries::find_delivery(&api.store, &by.brand, id, event).await?.ok_or_else(event_not_found)
}

fn event_view(webhook: WebhookId, delivery: Delivery) -> Result<EventView> {
    let view = DeliveryView::from(&delivery);
    let data = RawValue::from_string(delivery.data).map_err(|error| {
        tracing::error!(event = %delivery.event_id, %error, "the stored data of an event is not JSON");
        Problem::internal_error()
    })?;
    Ok(EventView {
        id: delivery.event_id,
        brand_id: delivery.brand_id.to_string(),
        webhook_id: webhook.0,
        created: delivery.created,
        event_type: delivery.event_type,
        data,
        test: delivery.test,
        delivery: view,
    })
}

fn attempt_view(attempt: Attempt) -> AttemptView {
    AttemptView {
        attempt_id: attempt.id,
        started_at: attempt.started_at,
        duration_ms: attempt.duration_ms,
        outcome: attempt.outcome.as_str(),
        status_code: attempt.status_code,
        error: attempt.error,
        response_body: attempt.response_body,
        trigger: attempt.trigger.as_str(),
    }
}
