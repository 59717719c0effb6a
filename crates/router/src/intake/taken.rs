//! Messages that the router took from a queue.

use std::sync::Arc;

use broker::moved::MovedEvent;
use broker::{Message, Outgoing, Unreadable};
use domain::event::Rejection;
use domain::ids::BrandId;
use domain::time::Timestamp;
use domain::trace::TraceParent;

use super::accepted_event::IncomingMessage;
use super::backlog_message::BacklogMessage;
use super::rejected::rejected_message;

/// An event that the router took from a queue, until it is acknowledged.
pub(crate) enum Taken {
    /// A message of its own.
    Message(Box<Message>),
    /// One of the events in a message of a backlog.
    Moved(Box<MovedEvent>, Arc<BacklogMessage>),
}

impl Taken {
    pub(crate) fn new(message: Message) -> Self {
        Self::Message(Box::new(message))
    }

    /// Returns the message of RabbitMQ that carries the event.
    pub(crate) fn carrier(&self) -> &Message {
        match self {
            Self::Message(message) => message,
            Self::Moved(_, carrier) => &carrier.message,
        }
    }

    /// Acknowledges the event.
    pub(crate) fn ack(&self) {
        match self {
            Self::Message(message) => message.ack(),
            Self::Moved(_, carrier) => carrier.ack_event(),
        }
    }

    /// Returns whether the event is still ours. If it is not, RabbitMQ delivers it again.
    pub(crate) fn is_ours(&self) -> bool {
        self.carrier().is_ours()
    }

    /// Returns the brand of the backlog that the event comes from.
    pub(crate) fn backlog_brand(&self) -> Option<&BrandId> {
        match self {
            Self::Message(_) => None,
            Self::Moved(_, carrier) => Some(carrier.brand_id()),
        }
    }

    /// Returns the bytes that the event takes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Message(message) => message.memory_bytes(),
            Self::Moved(event, _) => event.body.len() + size_of::<Message>(),
        }
    }

    /// Creates the copy for the queue of rejected messages. The body moves into it.
    pub(crate) fn take_rejected(&mut self, rejection: &Rejection) -> Outgoing {
        let body = match self {
            Self::Message(message) => std::mem::take(&mut message.body),
            // The body shares the memory of its whole message, which is free once all of its events are taken.
            Self::Moved(event, _) => std::mem::take(&mut event.body).into(),
        };
        rejected_message(body, self.message_id(), rejection)
    }

    /// Returns the event in the form in which it waits in the backlog of its brand.
    pub(crate) fn to_moved(&self, now: Timestamp, ingest_exchange: &str) -> MovedEvent {
        MovedEvent {
            body: broker::moved::copy_body(self.body()),
            message_id: self.message_id().map(str::to_owned),
            trace: self.trace().cloned(),
            received: self.received().unwrap_or_else(|| domain::time::truncate_to_millis(now)),
            redelivered: self.redelivered(),
            is_from_platform: self.is_from_platform(ingest_exchange),
        }
    }
}

impl IncomingMessage for Taken {
    fn body(&self) -> &[u8] {
        match self {
            Self::Message(message) => &message.body,
            Self::Moved(event, _) => &event.body,
        }
    }

    fn message_id(&self) -> Option<&str> {
        match self {
            Self::Message(message) => message.message_id.as_deref(),
            Self::Moved(event, _) => event.message_id.as_deref(),
        }
    }

    fn unreadable(&self) -> Option<Unreadable> {
        match self {
            Self::Message(message) => message.unreadable,
            Self::Moved(..) => None,
        }
    }

    fn trace(&self) -> Option<&TraceParent> {
        match self {
            Self::Message(message) => message.trace.as_ref(),
            Self::Moved(event, _) => event.trace.as_ref(),
        }
    }

    fn redelivered(&self) -> bool {
        match self {
            Self::Message(message) => message.redelivered,
            Self::Moved(event, carrier) => event.redelivered || carrier.message.redelivered,
        }
    }

    fn is_from_platform(&self, ingest_exchange: &str) -> bool {
        match self {
            Self::Message(message) => message.exchange == ingest_exchange,
            Self::Moved(event, _) => event.is_from_platform,
        }
    }

    fn received(&self) -> Option<Timestamp> {
        match self {
            Self::Message(_) => None,
            Self::Moved(event, _) => Some(event.received),
        }
    }
}
