//! Redelivery jobs. Each job walks over a range of a webhook's events and puts them into the queue, page by page.

use std::time::Duration;

use chrono::TimeDelta;
use domain::delivery::DeliveryStatus;
use domain::delivery::attempt::Trigger;
use domain::event::event_type::TypePattern;
use domain::ids::{BrandId, EventId, WebhookId};
use domain::limits::MAX_CREATED_AHEAD_SECONDS;
use domain::redelivery_job::JobState;
use domain::time::{Timestamp, truncate_to_millis};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use crate::api::transaction::AuditedTransaction;
use crate::clock;
use crate::db::{Executor, Params};
use crate::delivery::deliveries::{
    self, DeliveryPage, DeliveryRange, IN_INDEX_ORDER, LastAttemptFilter, Order,
};
use crate::delivery::generations;
use crate::error::StoreError;
use crate::keyset::KeysetPosition;
use crate::pool::{STATEMENT_TIMEOUT, Store};
use crate::redelivery::queue;
use crate::rows::{read, read_word, to_millis};

/// Delay between the two walks of a job for held deliveries.
///
/// A router that matched a batch before the webhook was disabled may store it after the generation was closed, so that
/// its deliveries become held even later. When the first walk ends, such a batch is at most in its last statement. The
/// delay is therefore longer than any statement of a router, including the 60 s of the previous release.
const SECOND_WALK_DELAY: Duration = Duration::from_secs(75);

const _: () = assert!(SECOND_WALK_DELAY.as_millis() > STATEMENT_TIMEOUT.as_millis());

/// Most deliveries that are counted for a job. The number is for people, and a webhook may have millions.
pub const MAX_COUNTED: i64 = 100_000;
/// The constraint that keeps two jobs of a webhook from running at once.
pub const ONE_RUNNING: &str = "redelivery_jobs_one_running";

/// The number of deliveries that a job selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelectionCount {
    /// The selected deliveries among the first [`MAX_COUNTED`] of the range.
    pub selected: i64,
    /// Whether the range is longer.
    pub more: bool,
}

/// The selection of events that a job redelivers.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Events created at this instant or later,
    pub from: Timestamp,
    /// and before this one.
    pub to: Timestamp,
    /// Only deliveries of this status.
    pub status: Option<DeliveryStatus>,
    /// Only events of this type or group.
    pub pattern: Option<TypePattern>,
}

/// A job and its progress.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its identity.
    pub id: Uuid,
    /// The webhook whose events are redelivered.
    pub webhook: WebhookId,
    /// The brand of the webhook.
    pub brand: BrandId,
    /// `Redeliver` or `Held`.
    pub trigger: Trigger,
    /// The events that are redelivered.
    pub selection: Selection,
    /// The number of events when the job was created, as far as they were counted.
    pub total: i64,
    /// Whether there were more.
    pub more: bool,
    /// The number of deliveries that entered the queue so far.
    pub queued: i64,
    /// The number of these that had their first attempt, or ended without an attempt.
    pub done: i64,
    /// The number of these attempts that succeeded.
    pub delivered: i64,
    /// Whether the walk reached the end of the range.
    pub walked: bool,
    /// Its state.
    pub state: JobState,
    /// Who asked for it; `None` for jobs of the release before.
    pub actor: Option<String>,
    /// When it was created.
    pub created: Timestamp,
    /// When it last made progress.
    pub updated: Timestamp,
}

/// A job whose walk is not finished.
#[derive(Debug)]
pub struct OpenJob {
    id: Uuid,
    trigger: Trigger,
    selection: Selection,
    after: KeysetPosition,
    first_walk: bool,
}

/// The position of a job after a page.
#[derive(Debug, Clone, Copy)]
enum Reached {
    /// In the range.
    Position(KeysetPosition),
    /// At the end of the first of two walks.
    FirstEnd,
    /// At the end of its last walk.
    End,
}

/// Returns a time after that of every event that is stored, with which a range ends that leaves none out.
///
/// An event's `created` may be ahead of the database's clock, and the router's reading of that clock by a round trip.
#[must_use]
pub fn end_of_events() -> Timestamp {
    truncate_to_millis(clock::now()) + TimeDelta::seconds(MAX_CREATED_AHEAD_SECONDS + 1)
}

