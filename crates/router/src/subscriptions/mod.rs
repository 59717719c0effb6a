//! Matching of events against the subscriptions, which the [`Index`] holds in memory.

mod index;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use domain::event::{RejectReason, Rejection};
use domain::ids::BrandId;
use store::routing::ingest::{NewEvent, Recipient};

pub use index::{Index, Match};

use crate::intake::{AcceptedEvent, IncomingMessage, Rejected, Taken};

/// An event to store, with the webhooks that subscribe to it.
pub(crate) struct MatchedEvent<'a, M = Taken> {
    pub(crate) event: &'a AcceptedEvent<'a, M>,
    pub(crate) recipients: Vec<Recipient>,
    /// Whether RabbitMQ delivered the event, or another of the same identity, before.
    pub(crate) redelivered: bool,
}

/// Steps of checking the data of one brand's events in a batch, after which its further events wait for the next batch, so
/// that the events of others do not wait for a costly schema. It takes tens of milliseconds; data of a usual schema takes
/// some hundred steps.
const MAX_SCHEMA_STEPS: u64 = 200_000;

/// A batch matched at one version of the configuration.
pub(crate) struct MatchedBatch<'a, M = Taken> {
    /// Events to store, each identity once.
    pub(crate) matched: Vec<MatchedEvent<'a, M>>,
    /// Events with the identity of an earlier event in `matched`.
    pub(crate) duplicates: Vec<&'a AcceptedEvent<'a, M>>,
    /// Events to drop, because their type is not enabled for the brand.
    pub(crate) not_enabled: Vec<&'a AcceptedEvent<'a, M>>,
    /// Events to reject.
    pub(crate) rejected: Vec<Rejected>,
    /// Positions of the events that wait for the next batch, because checking others of their brand took long.
    pub(crate) postponed: Vec<usize>,
}

impl<M> Default for MatchedBatch<'_, M> {
    fn default() -> Self {
        Self {
            matched: Vec::new(),
            duplicates: Vec::new(),
            not_enabled: Vec::new(),
            rejected: Vec::new(),
            postponed: Vec::new(),
        }
    }
}

/// Matches events against the index.
///
/// Of several events with the same identity the first valid one counts; a rejected event has no effect on the others.
pub(crate) fn match_subscriptions<'a, M: IncomingMessage>(
    events: impl IntoIterator<Item = &'a AcceptedEvent<'a, M>>,
    index: &Index,
) -> MatchedBatch<'a, M> {
    let mut batch = MatchedBatch::default();
    let mut seen = HashMap::new();
    let mut steps_of: HashMap<&BrandId, u64> = HashMap::new();
    for accepted in events {
        let brand_id = &accepted.event.brand_id;
        let event_type = accepted.event.event_type.as_str();
        let steps = steps_of.entry(brand_id).or_default();
        if *steps >= MAX_SCHEMA_STEPS && index.has_schema(event_type) {
            batch.postponed.push(accepted.position);
            continue;
        }
        match index.match_event(brand_id, event_type, accepted.event.data, steps) {
            Match::Webhooks(recipients) => batch.add_matched(accepted, recipients, &mut seen),
            Match::NotEnabled => batch.not_enabled.push(accepted),
            Match::UnknownBrand => batch.reject(accepted, unknown_brand(brand_id)),
            Match::UnknownType => batch.reject(accepted, unknown_type(event_type)),
            Match::SchemaViolation(violation) => batch.reject(accepted, schema_violation(&violation)),
        }
    }
    // In the order of the unique index, so that two routers with the same keys cannot deadlock.
    batch.matched.sort_by(|a, b| a.event.unique_key().cmp(&b.event.unique_key()));
    batch
}

impl<'a, M: IncomingMessage> MatchedBatch<'a, M> {
    /// Adds an event to store, unless the batch has an event of the same identity.
    fn add_matched(
        &mut self,
        event: &'a AcceptedEvent<'a, M>,
        recipients: Vec<Recipient>,
        seen: &mut HashMap<(&'a BrandId, &'a str), usize>,
    ) {
        let redelivered = event.message.redelivered();
        match seen.entry(event.unique_key()) {
            Entry::Vacant(entry) => {
                entry.insert(self.matched.len());
                self.matched.push(MatchedEvent { event, recipients, redelivered });
            }
            Entry::Occupied(entry) => {
                self.duplicates.push(event);
                self.matched[*entry.get()].redelivered |= redelivered;
            }
        }
    }

    fn reject(&mut self, event: &'a AcceptedEvent<'a, M>, rejection: Rejection) {
        self.rejected.push(Rejected::new(event, rejection));
    }

    /// Returns the number of deliveries of the matched events.
    pub(crate) fn count_deliveries(&self) -> usize {
        self.matched.iter().map(|event| event.recipients.len()).sum()
    }

    /// Returns the matched events in the form that the store takes.
    pub(crate) fn new_events(&'a self) -> Vec<NewEvent<'a>> {
        let new_event = |MatchedEvent { event, recipients, .. }: &'a MatchedEvent<'a, M>| NewEvent {
            brand_id: &event.event.brand_id,
            key: &event.key,
            id: event.id,
            created: event.created,
            received: event.received,
            search_key: event.event.key.as_deref(),
            event_type: event.event.event_type.as_str(),
            data: event.event.data,
            recipients,
        };
        self.matched.iter().map(new_event).collect()
    }
}

fn schema_violation(violation: &str) -> Rejection {
    Rejection::new(RejectReason::SchemaViolation, format!("data does not fit its schema: {violation}"))
}

fn unknown_brand(brand: &BrandId) -> Rejection {
    Rejection::new(RejectReason::UnknownBrand, format!("there is no brand {brand}; support creates brands"))
}

fn unknown_type(name: &str) -> Rejection {
    Rejection::new(RejectReason::UnknownType, format!("the catalogue has no type {name}; support adds types"))
}

#[cfg(test)]
mod tests;
