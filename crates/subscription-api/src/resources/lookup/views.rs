//! Views of events by their brand.

use domain::ids::{BrandId, EventId};
use domain::lookup::{Disposition, LookupResult, explain_event, explain_no_webhook};
// utoipa recognizes the type by this name.
use domain::time::Timestamp as DateTime;
use domain::time::rfc3339;
use domain::webhook::WebhookStatus;
use serde::Serialize;
use serde_json::value::RawValue;
use store::api::event_lookup::{EventDetails, EventRecord, FoundEvent};
use utoipa::ToSchema;
use uuid::Uuid;

use super::explain::ExplainedWebhook;
use crate::http::problem::{Problem, Result};
use crate::openapi::samples;
use crate::openapi::words::{AnyWebhookStatusWord, DispositionWord, LookupResultWord};
use crate::resources::events::DeliveryView;
use crate::resources::views::serialize_optional;

/// Where the deliveries of a routed event are that no listed webhook has.
const RECEIVERS_DELETED: &str =
    "The webhooks that received the event were deleted since. Support still sees its deliveries.";

/// An event of a brand, with what became of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BrandEvent, example = samples::brand_event)]
pub(crate) struct BrandEventView {
    /// ULID of the event
    #[schema(value_type = String)]
    id: EventId,
    /// Event type; null if a rejected message has none, or an earlier version of the router did not store it
    #[serde(rename = "type")]
    #[schema(required)]
    event_type: Option<String>,
    /// When the event happened
    #[serde(with = "rfc3339")]
    created: DateTime,
    /// When the platform received the event first
    #[serde(with = "rfc3339")]
    received: DateTime,
    /// Text of the producer by which the event is found; null if it has none
    #[schema(required)]
    key: Option<String>,
    /// Disposition of the event
    #[schema(value_type = DispositionWord)]
    disposition: Disposition,
    /// The reason as a sentence; null if the event was routed
    #[schema(required)]
    detail: Option<String>,
    /// Code of the rejection; absent unless the event was rejected
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String, example = "schema_violation")]
    reason: Option<String>,
    /// Whether it is a test event
    test: bool,
}

impl From<EventRecord> for BrandEventView {
    fn from(event: EventRecord) -> Self {
        let rejection = event.rejection.as_ref().map(|(code, detail)| (code.as_str(), detail.as_str()));
        let detail = explain_event(event.disposition, event.event_type.as_deref(), rejection);
        Self {
            id: event.id,
            event_type: event.event_type,
            created: event.created,
            received: event.received,
            key: event.key,
            disposition: event.disposition,
            detail,
            reason: event.rejection.map(|(code, _)| code),
            test: event.test,
        }
    }
}

/// An event of any brand, with what became of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AnyBrandEvent, example = samples::any_brand_event)]
pub(crate) struct AnyBrandEventView {
    /// Id of the brand
    brand_id: String,
    #[serde(flatten)]
    event: BrandEventView,
}

impl From<EventRecord> for AnyBrandEventView {
    fn from(event: EventRecord) -> Self {
        Self { brand_id: event.brand_id.to_string(), event: event.into() }
    }
}

/// An event and what became of it at each webhook of its brand.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventLookup, example = samples::event_lookup)]
pub(crate) struct LookupView {
    #[serde(flatten)]
    event: BrandEventView,
    /// The data as it was published; null if the event was recorded for no webhook
    #[schema(value_type = Option<Value>, required)]
    data: Option<Box<RawValue>>,
    /// Number of times that the same id or `message_id` was published again
    #[schema(minimum = 0)]
    duplicates: i64,
    /// Each webhook of the brand, oldest first; none if the event was not matched with any
    webhooks: Vec<WebhookResultView>,
}

