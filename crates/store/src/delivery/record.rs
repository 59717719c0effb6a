//! Recording attempts, and updating the status of their deliveries.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::delivery::DeliveryStatus;
use domain::delivery::attempt::{Facts, Trigger};
use domain::delivery::retry::MAX_RETRY_WINDOW;
use domain::ids::{AttemptId, EventId, WebhookId};
use domain::time::Timestamp;

use crate::clock;
use crate::delivery::activity;
use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::{read, read_word};

/// Bounds the attempts of one batch.
pub const MAX_BATCH: usize = 500;
/// Bounds the texts and exchanges of one batch, because the parameters of a statement are in memory several times. It leaves
/// 8 KiB for each attempt of the largest batch; a usual one has less than 1 KiB.
pub const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// The key of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryKey {
    /// The webhook.
    pub webhook: WebhookId,
    /// When the event happened.
    pub created: Timestamp,
    /// The event.
    pub event: EventId,
}

/// One attempt, and the state of its delivery after it.
#[derive(Debug)]
pub struct AttemptRecord {
    /// The delivery.
    pub key: DeliveryKey,
    /// The round.
    pub round: i32,
    /// The attempt.
    pub attempt: AttemptId,
    /// When it started.
    pub started: Timestamp,
    /// When the round's first attempt started.
    pub first_started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// Its duration in milliseconds.
    pub duration_ms: i32,
    /// The facts of its outcome.
    pub facts: Facts,
    /// Its exchange in the stored form (`domain::delivery::exchange`); empty if it is not stored.
    pub exchange: Vec<u8>,
    /// The reason for the attempt.
    pub trigger: Trigger,
    /// The status of the delivery after it.
    pub status: DeliveryStatus,
    /// When the next attempt may start.
    pub next_attempt_at: Option<Timestamp>,
    /// Whether the attempt counts for the statistics of its webhook. False for a test of a disabled webhook.
    pub counts: bool,
}

/// The status of a delivery in its latest round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundStatus {
    /// The status.
    pub status: DeliveryStatus,
    /// The latest round.
    pub round: i32,
}

/// The recorded state of a delivery. A message that may be a duplicate is compared with it.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryState {
    /// The status.
    pub status: DeliveryStatus,
    /// The latest round.
    pub round: i32,
    /// Attempts recorded over all rounds.
    pub attempts: i32,
    /// When the round's first attempt started.
    pub first_attempt_at: Option<Timestamp>,
    /// When the next attempt may start.
    pub next_attempt_at: Option<Timestamp>,
}

/// The columns of a batch, as parameters of the statement.
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
    /// Time slices; `None` for an attempt that does not count for the health of the webhook.
    slices: Vec<Option<Timestamp>>,
    /// Duration buckets ([`activity::duration_bucket`]).
    buckets: Vec<i32>,
    exchanges: Vec<Option<&'a [u8]>>,
    streaked: Vec<uuid::Uuid>,
    streaks: Vec<i32>,
    /// Time slices in which ended deliveries count; `None` for an attempt that counts for nothing.
    event_slices: Vec<Option<Timestamp>>,
    rest_since: Vec<Option<Timestamp>>,
    rest_until: Vec<Option<Timestamp>>,
}

/// Records a batch of attempts in one statement, and counts them in time slices of the given length.
///
/// No two attempts of a batch belong to the same delivery. The answer holds for each attempt the status of its delivery
/// afterwards; `None` when the delivery has expired.
///
/// # Errors
/// When the database fails. Then nothing is recorded, or everything is recorded and only the answer was lost.
pub async fn record_attempts(
    store: &Store,
    batch: &[AttemptRecord],
    slice: Duration,
) -> Result<Vec<Option<RoundStatus>>, StoreError> {
    let c = to_columns(batch, slice);
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 24] = [
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
        &c.event_slices,
        &c.rest_since,
        &c.rest_until,
        &c.exchanges,
    ];
    let mut statuses = vec![None; batch.len()];
    for row in store.query(sql!("record/attempts"), &params).await? {
        place_answer(&mut statuses, read(&row, "place")?, read_round_status(&row)?);
    }
    Ok(statuses)
}

