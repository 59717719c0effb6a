//! The queue of redeliveries: deliveries whose first attempt of a new round is due.

use domain::delivery::DeliveryStatus;
use domain::delivery::attempt::Trigger;
use domain::delivery::envelope::EventData;
use domain::event::event_type::EventType;
use domain::ids::{BrandId, EventId, WebhookId};
use domain::pending_search::next_floor;
use domain::time::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::{Executor, Params};
use crate::delivery::event_data::MAX_PAGE_DATA_BYTES;
use crate::error::StoreError;
use crate::keyset::KeysetPosition;
use crate::pool::Store;
use crate::rows::{read, read_event_data, read_word};

/// Most single redeliveries of one webhook that may wait, test events included. Each costs its brand one request, and the
/// endpoint decides how fast they leave. A range of events has no such bound, because a job is one row.
pub const MAX_SINGLE_REDELIVERIES: i64 = 10_000;

/// A delivery whose first attempt of a new round is due.
#[derive(Debug)]
pub struct DueRedelivery {
    /// When the event happened.
    pub created: Timestamp,
    /// The event.
    pub event: EventId,
    /// The new round.
    pub round: i32,
    /// When it entered the queue.
    pub queued_at: Timestamp,
    /// Whether it belongs to a job.
    pub of_job: bool,
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
/// A single redelivery takes its delivery over from the job that queued it, so that cancelling the job does not drop it.
/// The caller then needs a transaction that holds the lock on the webhook: no job can queue or complete the delivery
/// between the two statements.
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
    // Every statement locks deliveries in the order of their key, because another order could deadlock.
    let mut sorted = positions.to_vec();
    sorted.sort_unstable();
    let (created, events): (Vec<_>, Vec<_>) =
        sorted.iter().map(|position| (position.at, position.id)).unzip();
    let status = status.map(DeliveryStatus::as_str);
    if job.is_none() {
        // Before the deliveries, as every statement locks them, because another order could deadlock.
        db.query_rows(sql!("redelivery_jobs/lock_running"), &[&webhook.0]).await?;
    }
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

/// Counts the single redeliveries of a webhook, up to [`MAX_SINGLE_REDELIVERIES`].
///
/// # Errors
/// When the database fails.
pub async fn count_single(db: &impl Executor, webhook: WebhookId) -> Result<i64, StoreError> {
    let row =
        db.query_row(sql!("redelivery_queue/count_single"), &[&webhook.0, &MAX_SINGLE_REDELIVERIES]).await?;
    row.as_ref().map_or(Ok(0), |row| read(row, "number"))
}

/// Loads at most `limit` deliveries that entered a webhook's queue at `since` or later, from the head of the queue. They
/// stay in the queue. A page with much data ends early.
///
/// # Errors
/// When the database fails.
pub async fn load_due(
    store: &Store,
    webhook: WebhookId,
    since: Timestamp,
    limit: i64,
) -> Result<Vec<DueRedelivery>, StoreError> {
    let params: Params<'_> = &[&webhook.0, &since, &limit, &MAX_PAGE_DATA_BYTES];
    let rows = store.query(sql!("redelivery_queue/load_due"), params).await?;
    rows.iter().map(read_due).collect()
}

/// Returns from where the queue is read after a page of redeliveries of which each one stays until it is completed.
///
/// The index keeps the entries of completed redeliveries while a long transaction runs, so that a run does not read
/// them again for each page. Redeliveries of jobs may be missing in a page of single ones, so that only a page that
/// has reached the jobs raises the floor.
#[must_use]
pub fn next_queue_floor(page: &[DueRedelivery], loaded_at: Timestamp) -> Option<Timestamp> {
    let has_reached_jobs = page.last().is_some_and(|last| last.of_job);
    let oldest = page.iter().map(|due| due.queued_at).min();
    has_reached_jobs.then(|| next_floor(oldest, loaded_at))
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
        queued_at: read(row, "queued_at")?,
        of_job: read(row, "of_job")?,
        delivery: delivery.transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn due(seconds: i64, of_job: bool) -> DueRedelivery {
        DueRedelivery {
            created: Timestamp::UNIX_EPOCH,
            event: EventId::from_uuid(Uuid::nil()),
            round: 2,
            queued_at: at(seconds),
            of_job,
            delivery: None,
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn only_a_page_that_has_reached_the_jobs_raises_the_floor() {
        let loaded_at = at(10_000);
        assert_eq!(next_queue_floor(&[], loaded_at), None);
        assert_eq!(next_queue_floor(&[due(20, false)], loaded_at), None, "a job may be older");
        assert_eq!(next_queue_floor(&[due(20, false), due(10, true)], loaded_at), Some(at(10)));
        assert_eq!(next_queue_floor(&[due(5, false), due(10, true)], loaded_at), Some(at(5)));
        let recent = next_queue_floor(&[due(9_999, true)], loaded_at);
        assert!(recent < Some(at(9_999)), "a transaction that began earlier may commit later");
    }
}
