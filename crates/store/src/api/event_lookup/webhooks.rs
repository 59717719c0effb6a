//! The part of each webhook of a brand in an event, and the queues in front of pending deliveries.

use domain::delivery::DeliveryStatus;
use domain::event::event_type::TypePattern;
use domain::ids::{EventId, WebhookId};
use domain::limits::MAX_WEBHOOKS_PER_BRAND;
use domain::lookup::RecentAttempts;
use domain::time::Timestamp;
use domain::webhook::{DisabledReason, WebhookStatus};
use tokio_postgres::Row;

use super::EventDetails;
use crate::db::Executor;
use crate::error::StoreError;
use crate::rows::{read, read_word};

/// Most webhooks that a lookup shows. Support sees deleted ones, too, of which there may be any number.
const MAX_WEBHOOKS: i64 = 2 * MAX_WEBHOOKS_PER_BRAND;

/// A webhook with its part in an event.
#[derive(Debug, Clone)]
pub struct EventWebhook {
    /// The webhook.
    pub id: WebhookId,
    /// The URL of its endpoint.
    pub endpoint: String,
    /// Its description.
    pub description: Option<String>,
    /// Its status now.
    pub status: WebhookStatus,
    /// Why it is disabled now, if it is.
    pub disabled_reason: Option<DisabledReason>,
    /// The types and groups that it subscribes to now.
    pub events: Vec<TypePattern>,
    /// When it was created.
    pub created: Timestamp,
    /// Maximum number of requests in flight.
    pub max_concurrency: i32,
    /// Maximum number of requests per second.
    pub rate_per_second: Option<i32>,
    /// The webhook when the event was matched; `None` if it did not exist.
    pub then: Option<WebhookVersion>,
    /// The delivery of the event, if there is one.
    pub delivery: Option<EventDelivery>,
}

/// A webhook as routing knew it at some version of the configuration.
#[derive(Debug, Clone)]
pub struct WebhookVersion {
    /// Its status.
    pub status: WebhookStatus,
    /// The types and groups that it subscribed to.
    pub events: Vec<TypePattern>,
}

/// The delivery of an event to one webhook.
#[derive(Debug, Clone)]
pub struct EventDelivery {
    /// Its status.
    pub status: DeliveryStatus,
    /// The status that it is about to get, because the webhook stopped receiving since.
    pub closes_as: Option<DeliveryStatus>,
    /// Whether the webhook has its present status since the delivery was closed: it changed its status at most once since
    /// the event was routed.
    pub closed_by_present_status: bool,
    /// Number of attempts.
    pub attempts: i32,
    /// When the last attempt started.
    pub last_attempt_at: Option<Timestamp>,
    /// When the next attempt may start.
    pub next_attempt_at: Option<Timestamp>,
    /// The error of the last attempt.
    pub last_error: Option<String>,
    /// When its redelivery was requested, if it waits for its first attempt.
    pub redelivery_queued_at: Option<Timestamp>,
}

/// Lists the webhooks of the event's brand with their part in it, the oldest first.
///
/// With `with_deleted`, deleted webhooks that have a delivery of it are among them.
///
/// # Errors
/// When the database fails.
pub async fn list_event_webhooks(
    db: &impl Executor,
    details: &EventDetails,
    with_deleted: bool,
) -> Result<Vec<EventWebhook>, StoreError> {
    let event = &details.event;
    let params: crate::db::Params<'_> = &[
        &event.brand_id.as_str(),
        &event.id.to_uuid(),
        &event.created,
        &details.routing_version,
        &event.received,
        &with_deleted,
        &MAX_WEBHOOKS,
    ];
    let rows = db.query_rows(sql!("lookup/webhooks"), params).await?;
    rows.iter().map(read_webhook).collect()
}

