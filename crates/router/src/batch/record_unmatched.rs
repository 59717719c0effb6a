//! Records what became of events that were not stored, so that "Where is my event?" has an answer for each of them.
//!
//! Events that are dropped or rejected get a row, and events that were published again are counted. A batch without such
//! events costs no statement.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use broker::moved::MovedEvent;
use domain::event::{self, Identity, Rejection};
use domain::ids::{BrandId, EventId};
use domain::time::{Timestamp, truncate_to_millis};
use runtime::error::Chain;
use runtime::retry::Backoff;
use store::clock;
use store::routing::unmatched::{self, UnmatchedEvent};
use store::{Store, StoreError};
use tracing::warn;

use super::BatchHandler;
use super::store_batch::{StoredBatch, StoredEvent};
use crate::intake::{AcceptedEvent, IncomingMessage, Rejected, Taken};
use crate::telemetry::{self, Operation};

/// Most refusals after which the records of a batch are split. Each refused record costs about two for each halving of
/// the batch, so that a few refused records hide no other ones, and a batch of them does not occupy the router.
const MAX_REFUSALS: usize = 20;
/// Number of tries of a batch's records that may end in an overloaded database. Each may take as long as a statement may,
/// while no batch is routed.
const MAX_OVERLOADED_TRIES: usize = 3;

/// A message that was rejected.
pub(crate) struct UnmatchedMessage<'a> {
    body: &'a [u8],
    message_id: Option<&'a str>,
    received: Option<Timestamp>,
    redelivered: bool,
    rejection: &'a Rejection,
}

impl<'a> UnmatchedMessage<'a> {
    pub(crate) fn new(message: &'a impl IncomingMessage, rejection: &'a Rejection) -> Self {
        Self {
            body: message.body(),
            message_id: message.message_id(),
            received: message.received(),
            redelivered: message.redelivered(),
            rejection,
        }
    }

    pub(crate) fn moved(event: &'a MovedEvent, rejection: &'a Rejection) -> Self {
        Self {
            body: &event.body,
            message_id: event.message_id.as_deref(),
            received: Some(event.received),
            redelivered: event.redelivered,
            rejection,
        }
    }
}

/// Events to record, each identity of a brand once.
#[derive(Default)]
struct UnmatchedEvents {
    events: Vec<UnmatchedEvent>,
    place_of: HashMap<(BrandId, String), usize>,
}

impl UnmatchedEvents {
    /// Adds an event. Of several with the same identity the last one counts.
    fn add(&mut self, event: UnmatchedEvent) {
        match self.place_of.entry((event.brand_id.clone(), event.identity.clone())) {
            Entry::Vacant(entry) => {
                entry.insert(self.events.len());
                self.events.push(event);
            }
            Entry::Occupied(entry) => {
                let earlier = &mut self.events[*entry.get()];
                let published = earlier.published + event.published;
                *earlier = UnmatchedEvent { published, ..event };
            }
        }
    }

    /// Returns the events in the order of their identities, so that two routers do not deadlock.
    fn into_sorted(self) -> Vec<UnmatchedEvent> {
        let mut events = self.events;
        events.sort_by(|a, b| (&a.brand_id, &a.identity).cmp(&(&b.brand_id, &b.identity)));
        events
    }
}

/// Records to make with one statement.
enum Records<'a> {
    Unmatched(Vec<UnmatchedEvent>),
    /// Brands and deduplication keys of events that were published again, and how often.
    Duplicates(Vec<(&'a BrandId, &'a str, i64)>),
}

impl Records<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Unmatched(events) => events.len(),
            Self::Duplicates(duplicates) => duplicates.len(),
        }
    }

    /// Removes the second half and returns it.
    fn split_off_half(&mut self) -> Self {
        let half = self.len() / 2;
        match self {
            Self::Unmatched(events) => Self::Unmatched(events.split_off(half)),
            Self::Duplicates(duplicates) => Self::Duplicates(duplicates.split_off(half)),
        }
    }

    async fn record(&self, store: &Store, earliest: Timestamp) -> Result<(), StoreError> {
        match self {
            Self::Unmatched(events) => unmatched::record_unmatched(store, events, earliest).await,
            Self::Duplicates(duplicates) => unmatched::count_duplicates(store, duplicates, earliest).await,
        }
    }
}

/// The reaction to records that failed.
#[derive(Debug, PartialEq, Eq)]
enum FailureAction {
    Retry,
    Split,
    /// Leave these records out, and go on with the others.
    LeaveOut,
    /// Leave all the records out that are not made yet.
    GiveUp,
}

