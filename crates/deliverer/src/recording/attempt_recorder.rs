//! Records attempts in batches, at the pace of the database.
//!
//! The attempts that end during one statement make up the next batch. If PostgreSQL refuses a batch, the recorder
//! halves it until the refused attempt is alone, so that one attempt cannot stop the others.

use runtime::tasks;
use std::collections::HashSet;
use std::time::Duration;

use runtime::progress::WorkProgress;
use runtime::retry::Backoff;
use store::delivery::record::{self, AttemptRecord, MAX_BATCH, MAX_BATCH_BYTES, RoundStatus};
use store::{Store, StoreError};
use tokio::sync::mpsc;

use crate::recording::batcher::{self, Batcher, reply_to};
use crate::telemetry::{self, LostPart, Operation};

/// Batches of at least this size make the recorder linger, so that more rows share the cost of a statement. Only the
/// message of an attempt waits for its recording.
const MIN_BUSY_BATCH: usize = 16;
/// How long the recorder lingers after a busy batch.
const LINGER_DELAY: Duration = Duration::from_millis(5);
/// Attempts that may wait for the recorder. Beyond, the tasks that attempt wait.
const QUEUE_CAPACITY: usize = 2 * MAX_BATCH;

type Request = batcher::Request<AttemptRecord, Option<RoundStatus>>;

/// Records attempts. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct AttemptRecorder(Batcher<AttemptRecord, Option<RoundStatus>>);

impl AttemptRecorder {
    /// Starts the recorder with its task in the background.
    pub(crate) fn start(store: Store, slice: Duration, progress: WorkProgress) -> Self {
        let (batcher, requests) = Batcher::new(QUEUE_CAPACITY);
        tasks::spawn_named("attempt recorder", run(Statements { store, slice }, progress, requests));
        Self(batcher)
    }

    /// Records an attempt, however long the database is away. Returns the delivery as the database has it then, or
    /// `None` if it has expired.
    pub(crate) async fn record(&self, attempt: AttemptRecord) -> Option<RoundStatus> {
        self.0.submit(attempt).await
    }
}

/// The statements that the recorder runs.
trait RecordStatements {
    /// Records a batch.
    async fn record_all(&self, attempts: &[AttemptRecord]) -> Result<Vec<Option<RoundStatus>>, StoreError>;
    /// Records what follows from an attempt, without the attempt itself.
    async fn record_outcome(&self, attempt: &AttemptRecord) -> Result<Option<RoundStatus>, StoreError>;
    /// Whether PostgreSQL records attempts at all.
    async fn probe(&self) -> Result<(), StoreError>;
}

#[derive(Debug)]
struct Statements {
    store: Store,
    /// The length of the slices in which a webhook's activity is counted.
    slice: Duration,
}

impl RecordStatements for Statements {
    async fn record_all(&self, attempts: &[AttemptRecord]) -> Result<Vec<Option<RoundStatus>>, StoreError> {
        record::record_attempts(&self.store, attempts, self.slice).await
    }

    async fn record_outcome(&self, attempt: &AttemptRecord) -> Result<Option<RoundStatus>, StoreError> {
        record::record_outcome(&self.store, attempt).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        record::probe_recording(&self.store).await
    }
}

async fn run(statements: Statements, progress: WorkProgress, mut requests: mpsc::Receiver<Request>) {
    let mut waiting: Vec<Request> = Vec::new();
    let mut last_size = 0;
    loop {
        if last_size >= MIN_BUSY_BATCH {
            tokio::time::sleep(LINGER_DELAY).await;
        }
        if waiting.is_empty() && requests.recv_many(&mut waiting, MAX_BATCH).await == 0 {
            return;
        }
        while waiting.len() < MAX_BATCH {
            let Ok(request) = requests.try_recv() else { break };
            waiting.push(request);
        }
        let (batch, rest) = split_batch(std::mem::take(&mut waiting));
        waiting = rest;
        last_size = batch.len();
        let in_hand = progress.begin();
        record_batch(&statements, batch).await;
        in_hand.done();
    }
}

/// Splits off further attempts of the same delivery, because one statement updates a row only once, and the attempts after
/// the batch is full. The first attempt is always in it.
fn split_batch(requests: Vec<Request>) -> (Vec<Request>, Vec<Request>) {
    let mut seen = HashSet::new();
    let mut bytes = 0;
    let mut is_full = false;
    let (mut batch, rest): (Vec<Request>, Vec<Request>) = requests.into_iter().partition(|(attempt, _)| {
        let size = attempt.variable_bytes();
        is_full |= !seen.is_empty() && bytes + size > MAX_BATCH_BYTES;
        let is_in = !is_full && seen.insert(attempt.key);
        bytes += if is_in { size } else { 0 };
        is_in
    });
    // In the order of the primary key, so that two deliverers cannot deadlock.
    batch.sort_unstable_by_key(|(attempt, _)| attempt.key);
    (batch, rest)
}

/// Records a batch and replies to each request, in halves if PostgreSQL refuses the whole.
async fn record_batch(statements: &impl RecordStatements, batch: Vec<Request>) {
    let mut parts = vec![batch];
    let mut backoff = Backoff::default();
    while let Some(part) = parts.pop() {
        let (attempts, senders): (Vec<_>, Vec<_>) = part.into_iter().unzip();
        let error = match statements.record_all(&attempts).await {
            Ok(states) => {
                telemetry::count_batch(attempts.len());
                reply_to(senders, states);
                continue;
            }
            Err(error) => error,
        };
        telemetry::report_retry(Operation::RecordAttempts, &error);
        let mut part: Vec<Request> = attempts.into_iter().zip(senders).collect();
        if !error.is_refused() {
            backoff.wait().await;
        }
        if part.len() > 1 && (error.is_refused() || error.is_overload()) {
            let second = part.split_off(part.len() / 2);
            parts.extend([second, part]);
        } else if error.is_refused() {
            for (attempt, sender) in part {
                let state = record_refused(statements, attempt, &error).await;
                reply_to(vec![sender], vec![state]);
            }
        } else {
            parts.push(part);
        }
    }
}

/// Records as much of a refused attempt as PostgreSQL accepts, so that the delivery goes on.
///
/// If PostgreSQL accepts nothing, the delivery goes on as if it had: it stays pending in the database, from where it is
/// queued again.
async fn record_refused(
    statements: &impl RecordStatements,
    mut attempt: AttemptRecord,
    refusal: &StoreError,
) -> Option<RoundStatus> {
    attempt.leave_out_details();
    let mut lost = LostPart::Details;
    let mut backoff = Backoff::default();
    loop {
        let recorded = match lost {
            LostPart::Details => {
                statements.record_all(std::slice::from_ref(&attempt)).await.map(|states| states[0])
            }
            LostPart::Attempt => statements.record_outcome(&attempt).await,
            LostPart::Outcome => Ok(Some(RoundStatus { status: attempt.status, round: attempt.round })),
        };
        match recorded {
            Ok(state) => {
                telemetry::report_refused_attempt(&attempt, lost, refusal);
                return state;
            }
            // A database that refuses every statement is no reason to leave anything out.
            Err(error) if error.is_refused() && statements.probe().await.is_ok() => lost = lost.next(),
            Err(error) => {
                telemetry::report_retry(Operation::RecordAttempts, &error);
                backoff.wait().await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
