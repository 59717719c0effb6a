//! Recording what was attempted, and moving deliveries on.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::delivery::DeliveryStatus;
use domain::ids::{AttemptId, EventId, WebhookId};
use domain::outcome::{Facts, Trigger};
use domain::time::Timestamp;

use crate::delivery::activity;
use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::{read, read_word};

/// Most attempts of one batch.
pub const MAX_BATCH: usize = 500;

/// Which delivery is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryKey {
    /// To which webhook.
    pub webhook: WebhookId,
    /// When the event happened.
    pub created: Timestamp,
    /// Which event.
    pub event: EventId,
}

/// One attempt and what follows from it.
#[derive(Debug)]
pub struct AttemptRecord {
    /// Of which delivery.
    pub key: DeliveryKey,
    /// Of which redelivery.
    pub round: i32,
    /// The attempt.
    pub attempt: AttemptId,
    /// When it started.
    pub started: Timestamp,
    /// When the round's first attempt started.
    pub first_started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: i32,
    /// How it went.
    pub facts: Facts,
    /// Why it was made.
    pub trigger: Trigger,
    /// What the delivery becomes.
    pub status: DeliveryStatus,
    /// When the next attempt may start.
    pub next_attempt_at: Option<Timestamp>,
}

/// Where a delivery stands in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundStatus {
    /// Its status.
    pub status: DeliveryStatus,
    /// Its latest redelivery.
    pub round: i32,
}

/// All that a message that may be a repetition is compared with.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryState {
    /// Status and round.
    pub standing: RoundStatus,
    /// Attempts recorded over all rounds.
    pub attempts: i32,
    /// When the round's first attempt started.
    pub first_attempt_at: Option<Timestamp>,
    /// When the next attempt may start.
    pub next_attempt_at: Option<Timestamp>,
}

/// The columns of a batch, as the statement takes them.
#[derive(Default)]
struct Columns<'a> {
    webhooks: Vec<uuid::Uuid>,
    created: Vec<Timestamp>,
    events: Vec<uuid::Uuid>,
    rounds: Vec<i32>,
    attempts: Vec<uuid::Uuid>,
    started: Vec<Timestamp>,
    durations: Vec<i32>,
    outcomes: Vec<&'a str>,
    status_codes: Vec<Option<i32>>,
    errors: Vec<Option<&'a str>>,
    bodies: Vec<Option<&'a str>>,
    triggers: Vec<&'a str>,
    statuses: Vec<&'a str>,
    next: Vec<Option<Timestamp>>,
    first: Vec<Timestamp>,
    ended: Vec<Timestamp>,
    /// `None` where it does not count against the webhook.
    slices: Vec<Option<Timestamp>>,
    /// By duration: [`activity::bucket_of`].
    buckets: Vec<i32>,
    streaked: Vec<uuid::Uuid>,
    streaks: Vec<i32>,
}

/// Records a batch in one statement, and counts it in slices of this length; no two of it are of
/// the same delivery. The answer is, for each attempt, its delivery as it stands now; `None` when
/// the delivery has expired.
///
/// # Errors
/// When the database fails; then nothing is recorded, or all of it and the answer was lost.
pub async fn record_attempts(
    store: &Store,
    batch: &[AttemptRecord],
    slice: Duration,
) -> Result<Vec<Option<RoundStatus>>, StoreError> {
    let c = to_columns(batch, slice);
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 20] = [
        &c.webhooks,
        &c.created,
        &c.events,
        &c.rounds,
        &c.attempts,
        &c.started,
        &c.durations,
        &c.outcomes,
        &c.status_codes,
        &c.errors,
        &c.bodies,
        &c.triggers,
        &c.statuses,
        &c.next,
        &c.first,
        &c.ended,
        &c.slices,
        &c.streaked,
        &c.streaks,
        &c.buckets,
    ];
    let mut standings = vec![None; batch.len()];
    for row in store.query(sql!("record/attempts"), &params).await? {
        place_answer(&mut standings, read(&row, "place")?, read_round_status(&row)?);
    }
    Ok(standings)
}

/// Stands for the error text of an attempt whose own PostgreSQL refuses to keep.
const ERROR_NOT_KEPT: &str = "the text of this error could not be stored";

impl AttemptRecord {
    /// Leaves out what the delivery can do without: the texts from the endpoint, and the count for the webhook's
    /// health. One of them is the likeliest cause when PostgreSQL refuses an attempt.
    pub fn leave_out_details(&mut self) {
        self.facts.error = self.facts.error.as_ref().map(|_| ERROR_NOT_KEPT.to_owned());
        self.facts.response_body = None;
        self.facts.ours = true;
    }
}

/// Moves the delivery of an attempt on without keeping the attempt itself. The delivery as it stands then; `None`
/// when it has expired.
///
/// # Errors
/// When the database fails.
pub async fn record_outcome(
    store: &Store,
    record: &AttemptRecord,
) -> Result<Option<RoundStatus>, StoreError> {
    let event = record.key.event.to_uuid();
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 8] = [
        &record.key.webhook.0,
        &record.key.created,
        &event,
        &record.round,
        &record.started,
        &record.status.as_str(),
        &record.next_attempt_at,
        &record.first_started,
    ];
    store.query_opt(sql!("record/outcome"), &params).await?.as_ref().map(read_round_status).transpose()
}

