//! Get Events: what was sent to a webhook, whether it arrived, and every attempt.

pub mod listing;
pub mod publish;

use axum::Json;
use axum::extract::State;
use chrono::Utc;
use domain::delivery::DeliveryStatus;
use domain::ids::{AttemptId, EventId, WebhookId};
// By this name utoipa knows it.
use domain::time::Timestamp as DateTime;
use domain::time::rfc3339;
use domain::webhook::WebhookStatus;
use serde::Serialize;
use serde_json::value::RawValue;
use store::attempts::{self, Attempt};
use store::deliveries::{self, Delivery};
use store::webhooks::{self, Webhook};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::api::Api;
use crate::auth::BrandReader;
use crate::http::cursor;
use crate::http::page::{Page, PageParams};
use crate::http::path::{
    BrandPath, EventInPath, EventPath, WebhookInPath, WebhookPath, event_not_found, webhook_not_found,
};
use crate::http::problem::{Problem, Result};
use crate::http::query::Query;
use crate::resources::events::listing::EventListing;
use crate::resources::views::{DeliveryStatusWord, OutcomeWord, TriggerWord, serialize_optional};

/// An event on its way to a webhook.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Event)]
pub struct EventView {
    /// A ULID; receivers deduplicate on it
    #[schema(value_type = String)]
    id: EventId,
    brand_id: String,
    webhook_id: Uuid,
    /// When it happened
    #[serde(with = "rfc3339")]
    created: DateTime,
    #[serde(rename = "type")]
    event_type: String,
    /// The data as it came in
    #[schema(value_type = Value)]
    data: Box<RawValue>,
    /// Only with a test event
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    test: bool,
    delivery: DeliveryView,
}

/// How far an event got.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Delivery)]
pub struct DeliveryView {
    #[schema(value_type = DeliveryStatusWord)]
    status: DeliveryStatus,
    /// Attempts so far
    #[schema(minimum = 0)]
    attempts: i32,
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    last_attempt_at: Option<DateTime>,
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    next_attempt_at: Option<DateTime>,
    /// Why the last attempt failed
    #[schema(required)]
    last_error: Option<String>,
}

/// One HTTP request of a delivery.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Attempt)]
pub struct AttemptView {
    /// A ULID
    #[schema(value_type = String)]
    attempt_id: AttemptId,
    #[serde(with = "rfc3339")]
    started_at: DateTime,
    duration_ms: i32,
    #[schema(value_type = OutcomeWord)]
    outcome: &'static str,
    /// The HTTP status, where one was received
    #[schema(required)]
    status_code: Option<i32>,
    /// What went wrong; null when it was delivered
    #[schema(required)]
    error: Option<String>,
    /// The start of the answer's body, 4 KiB at most
    #[schema(required)]
    response_body: Option<String>,
    #[schema(value_type = TriggerWord)]
    trigger: &'static str,
}

/// Which events are listed.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "for the OpenAPI document; EventListing reads the parameters")]
pub struct EventParams {
    /// Created at this instant or later; seven days ago unless given
    #[param(format = DateTime)]
    from: Option<String>,
    /// Created before this instant
    #[param(format = DateTime)]
    to: Option<String>,
    /// Of this type or group
    r#type: Option<String>,
    /// Whose delivery stands here
    status: Option<DeliveryStatusWord>,
    /// By `created`
    #[param(inline)]
    order: Option<OrderWord>,
}

/// The order of a list.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "for the OpenAPI document; EventListing reads the word")]
pub enum OrderWord {
    /// Oldest first
    #[schema(rename = "asc")]
    Ascending,
    /// Newest first
    #[schema(rename = "desc")]
    Descending,
}

/// Get Events
///
/// Every event of this webhook that was created in [`from`, `to`). A page may have fewer items than
/// `limit`; the list ends where `nextCursor` is null.
#[utoipa::path(
    get, path = "/v1/{brandId}/webhooks/{webhookId}/events", tag = "events", operation_id = "listEvents",
    params(BrandPath, WebhookPath, EventParams, PageParams),
    responses((status = 200, description = "A page of them", body = Page<EventView>))
)]
pub async fn list_events(
    State(api): State<Api>,
    by: BrandReader,
    WebhookInPath(id): WebhookInPath,
    mut query: Query,
) -> Result<Json<Page<EventView>>> {
    let webhook = find_readable_webhook(&api, &by, id).await?;
    let limit = query.take_limit();
    let listing = EventListing::read(query, id, Utc::now() - api.retention)?;
    let page = deliveries::page(&api.store, webhook.id, &listing.range(), limit).await?;
    let items = page.items.into_iter().map(|delivery| event_view(id, delivery)).collect::<Result<_>>()?;
    Ok(Json(Page { items, next_cursor: page.more_after.map(|place| listing.cursor(id, place)) }))
}

/// Read an event
#[utoipa::path(
    get, path = "/v1/{brandId}/webhooks/{webhookId}/events/{eventId}", tag = "events", operation_id = "readEvent",
    params(BrandPath, WebhookPath, EventPath),
    responses((status = 200, description = "The event and how far it got", body = EventView))
)]
pub async fn read_event(
    State(api): State<Api>,
    by: BrandReader,
    WebhookInPath(id): WebhookInPath,
    EventInPath(event): EventInPath,
) -> Result<Json<EventView>> {
    event_view(id, find_delivery(&api, &by, id, event).await?).map(Json)
}

/// List an event's attempts
///
/// Oldest first.
#[utoipa::path(
    get, path = "/v1/{brandId}/webhooks/{webhookId}/events/{eventId}/attempts", tag = "events",
    operation_id = "listAttempts",
    params(BrandPath, WebhookPath, EventPath, PageParams),
    responses((status = 200, description = "A page of them", body = Page<AttemptView>))
)]
pub async fn list_attempts(
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
    let rows = attempts::page(&api.store, id, (event, found.created), after, limit + 1).await?;
    Ok(Json(Page::from_rows(&list, rows, limit, |attempt| attempt.id, attempt_view)))
}

/// A webhook whose events the caller may read: support also those of a deleted one.
async fn find_readable_webhook(api: &Api, by: &BrandReader, id: WebhookId) -> Result<Webhook> {
    let readable = |webhook: &Webhook| {
        webhook.brand_id == by.brand && (by.is_support || webhook.status != WebhookStatus::Deleted)
    };
    webhooks::find(&api.store, id).await?.filter(readable).ok_or_else(webhook_not_found)
}

async fn find_delivery(api: &Api, by: &BrandReader, id: WebhookId, event: EventId) -> Result<Delivery> {
    find_readable_webhook(api, by, id).await?;
    deliveries::find(&api.store, &by.brand, id, event).await?.ok_or_else(event_not_found)
}

fn event_view(webhook: WebhookId, delivery: Delivery) -> Result<EventView> {
    let data = RawValue::from_string(delivery.data).map_err(|error| {
        tracing::error!(event = %delivery.event_id, %error, "stored data is not JSON");
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
        delivery: DeliveryView {
            status: delivery.status,
            attempts: delivery.attempts,
            last_attempt_at: delivery.last_attempt_at,
            next_attempt_at: delivery.next_attempt_at,
            last_error: delivery.last_error,
        },
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