/// The failures while the records of a batch are made.
#[derive(Default)]
struct Failures {
    refusals: usize,
    overloads: usize,
}

impl Failures {
    /// Decides how to go on after a failure of this number of records.
    fn handle(&mut self, error: &StoreError, records: usize) -> FailureAction {
        if error.is_refused() {
            self.refusals += 1;
            let may_split = records > 1 && self.refusals <= MAX_REFUSALS;
            return if may_split { FailureAction::Split } else { FailureAction::LeaveOut };
        }
        if !error.is_overload() {
            return FailureAction::Retry;
        }
        self.overloads += 1;
        match self.overloads {
            MAX_OVERLOADED_TRIES.. => FailureAction::GiveUp,
            _ if records > 1 => FailureAction::Split,
            _ => FailureAction::Retry,
        }
    }
}

impl BatchHandler {
    /// Records the events of a batch that were not stored. Retries while the database is unavailable.
    pub(super) async fn record_outcomes<'r>(
        &self,
        batch: &[&Taken],
        stored: &StoredBatch<'_>,
        rejected: impl Iterator<Item = &'r Rejected>,
    ) {
        let duplicates = count_published_again(stored);
        self.record_all(Records::Duplicates(duplicates)).await;
        let now = clock::now();
        let mut events: Vec<_> =
            stored.not_enabled.iter().map(|event| (event.position, not_enabled(event))).collect();
        for Rejected { position, rejection } in rejected {
            let message = batch.get(*position).map(|taken| UnmatchedMessage::new(*taken, rejection));
            let event = message.and_then(|message| self.read_rejected(&message, now));
            events.extend(event.map(|event| (*position, event)));
        }
        // An identity that was rejected and then not enabled, or the other way round, has the later reason.
        events.sort_by_key(|(position, _)| *position);
        let mut unmatched = UnmatchedEvents::default();
        events.into_iter().for_each(|(_, event)| unmatched.add(event));
        self.record_all(Records::Unmatched(unmatched.into_sorted())).await;
    }

    /// Records messages that are rejected without having been in a batch.
    pub(crate) async fn record_rejections(&self, messages: Vec<UnmatchedMessage<'_>>) {
        let mut unmatched = UnmatchedEvents::default();
        let now = clock::now();
        let events = messages.iter().filter_map(|message| self.read_rejected(message, now));
        events.for_each(|event| unmatched.add(event));
        self.record_all(Records::Unmatched(unmatched.into_sorted())).await;
    }

    /// Reads the event of a rejected message, if it has a brand and an identity.
    fn read_rejected(&self, message: &UnmatchedMessage<'_>, now: Timestamp) -> Option<UnmatchedEvent> {
        let event = event::read_readable_event(message.body, message.message_id, now, self.max_age())?;
        let received = message.received.unwrap_or_else(|| truncate_to_millis(now));
        Some(UnmatchedEvent {
            id: id_of(&event.identity, now),
            identity: event.identity.to_string(),
            brand_id: event.brand_id,
            created: event.created.unwrap_or(received),
            event_type: event.event_type,
            search_key: event.key,
            received,
            rejection: Some(message.rejection.clone()),
            published: i64::from(!message.redelivered),
        })
    }

    /// Returns the time before which events have expired, although their identities may still be stored.
    fn earliest(&self) -> Timestamp {
        clock::now() - self.max_age()
    }

    /// Makes records, and splits them if PostgreSQL refuses them, so that one of them hides no other. Gives up while the
    /// database is overloaded, because routing waits for the records.
    async fn record_all(&self, records: Records<'_>) {
        let mut failures = Failures::default();
        let mut backoff = Backoff::default();
        let mut parts = vec![records];
        while let Some(mut part) = parts.pop() {
            if part.len() == 0 {
                continue;
            }
            let Err(error) = part.record(&self.store, self.earliest()).await else { continue };
            telemetry::operation_failed(Operation::RecordUnmatched, &error);
            if !error.is_refused() {
                backoff.wait().await;
            }
            match failures.handle(&error, part.len()) {
                FailureAction::Retry => parts.push(part),
                FailureAction::Split => {
                    parts.push(part.split_off_half());
                    parts.push(part);
                }
                FailureAction::LeaveOut => report_unrecorded(&error, part.len()),
                FailureAction::GiveUp => {
                    let left_out = part.len() + parts.iter().map(Records::len).sum::<usize>();
                    return report_unrecorded(&error, left_out);
                }
            }
        }
    }
}

