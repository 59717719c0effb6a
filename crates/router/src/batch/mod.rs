//! One batch, from messages to published deliveries.
//!
//! [`BatchHandler::handle_batch`] decodes the messages ([`crate::intake`]), matches and stores the events
//! ([`store_batch`]), and publishes their deliveries ([`publish`]). When it returns, every event is stored, and every
//! delivery is in its webhook's queue or left to the database. The caller then acknowledges the messages; it
//! acknowledges a rejected message only once that is in the queue of rejected messages.

mod current_version;
mod publish;
mod store_batch;

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use broker::{Message, Outgoing};
use chrono::TimeDelta;
use runtime::progress::WorkProgress;
use runtime::traces::Traces;
use store::Store;
use store::clock;

pub(crate) use publish::DeliveryPublisher;

use crate::intake::{DecodedBatch, decode_batch};
use crate::subscriptions::Index;
use crate::telemetry;

/// Handles batches, one at a time.
pub(crate) struct BatchHandler {
    pub(crate) store: Store,
    pub(crate) publisher: DeliveryPublisher,
    pub(crate) retention: Duration,
    pub(crate) traces: Traces,
    pub(crate) index: Index,
    pub(crate) progress: WorkProgress,
}

impl BatchHandler {
    /// Handles a batch to the end, and retries each operation until it succeeds. Returns the rejected messages by their
    /// delivery tags.
    pub(crate) async fn handle_batch(&mut self, batch: &[Message]) -> HashMap<u64, Outgoing> {
        let started = Instant::now();
        let in_hand = self.progress.begin();
        let DecodedBatch { mut accepted, rejected } = decode_batch(batch, clock::now(), self.max_age());
        accepted.iter_mut().for_each(|event| event.start_trace(&self.traces));
        let stored = self.store_batch(&accepted).await;
        self.progress.advance();
        let deliveries = self.publisher.publish_stored(&stored).await;
        let rejected = rejected.iter().chain(&stored.rejected);
        let rejected =
            rejected.map(|rejected| (rejected.message.delivery_tag(), rejected.to_outgoing())).collect();
        (0..stored.duplicates).for_each(|_| telemetry::event_duplicate());
        (0..stored.not_enabled).for_each(|_| telemetry::event_not_enabled());
        telemetry::batch_handled(batch.len(), deliveries, started.elapsed());
        in_hand.done();
        rejected
    }

    /// Returns the age up to which an event is accepted.
    fn max_age(&self) -> TimeDelta {
        TimeDelta::from_std(self.retention).unwrap_or(TimeDelta::MAX)
    }
}