/// Counts the deliveries that a job would redeliver, among the first [`MAX_COUNTED`] of the range.
///
/// The job itself is created in a transaction that locks the webhook. Counting there would make everybody wait who
/// changes the webhook meanwhile.
///
/// # Errors
/// When the database fails.
pub async fn count_selected(
    store: &Store,
    webhook: WebhookId,
    selection: &Selection,
) -> Result<SelectionCount, StoreError> {
    let is_in_index = |status: &DeliveryStatus| *status != DeliveryStatus::Delivered;
    let in_index = selection.status.filter(is_in_index).map(DeliveryStatus::as_str);
    let filter = selection.status.filter(|status| !is_in_index(status)).map(DeliveryStatus::as_str);
    let pattern = pattern_text(selection);
    let params: [(&(dyn ToSql + Sync), Type); 7] = [
        (&webhook.0, Type::UUID),
        (&selection.from, Type::TIMESTAMPTZ),
        (&selection.to, Type::TIMESTAMPTZ),
        (&in_index, Type::TEXT),
        (&filter, Type::TEXT),
        (&pattern, Type::TEXT),
        (&MAX_COUNTED, Type::INT8),
    ];
    let mut client = store.client().await?;
    let snapshot = client.build_transaction().read_only(true).start().await?;
    snapshot.batch_execute(IN_INDEX_ORDER).await?;
    let rows = snapshot.query_typed(sql!("redelivery_jobs/count_selected"), &params).await?;
    snapshot.commit().await?;
    let row = rows.first().ok_or_else(|| StoreError::Unreadable("no answer to a count".to_owned()))?;
    Ok(SelectionCount { selected: read(row, "selected")?, more: read(row, "more")? })
}

/// Finds the running job of a webhook: one that has deliveries to queue, or to attempt.
///
/// # Errors
/// When the database fails.
pub async fn find_running_job(db: &impl Executor, webhook: WebhookId) -> Result<Option<Uuid>, StoreError> {
    let row = db.query_row(sql!("redelivery_jobs/find_running"), &[&webhook.0]).await?;
    row.as_ref().map(|row| read(row, "id")).transpose()
}

/// Creates a job. The trigger `Held` redelivers only held deliveries.
///
/// # Errors
/// When the database fails, or refuses the job by [`ONE_RUNNING`] because another one of the webhook runs.
pub async fn insert_job(
    db: &impl Executor,
    webhook: WebhookId,
    trigger: Trigger,
    selection: &Selection,
    count: SelectionCount,
    actor: &str,
) -> Result<Job, StoreError> {
    insert(db, webhook, trigger, selection, count, Pages::ToCome, actor).await
}

/// Whether the deliveries of a job enter the queue page by page or at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pages {
    ToCome,
    None,
}

async fn insert(
    db: &impl Executor,
    webhook: WebhookId,
    trigger: Trigger,
    selection: &Selection,
    count: SelectionCount,
    pages: Pages,
    actor: &str,
) -> Result<Job, StoreError> {
    let before = KeysetPosition::just_before(selection.from);
    let status = selection.status.map(DeliveryStatus::as_str);
    let pattern = pattern_text(selection);
    let row = db
        .query_row(
            sql!("redelivery_jobs/insert"),
            &[
                &Uuid::new_v4(),
                &webhook.0,
                &trigger.as_str(),
                &selection.from,
                &selection.to,
                &status,
                &pattern,
                &before.at,
                &before.id,
                &count.selected,
                &count.more,
                &(pages == Pages::None),
                &actor,
            ],
        )
        .await?;
    row.as_ref()
        .map(read_job)
        .transpose()?
        .ok_or_else(|| StoreError::Unreadable("the statement that creates a job returned no row".to_owned()))
}

/// Creates a job for these deliveries, which enter the queue in the same transaction. The caller limits their number.
///
/// # Errors
/// When the database fails, or refuses the job by [`ONE_RUNNING`] because another one of the webhook runs.
pub async fn insert_job_of_events(
    db: &impl Executor,
    webhook: WebhookId,
    positions: &[KeysetPosition],
    actor: &str,
) -> Result<Job, StoreError> {
    let first = positions.iter().map(|position| position.at).min().unwrap_or_default();
    let last = positions.iter().map(|position| position.at).max().unwrap_or_default();
    let to = last + TimeDelta::milliseconds(1);
    let selection = Selection { from: first, to, status: None, pattern: None };
    let count = SelectionCount { selected: i64::try_from(positions.len()).unwrap_or(i64::MAX), more: false };
    let job = insert(db, webhook, Trigger::Redeliver, &selection, count, Pages::None, actor).await?;
    let queued = queue::begin_rounds(db, webhook, positions, Trigger::Redeliver, Some(job.id), None).await?;
    db.query_row(sql!("redelivery_jobs/count_queued"), &[&job.id, &queued]).await?;
    // The row was read before the deliveries entered the queue.
    let state = if queued > 0 { JobState::Running } else { JobState::Finished };
    Ok(Job { queued, state, ..job })
}

