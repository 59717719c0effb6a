//! Attempts are recorded in batches at the database's own pace: what came in during one statement
//! makes the next.

use std::collections::HashSet;
use std::time::Duration;

use runtime::progress::Progress;
use runtime::retry::Backoff;
use store::record::{self, AttemptRecord, MAX_BATCH, Standing};
use store::{Store, StoreError};
use tokio::sync::mpsc;

use crate::recording::batcher::{self, Jobs, answer};
use crate::telemetry::{self, Lost};

/// After a batch of so many the next one waits for more: what a statement costs beside its rows is then shared by
/// more of them. Nobody waits for an attempt to be recorded but its own message.
const BUSY: usize = 16;
/// How long it waits for more.
const LINGER: Duration = Duration::from_millis(5);

/// Attempts that may wait for the recorder; beyond, those who attempt wait.
const WAITING: usize = 2 * MAX_BATCH;

type Job = batcher::Job<AttemptRecord, Option<Standing>>;

/// Where attempts are recorded. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Recorder(Jobs<AttemptRecord, Option<Standing>>);

impl Recorder {
    /// A recorder with its task in the background.
    pub(crate) fn start(store: Store, slice: Duration, progress: Progress) -> Self {
        let (jobs, receiver) = Jobs::new(WAITING);
        tokio::spawn(run(store, slice, progress, receiver));
        Self(jobs)
    }

    /// Records an attempt, however long the database is away. The delivery as it stands then;
    /// `None` when it has expired.
    pub(crate) async fn record(&self, attempt: AttemptRecord) -> Option<Standing> {
        self.0.ask(attempt).await
    }
}

async fn run(store: Store, slice: Duration, progress: Progress, mut jobs: mpsc::Receiver<Job>) {
    let mut waiting: Vec<Job> = Vec::new();
    let mut last = 0;
    loop {
        if last >= BUSY {
            tokio::time::sleep(LINGER).await;
        }
        if waiting.is_empty() && jobs.recv_many(&mut waiting, MAX_BATCH).await == 0 {
            return;
        }
        while waiting.len() < MAX_BATCH {
            let Ok(job) = jobs.try_recv() else { break };
            waiting.push(job);
        }
        let (batch, rest) = each_delivery_once(std::mem::take(&mut waiting));
        waiting = rest;
        last = batch.len();
        let in_hand = progress.begin();
        write(&store, slice, batch).await;
        in_hand.done();
    }
}

/// Splits off what would update a delivery twice in one statement, which updates it once.
fn each_delivery_once(jobs: Vec<Job>) -> (Vec<Job>, Vec<Job>) {
    let mut seen = HashSet::new();
    let (mut batch, rest): (Vec<Job>, Vec<Job>) =
        jobs.into_iter().partition(|(attempt, _)| seen.insert(attempt.key));
    // In the order of the primary key, so that two deliverers cannot deadlock.
    batch.sort_unstable_by_key(|(attempt, _)| attempt.key);
    (batch, rest)
}

/// Records a batch and answers each of it: in halves where PostgreSQL refuses the whole, so that one attempt that
/// cannot be recorded stops nobody else's.
async fn write(store: &Store, slice: Duration, batch: Vec<Job>) {
    let mut parts = vec![batch];
    let mut backoff = Backoff::default();
    while let Some(part) = parts.pop() {
        let (attempts, askers): (Vec<_>, Vec<_>) = part.into_iter().unzip();
        let error = match record::attempts(store, &attempts, slice).await {
            Ok(standings) => {
                telemetry::batch_recorded(attempts.len());
                answer(askers, standings);
                continue;
            }
            Err(error) => error,
        };
        telemetry::step_failed("record", &error);
        let mut part: Vec<Job> = attempts.into_iter().zip(askers).collect();
        if !error.is_refused() {
            backoff.wait().await;
        }
        if part.len() > 1 && (error.is_refused() || error.is_overload()) {
            let second = part.split_off(part.len() / 2);
            parts.extend([second, part]);
        } else if error.is_refused() {
            for (attempt, asker) in part {
                let standing = write_refused(store, slice, attempt, &error).await;
                answer(vec![asker], vec![standing]);
            }
        } else {
            parts.push(part);
        }
    }
}

/// Records as much as PostgreSQL takes of an attempt that it refused, so that the delivery goes on. When it takes
/// nothing, the delivery goes on as if it had: it stays pending in the database, from where it is queued again.
async fn write_refused(
    store: &Store,
    slice: Duration,
    mut attempt: AttemptRecord,
    refusal: &StoreError,
) -> Option<Standing> {
    attempt.leave_out_details();
    let mut lost = Lost::Details;
    let mut backoff = Backoff::default();
    loop {
        let written = match lost {
            Lost::Details => {
                record::attempts(store, std::slice::from_ref(&attempt), slice).await.map(|all| all[0])
            }
            Lost::Attempt => record::outcome(store, &attempt).await,
            Lost::Outcome => Ok(Some(Standing { status: attempt.status, round: attempt.round })),
        };
        match written {
            Ok(standing) => {
                telemetry::attempt_refused(&attempt, lost, refusal);
                return standing;
            }
            // It is not over a database that refuses whatever it is asked that anything is left out.
            Err(error) if error.is_refused() && record::probe(store).await.is_ok() => lost = lost.next(),
            Err(error) => {
                telemetry::step_failed("record", &error);
                backoff.wait().await;
            }
        }
    }
}
