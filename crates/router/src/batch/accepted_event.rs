//! One batch of messages on its way to being events: decoded, matched, each identity once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::SystemTime;

use broker::{Message, Unreadable};
use chrono::TimeDelta;
use domain::event::Identity;
use domain::event::{self, IncomingEvent, RejectReason, Rejection};
use domain::ids::{BrandId, EventId};
use domain::time::Timestamp;
use domain::trace::TraceParent;
use runtime::traces::{Span, SpanKind, Traces};
use store::ingest::{NewEvent, Target};

use crate::index::{Index, Match};

/// What is read of a message. (Messages of the broker cannot be made without one.)
pub(crate) trait Incoming {
    fn body(&self) -> &[u8];
    fn message_id(&self) -> Option<&str>;
    /// What came with it that cannot be read.
    fn unreadable(&self) -> Option<Unreadable>;
    fn trace(&self) -> Option<&TraceParent>;
    /// Whether the broker handed it out before.
    fn redelivered(&self) -> bool;
}

impl Incoming for Message {
    fn body(&self) -> &[u8] {
        &self.body
    }

    fn message_id(&self) -> Option<&str> {
        self.message_id.as_deref()
    }

    fn unreadable(&self) -> Option<Unreadable> {
        self.unreadable
    }

    fn trace(&self) -> Option<&TraceParent> {
        self.trace.as_ref()
    }

    fn redelivered(&self) -> bool {
        self.redelivered
    }
}

/// A message that is an event, with what it will be stored as.
pub(crate) struct Taken<'a, M = Message> {
    pub(crate) message: &'a M,
    pub(crate) event: IncomingEvent<'a>,
    pub(crate) key: String,
    pub(crate) id: EventId,
    pub(crate) created: Timestamp,
    /// When this router took it from its queue.
    pub(crate) received: Timestamp,
    /// What its deliveries carry on: the producer's trace, or our span beneath it.
    pub(crate) trace: Option<TraceParent>,
    /// Ends when the batch is done with.
    span: Option<Span>,
}

/// An event to store.
pub(crate) struct Wanted<'a, M = Message> {
    pub(crate) taken: &'a Taken<'a, M>,
    pub(crate) targets: Vec<Target>,
    /// Whether the broker handed it, or another of the same identity, out before.
    pub(crate) redelivered: bool,
}

/// What a batch turns out to hold at one version of the configuration.
pub(crate) struct Sorted<'a, M = Message> {
    /// To store, each identity once.
    pub(crate) wanted: Vec<Wanted<'a, M>>,
    /// How many have the identity of one before them that is to be stored.
    pub(crate) repeated: usize,
    /// To drop: the type is not enabled for the brand.
    pub(crate) not_enabled: usize,
    /// To refuse.
    pub(crate) refused: Vec<(&'a M, Rejection)>,
}

impl<M> Default for Sorted<'_, M> {
    fn default() -> Self {
        Self { wanted: Vec::new(), repeated: 0, not_enabled: 0, refused: Vec::new() }
    }
}

/// Decodes a batch: events in the one list, what is none in the other.
pub(crate) fn decode<M: Incoming>(
    batch: &[M],
    now: Timestamp,
    retention: TimeDelta,
) -> (Vec<Taken<'_, M>>, Vec<(&M, Rejection)>) {
    let mut taken = Vec::new();
    let mut refused = Vec::new();
    for message in batch {
        match read(message, now, retention) {
            Ok(event) => taken.push(Taken::new(message, event, now)),
            Err(rejection) => refused.push((message, rejection)),
        }
    }
    (taken, refused)
}

/// Decodes one message, unless it came with something that cannot be read, such as a routing key that is not UTF-8.
fn read<M: Incoming>(
    message: &M,
    now: Timestamp,
    retention: TimeDelta,
) -> Result<IncomingEvent<'_>, Rejection> {
    if let Some(unreadable) = message.unreadable() {
        return Err(Rejection::new(RejectReason::Unreadable, unreadable.to_string()));
    }
    event::decode(message.body(), message.message_id(), now, retention)
}

impl<'a, M: Incoming> Taken<'a, M> {
    fn new(message: &'a M, event: IncomingEvent<'a>, now: Timestamp) -> Self {
        let id = match &event.identity {
            Identity::Id(id) => *id,
            Identity::MessageId(_) => EventId::draw(u64::try_from(now.timestamp_millis()).unwrap_or(0)),
        };
        let received = domain::time::whole_millis(now);
        let created = event.created.unwrap_or(received);
        Self {
            message,
            key: event.identity.to_string(),
            id,
            created,
            received,
            trace: message.trace().cloned(),
            span: None,
            event,
        }
    }

