//! One batch, from messages to published deliveries.
//!
//! [`BatchHandler::handle_batch`] decodes the messages ([`crate::intake`]), matches and stores the events
//! ([`store_batch`]), publishes their deliveries ([`publish`]), and records what became of the others
//! ([`record_unmatched`]). When it returns, every event is stored, and every
//! delivery is in its webhook's queue or left to the database. The caller then acknowledges the messages; it
//! acknowledges a rejected message only once that is in the queue of rejected messages.

mod current_version;
mod publish;
mod record_unmatched;
mod store_batch;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use chrono::TimeDelta;
use domain::event::Rejection;
use runtime::progress::WorkProgress;
use runtime::retry::Backoff;
use runtime::traces::Traces;
use store::Store;
use store::clock;

pub(crate) use publish::DeliveryPublisher;
pub(crate) use record_unmatched::UnmatchedMessage;

use crate::intake::{DecodedBatch, Taken, decode_batch};
use crate::read_ahead::KnownBrands;
use crate::subscriptions::Index;
use crate::telemetry::{self, Operation};

/// The messages of a batch that need more than an acknowledgement, by their positions.
pub(crate) struct HandledBatch {
    /// The reasons of rejected messages.
    pub(crate) rejections: HashMap<usize, Rejection>,
    /// Messages that nothing was done with, because the batch has as many deliveries as it may have.
    pub(crate) postponed: BTreeSet<usize>,
}

/// Handles batches, one at a time.
pub(crate) struct BatchHandler {
    pub(crate) store: Store,
    pub(crate) publisher: DeliveryPublisher,
    pub(crate) retention: Duration,
    /// The exchange through which the platform's own events come.
    pub(crate) ingest_exchange: String,
    pub(crate) traces: Traces,
    pub(crate) index: Index,
    /// The brands of the index.
    pub(crate) known_brands: KnownBrands,
    pub(crate) progress: WorkProgress,
}

impl BatchHandler {
    /// Handles a batch to the end, and retries each operation until it succeeds. At least one message is handled.
    pub(crate) async fn handle_batch(&mut self, batch: &[&Taken]) -> HandledBatch {
        let started = Instant::now();
        let in_hand = self.progress.begin();
        let DecodedBatch { mut accepted, rejected } =
            decode_batch(batch.iter().copied(), clock::now(), self.max_age(), &self.ingest_exchange);
        accepted.iter_mut().for_each(|event| event.start_trace(&self.traces));
        let stored = self.store_batch(&accepted).await;
        self.progress.advance();
        let deliveries = self.publisher.publish_stored(&stored).await;
        let rejected = rejected.iter().chain(&stored.rejected);
        self.record_outcomes(batch, &stored, rejected.clone()).await;
        rejected.clone().for_each(|rejected| rejected.report());
        let rejections = rejected.map(|rejected| (rejected.position, rejected.rejection.clone())).collect();
        self.known_brands.update(self.index.brands());
        (0..stored.duplicates.len()).for_each(|_| telemetry::event_duplicate());
        (0..stored.not_enabled.len()).for_each(|_| telemetry::event_not_enabled());
        telemetry::batch_handled(batch.len() - stored.postponed.len(), deliveries, started.elapsed());
        in_hand.done();
        HandledBatch { rejections, postponed: stored.postponed.into_iter().collect() }
    }

    /// Loads the changes of the configuration if the database answers.
    pub(crate) async fn refresh_index(&mut self) {
        if let Err(error) = current_version::refresh_index(&self.store, &mut self.index).await {
            telemetry::operation_failed(Operation::LoadIndex, &error);
        }
    }

    /// Loads the configuration, retrying until it succeeds, so that the first batch is cut by its deliveries.
    pub(crate) async fn load_index(&mut self) {
        let mut backoff = Backoff::default();
        while let Err(error) = current_version::refresh_index(&self.store, &mut self.index).await {
            telemetry::operation_failed(Operation::LoadIndex, &error);
            backoff.wait().await;
        }
        self.known_brands.update(self.index.brands());
    }

    /// Returns the age up to which an event is accepted.
    fn max_age(&self) -> TimeDelta {
        TimeDelta::from_std(self.retention).unwrap_or(TimeDelta::MAX)
    }
}
