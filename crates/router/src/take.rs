//! One batch of messages on its way to being events: decoded, matched, each identity once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use broker::Message;
use chrono::TimeDelta;
use domain::event::Identity;
use domain::event::{self, IncomingEvent, RejectReason, Rejection};
use domain::ids::{BrandId, EventId};
use domain::time::Timestamp;
use domain::trace::TraceParent;
use runtime::traces::{Span, SpanKind, Traces};
use store::ingest::{NewEvent, Target};

use crate::index::{Index, Match};

/// A message that is an event, with what it will be stored as.
pub(crate) struct Taken<'a> {
    pub(crate) message: &'a Message,
    /// Whether the broker handed it, or another of the same identity, out before.
    pub(crate) redelivered: bool,
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

/// What a batch turns out to hold at one version of the configuration.
#[derive(Default)]
pub(crate) struct Sorted<'a> {
    /// To store, each with its targets.
    pub(crate) wanted: Vec<(&'a Taken<'a>, Vec<Target>)>,
    /// To drop: the type is not enabled for the brand.
    pub(crate) not_enabled: usize,
    /// To refuse.
    pub(crate) refused: Vec<(&'a Message, Rejection)>,
}

/// Decodes a batch: events in the one list, what is none in the other. Of several with the same
/// identity the first counts; the others are told by their number.
pub(crate) fn decode(
    batch: &[Message],
    now: Timestamp,
    retention: TimeDelta,
) -> (Vec<Taken<'_>>, Vec<(&Message, Rejection)>, usize) {
    let (mut taken, mut refused, mut seen, mut repeated) = (Vec::new(), Vec::new(), HashMap::new(), 0);
    for message in batch {
        let event = match read(message, now, retention) {
            Ok(event) => event,
            Err(rejection) => {
                refused.push((message, rejection));
                continue;
            }
        };
        match seen.entry((event.brand_id.clone(), event.identity.clone())) {
            Entry::Vacant(place) => {
                place.insert(taken.len());
                taken.push(Taken::new(message, event, now));
            }
            Entry::Occupied(place) => {
                repeated += 1;
                let first: &mut Taken<'_> = &mut taken[*place.get()];
                first.redelivered |= message.redelivered;
            }
        }
    }
    (taken, refused, repeated)
}

/// Decodes one message, unless it came with something that cannot be read, such as a routing key that is not UTF-8.
fn read(message: &Message, now: Timestamp, retention: TimeDelta) -> Result<IncomingEvent<'_>, Rejection> {
    if let Some(unreadable) = message.unreadable {
        return Err(Rejection::new(RejectReason::Unreadable, unreadable.to_string()));
    }
    event::decode(&message.body, message.message_id.as_deref(), now, retention)
}

impl<'a> Taken<'a> {
    fn new(message: &'a Message, event: IncomingEvent<'a>, now: Timestamp) -> Self {
        let id = match &event.identity {
            Identity::Id(id) => *id,
            Identity::MessageId(_) => EventId::draw(u64::try_from(now.timestamp_millis()).unwrap_or(0)),
        };
        let received = domain::time::whole_millis(now);
        let created = event.created.unwrap_or(received);
        Self {
            message,
            redelivered: message.redelivered,
            key: event.identity.to_string(),
            id,
            created,
            received,
            trace: message.trace.clone(),
            span: None,
            event,
        }
    }

    /// Begins a span, where there is somebody to send it to.
    pub(crate) fn trace(&mut self, traces: &Traces) {
        let parent = self.trace.as_ref().map(ToString::to_string);
        self.span = traces.span("route event", SpanKind::Consumer, parent, self.received.into());
        if let Some(span) = &mut self.span {
            span.note("messaging.system", "rabbitmq");
            span.note("postrider.event.id", self.id.to_string());
            span.note("postrider.brand", self.event.brand_id.to_string());
            span.note("postrider.event.type", self.event.event_type.as_str().to_owned());
            self.trace = span.traceparent().parse().ok();
        }
    }
}

/// Matches a batch against the index.
pub(crate) fn sort<'a>(taken: &'a [Taken<'a>], index: &Index) -> Sorted<'a> {
    let mut sorted = Sorted::default();
    for event in taken {
        match index.find(&event.event.brand_id, event.event.event_type.as_str()) {
            Match::Targets(targets) => match misfit(event, index) {
                None => sorted.wanted.push((event, targets)),
                Some(rejection) => sorted.refused.push((event.message, rejection)),
            },
            Match::NotEnabled => sorted.not_enabled += 1,
            Match::UnknownBrand => sorted.refused.push((event.message, unknown_brand(&event.event.brand_id))),
            Match::UnknownType => {
                sorted.refused.push((event.message, unknown_type(event.event.event_type.as_str())))
            }
        }
    }
    // In the order of the unique index, so that two routers with the same keys cannot deadlock.
    sorted.wanted.sort_by(|(a, _), (b, _)| (&a.event.brand_id, &a.key).cmp(&(&b.event.brand_id, &b.key)));
    sorted
}

impl<'a> Sorted<'a> {
    /// The events as the store takes them.
    pub(crate) fn new_events(&'a self) -> Vec<NewEvent<'a>> {
        let new_event = |(taken, targets): &'a (&'a Taken<'a>, Vec<Target>)| NewEvent {
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
fn misfit(taken: &Taken<'_>, index: &Index) -> Option<Rejection> {
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