fn read_round_status(row: &tokio_postgres::Row) -> Result<RoundStatus, StoreError> {
    Ok(RoundStatus { status: read_word(row, "status")?, round: read(row, "round")? })
}

/// Whether attempts are recorded at all: the same statement with an empty batch.
///
/// # Errors
/// When PostgreSQL is away, or refuses the statement whatever the attempts.
pub async fn probe_recording(store: &Store) -> Result<(), StoreError> {
    record_attempts(store, &[], Duration::from_secs(1)).await.map(drop)
}

fn to_columns(batch: &[AttemptRecord], slice: Duration) -> Columns<'_> {
    let mut c = Columns::default();
    for record in batch {
        c.webhooks.push(record.key.webhook.0);
        c.created.push(record.key.created);
        c.events.push(record.key.event.to_uuid());
        c.rounds.push(record.round);
        c.attempts.push(record.attempt.to_uuid());
        c.started.push(record.started);
        c.durations.push(record.duration_ms);
        c.outcomes.push(record.facts.outcome.as_str());
        c.status_codes.push(record.facts.status_code.map(i32::from));
        c.errors.push(record.facts.error.as_deref());
        c.bodies.push(record.facts.response_body.as_deref());
        c.triggers.push(record.trigger.as_str());
        c.statuses.push(record.status.as_str());
        c.next.push(record.next_attempt_at);
        c.first.push(record.first_started);
        c.ended.push(record.ended);
        c.buckets.push(activity::duration_bucket(record.duration_ms));
        c.slices.push((!record.facts.ours).then(|| activity::slice_start(record.ended, slice)));
    }
    (c.streaked, c.streaks) = count_streaks(batch).into_iter().map(|(id, change)| (id.0, change)).unzip();
    c
}

/// How the row of failed deliveries of each webhook changes: so many more, or, below zero, begun
/// anew by a success and then `-1 - change` more.
fn count_streaks(batch: &[AttemptRecord]) -> BTreeMap<WebhookId, i32> {
    let mut by_end: Vec<&AttemptRecord> = batch.iter().filter(|record| !record.facts.ours).collect();
    by_end.sort_by_key(|record| record.ended);
    let mut streaks = BTreeMap::new();
    for record in by_end {
        let change: &mut i32 = streaks.entry(record.key.webhook).or_default();
        match record.status {
            DeliveryStatus::Delivered => *change = -1,
            DeliveryStatus::Failed if *change < 0 => *change -= 1,
            DeliveryStatus::Failed => *change += 1,
            DeliveryStatus::Pending | DeliveryStatus::Held | DeliveryStatus::Discarded => {}
        }
    }
    streaks
}

impl DeliveryState {
    /// Of a delivery of which the database tells nothing: older than every message of it.
    pub const UNKNOWN: Self = Self {
        standing: RoundStatus { status: DeliveryStatus::Pending, round: 0 },
        attempts: 0,
        first_attempt_at: None,
        next_attempt_at: None,
    };
}

/// Where each of some deliveries stands; `None` where it has expired.
///
/// # Errors
/// When the database fails.
pub async fn load_states(
    store: &Store,
    deliveries: &[DeliveryKey],
) -> Result<Vec<Option<DeliveryState>>, StoreError> {
    let webhooks: Vec<_> = deliveries.iter().map(|key| key.webhook.0).collect();
    let created: Vec<_> = deliveries.iter().map(|key| key.created).collect();
    let events: Vec<_> = deliveries.iter().map(|key| key.event.to_uuid()).collect();
    let mut standings = vec![None; deliveries.len()];
    for row in store.query(sql!("record/load_states"), &[&webhooks, &created, &events]).await? {
        let standing = DeliveryState {
            standing: read_round_status(&row)?,
            attempts: read(&row, "attempts")?,
            first_attempt_at: read(&row, "first_attempt_at")?,
            next_attempt_at: read(&row, "next_attempt_at")?,
        };
        place_answer(&mut standings, read(&row, "place")?, standing);
    }
    Ok(standings)
}

/// Puts an answer at its place, which the database counts from 1.
fn place_answer<T>(answers: &mut [Option<T>], place: i64, answer: T) {
    if let Some(slot) = usize::try_from(place - 1).ok().and_then(|at| answers.get_mut(at)) {
        *slot = Some(answer);
    }
}

/// Ends a delivery without a further attempt, if it is still pending in this round. Whether it was.
///
/// # Errors
/// When the database fails.
pub async fn finish_delivery(
    store: &Store,
    key: DeliveryKey,
    round: i32,
    status: DeliveryStatus,
) -> Result<bool, StoreError> {
    let event = key.event.to_uuid();
    let ended = store
        .execute(
            sql!("record/finish_delivery"),
            &[&key.webhook.0, &key.created, &event, &round, &status.as_str()],
        )
        .await?;
    Ok(ended > 0)
}
