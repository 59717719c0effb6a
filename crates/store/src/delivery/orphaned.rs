//! Orphaned deliveries, which have no message in any queue, and overdue retries.
//!
//! A delivery is orphaned when its message was lost together with a queue, or when no queue accepted the message.

use domain::delivery::envelope::EventData;
use domain::event::event_type::EventType;
use domain::ids::{BrandId, EventId, WebhookId};
use domain::time::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::Params;
use crate::delivery::event_data::MAX_PAGE_DATA_BYTES;
use crate::delivery::record::DeliveryKey;
use crate::delivery::search_floors::SearchFloors;
use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::{read, read_event_data, read_word};

/// Bounds the deliveries of one page.
pub const PAGE_SIZE: i64 = 200;

/// A pending delivery, with everything that an attempt needs.
#[derive(Debug)]
pub struct PendingDelivery {
    /// When the event happened.
    pub created: Timestamp,
    /// The event.
    pub event: EventId,
    /// The brand.
    pub brand_id: BrandId,
    /// The type of the event.
    pub event_type: EventType,
    /// The generation of the delivery.
    pub generation: i32,
    /// The latest round.
    pub round: i32,
    /// Attempts recorded over all rounds.
    pub attempts: i32,
    /// Attempts recorded before this round.
    pub round_base: i32,
    /// When the round's first attempt started.
    pub first_attempt_at: Option<Timestamp>,
    /// When the next attempt may start.
    pub next_attempt_at: Option<Timestamp>,
    /// The data, if it is small.
    pub data: EventData,
}

/// Lists a page of the orphaned deliveries of a webhook that were due before an instant. A page with much data ends
/// early.
///
/// `after` is the last delivery of the previous page.
///
/// # Errors
/// When the database fails.
pub async fn list_orphaned(
    store: &Store,
    webhook: WebhookId,
    due_before: Timestamp,
    after: Option<(Timestamp, EventId)>,
) -> Result<Vec<PendingDelivery>, StoreError> {
    let (created, event) = after.map_or((Timestamp::UNIX_EPOCH, Uuid::nil()), |(at, id)| (at, id.to_uuid()));
    let params: Params<'_> = &[&webhook.0, &due_before, &created, &event, &PAGE_SIZE, &MAX_PAGE_DATA_BYTES];
    let rows = store.query(sql!("orphaned/page"), params).await?;
    rows.iter().map(read_pending).collect()
}

/// Records that no queue has a message of these deliveries.
///
/// The owner of the webhook then attempts each of them from the database, as soon as it looks for due attempts. The
/// time of a planned next attempt does not change, and deliveries that have ended are skipped.
///
/// # Errors
/// When the database fails.
pub async fn record_orphaned(store: &Store, deliveries: &[DeliveryKey]) -> Result<(), StoreError> {
    let webhooks: Vec<Uuid> = deliveries.iter().map(|key| key.webhook.0).collect();
    let created: Vec<Timestamp> = deliveries.iter().map(|key| key.created).collect();
    let events: Vec<Uuid> = deliveries.iter().map(|key| key.event.to_uuid()).collect();
    store.execute(sql!("orphaned/record"), &[&webhooks, &created, &events]).await?;
    Ok(())
}

/// Finds the most overdue retries of a webhook: pending deliveries whose next attempt was due at `since` or later, and
/// before an instant. A page with much data ends early.
///
/// Deliveries in `redeliveries` are excluded, because they are attempted from there.
///
/// # Errors
/// When the database fails.
pub async fn find_overdue_retries(
    store: &Store,
    webhook: WebhookId,
    since: Timestamp,
    due_before: Timestamp,
    limit: i64,
) -> Result<Vec<PendingDelivery>, StoreError> {
    let params: Params<'_> = &[&webhook.0, &since, &due_before, &limit, &MAX_PAGE_DATA_BYTES];
    let rows = store.query(sql!("orphaned/overdue_retries"), params).await?;
    rows.iter().map(read_pending).collect()
}

/// Finds the webhooks among these that have a delivery for [`find_overdue_retries`].
///
/// # Errors
/// When the database fails.
pub async fn find_webhooks_with_overdue_retries(
    store: &Store,
    floors: &SearchFloors,
    webhooks: &[WebhookId],
    due_before: Timestamp,
) -> Result<Vec<WebhookId>, StoreError> {
    let found =
        search_webhooks(store, floors, sql!("orphaned/webhooks_with_overdue_retries"), webhooks, due_before)
            .await?;
    found.iter().map(|row| read(row, "id").map(WebhookId)).collect()
}

/// Finds the webhooks among these that have a pending delivery that was due before an instant.
///
/// # Errors
/// When the database fails.
pub async fn find_webhooks_with_orphans(
    store: &Store,
    floors: &SearchFloors,
    webhooks: &[WebhookId],
    due_before: Timestamp,
) -> Result<Vec<WebhookId>, StoreError> {
    let found =
        search_webhooks(store, floors, sql!("orphaned/webhooks_with_orphans"), webhooks, due_before).await?;
    let mut orphaned = Vec::new();
    for row in &found {
        if read(row, "is_due")? {
            orphaned.push(WebhookId(read(row, "id")?));
        }
    }
    Ok(orphaned)
}

/// Searches webhooks from their floors, and raises the floors to the oldest deliveries that were found.
async fn search_webhooks(
    store: &Store,
    floors: &SearchFloors,
    sql: &str,
    webhooks: &[WebhookId],
    due_before: Timestamp,
) -> Result<Vec<Row>, StoreError> {
    let search = floors.begin_search(webhooks);
    let rows = match store.query(sql, &[&search.webhooks, &search.since, &due_before]).await {
        Ok(rows) => rows,
        Err(error) => {
            floors.abandon_search(search, &error);
            return Err(error);
        }
    };
    let oldest: Result<Vec<_>, StoreError> =
        rows.iter().map(|row| Ok((WebhookId(read(row, "id")?), read(row, "oldest")?))).collect();
    floors.end_search(search, oldest?);
    Ok(rows)
}

fn read_pending(row: &Row) -> Result<PendingDelivery, StoreError> {
    Ok(PendingDelivery {
        created: read(row, "created")?,
        event: EventId::from_uuid(read(row, "event_id")?),
        brand_id: read_word(row, "brand_id")?,
        event_type: read_word(row, "type")?,
        generation: read(row, "generation")?,
        round: read(row, "round")?,
        attempts: read(row, "attempts")?,
        round_base: read(row, "round_base")?,
        first_attempt_at: read(row, "first_attempt_at")?,
        next_attempt_at: read(row, "next_attempt_at")?,
        data: read_event_data(row)?,
    })
}
