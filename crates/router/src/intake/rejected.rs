//! Messages that the router rejects.

use broker::Outgoing;
use broker::rejected_queue::{BRAND_HEADER, DETAIL_HEADER, REASON_HEADER, TIME_HEADER};
use domain::event::{self, Rejection};
use domain::rejected_share::REJECTED_RETENTION;
use domain::time::format_timestamp;
use store::clock;

use super::accepted_event::AcceptedEvent;
use crate::telemetry;

/// A message that the router rejects, with the reason.
pub(crate) struct Rejected {
    /// The number of the message in its batch.
    pub(crate) position: usize,
    pub(crate) rejection: Rejection,
}

impl Rejected {
    /// Rejects an event that was accepted before.
    pub(crate) fn new<M>(event: &AcceptedEvent<'_, M>, rejection: Rejection) -> Self {
        Self { position: event.position, rejection }
    }

    /// Reports the rejection.
    pub(crate) fn report(&self) {
        telemetry::message_rejected(&self.rejection);
    }
}

/// Creates the message for the queue of rejected messages: the complete message with the reason and the time, and with the
/// brand if the body names one. It takes the body over, because the message may be large.
pub(crate) fn rejected_message(body: Vec<u8>, message_id: Option<&str>, rejection: &Rejection) -> Outgoing {
    let mut headers = vec![(REASON_HEADER, rejection.reason.as_str().to_owned())];
    headers.push((TIME_HEADER, format_timestamp(clock::now())));
    headers.extend(event::read_brand_id(&body).map(|brand| (BRAND_HEADER, brand.as_str().to_owned())));
    headers.push((DETAIL_HEADER, rejection.detail().to_owned()));
    Outgoing {
        body,
        message_id: message_id.map(str::to_owned),
        headers,
        expiration: Some(REJECTED_RETENTION),
    }
}
