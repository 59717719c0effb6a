//! Messages that the router took from a queue.

use broker::{Message, Outgoing, Unreadable};
use domain::event::Rejection;
use domain::trace::TraceParent;

use super::accepted_event::IncomingMessage;
use super::rejected::rejected_message;

/// A message of an event that the router took from a queue, until it is acknowledged.
pub(crate) enum Taken {
    /// A message of its own.
    Message(Box<Message>),
}

impl Taken {
    pub(crate) fn new(message: Message) -> Self {
        Self::Message(Box::new(message))
    }

    /// Returns the message of RabbitMQ that carries the event.
    pub(crate) fn carrier(&self) -> &Message {
        match self {
            Self::Message(message) => message,
        }
    }

    /// Acknowledges the event.
    pub(crate) fn ack(&self) {
        match self {
            Self::Message(message) => message.ack(),
        }
    }

    /// Returns whether the event is still ours. If it is not, RabbitMQ delivers it again.
    pub(crate) fn is_ours(&self) -> bool {
        match self {
            Self::Message(message) => message.is_ours(),
        }
    }

    /// Returns the bytes that the event takes.
    pub(crate) fn bytes(&self) -> usize {
        self.body().len() + size_of::<Message>()
    }

    /// Creates the copy for the queue of rejected messages. The body moves into it.
    pub(crate) fn to_rejected(&mut self, rejection: &Rejection) -> Outgoing {
        let body = match self {
            Self::Message(message) => std::mem::take(&mut message.body),
        };
        rejected_message(body, self.message_id(), rejection)
    }
}

impl IncomingMessage for Taken {
    fn body(&self) -> &[u8] {
        match self {
            Self::Message(message) => &message.body,
        }
    }

    fn message_id(&self) -> Option<&str> {
        match self {
            Self::Message(message) => message.message_id.as_deref(),
        }
    }

    fn unreadable(&self) -> Option<Unreadable> {
        match self {
            Self::Message(message) => message.unreadable,
        }
    }

    fn trace(&self) -> Option<&TraceParent> {
        match self {
            Self::Message(message) => message.trace.as_ref(),
        }
    }

    fn redelivered(&self) -> bool {
        match self {
            Self::Message(message) => message.redelivered,
        }
    }
}
