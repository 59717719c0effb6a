//! Attempts are recorded in batches at the database's own pace: what came in during one statement
//! makes the next.

use std::collections::HashSet;
use std::time::Duration;

use runtime::progress::Progress;
use runtime::retry::Backoff;
use store::Store;
use store::record::{self, AttemptRecord, MAX_BATCH, Standing};
use tokio::sync::mpsc;

use crate::events;
use crate::jobs::{self, Jobs, answer};

/// After a batch of so many the next one waits for more: what a statement costs beside its rows is then shared by
/// more of them. Nobody waits for an attempt to be recorded but its own message.
const BUSY: usize = 16;
/// How long it waits for more.
const LINGER: Duration = Duration::from_millis(5);

/// Attempts that may wait for the recorder; beyond, those who attempt wait.
const WAITING: usize = 2 * MAX_BATCH;

type Job = jobs::Job<AttemptRecord, Option<Standing>>;

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

async fn write(store: &Store, slice: Duration, batch: Vec<Job>) {
    let (attempts, askers): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
    let mut backoff = Backoff::default();
    let standings = loop {
        match record::attempts(store, &attempts, slice).await {
            Ok(standings) => break standings,
            Err(error) => events::step_failed("record", &error),
        }
        backoff.wait().await;
    };
    events::batch_recorded(attempts.len());
    answer(askers, standings);
}