/// Finds the deliveries of a webhook for these events. An event without a delivery is missing.
///
/// # Errors
/// When the database fails.
pub async fn find_positions(
    db: &impl Executor,
    brand: &BrandId,
    webhook: WebhookId,
    events: &[EventId],
) -> Result<Vec<KeysetPosition>, StoreError> {
    let events: Vec<Uuid> = events.iter().map(|event| event.to_uuid()).collect();
    let params: Params<'_> = &[&webhook.0, &brand.as_str(), &events];
    let rows = db.query_rows(sql!("deliveries/find_positions"), params).await?;
    rows.iter()
        .map(|row| Ok(KeysetPosition { at: read(row, "created")?, id: read(row, "event_id")? }))
        .collect()
}

/// Cancels a job that runs. Its deliveries that were not attempted return to the status that they had. False when the job
/// does not run.
///
/// The job stops first, in a statement of its own: a page that is being queued ends before, so that the second statement
/// sees its deliveries.
///
/// # Errors
/// When the database fails.
pub async fn cancel_job(
    change: &AuditedTransaction<'_>,
    webhook: WebhookId,
    id: Uuid,
) -> Result<bool, StoreError> {
    if change.query_row(sql!("redelivery_jobs/cancel"), &[&id, &webhook.0]).await?.is_none() {
        return Ok(false);
    }
    change.query_rows(sql!("redelivery_queue/withdraw"), &[&id, &webhook.0]).await?;
    Ok(true)
}

/// The webhooks whose jobs a list has.
#[derive(Debug, Clone, Copy)]
pub enum JobScope<'a> {
    /// One webhook.
    Webhook(WebhookId),
    /// All webhooks of a brand.
    Brand(&'a BrandId),
    /// All webhooks.
    All,
}

/// Lists at most `limit` jobs before `before`, the newest first.
///
/// # Errors
/// When the database fails.
pub async fn list_jobs(
    store: &Store,
    scope: JobScope<'_>,
    state: Option<JobState>,
    before: KeysetPosition,
    limit: i64,
) -> Result<Vec<Job>, StoreError> {
    if state == Some(JobState::Running) {
        return list_running_jobs(store, scope, before, limit).await;
    }
    let state = state.map(JobState::as_str);
    let KeysetPosition { at, id } = before;
    let rows = match scope {
        JobScope::Webhook(webhook) => {
            let params: Params<'_> = &[&webhook.0, &at, &id, &state, &limit];
            store.query(sql!("redelivery_jobs/page_of_webhook"), params).await?
        }
        JobScope::Brand(brand) => {
            let params: Params<'_> = &[&brand.as_str(), &at, &id, &state, &limit];
            store.query(sql!("redelivery_jobs/page_of_brand"), params).await?
        }
        JobScope::All => {
            store.query(sql!("redelivery_jobs/page_of_all"), &[&at, &id, &state, &limit]).await?
        }
    };
    rows.iter().map(read_job).collect()
}

/// Lists running jobs as [`list_jobs`] does. An index has only these, so that the ended jobs are not read.
async fn list_running_jobs(
    store: &Store,
    scope: JobScope<'_>,
    before: KeysetPosition,
    limit: i64,
) -> Result<Vec<Job>, StoreError> {
    let webhook = if let JobScope::Webhook(webhook) = scope { Some(webhook.0) } else { None };
    let brand = if let JobScope::Brand(brand) = scope { Some(brand.as_str()) } else { None };
    let params: Params<'_> = &[&before.at, &before.id, &webhook, &brand, &limit];
    let rows = store.query(sql!("redelivery_jobs/page_of_running"), params).await?;
    rows.iter().map(read_job).collect()
}

/// Returns the pattern of a selection, unless it matches every type.
fn pattern_text(selection: &Selection) -> Option<&str> {
    selection.pattern.as_ref().filter(|pattern| **pattern != TypePattern::All).map(TypePattern::as_str)
}

/// Finds a job of a webhook.
///
/// # Errors
/// When the database fails.
pub async fn find_job(db: &impl Executor, webhook: WebhookId, id: Uuid) -> Result<Option<Job>, StoreError> {
    db.query_row(sql!("redelivery_jobs/find"), &[&id, &webhook.0]).await?.as_ref().map(read_job).transpose()
}

/// Finds the webhooks that have a redelivery in the queue or an open job.
///
/// # Errors
/// When the database fails.
pub async fn find_webhooks(store: &Store) -> Result<Vec<WebhookId>, StoreError> {
    let rows = store.query(sql!("redelivery_jobs/find_webhooks"), &[&to_millis(SECOND_WALK_DELAY)]).await?;
    rows.iter().map(|row| read(row, "webhook_id").map(WebhookId)).collect()
}