/// Replaces the error text of an attempt when PostgreSQL refuses to store it.
const ERROR_PLACEHOLDER: &str = "the text of this error could not be stored";

impl AttemptRecord {
    /// Whether the attempt says something about the endpoint.
    fn counts_for_health(&self) -> bool {
        self.counts && !self.facts.caused_locally
    }

    /// Returns the rest that the endpoint asked for: since when and until when.
    fn rest(&self) -> Option<(Timestamp, Timestamp)> {
        let asked = Duration::from_secs(self.facts.retry_after_seconds?);
        Some((self.ended, self.ended + asked.min(MAX_RETRY_WINDOW)))
    }

    /// Removes the texts from the endpoint, and excludes the attempt from the webhook's health.
    ///
    /// The delivery does not need them, and they are the likeliest cause when PostgreSQL refuses an attempt.
    pub fn leave_out_details(&mut self) {
        self.facts.error = self.facts.error.as_ref().map(|_| ERROR_PLACEHOLDER.to_owned());
        self.facts.response_body = None;
        self.exchange = Vec::new();
        self.facts.caused_locally = true;
    }

    /// Returns the size of the texts and bytes of variable length, which bounds a batch.
    #[must_use]
    pub fn variable_bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        text(&self.facts.error) + text(&self.facts.response_body) + self.exchange.len()
    }
}

/// Updates the delivery of an attempt without storing the attempt itself.
///
/// Returns the status of the delivery afterwards; `None` when it has expired.
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

/// Checks that attempts can be recorded, by running the same statement with an empty batch.
///
/// # Errors
/// When PostgreSQL does not answer, or refuses the statement for any attempts.
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
        c.exchanges.push((!record.exchange.is_empty()).then_some(&record.exchange));
        c.buckets.push(activity::duration_bucket(record.duration_ms));
        let ended_in = activity::slice_start(record.ended, slice);
        c.slices.push(record.counts_for_health().then_some(ended_in));
        c.event_slices.push(record.counts.then_some(ended_in));
    }
    for (webhook, streak) in count_streaks(batch) {
        c.streaked.push(webhook.0);
        c.streaks.push(streak.change.encode());
        c.rest_since.push(streak.rest.map(|(since, _)| since));
        c.rest_until.push(streak.rest.map(|(_, until)| until));
    }
    c
}

/// How a batch changes a webhook's streak, its number of failed deliveries in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StreakChange {
    /// No delivery succeeded, and this many failed.
    ExtendedBy(i32),
    /// A delivery succeeded, and this many failed after the last success.
    ResetTo(i32),
}

impl StreakChange {
    /// Returns the change as `record/attempts.sql` takes it: `n` for an extension, `-1 - n` for a reset.
    fn encode(self) -> i32 {
        match self {
            Self::ExtendedBy(failed) => failed,
            Self::ResetTo(failed) => -1 - failed,
        }
    }

    /// Returns the change after one more delivery has failed.
    fn after_failure(self) -> Self {
        match self {
            Self::ExtendedBy(failed) => Self::ExtendedBy(failed + 1),
            Self::ResetTo(failed) => Self::ResetTo(failed + 1),
        }
    }
}

/// What a batch tells of a webhook, apart from its counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Streak {
    change: StreakChange,
    /// The longest rest that the endpoint asked for after the last success.
    rest: Option<(Timestamp, Timestamp)>,
}

impl Streak {
    const NONE: Self = Self { change: StreakChange::ExtendedBy(0), rest: None };