impl LookupView {
    /// Combines an event with what became of it at each webhook.
    ///
    /// # Errors
    /// When the stored data is not JSON.
    pub(super) fn new(details: EventDetails, webhooks: Vec<ExplainedWebhook>) -> Result<Self> {
        let id = details.event.id;
        let data = details.data.map(RawValue::from_string).transpose().map_err(|error| {
            tracing::error!(event = %id, %error, "the stored data of an event is not JSON");
            Problem::internal_error()
        })?;
        let mut event = BrandEventView::from(details.event);
        if event.disposition == Disposition::NoWebhook {
            // The list has only the event, so that it cannot tell a paused webhook from none.
            let results: Vec<_> = webhooks.iter().map(|webhook| webhook.explanation.result).collect();
            let event_type = event.event_type.as_deref().unwrap_or("its type");
            event.detail = Some(explain_no_webhook(event_type, &results));
        }
        if event.disposition == Disposition::Routed
            && event.event_type.is_some()
            && webhooks.iter().all(|listed| listed.webhook.delivery.is_none())
        {
            event.detail = Some(RECEIVERS_DELETED.to_owned());
        }
        Ok(Self {
            event,
            data,
            duplicates: details.duplicates,
            webhooks: webhooks.into_iter().map(WebhookResultView::from).collect(),
        })
    }
}

/// An event at one webhook.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventAtWebhook, example = samples::event_at_webhook)]
pub(crate) struct WebhookResultView {
    /// Id of the webhook
    webhook_id: Uuid,
    /// URL of its endpoint
    endpoint: String,
    /// Its description
    #[schema(required)]
    description: Option<String>,
    /// Its status now; support also sees `deleted` webhooks
    #[schema(value_type = AnyWebhookStatusWord)]
    status: WebhookStatus,
    /// Result of the event at this webhook
    #[schema(value_type = LookupResultWord)]
    result: LookupResult,
    /// The reason as a sentence
    detail: String,
    /// When the delivery was queued; null unless it is queued now
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    since: Option<DateTime>,
    /// Number of deliveries in front of it, at most 10,000; null unless it is queued
    #[schema(required, minimum = 0)]
    ahead: Option<i64>,
    /// When the next attempt is due; null unless it is retrying
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    next_attempt_at: Option<DateTime>,
    /// The delivery; null if the webhook has none
    #[schema(required)]
    delivery: Option<DeliveryView>,
}

impl From<ExplainedWebhook> for WebhookResultView {
    fn from(ExplainedWebhook { webhook, explanation }: ExplainedWebhook) -> Self {
        Self {
            webhook_id: webhook.id.0,
            endpoint: webhook.endpoint,
            description: webhook.description,
            status: webhook.status,
            result: explanation.result,
            detail: explanation.detail,
            since: explanation.since,
            ahead: explanation.ahead,
            next_attempt_at: explanation.next_attempt_at,
            delivery: webhook.delivery.as_ref().map(DeliveryView::from),
        }
    }
}

/// An event of any brand, what became of it, and the events of other brands with the same id or `message_id`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AnyEventLookup, example = samples::any_event_lookup)]
pub(crate) struct SupportLookupView {
    /// Id of the brand
    brand_id: String,
    #[serde(flatten)]
    lookup: LookupView,
    /// Events of other brands with the same id or `message_id`, newest first, at most 20
    others: Vec<OtherEventView>,
}

/// An event of another brand.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OtherEvent)]
struct OtherEventView {
    /// Id of the brand
    brand_id: String,
    /// ULID of the event
    #[schema(value_type = String)]
    id: EventId,
}

impl SupportLookupView {
    /// Adds the brand and the events of other brands.
    pub(super) fn new<'a>(
        brand: &BrandId,
        lookup: LookupView,
        others: impl Iterator<Item = &'a FoundEvent>,
    ) -> Self {
        let other =
            |found: &FoundEvent| OtherEventView { brand_id: found.brand_id.to_string(), id: found.id };
        Self { brand_id: brand.to_string(), lookup, others: others.map(other).collect() }
    }
}