    /// What it is stored once by.
    fn unique_key(&self) -> (&BrandId, &str) {
        (&self.event.brand_id, &self.key)
    }

    /// Why it is no longer taken, if so: its time may have passed while it waited to be stored.
    pub(crate) fn expired(&self, now: Timestamp, retention: TimeDelta) -> Option<Rejection> {
        event::decode(self.message.body(), self.message.message_id(), now, retention).err()
    }

    /// Begins a span, where there is somebody to send it to. By this machine's clock, as it ends.
    pub(crate) fn trace(&mut self, traces: &Traces) {
        let parent = self.trace.as_ref().map(ToString::to_string);
        self.span = traces.span("route event", SpanKind::Consumer, parent, SystemTime::now());
        if let Some(span) = &mut self.span {
            span.note("messaging.system", "rabbitmq");
            span.note("postrider.event.id", self.id.to_string());
            span.note("postrider.brand", self.event.brand_id.to_string());
            span.note("postrider.event.type", self.event.event_type.as_str().to_owned());
            self.trace = span.traceparent().parse().ok();
        }
    }
}

/// Matches events against the index. Of several with the same identity the first that is to be stored
/// counts: one that is refused beside them says nothing of the others.
pub(crate) fn sort<'a, M: Incoming>(
    events: impl IntoIterator<Item = &'a Taken<'a, M>>,
    index: &Index,
) -> Sorted<'a, M> {
    let mut sorted = Sorted::default();
    let mut seen = HashMap::new();
    for taken in events {
        match index.find(&taken.event.brand_id, taken.event.event_type.as_str()) {
            Match::Targets(targets) => match misfit(taken, index) {
                None => sorted.want(taken, targets, &mut seen),
                Some(rejection) => sorted.refused.push((taken.message, rejection)),
            },
            Match::NotEnabled => sorted.not_enabled += 1,
            Match::UnknownBrand => sorted.refused.push((taken.message, unknown_brand(&taken.event.brand_id))),
            Match::UnknownType => {
                sorted.refused.push((taken.message, unknown_type(taken.event.event_type.as_str())))
            }
        }
    }
    // In the order of the unique index, so that two routers with the same keys cannot deadlock.
    sorted.wanted.sort_by(|a, b| a.taken.unique_key().cmp(&b.taken.unique_key()));
    sorted
}

impl<'a, M: Incoming> Sorted<'a, M> {
    /// Adds an event to those to store, unless one of the same identity is among them.
    fn want(
        &mut self,
        taken: &'a Taken<'a, M>,
        targets: Vec<Target>,
        seen: &mut HashMap<(&'a BrandId, &'a str), usize>,
    ) {
        let redelivered = taken.message.redelivered();
        match seen.entry(taken.unique_key()) {
            Entry::Vacant(place) => {
                place.insert(self.wanted.len());
                self.wanted.push(Wanted { taken, targets, redelivered });
            }
            Entry::Occupied(place) => {
                self.repeated += 1;
                self.wanted[*place.get()].redelivered |= redelivered;
            }
        }
    }

    /// The events as the store takes them.
    pub(crate) fn new_events(&'a self) -> Vec<NewEvent<'a>> {
        let new_event = |Wanted { taken, targets, .. }: &'a Wanted<'a, M>| NewEvent {
            brand_id: &taken.event.brand_id,
            key: &taken.key,
            id: taken.id,
            created: taken.created,
            event_type: taken.event.event_type.as_str(),
            data: taken.event.data,
            targets,
        };
        self.wanted.iter().map(new_event).collect()
    }
}

/// Why the data does not fit the schema that is enforced for its type, if it does not.
fn misfit<M>(taken: &Taken<'_, M>, index: &Index) -> Option<Rejection> {
    let schema = index.enforced_schema(taken.event.event_type.as_str())?;
    let violation = schema.check(taken.event.data).err()?;
    Some(Rejection::new(RejectReason::SchemaViolation, format!("data does not fit its schema: {violation}")))
}

fn unknown_brand(brand: &BrandId) -> Rejection {
    Rejection::new(RejectReason::UnknownBrand, format!("there is no brand {brand}; support creates brands"))
}

fn unknown_type(name: &str) -> Rejection {
    Rejection::new(RejectReason::UnknownType, format!("the catalogue has no type {name}; support adds types"))
}

#[cfg(test)]
mod tests {
    use domain::catalogue::Enablement;
    use domain::webhook::WebhookStatus;
    use store::config::{BrandChange, EventTypeChange, RoutingChange, RoutingChanges};

