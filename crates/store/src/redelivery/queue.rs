//! The queue of redeliveries: deliveries whose first attempt of a new round is due.

use domain::delivery::DeliveryStatus;
use domain::delivery::attempt::Trigger;
use domain::delivery::envelope::EventData;
use domain::event::event_type::EventType;
use domain::ids::{BrandId, EventId, WebhookId};
use domain::time::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::{Executor, Params};
use crate::delivery::event_data::MAX_PAGE_DATA_BYTES;
use crate::error::StoreError;
use crate::keyset::KeysetPosition;
use crate::pool::Store;
use crate::rows::{read, read_event_data, read_word};

/// A delivery whose first attempt of a new round is due.
#[derive(Debug)]
pub struct DueRedelivery {
    /// When the event happened.
    pub created: Timestamp,
    /// The event.
    pub event: EventId,
    /// The new round.
    pub round: i32,
    /// The content of the delivery; `None` when it has expired.
    pub delivery: Option<DueDelivery>,
}

/// The part of a [`DueRedelivery`] that an attempt needs.
#[derive(Debug)]
pub struct DueDelivery {
    /// The reason for the redelivery.
    pub trigger: Trigger,
    /// The brand.
    pub brand_id: BrandId,
    /// The type of the event.
    pub event_type: EventType,
    /// The webhook's generation when the round began.
    pub generation: i32,
    /// Attempts recorded before this round.
    pub round_base: i32,
    /// The data, if it is small.
    pub data: EventData,
}

/// A [`DueRedelivery`] that was attempted, or that ended without an attempt.
#[derive(Debug, Clone, Copy)]
pub struct CompletedRedelivery {
    /// When the event happened.
    pub created: Timestamp,
    /// The event.
    pub event: EventId,
    /// The new round.
    pub round: i32,
    /// Whether the attempt succeeded.
    pub delivered: bool,
}

/// Begins a new round for the deliveries of a webhook at these positions, and puts them into the queue.
///
/// If `status` is given, only deliveries of this status are begun. Returns how many deliveries entered the queue on
/// behalf of this caller.
///
/// # Errors
/// When the database fails.
pub async fn begin_rounds(
    db: &impl Executor,
    webhook: WebhookId,
    positions: &[KeysetPosition],
    trigger: Trigger,
    job: Option<Uuid>,
    status: Option<DeliveryStatus>,
) -> Result<i64, StoreError> {
    let (created, events): (Vec<_>, Vec<_>) =
        positions.iter().map(|position| (position.at, position.id)).unzip();
    let status = status.map(DeliveryStatus::as_str);
    let rows = db
        .query_rows(
            sql!("redelivery_queue/begin_rounds"),
            &[&webhook.0, &created, &events, &trigger.as_str(), &job, &status],
        )
        .await?;
    let counted = rows.iter().map(|row| read::<bool>(row, "counted").map(i64::from));
    counted.sum()
}

/// Stores a test event for one webhook and puts it into the queue. False when the webhook does not exist.
///
/// # Errors
/// When the database fails.
pub async fn insert_test_event(
    db: &impl Executor,
    webhook: WebhookId,
    event: EventId,
    created: Timestamp,
    event_type: &EventType,
    data: &str,
) -> Result<bool, StoreError> {
    let params: Params<'_> = &[&event.to_uuid(), &webhook.0, &created, &event_type.as_str(), &data];
    Ok(db.query_row(sql!("redelivery_queue/insert_test_event"), params).await?.is_some())
}

/// Loads at most `limit` deliveries from the head of a webhook's queue. They stay in the queue.
///
/// # Errors
/// When the database fails.
pub async fn load_due(
    store: &Store,
    webhook: WebhookId,
    limit: i64,
) -> Result<Vec<DueRedelivery>, StoreError> {
    let rows =
        store.query(sql!("redelivery_queue/load_due"), &[&webhook.0, &limit, &MAX_PAGE_DATA_BYTES]).await?;
    rows.iter().map(read_due).collect()
}

/// Removes completed redeliveries from a webhook's queue, and counts them for their jobs.
///
/// # Errors
/// When the database fails. The redeliveries are then loaded again, and their recorded state prevents a second attempt.
pub async fn complete_redeliveries(
    store: &Store,
    webhook: WebhookId,
    done: &[CompletedRedelivery],
) -> Result<(), StoreError> {
    let created: Vec<_> = done.iter().map(|done| done.created).collect();
    let events: Vec<_> = done.iter().map(|done| done.event.to_uuid()).collect();
    let rounds: Vec<_> = done.iter().map(|done| done.round).collect();
    let delivered: Vec<_> = done.iter().map(|done| done.delivered).collect();
    store
        .execute(sql!("redelivery_queue/complete"), &[&webhook.0, &created, &events, &rounds, &delivered])
        .await?;
    Ok(())
}

fn read_due(row: &Row) -> Result<DueRedelivery, StoreError> {
    let size: Option<i32> = read(row, "data_bytes")?;
    let delivery = size.map(|_| {
        Ok::<_, StoreError>(DueDelivery {
            trigger: read_word(row, "trigger")?,
            brand_id: read_word(row, "brand_id")?,
            event_type: read_word(row, "type")?,
            generation: read(row, "generation")?,
            round_base: read(row, "round_base")?,
            data: read_event_data(row)?,
        })
    });
    Ok(DueRedelivery {
        created: read(row, "created")?,
        event: EventId::from_uuid(read(row, "event_id")?),
        round: read(row, "round")?,
        delivery: delivery.transpose()?,
    })
}