fn read_webhook(row: &Row) -> Result<EventWebhook, StoreError> {
    let status_then: Option<&str> = read(row, "status_then")?;
    let then = match status_then {
        None => None,
        Some(_) => {
            let events = read_patterns(row, "events_then")?;
            Some(WebhookVersion { status: read_word(row, "status_then")?, events })
        }
    };
    let disabled: Option<&str> = read(row, "disabled_reason")?;
    Ok(EventWebhook {
        id: WebhookId(read(row, "id")?),
        endpoint: read(row, "endpoint")?,
        description: read(row, "description")?,
        status: read_word(row, "status")?,
        disabled_reason: disabled.map(|_| read_word(row, "disabled_reason")).transpose()?,
        events: read_patterns(row, "events")?,
        created: read(row, "created")?,
        max_concurrency: read(row, "max_concurrency")?,
        rate_per_second: read(row, "rate_per_second")?,
        then,
        delivery: read_delivery(row)?,
    })
}

fn read_delivery(row: &Row) -> Result<Option<EventDelivery>, StoreError> {
    let status: Option<&str> = read(row, "delivery_status")?;
    if status.is_none() {
        return Ok(None);
    }
    let status: DeliveryStatus = read_word(row, "delivery_status")?;
    let generation: i32 = read(row, "delivery_generation")?;
    let present: i32 = read(row, "generation")?;
    let is_closing = status == DeliveryStatus::Pending && generation < present;
    Ok(Some(EventDelivery {
        status,
        closes_as: is_closing.then(|| read_word(row, "settle_as")).transpose()?,
        closed_by_present_status: generation >= present - 1,
        attempts: read(row, "attempts")?,
        last_attempt_at: read(row, "last_attempt_at")?,
        next_attempt_at: read(row, "next_attempt_at")?,
        last_error: read(row, "last_error")?,
        redelivery_queued_at: read(row, "queued_at")?,
    }))
}

fn read_patterns(row: &Row, column: &str) -> Result<Vec<TypePattern>, StoreError> {
    let texts: Vec<&str> = read(row, column)?;
    let parse =
        |text: &&str| text.parse().map_err(|_| StoreError::Unreadable(format!("event type {text:?}")));
    texts.iter().map(parse).collect()
}

/// The queue of a webhook in front of a delivery.
#[derive(Debug, Clone, Copy)]
pub struct QueueState {
    /// The webhook.
    pub webhook: WebhookId,
    /// Number of deliveries that are due and older, as far as they were counted.
    pub ahead: i64,
    /// Whether counting stopped at its bound.
    pub has_more: bool,
    /// How attempts ended lately.
    pub recent: RecentAttempts,
    /// Until when the endpoint asked for no requests, if it did.
    pub resting_until: Option<Timestamp>,
}

/// Measures the queues of webhooks in front of their delivery of an event. Reads at most `max_read` deliveries of each
/// webhook, and counts attempts from `recent_from` on.
///
/// # Errors
/// When the database fails.
pub async fn measure_queues(
    db: &impl Executor,
    webhooks: &[WebhookId],
    (event, created): (EventId, Timestamp),
    max_read: i64,
    recent_from: Timestamp,
) -> Result<Vec<QueueState>, StoreError> {
    let ids: Vec<_> = webhooks.iter().map(|webhook| webhook.0).collect();
    let params: crate::db::Params<'_> = &[&ids, &created, &event.to_uuid(), &max_read, &recent_from];
    let rows = db.query_rows(sql!("lookup/queues"), params).await?;
    rows.iter().map(|row| read_queue(row, max_read)).collect()
}

fn read_queue(row: &Row, max_read: i64) -> Result<QueueState, StoreError> {
    let read_rows: i64 = read(row, "read")?;
    Ok(QueueState {
        webhook: WebhookId(read(row, "id")?),
        ahead: read(row, "ahead")?,
        has_more: read_rows >= max_read,
        recent: RecentAttempts {
            delivered: read(row, "delivered")?,
            timeouts: read(row, "timeouts")?,
            failed: read(row, "failed")?,
        },
        resting_until: read(row, "resting_until")?,
    })
}
