//! Stores a batch, and splits it when PostgreSQL refuses it.
//!
//! Because the parts shrink to single events, an event that cannot be stored is rejected and stops no other event.

use domain::event::{RejectReason, Rejection};
use runtime::retry::Backoff;
use store::StoreError;
use store::clock;
use store::routing::ingest::{self, MAX_BATCH_DELIVERIES};

use super::BatchHandler;
use super::current_version::{Outcome, StoredEvents, store_at_current_version};
use crate::intake::{AcceptedEvent, Rejected};
use crate::subscriptions::{MatchedBatch, MatchedEvent};
use crate::telemetry::{self, Operation};

/// The results of storing a batch.
#[derive(Default)]
pub(super) struct StoredBatch<'a> {
    /// The events that the database has.
    pub(super) events: Vec<StoredEvent<'a>>,
    /// Events with the identity of another event in the batch.
    pub(super) duplicates: Vec<&'a AcceptedEvent<'a>>,
    /// Events that were dropped, because their type is not enabled for the brand.
    pub(super) not_enabled: Vec<&'a AcceptedEvent<'a>>,
    /// Number of deliveries of the stored events.
    pub(super) deliveries: usize,
    /// Positions of the events that wait for the next batch.
    pub(super) postponed: Vec<usize>,
    /// Events that are rejected.
    pub(super) rejected: Vec<Rejected>,
}

/// An event that the database has.
pub(super) struct StoredEvent<'a> {
    pub(super) matched: MatchedEvent<'a>,
    /// Whether the event was not stored before the try that succeeded.
    pub(super) fresh: bool,
    /// Whether an earlier try got no answer. That try may have stored an event that is not fresh now.
    pub(super) retried: bool,
}

/// Events that are stored together.
struct Part<'a> {
    events: Vec<&'a AcceptedEvent<'a>>,
    retried: bool,
    /// Whether the router has tried to create the partitions that the events need.
    has_partitions: bool,
}

/// The reaction to a part that could not be stored.
enum FailureAction {
    Retry,
    Split,
    /// Reject the part's only event, which PostgreSQL refuses with this message.
    Reject(String),
}

impl BatchHandler {
    /// Matches and stores a batch, part by part, until it has as many deliveries as one batch may have.
    pub(super) async fn store_batch<'a>(&mut self, accepted: &'a [AcceptedEvent<'a>]) -> StoredBatch<'a> {
        let mut stored = StoredBatch::default();
        let whole = Part { events: accepted.iter().collect(), retried: false, has_partitions: false };
        let mut parts = vec![whole];
        while let Some(part) = parts.pop() {
            if stored.deliveries >= MAX_BATCH_DELIVERIES {
                stored.postponed.extend(part.events.iter().map(|event| event.position));
            } else if !part.events.is_empty() {
                self.store_part(part, &mut stored, &mut parts).await;
            }
        }
        stored
    }

    /// Stores a part, or adds its halves to `parts`.
    async fn store_part<'a>(
        &mut self,
        mut part: Part<'a>,
        stored: &mut StoredBatch<'a>,
        parts: &mut Vec<Part<'a>>,
    ) {
        let mut backoff = Backoff::default();
        loop {
            match store_at_current_version(&self.store, &mut self.index, &part.events).await {
                Ok(Outcome::TooManyDeliveries) => return parts.extend(part.split_in_halves()),
                Ok(Outcome::Stored(StoredEvents { batch, fresh, matching, storing, .. })) => {
                    telemetry::batch_stored(matching, storing);
                    self.progress.advance();
                    return stored.add_events(batch, fresh, part.retried);
                }
                Err(error) => {
                    telemetry::operation_failed(Operation::StoreBatch, &error);
                    part.retried |= !error.is_refused();
                    match self.handle_failure(&error, &mut part, stored, &mut backoff).await {
                        FailureAction::Retry => {}
                        FailureAction::Split => return parts.extend(part.split_in_halves()),
                        FailureAction::Reject(detail) => return stored.reject_part(&part, &detail),
                    }
                }
            }
        }
    }

    /// Decides how to go on after a failure. If the database is unavailable, the router waits and retries. If
    /// PostgreSQL refuses the statement, the router first rejects events that are too old by now, then creates missing
    /// partitions, and then splits the part.
    async fn handle_failure<'a>(
        &self,
        error: &StoreError,
        part: &mut Part<'a>,
        stored: &mut StoredBatch<'a>,
        backoff: &mut Backoff,
    ) -> FailureAction {
        if !error.is_refused() {
            backoff.wait().await;
            return if error.is_overload() && part.events.len() > 1 {
                FailureAction::Split
            } else {
                FailureAction::Retry
            };
        }
        if self.reject_expired(part, stored) {
            return FailureAction::Retry;
        }
        if error.misses_partition() && !part.has_partitions {
            self.create_partitions(part).await;
            return FailureAction::Retry;
        }
        if part.events.len() > 1 {
            return FailureAction::Split;
        }
        // Reject the event only if the database accepts other statements. It may refuse all of them, for example
        // because a permission is missing.
        match ingest::probe_storing(&self.store).await {
            Ok(()) => FailureAction::Reject(error.refusal()),
            Err(error) => {
                telemetry::operation_failed(Operation::StoreBatch, &error);
                backoff.wait().await;
                FailureAction::Retry
            }
        }
    }

    /// Rejects the events of a part that have become too old since they were decoded. Returns whether there were any.
    fn reject_expired<'a>(&self, part: &mut Part<'a>, stored: &mut StoredBatch<'a>) -> bool {
        let max_age = self.max_age();
        let now = clock::now();
        let before = part.events.len();
        part.events.retain(|event| match event.check_age(now, max_age) {
            None => true,
            Some(rejection) => {
                stored.rejected.push(Rejected::new(event, rejection));
                false
            }
        });
        part.events.len() < before
    }

    /// Creates the partitions that a part needs, and retries unless the database refuses that.
    async fn create_partitions(&self, part: &mut Part<'_>) {
        part.has_partitions = true;
        let mut backoff = Backoff::default();
        while let Err(error) =
            store::maintenance::partitions::create_partitions(&self.store, self.retention).await
        {
            telemetry::operation_failed(Operation::CreatePartitions, &error);
            if error.is_refused() {
                return;
            }
            backoff.wait().await;
        }
    }
}

impl<'a> StoredBatch<'a> {
    fn add_events(&mut self, batch: MatchedBatch<'a>, fresh: Vec<bool>, retried: bool) {
        self.deliveries += batch.count_deliveries();
        let stored = |(matched, fresh)| StoredEvent { matched, fresh, retried };
        self.events.extend(batch.matched.into_iter().zip(fresh).map(stored));
        self.duplicates.extend(batch.duplicates);
        self.not_enabled.extend(batch.not_enabled);
        self.rejected.extend(batch.rejected);
        self.postponed.extend(batch.postponed);
    }

    fn reject_part(&mut self, part: &Part<'a>, detail: &str) {
        let rejection = Rejection::new(RejectReason::StorageRefused, detail);
        let rejected = |event: &&'a AcceptedEvent<'a>| Rejected::new(event, rejection.clone());
        self.rejected.extend(part.events.iter().map(rejected));
    }
}

impl<'a> Part<'a> {
    /// Splits the part. The caller takes parts from the end, so the first half comes last.
    fn split_in_halves(mut self) -> [Self; 2] {
        let second = self.events.split_off(self.events.len() / 2);
        [Self { events: second, ..self }, self]
    }
}
