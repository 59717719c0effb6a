//! Messages that the router rejects.

use broker::{Message, Outgoing};
use domain::event::Rejection;
use tracing::error_span;

use super::accepted_event::AcceptedEvent;
use crate::telemetry;

/// A message that the router rejects, with the reason.
pub(crate) struct Rejected<'a, M = Message> {
    pub(crate) message: &'a M,
    /// The event of the message, if it could be decoded.
    pub(crate) event: Option<&'a AcceptedEvent<'a, M>>,
    pub(crate) rejection: Rejection,
}

impl<'a, M> Rejected<'a, M> {
    /// Rejects an event that was accepted before.
    pub(crate) fn new(event: &'a AcceptedEvent<'a, M>, rejection: Rejection) -> Self {
        Self { message: event.message, event: Some(event), rejection }
    }
}

impl Rejected<'_> {
    /// Reports the rejection, and creates the message for the queue of rejected messages.
    pub(crate) fn to_outgoing(&self) -> Outgoing {
        let span = match self.event {
            Some(event) => event.log_span(),
            None => error_span!("message", message_id = self.message.message_id.as_deref()),
        };
        span.in_scope(|| rejected_message(self.message, &self.rejection))
    }
}

/// Reports a rejection, and creates the complete message with its reason.
pub(crate) fn rejected_message(message: &Message, rejection: &Rejection) -> Outgoing {
    telemetry::message_rejected(rejection);
    Outgoing {
        body: message.body.clone(),
        message_id: message.message_id.clone(),
        headers: vec![
            ("x-reject-reason", rejection.reason.as_str().to_owned()),
            ("x-reject-detail", rejection.detail().to_owned()),
        ],
        ..Outgoing::default()
    }
}
