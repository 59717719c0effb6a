//! Decoding: the messages of a batch become accepted events, or are rejected.

mod accepted_event;
mod backlog_message;
mod rejected;
mod rejecting;
mod taken;

use chrono::TimeDelta;
use domain::event::{self, IncomingEvent, RejectReason, Rejection};
use domain::time::Timestamp;

pub(crate) use accepted_event::{AcceptedEvent, IncomingMessage};
pub(crate) use backlog_message::{BacklogFigures, BacklogMessage};
pub(crate) use rejected::{Rejected, rejected_message};
pub(crate) use rejecting::{HeldBytes, RejectingBytes};
pub(crate) use taken::Taken;

/// The events and the rejected messages of a batch.
pub(crate) struct DecodedBatch<'a, M = Taken> {
    pub(crate) accepted: Vec<AcceptedEvent<'a, M>>,
    pub(crate) rejected: Vec<Rejected>,
}

/// Decodes a batch.
pub(crate) fn decode_batch<'a, M: IncomingMessage>(
    batch: impl IntoIterator<Item = &'a M>,
    now: Timestamp,
    retention: TimeDelta,
) -> DecodedBatch<'a, M> {
    let mut decoded = DecodedBatch { accepted: Vec::new(), rejected: Vec::new() };
    for (position, message) in batch.into_iter().enumerate() {
        match decode_message(message, now, retention) {
            Ok(event) => decoded.accepted.push(AcceptedEvent::new(message, position, event, now)),
            Err(rejection) => decoded.rejected.push(Rejected { position, rejection }),
        }
    }
    decoded
}

/// Decodes a message, unless a part of it cannot be read, such as a routing key that is not UTF-8.
fn decode_message<M: IncomingMessage>(
    message: &M,
    now: Timestamp,
    retention: TimeDelta,
) -> Result<IncomingEvent<'_>, Rejection> {
    if let Some(unreadable) = message.unreadable() {
        return Err(Rejection::new(RejectReason::Unreadable, unreadable.to_string()));
    }
    event::decode_event(message.body(), message.message_id(), now, retention)
}

#[cfg(test)]
mod tests {
    use broker::Unreadable;
    use domain::trace::TraceParent;

    use super::*;

    struct TestMessage(String);

    impl IncomingMessage for TestMessage {
        fn body(&self) -> &[u8] {
            self.0.as_bytes()
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
            false
        }
    }

    #[test]
    fn an_event_that_becomes_too_old_while_it_waits_is_rejected_then() {
        let now = chrono::Utc::now();
        let retention = TimeDelta::days(7);
        let created = domain::time::truncate_to_millis(now - TimeDelta::days(6)).to_rfc3339();
        let id = "01JD3ZJ8Q0000000000000000A";
        let body = format!(r#"{{"id":"{id}","brandId":"acme","type":"A","created":"{created}","data":1}}"#);
        let batch = [TestMessage(body)];
        let DecodedBatch { accepted, rejected } = decode_batch(&batch, now, retention);
        assert!(rejected.is_empty() && accepted[0].check_age(now, retention).is_none());
        let later = accepted[0].check_age(now + TimeDelta::days(2), retention).expect("expired");
        assert_eq!(later.reason, RejectReason::CreatedOutOfRange);
    }
}
