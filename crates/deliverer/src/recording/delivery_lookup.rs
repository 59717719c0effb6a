//! What the database knows of deliveries that may have been dealt with before. Those of a message, and whatever
//! else comes while it is asked, are looked up together.

use runtime::progress::Progress;
use runtime::retry::Backoff;
use store::Store;
use store::record::{self, DeliveryKey, FullStanding, MAX_BATCH};
use tokio::sync::mpsc;

use crate::recording::batcher::{Job, Jobs, answer};
use crate::telemetry;

type Found = Option<FullStanding>;

/// Where deliveries are looked up. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Standings(Jobs<DeliveryKey, Found>);

impl Standings {
    /// With its task in the background.
    pub(crate) fn start(store: Store, progress: Progress) -> Self {
        let (jobs, receiver) = Jobs::new(MAX_BATCH);
        tokio::spawn(run(store, progress, receiver));
        Self(jobs)
    }

    /// Where a delivery stands, however long the database is away; `None` when it has expired.
    pub(crate) async fn of(&self, delivery: DeliveryKey) -> Found {
        self.0.ask(delivery).await
    }
}

async fn run(store: Store, progress: Progress, mut jobs: mpsc::Receiver<Job<DeliveryKey, Found>>) {
    let mut waiting = Vec::new();
    while jobs.recv_many(&mut waiting, MAX_BATCH).await > 0 {
        let in_hand = progress.begin();
        let (keys, askers): (Vec<_>, Vec<_>) = waiting.drain(..).unzip();
        answer(askers, look_up(&store, &keys).await);
        in_hand.done();
    }
}

/// Looks deliveries up, in halves where the whole cannot be read. Of one that cannot be read nothing is known: its
/// message counts, and an attempt may be made twice, where otherwise none would be made.
async fn look_up(store: &Store, keys: &[DeliveryKey]) -> Vec<Found> {
    let mut found = Vec::with_capacity(keys.len());
    let mut parts = vec![keys];
    let mut backoff = Backoff::default();
    while let Some(part) = parts.pop() {
        let error = match record::standings(store, part).await {
            Ok(standings) => {
                found.extend(standings);
                continue;
            }
            Err(error) => error,
        };
        telemetry::step_failed("standing", &error);
        if part.len() > 1 && (!error.is_unavailable() || error.is_overload()) {
            let (first, second) = part.split_at(part.len() / 2);
            parts.extend([second, first]);
        } else if !error.is_unavailable() && record::standings(store, &[]).await.is_ok() {
            found.push(Some(FullStanding::UNKNOWN));
        } else {
            backoff.wait().await;
            parts.push(part);
        }
    }
    found
}
