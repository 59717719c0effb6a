//! Consumes the quarantine: the messages that RabbitMQ moved out of the ingest queues.
//!
//! The router adds the reason that support and producers look for, and publishes each message to the queue of rejected
//! messages. The quarantine also holds messages that a router rejected while that queue took none.

use broker::moved::{self, MovedEvent};
use broker::{Death, Ending, Message, Outgoing, Route, Subscription};
use domain::event::{RejectReason, Rejection};
use runtime::error::Chain;
use runtime::retry::Backoff;
use tracing::{Instrument, error_span, info, warn};

use super::consumer::EventConsumer;
use super::rejected_budget::Room;
use crate::batch::UnmatchedMessage;
use crate::intake::{IncomingMessage, Taken, rejected_message};
use crate::telemetry::{self, Operation};

/// Unacknowledged messages, few because a message that kills the process returns all of them.
const PREFETCH: u16 = 5;
/// Tries to publish a message before it is requeued, so that others get their turn.
const MAX_TRIES: u32 = 20;

/// Consumes the quarantine until the process stops.
pub(crate) async fn consume_quarantine(consumer: EventConsumer) {
    let queue = consumer.topology.names().quarantine_queue();
    let span = error_span!("consume", queue);
    consume_with_retries(&consumer, &queue).instrument(span).await;
}

async fn consume_with_retries(consumer: &EventConsumer, queue: &str) {
    let mut backoff = Backoff::default();
    while !consumer.stop.is_cancelled() {
        match subscribe_safely(consumer, queue).await {
            Ok(mut subscription) => {
                info!("taking quarantined messages");
                backoff = Backoff::default();
                handle_messages(consumer, &mut subscription).await;
            }
            Err(error) => {
                warn!(error = %Chain(&error), "could not subscribe to the quarantine; retrying")
            }
        }
        tokio::select! { () = consumer.stop.cancelled() => {}, () = backoff.wait() => {} }
    }
}

async fn subscribe_safely(
    consumer: &EventConsumer,
    queue: &str,
) -> Result<Subscription, broker::BrokerError> {
    let route = Route { exchange: queue, key: queue };
    consumer.prober.check_consumable(&consumer.topology, queue, route).await?;
    consumer.consumers.subscribe(queue, PREFETCH).await
}

async fn handle_messages(consumer: &EventConsumer, subscription: &mut Subscription) {
    loop {
        let message = tokio::select! {
            () = consumer.stop.cancelled() => return subscription.end(Ending::Cancelled).await,
            message = subscription.next() => message,
        };
        let Some(message) = message else { return };
        let span = error_span!("message", message_id = message.message_id.as_deref());
        let mut taken = Taken::new(message);
        let handled = tokio::select! {
            () = consumer.stop.cancelled() => return,
            handled = handle_message(consumer, &mut taken).instrument(span.clone()) => handled,
        };
        if handled {
            taken.ack();
        } else if let Err(error) = taken.carrier().requeue().await {
            let error = Chain(&error);
            span.in_scope(
                || warn!(%error, "could not requeue a quarantined message; RabbitMQ redelivers it"),
            );
        }
    }
}

/// Handles a message, and returns whether to acknowledge it.
async fn handle_message(consumer: &EventConsumer, taken: &mut Taken) -> bool {
    let message = taken.carrier();
    if message.deaths.is_empty() && consumer.is_probe(message) {
        return true;
    }
    let Some(rejection) = find_rejection(consumer, taken).await else { return true };
    // A message that a router rejected before has its room already. One that RabbitMQ moved here has not, although its
    // producer may have set the same headers.
    let message = taken.carrier();
    let has_room = find_ingest_death(consumer, message).is_none() && earlier_rejection(message).is_some();
    for rejected in to_rejected(consumer, taken, &rejection) {
        let room = if has_room { None } else { consumer.router.rejections.take_room(&rejected) };
        if !has_room && room.is_none() {
            continue;
        }
        if !publish_rejected(consumer, &rejected).await {
            return false;
        }
        room.into_iter().for_each(Room::fill);
    }
    true
}

