//! Messages that the router rejects.

use broker::Outgoing;
use broker::rejected_queue::{BRAND_HEADER, DETAIL_HEADER, REASON_HEADER};
use domain::event::{self, Rejection};
use domain::rejected_share::REJECTED_RETENTION;

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

impl<M> Rejected<'_, M> {
    /// Reports the rejection.
    pub(crate) fn report(&self) {
        telemetry::message_rejected(&self.rejection);
    }
}

/// Creates the message for the queue of rejected messages: the complete message with the reason, and with the brand if
/// the body names one. It takes the body over, because the message may be large.
pub(crate) fn rejected_message(body: Vec<u8>, message_id: Option<&str>, rejection: &Rejection) -> Outgoing {
    let mut headers = vec![(REASON_HEADER, rejection.reason.as_str().to_owned())];
    headers.extend(event::read_brand_id(&body).map(|brand| (BRAND_HEADER, brand.as_str().to_owned())));
    headers.push((DETAIL_HEADER, rejection.detail().to_owned()));
    Outgoing {
        body,
        message_id: message_id.map(str::to_owned),
        headers,
        expiration: Some(REJECTED_RETENTION),
    }
}
