//! Messages that the router rejects.

use broker::Outgoing;
use domain::event::Rejection;
use tracing::error_span;

use super::accepted_event::{AcceptedEvent, IncomingMessage};
use super::taken::Taken;
use crate::telemetry;

/// A message that the router rejects, with the reason.
pub(crate) struct Rejected<'a, M = Taken> {
    pub(crate) message: &'a M,
    /// The number of the message in its batch.
    pub(crate) position: usize,
    /// The event of the message, if it could be decoded.
    pub(crate) event: Option<&'a AcceptedEvent<'a, M>>,
    pub(crate) rejection: Rejection,
}

impl<'a, M> Rejected<'a, M> {
    /// Rejects an event that was accepted before.
    pub(crate) fn new(event: &'a AcceptedEvent<'a, M>, rejection: Rejection) -> Self {
        Self { message: event.message, position: event.position, event: Some(event), rejection }
    }
}

impl<M: IncomingMessage> Rejected<'_, M> {
    /// Reports the rejection.
    pub(crate) fn report(&self) {
        let span = match self.event {
            Some(event) => event.log_span(),
            None => error_span!("message", message_id = self.message.message_id()),
        };
        span.in_scope(|| telemetry::message_rejected(&self.rejection));
    }
}

/// Creates the message for the queue of rejected messages: the complete message with the reason. It takes the body over,
/// because the message may be large.
pub(crate) fn rejected_message(body: Vec<u8>, message_id: Option<&str>, rejection: &Rejection) -> Outgoing {
    Outgoing {
        body,
        message_id: message_id.map(str::to_owned),
        headers: vec![
            ("x-reject-reason", rejection.reason.as_str().to_owned()),
            ("x-reject-detail", rejection.detail().to_owned()),
        ],
        ..Outgoing::default()
    }
}