/// Finds the oldest open job of a webhook that is due to continue.
///
/// # Errors
/// When the database fails.
pub async fn find_open_job(store: &Store, webhook: WebhookId) -> Result<Option<OpenJob>, StoreError> {
    let params: Params<'_> = &[&webhook.0, &to_millis(SECOND_WALK_DELAY)];
    store.query_opt(sql!("redelivery_jobs/find_open"), params).await?.as_ref().map(read_open_job).transpose()
}

/// Continues a job by a page of `limit` events: the selected deliveries go into the queue.
///
/// The job moves in the same transaction. Nothing happens when another process moved or stopped it meanwhile.
///
/// # Errors
/// When the database fails. Nothing was changed then.
pub async fn walk_job(
    store: &Store,
    webhook: WebhookId,
    job: &OpenJob,
    limit: i64,
) -> Result<(), StoreError> {
    if !job.first_walk && job.after == job.start() {
        generations::close_ended(store, webhook).await?;
    }
    let page = deliveries::list_deliveries(store, webhook, &job.range(), limit).await?;
    let positions: Vec<KeysetPosition> = page.items.iter().map(deliveries::Delivery::position).collect();
    let reached = job.reached(&page);
    let mut client = store.client().await?;
    let transaction = client.transaction().await?;
    if !job.advance(&transaction, reached).await? {
        return Ok(());
    }
    let status = job.selection.status;
    let queued =
        queue::begin_rounds(&transaction, webhook, &positions, job.trigger, Some(job.id), status).await?;
    transaction.query_row(sql!("redelivery_jobs/count_queued"), &[&job.id, &queued]).await?;
    Ok(transaction.commit().await?)
}

impl OpenJob {
    fn range(&self) -> DeliveryRange {
        DeliveryRange {
            after: self.after,
            up_to: KeysetPosition::just_before(self.selection.to),
            pattern: self.selection.pattern.clone(),
            status: self.selection.status,
            last_attempt: LastAttemptFilter::default(),
            order: Order::Ascending,
        }
    }

    /// Returns the position before the first event of a walk.
    fn start(&self) -> KeysetPosition {
        KeysetPosition::just_before(self.selection.from)
    }

    fn reached(&self, page: &DeliveryPage) -> Reached {
        match page.more_after {
            Some(position) => Reached::Position(position),
            None if self.first_walk && self.trigger == Trigger::Held => Reached::FirstEnd,
            None => Reached::End,
        }
    }

    /// Moves the job to the position that it reached. False when another process moved or stopped it.
    async fn advance(&self, db: &impl Executor, reached: Reached) -> Result<bool, StoreError> {
        let to = match reached {
            Reached::Position(position) => position,
            Reached::FirstEnd => self.start(),
            Reached::End => KeysetPosition::just_before(self.selection.to),
        };
        let ended = matches!(reached, Reached::End);
        let first_ended = matches!(reached, Reached::FirstEnd);
        let KeysetPosition { at, id } = self.after;
        let params: Params<'_> =
            &[&self.id, &at, &id, &to.at, &to.id, &ended, &self.first_walk, &first_ended];
        Ok(db.query_row(sql!("redelivery_jobs/advance"), params).await?.is_some())
    }
}

fn read_selection(row: &Row) -> Result<Selection, StoreError> {
    let status: Option<&str> = read(row, "status")?;
    let pattern: Option<&str> = read(row, "pattern")?;
    Ok(Selection {
        from: read(row, "from_at")?,
        to: read(row, "to_at")?,
        status: status.map(|_| read_word(row, "status")).transpose()?,
        pattern: pattern.map(|_| read_word(row, "pattern")).transpose()?,
    })
}

fn read_open_job(row: &Row) -> Result<OpenJob, StoreError> {
    Ok(OpenJob {
        id: read(row, "id")?,
        trigger: read_word(row, "trigger")?,
        selection: read_selection(row)?,
        after: KeysetPosition { at: read(row, "after_created")?, id: read(row, "after_event")? },
        first_walk: read(row, "first_walk")?,
    })
}

fn read_job(row: &Row) -> Result<Job, StoreError> {
    Ok(Job {
        id: read(row, "id")?,
        webhook: WebhookId(read(row, "webhook_id")?),
        brand: read_word(row, "brand_id")?,
        trigger: read_word(row, "trigger")?,
        selection: read_selection(row)?,
        total: read(row, "total")?,
        more: read(row, "total_is_least")?,
        queued: read(row, "queued")?,
        done: read(row, "done")?,
        delivered: read(row, "delivered")?,
        walked: read(row, "walked")?,
        state: read_word(row, "state")?,
        actor: read(row, "actor")?,
        created: read(row, "created")?,
        updated: read(row, "updated")?,
    })
}