/// Counts the events that their producer published again, by brand and deduplication key.
///
/// A message that RabbitMQ delivered again, and an event that an earlier try may have stored, is none.
fn count_published_again<'a>(stored: &'a StoredBatch<'_>) -> Vec<(&'a BrandId, &'a str, i64)> {
    let stored_before = stored
        .events
        .iter()
        .filter(|StoredEvent { matched, fresh, retried }| !fresh && !retried && !matched.redelivered);
    let stored_before = stored_before.map(|event| event.matched.event);
    let in_batch = stored.duplicates.iter().filter(|event| !event.message.redelivered()).copied();
    let mut numbers: HashMap<(&BrandId, &str), i64> = HashMap::new();
    for event in stored_before.chain(in_batch) {
        *numbers.entry(event.unique_key()).or_default() += 1;
    }
    numbers.into_iter().map(|((brand, key), number)| (brand, key, number)).collect()
}

/// Returns the record of an event whose type is not enabled for its brand.
fn not_enabled(accepted: &AcceptedEvent<'_>) -> UnmatchedEvent {
    UnmatchedEvent {
        brand_id: accepted.event.brand_id.clone(),
        identity: accepted.key.clone(),
        id: accepted.id,
        created: accepted.created,
        event_type: Some(accepted.event.event_type.as_str().to_owned()),
        search_key: accepted.event.key.clone(),
        received: accepted.received,
        rejection: None,
        published: i64::from(!accepted.message.redelivered()),
    }
}

fn id_of(identity: &Identity, now: Timestamp) -> EventId {
    match identity {
        Identity::Id(id) => *id,
        Identity::MessageId(_) => EventId::generate(u64::try_from(now.timestamp_millis()).unwrap_or(0)),
    }
}

fn report_unrecorded(error: &StoreError, records: usize) {
    warn!(error = %Chain(error), records, "could not record what became of events that were not stored; leaving them out");
}

#[cfg(test)]
mod tests {
    use domain::event::RejectReason;

    use super::*;

    fn event(identity: &str, detail: &str) -> UnmatchedEvent {
        UnmatchedEvent {
            brand_id: "acme".parse().expect("a brand"),
            identity: identity.to_owned(),
            id: EventId::generate(0),
            created: Timestamp::UNIX_EPOCH,
            event_type: None,
            search_key: None,
            received: Timestamp::UNIX_EPOCH,
            rejection: Some(Rejection::new(RejectReason::InvalidType, detail)),
            published: 1,
        }
    }

    #[test]
    fn an_identity_is_recorded_once_with_the_last_reason() {
        let mut events = UnmatchedEvents::default();
        for (identity, detail) in [("m:2", "first"), ("m:1", "other"), ("m:2", "last")] {
            events.add(event(identity, detail));
        }
        let sorted = events.into_sorted();
        let seen: Vec<_> = sorted
            .iter()
            .map(|event| {
                (event.identity.as_str(), event.published, event.rejection.as_ref().map(Rejection::detail))
            })
            .collect();
        assert_eq!(seen, [("m:1", 1, Some("other")), ("m:2", 2, Some("last"))]);
    }

    async fn overload() -> StoreError {
        let elapsed = tokio::time::timeout(std::time::Duration::ZERO, std::future::pending::<()>()).await;
        StoreError::Unavailable(Box::new(elapsed.expect_err("a timeout")))
    }

    #[tokio::test]
    async fn records_are_given_up_while_the_database_is_overloaded() {
        let mut failures = Failures::default();
        assert_eq!(failures.handle(&overload().await, 8), FailureAction::Split);
        assert_eq!(failures.handle(&overload().await, 1), FailureAction::Retry);
        assert_eq!(failures.handle(&overload().await, 4), FailureAction::GiveUp);
    }

    #[test]
    fn records_are_retried_while_the_database_is_unavailable() {
        let mut failures = Failures::default();
        for _ in 0..100 {
            let away = StoreError::Unavailable("connection refused".into());
            assert_eq!(failures.handle(&away, 8), FailureAction::Retry);
        }
    }

    #[test]
    fn records_are_split_in_halves() {
        let mut records = Records::Unmatched((0..5).map(|n| event(&n.to_string(), "x")).collect());
        let second = records.split_off_half();
        assert_eq!((records.len(), second.len()), (2, 3));
    }
}
