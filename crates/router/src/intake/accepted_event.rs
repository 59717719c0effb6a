//! Events that the router accepts.

use std::time::SystemTime;

use broker::Unreadable;
use chrono::TimeDelta;
use domain::delivery::envelope::EventHead;
use domain::event::{self, Identity, IncomingEvent, Rejection};
use domain::ids::{BrandId, EventId};
use domain::time::Timestamp;
use domain::trace::TraceParent;
use runtime::traces::{Span, SpanKind, Traces};

use super::taken::Taken;

/// The parts of a message that the router reads. Tests implement it, because a message of the broker needs a broker.
pub(crate) trait IncomingMessage {
    fn body(&self) -> &[u8];
    fn message_id(&self) -> Option<&str>;
    /// The first part of the message that cannot be read, if any.
    fn unreadable(&self) -> Option<Unreadable>;
    fn trace(&self) -> Option<&TraceParent>;
    /// Whether RabbitMQ delivered the message before.
    fn redelivered(&self) -> bool;
    /// Whether the platform itself published the message, through the exchange to which producers cannot write.
    fn is_from_platform(&self, ingest_exchange: &str) -> bool;
    /// When a router received it first, if it was moved since.
    fn received(&self) -> Option<Timestamp> {
        None
    }
}

/// A valid event, with the values that the router stores for it.
pub(crate) struct AcceptedEvent<'a, M = Taken> {
    pub(crate) message: &'a M,
    /// The number of the message in its batch.
    pub(crate) position: usize,
    pub(crate) event: IncomingEvent<'a>,
    pub(crate) key: String,
    pub(crate) id: EventId,
    pub(crate) created: Timestamp,
    /// When a router received it first.
    pub(crate) received: Timestamp,
    /// The trace that its deliveries continue: the producer's, or our span within it.
    pub(crate) trace: Option<TraceParent>,
    /// Our span, which ends with the batch.
    trace_span: Option<Span>,
}

impl<'a, M: IncomingMessage> AcceptedEvent<'a, M> {
    pub(super) fn new(message: &'a M, position: usize, event: IncomingEvent<'a>, now: Timestamp) -> Self {
        let id = match &event.identity {
            Identity::Id(id) => *id,
            Identity::MessageId(_) => EventId::generate(u64::try_from(now.timestamp_millis()).unwrap_or(0)),
        };
        let received = message.received().unwrap_or_else(|| domain::time::truncate_to_millis(now));
        let created = event.created.unwrap_or(received);
        Self {
            message,
            position,
            key: event.identity.to_string(),
            id,
            created,
            received,
            trace: message.trace().cloned(),
            trace_span: None,
            event,
        }
    }

    /// Returns why the event is not accepted any more, if so. It may have become too old while it waited to be stored.
    pub(crate) fn check_age(&self, now: Timestamp, retention: TimeDelta) -> Option<Rejection> {
        event::decode_event(self.message.body(), self.message.message_id(), now, retention).err()
    }
}

impl<M> AcceptedEvent<'_, M> {
    /// Brand and key, by which the event is stored once.
    pub(crate) fn unique_key(&self) -> (&BrandId, &str) {
        (&self.event.brand_id, &self.key)
    }

    /// Returns the event's head with the id and the time that the database has for it.
    pub(crate) fn head(&self, id: EventId, created: Timestamp) -> EventHead {
        EventHead {
            id,
            brand_id: self.event.brand_id.clone(),
            created,
            event_type: self.event.event_type.clone(),
        }
    }

    /// Starts a trace span if traces are exported. It uses this machine's clock at its start and at its end.
    pub(crate) fn start_trace(&mut self, traces: &Traces) {
        let parent = self.trace.as_ref().map(ToString::to_string);
        self.trace_span = traces.start_span("route event", SpanKind::Consumer, parent, SystemTime::now());
        if let Some(span) = &mut self.trace_span {
            span.set_attribute("messaging.system", "rabbitmq");
            span.set_attribute("postrider.event.id", self.id.to_string());
            span.set_attribute("postrider.brand", self.event.brand_id.to_string());
            span.set_attribute("postrider.event.type", self.event.event_type.as_str().to_owned());
            self.trace = span.traceparent().parse().ok();
        }
    }
}
