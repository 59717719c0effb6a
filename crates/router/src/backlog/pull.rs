//! Takes one message from the backlog of a brand.

use std::sync::{Arc, Weak};

use broker::moved::{self, MovedEvent};
use broker::{BrokerError, Message, Puller};
use domain::event::{RejectReason, Rejection};
use domain::ids::BrandId;
use runtime::error::Chain;
use tracing::warn;

use super::Backlogs;
use super::mover::size_of_events;
use crate::intake::{BacklogMessage, Taken};
use crate::queues::consumer::MIN_SUSPICIOUS_RETURNS;
use crate::telemetry;

/// A message from the backlog of a brand.
pub(super) enum Pulled {
    /// Events that take turns with those of other brands, and the message that they came in.
    Events(Vec<Taken>, Weak<BacklogMessage>),
    /// A message that is handled already.
    Handled,
    /// The queue has no message.
    Empty,
}

impl Backlogs {
    /// Takes the next message of a brand. A message that was returned several times is handled at once.
    pub(super) async fn pull(&self, brand_id: &BrandId, puller: &Puller) -> Result<Pulled, BrokerError> {
        let mut message = match puller.pull().await {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(Pulled::Empty),
            Err(error) if error.is_not_found() => return Ok(Pulled::Empty),
            Err(error) => return Err(error),
        };
        let events = match moved::decode_moved(std::mem::take(&mut message.body)) {
            Ok(events) => events,
            Err(error) => {
                self.reject_message(message, &error.to_string());
                return Ok(Pulled::Handled);
            }
        };
        if events.is_empty() {
            message.ack();
            return Ok(Pulled::Handled);
        }
        if message.returns >= MIN_SUSPICIOUS_RETURNS {
            self.handle_suspicious(brand_id, message, events).await;
            return Ok(Pulled::Handled);
        }
        let (taken, carrier) = self.take_events(brand_id, message, events);
        Ok(Pulled::Events(taken, carrier))
    }

    fn take_events(
        &self,
        brand_id: &BrandId,
        message: Message,
        events: Vec<MovedEvent>,
    ) -> (Vec<Taken>, Weak<BacklogMessage>) {
        let size = size_of_events(events.iter());
        let figures = self.figures.clone();
        let carrier = BacklogMessage::new(message, brand_id.clone(), events.len(), size, figures);
        let taken = |event| Taken::Moved(Box::new(event), Arc::clone(&carrier));
        (events.into_iter().map(taken).collect(), Arc::downgrade(&carrier))
    }

    /// Splits a message that was returned several times, because one of its events may kill its consumer. Each event gets
    /// a message of its own, so that RabbitMQ moves only that event to the quarantine.
    ///
    /// If the message cannot be split, its events are handled one by one. It is not requeued, because RabbitMQ would count
    /// that as a return, and move all of them to the quarantine in the end.
    async fn handle_suspicious(&self, brand_id: &BrandId, message: Message, events: Vec<MovedEvent>) {
        let events: Vec<MovedEvent> =
            events.into_iter().map(|event| MovedEvent { redelivered: true, ..event }).collect();
        if events.len() > 1 {
            let single: Vec<Vec<MovedEvent>> = events.iter().map(|event| vec![event.clone()]).collect();
            match self.publish(&self.splitter, brand_id, &single).await {
                Ok(()) => return message.ack(),
                Err(error) => {
                    let error = Chain(&error);
                    warn!(%error, brand = %brand_id, "could not split a message of a backlog; handling its events one by one");
                }
            }
        }
        let (taken, _) = self.take_events(brand_id, message, events);
        for event in taken {
            self.router.handle_taken(vec![event]).await;
        }
    }

    /// Rejects a message that no router published.
    fn reject_message(&self, message: Message, detail: &str) {
        let rejection = Rejection::new(RejectReason::Unreadable, detail);
        telemetry::message_rejected(&rejection);
        let mut taken = Taken::new(message);
        let outgoing = taken.take_rejected(&rejection);
        self.router.rejections.publish_in_background(vec![(taken, outgoing)]);
    }
}
