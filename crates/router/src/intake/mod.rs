//! Decoding: the messages of a batch become accepted events, or are rejected.

mod accepted_event;
mod backlog_message;
mod rejected;
mod rejecting;
mod taken;

use chrono::TimeDelta;
use domain::event::catalogue;
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

/// Decodes a batch. The platform's own events come through `ingest_exchange`.
pub(crate) fn decode_batch<'a, M: IncomingMessage>(
    batch: impl IntoIterator<Item = &'a M>,
    now: Timestamp,
    retention: TimeDelta,
    ingest_exchange: &str,
) -> DecodedBatch<'a, M> {
    let mut decoded = DecodedBatch { accepted: Vec::new(), rejected: Vec::new() };
    for (position, message) in batch.into_iter().enumerate() {
        match decode_message(message, now, retention, ingest_exchange) {
            Ok(event) => decoded.accepted.push(AcceptedEvent::new(message, position, event, now)),
            Err(rejection) => decoded.rejected.push(Rejected { position, rejection }),
        }
    }
    decoded
}

/// Decodes a message, unless a part of it cannot be read, such as a routing key that is not UTF-8.
///
/// An event of a built-in type is accepted from the platform alone, because the platform signs it and webhooks trust it.
fn decode_message<'a, M: IncomingMessage>(
    message: &'a M,
    now: Timestamp,
    retention: TimeDelta,
    ingest_exchange: &str,
) -> Result<IncomingEvent<'a>, Rejection> {
    if let Some(unreadable) = message.unreadable() {
        return Err(Rejection::new(RejectReason::Unreadable, unreadable.to_string()));
    }
    let event = event::decode_event(message.body(), message.message_id(), now, retention)?;
    let event_type = event.event_type.as_str();
    if catalogue::is_built_in(event_type) && !message.is_from_platform(ingest_exchange) {
        let detail = format!("{event_type} is built in; only the platform publishes its events");
        return Err(Rejection::new(RejectReason::BuiltInType, detail));
    }
    Ok(event)
}

#[cfg(test)]
mod tests {
    use broker::Unreadable;
    use domain::trace::TraceParent;

    use super::*;

    const INGEST: &str = "test.ingest";

    /// A message with this body that came through this exchange.
    struct TestMessage(String, &'static str);

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

        fn is_from_platform(&self, ingest_exchange: &str) -> bool {
            self.1 == ingest_exchange
        }
    }

    #[test]
    fn an_event_that_becomes_too_old_while_it_waits_is_rejected_then() {
        let now = chrono::Utc::now();
        let retention = TimeDelta::days(7);
        let created = domain::time::truncate_to_millis(now - TimeDelta::days(6)).to_rfc3339();
        let id = "01JD3ZJ8Q0000000000000000A";
        let body = format!(r#"{{"id":"{id}","brandId":"acme","type":"A","created":"{created}","data":1}}"#);
        let batch = [TestMessage(body, "test.events")];
        let DecodedBatch { accepted, rejected } = decode_batch(&batch, now, retention, INGEST);
        assert!(rejected.is_empty() && accepted[0].check_age(now, retention).is_none());
        let later = accepted[0].check_age(now + TimeDelta::days(2), retention).expect("expired");
        assert_eq!(later.reason, RejectReason::CreatedOutOfRange);
    }

    #[test]
    fn only_the_platform_publishes_events_of_built_in_types() {
        let body =
            r#"{"id":"01JD3ZJ8Q0000000000000000A","brandId":"acme","type":"WEBHOOK.DISABLED","data":1}"#;
        let batch = [INGEST, "test.events", "", "test.backlog"]
            .map(|exchange| TestMessage(body.to_owned(), exchange));
        let DecodedBatch { accepted, rejected } =
            decode_batch(&batch, chrono::Utc::now(), TimeDelta::days(7), INGEST);
        assert_eq!(accepted.iter().map(|event| event.position).collect::<Vec<_>>(), [0]);
        let reasons: Vec<_> =
            rejected.iter().map(|rejected| (rejected.position, rejected.rejection.reason)).collect();
        assert_eq!(reasons, [1, 2, 3].map(|position| (position, RejectReason::BuiltInType)));
    }
}