    fn add(&mut self, record: &AttemptRecord) {
        match record.status {
            DeliveryStatus::Delivered => *self = Self { change: StreakChange::ResetTo(0), rest: None },
            DeliveryStatus::Failed => self.change = self.change.after_failure(),
            DeliveryStatus::Pending | DeliveryStatus::Held | DeliveryStatus::Discarded => {}
        }
        self.rest = match (self.rest, record.rest()) {
            (Some((since, until)), Some((_, later))) => Some((since, until.max(later))),
            (own, other) => own.or(other),
        };
    }
}

/// Computes the streak of each webhook, in the order in which the attempts ended.
fn count_streaks(batch: &[AttemptRecord]) -> BTreeMap<WebhookId, Streak> {
    let mut by_end: Vec<&AttemptRecord> = batch.iter().filter(|record| record.counts_for_health()).collect();
    by_end.sort_by_key(|record| record.ended);
    let mut streaks = BTreeMap::new();
    for record in by_end {
        streaks.entry(record.key.webhook).or_insert(Streak::NONE).add(record);
    }
    streaks
}

impl DeliveryState {
    /// The state of a delivery that cannot be loaded. It is older than every message, so that each is attempted.
    pub const UNKNOWN: Self = Self {
        status: DeliveryStatus::Pending,
        round: 0,
        attempts: 0,
        first_attempt_at: None,
        next_attempt_at: None,
    };
}

/// Loads the states of deliveries; `None` for a delivery that has expired.
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
    let mut states = vec![None; deliveries.len()];
    for row in store.query(sql!("record/load_states"), &[&webhooks, &created, &events]).await? {
        let state = DeliveryState {
            status: read_word(&row, "status")?,
            round: read(&row, "round")?,
            attempts: read(&row, "attempts")?,
            first_attempt_at: read(&row, "first_attempt_at")?,
            next_attempt_at: read(&row, "next_attempt_at")?,
        };
        place_answer(&mut states, read(&row, "place")?, state);
    }
    Ok(states)
}

/// Stores an answer at its place in the batch, which the database counts from 1.
fn place_answer<T>(answers: &mut [Option<T>], place: i64, answer: T) {
    if let Some(slot) = usize::try_from(place - 1).ok().and_then(|at| answers.get_mut(at)) {
        *slot = Some(answer);
    }
}

/// The end of a delivery without a further attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryEnd {
    /// The delivery.
    pub key: DeliveryKey,
    /// The round that ends.
    pub round: i32,
    /// The status of the delivery afterwards.
    pub status: DeliveryStatus,
}

/// Ends deliveries without a further attempt in one statement, if they are still pending in their round.
///
/// No two entries belong to the same delivery. The answer holds for each entry whether the delivery ended now. Deliveries
/// that ended `failed` are counted in the current time slice of the given length; `None` if there are none.
///
/// # Errors
/// When the database fails. Then no delivery ended, or all ended and only the answer was lost.
pub async fn finish_deliveries(
    store: &Store,
    ends: &[DeliveryEnd],
    slice: Option<Duration>,
) -> Result<Vec<bool>, StoreError> {
    let now = clock::now();
    let slice = slice.map_or(now, |slice| activity::slice_start(now, slice));
    let webhooks: Vec<_> = ends.iter().map(|end| end.key.webhook.0).collect();
    let created: Vec<_> = ends.iter().map(|end| end.key.created).collect();
    let events: Vec<_> = ends.iter().map(|end| end.key.event.to_uuid()).collect();
    let rounds: Vec<_> = ends.iter().map(|end| end.round).collect();
    let statuses: Vec<_> = ends.iter().map(|end| end.status.as_str()).collect();
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
        [&webhooks, &created, &events, &rounds, &statuses, &slice];
    let mut ended = vec![None; ends.len()];
    for row in store.query(sql!("record/finish_deliveries"), &params).await? {
        place_answer(&mut ended, read(&row, "place")?, ());
    }
    Ok(ended.into_iter().map(|place| place.is_some()).collect())
}