/// Creates the messages for the queue of rejected messages. A message from the backlog of a brand contains events that
/// are rejected each.
fn to_rejected(consumer: &EventConsumer, taken: &mut Taken, rejection: &Rejection) -> Vec<Outgoing> {
    match moved_events(consumer, taken) {
        Some(events) => {
            let rejected = |event: &MovedEvent| {
                rejected_message(event.body.to_vec(), event.message_id.as_deref(), rejection)
            };
            events.iter().map(rejected).collect()
        }
        None => vec![taken.take_rejected(rejection)],
    }
}

/// Returns the events in a message from the backlog of a brand; `None` for another message.
fn moved_events(consumer: &EventConsumer, taken: &Taken) -> Option<Vec<MovedEvent>> {
    let names = consumer.topology.names();
    let is_moved = taken.carrier().deaths.iter().any(|death| names.is_backlog_queue(&death.queue));
    if is_moved { moved::decode_moved(taken.body().to_vec()).ok() } else { None }
}

/// Publishes a rejected message. Returns whether RabbitMQ confirmed it.
async fn publish_rejected(consumer: &EventConsumer, rejected: &Outgoing) -> bool {
    let mut backoff = Backoff::default();
    for _ in 0..MAX_TRIES {
        let Err(error) = consumer.router.rejections.publish(rejected).await else { return true };
        telemetry::operation_failed(Operation::QuarantineMessage, &error);
        backoff.wait().await;
    }
    false
}

/// Returns the reason to reject the message; `None` if it was handled as an event.
async fn find_rejection(consumer: &EventConsumer, taken: &Taken) -> Option<Rejection> {
    let message = taken.carrier();
    let Some(death) = find_ingest_death(consumer, message) else {
        // A router rejected the message while the queue of rejected messages took none, and added the reason.
        if let Some(rejection) = earlier_rejection(message) {
            telemetry::message_rejected(&rejection);
            return Some(rejection);
        }
        let mut handler = consumer.router.handler.lock().await;
        return handler.handle_batch(&[taken]).await.rejections.remove(&0);
    };
    let rejection = match message.unreadable {
        _ if death.reason == Death::EXPIRED => Rejection::new(
            RejectReason::Expired,
            "its expiration passed before a router took it; publish events without expiration",
        ),
        Some(unreadable) => Rejection::new(RejectReason::Unreadable, unreadable.to_string()),
        None => Rejection::new(
            RejectReason::Poison,
            "it was returned to its queue again and again without being handled: its consumer died of it",
        ),
    };
    telemetry::message_rejected(&rejection);
    record_rejection(consumer, taken, &rejection).await;
    Some(rejection)
}

/// Records the events of a message, so that people find out what became of them.
async fn record_rejection(consumer: &EventConsumer, taken: &Taken, rejection: &Rejection) {
    let events = moved_events(consumer, taken);
    let messages = match &events {
        Some(events) => events.iter().map(|event| UnmatchedMessage::moved(event, rejection)).collect(),
        None => vec![UnmatchedMessage::new(taken, rejection)],
    };
    consumer.router.handler.lock().await.record_rejections(messages).await;
}

/// Returns the reason that a router gave in an earlier rejection.
fn earlier_rejection(message: &Message) -> Option<Rejection> {
    let (word, detail) = message.rejection.as_ref()?;
    let reason: RejectReason = word.parse().ok()?;
    Some(Rejection::new(reason, detail))
}

/// Returns the reason why RabbitMQ moved the message out of an ingest queue or a backlog.
fn find_ingest_death<'a>(consumer: &EventConsumer, message: &'a Message) -> Option<&'a Death> {
    let names = consumer.topology.names();
    let queues = [names.ingest_queue(), names.ingest_spare_queue()];
    let is_ours = |death: &&Death| queues.contains(&death.queue) || names.is_backlog_queue(&death.queue);
    message.deaths.iter().find(is_ours)
}
