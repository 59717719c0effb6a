//! What the database knows of deliveries that may have been dealt with before. Those of a message, and whatever
//! else comes while it is asked, are looked up together.

use runtime::progress::Progress;
use runtime::retry::Backoff;
use store::Store;
use store::record::{self, DeliveryKey, FullStanding, MAX_BATCH};
use tokio::sync::mpsc;

use crate::events;
use crate::jobs::{Job, Jobs, answer};

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
        let mut backoff = Backoff::default();
        let found = loop {
            match record::standings(&store, &keys).await {
                Ok(found) => break found,
                Err(error) => events::step_failed("standing", &error),
            }
            backoff.wait().await;
        };
        answer(askers, found);
        in_hand.done();
    }
}