    use super::*;

    /// A message as it came from the broker.
    struct Plain {
        body: String,
        redelivered: bool,
    }

    impl Incoming for Plain {
        fn body(&self) -> &[u8] {
            self.body.as_bytes()
        }

        fn message_id(&self) -> Option<&str> {
            None
        }

        fn unreadable(&self) -> Option<Unreadable> {
            None
        }

        fn trace(&self) -> Option<&TraceParent> {
            None
        }

        fn redelivered(&self) -> bool {
            self.redelivered
        }
    }

    const ID: &str = "01JD3ZJ8Q0000000000000000A";

    fn message(event_type: &str, data: &str) -> Plain {
        let body = format!(r#"{{"id":"{ID}","brandId":"acme","type":"{event_type}","data":{data}}}"#);
        Plain { body, redelivered: false }
    }

    /// A brand with a webhook for everything; the data of the type `A` is a number.
    fn index() -> Index {
        let all = "*".parse().expect("a pattern");
        let mut enablement = Enablement::default();
        enablement.switch(&all, true);
        let brand_id: BrandId = "acme".parse().expect("a brand");
        let mut index = Index::default();
        index.apply(RoutingChanges {
            version: 1,
            event_types: vec![EventTypeChange {
                name: "A".to_owned(),
                removed: false,
                enforced_schema: Some(r#"{"type":"number"}"#.to_owned()),
            }],
            brands: vec![BrandChange { id: brand_id.clone(), enablement }],
            webhooks: vec![RoutingChange {
                id: domain::ids::WebhookId(uuid::Uuid::nil()),
                brand_id,
                events: vec![all],
                status: WebhookStatus::Active,
                generation: 1,
            }],
        });
        index
    }

    /// The data of what is stored, the reasons of what is refused, and how many repetitions there are.
    fn sorted(batch: &[Plain]) -> (Vec<String>, Vec<RejectReason>, usize) {
        let (taken, refused) = decode(batch, chrono::Utc::now(), TimeDelta::days(7));
        assert!(refused.is_empty());
        let sorted = sort(&taken, &index());
        let stored = sorted.new_events().iter().map(|event| event.data.to_owned()).collect();
        let refused = sorted.refused.iter().map(|(_, rejection)| rejection.reason).collect();
        (stored, refused, sorted.repeated)
    }

    #[test]
    fn of_one_identity_the_first_is_stored() {
        let batch = [message("A", "1"), message("A", "2"), message("A", "3")];
        assert_eq!(sorted(&batch), (vec!["1".to_owned()], vec![], 2));
    }

    #[test]
    fn a_valid_event_is_stored_beside_refused_ones_of_its_identity() {
        let batch = [message("A", "\"a\""), message("B", "1"), message("A", "1"), message("A", "null")];
        let reasons =
            vec![RejectReason::SchemaViolation, RejectReason::UnknownType, RejectReason::SchemaViolation];
        assert_eq!(sorted(&batch), (vec!["1".to_owned()], reasons, 0));
    }

    #[test]
    fn a_repetition_that_was_handed_out_before_marks_the_one_that_is_stored() {
        let batch = [message("A", "1"), Plain { redelivered: true, ..message("A", "1") }];
        let (taken, _) = decode(&batch, chrono::Utc::now(), TimeDelta::days(7));
        assert!(sort(&taken, &index()).wanted[0].redelivered);
        let refused = [message("A", "1"), Plain { redelivered: true, ..message("A", "null") }];
        let (taken, _) = decode(&refused, chrono::Utc::now(), TimeDelta::days(7));
        assert!(!sort(&taken, &index()).wanted[0].redelivered);
    }

    #[test]
    fn an_event_whose_time_passes_while_it_waits_is_refused_then() {
        let now = chrono::Utc::now();
        let created = domain::time::whole_millis(now - TimeDelta::days(6)).to_rfc3339();
        let body = format!(r#"{{"id":"{ID}","brandId":"acme","type":"A","created":"{created}","data":1}}"#);
        let batch = [Plain { body, redelivered: false }];
        let (taken, refused) = decode(&batch, now, TimeDelta::days(7));
        assert!(refused.is_empty() && taken[0].expired(now, TimeDelta::days(7)).is_none());
        let later = taken[0].expired(now + TimeDelta::days(2), TimeDelta::days(7)).expect("expired");
        assert_eq!(later.reason, RejectReason::CreatedOutOfRange);
    }
}
