//! Handles one message: delivers its deliveries, then acknowledges, splits or requeues the message.

use std::sync::Arc;
use std::time::Duration;

use broker::wire::{self, DeliveryMessage, InvalidDelivery};
use broker::{Ending, Message, Namespace, Outgoing, Publisher, Route};
use domain::ids::WebhookId;
use runtime::error::Chain;
use runtime::retry::until_ok;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::debug;

use crate::consumer::load::{MessageInHand, MessageLoad};
use crate::consumer::state::{SharedState, SubscriptionChange, SubscriptionEpoch};
use crate::delivery::messages::duplicate_message;
use crate::delivery::{DeliveryContext, DeliveryOutcome};
use crate::handler::Deliverer;
use crate::limiter::EndpointLimiter;
use crate::telemetry::{self, Operation};

/// How long the deliveries of a message wait for a free slot. The permit and the memory take as long as
/// `limiter::PERMIT_TIMEOUT` and `limiter::MEMORY_TIMEOUT`, and so may another message of the same delivery. The sum must
/// stay below the 30 minutes after which RabbitMQ takes a message back.
const SLOT_TIMEOUT: Duration = Duration::from_secs(300);

/// Handles messages of webhooks' queues.
#[derive(Debug)]
pub(crate) struct MessageHandler {
    pub(crate) names: Namespace,
    pub(crate) deliverer: Arc<Deliverer>,
    /// Publishes rejected messages.
    pub(crate) publisher: Publisher,
    /// Publishes to queues that may be lost, so that nothing else waits for their confirms.
    pub(crate) repair_publisher: Publisher,
}

/// The part of a webhook's worker that its messages use.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) webhook: WebhookId,
    pub(crate) limiter: EndpointLimiter,
    /// Bounds the deliveries that are handled at once: several messages may hold more.
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) state: SharedState,
    pub(crate) load: Arc<MessageLoad>,
}

/// The deliveries of a message that were not handled.
#[derive(Debug, Default)]
struct Unfinished {
    deliveries: Vec<DeliveryMessage>,
    /// Whether another replica may have them.
    is_stale: bool,
}

/// The end of a message whose deliveries were handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MessageFate {
    /// Acknowledge it.
    Acknowledge,
    /// Publish the unfinished deliveries as a message of their own, and acknowledge it. Otherwise RabbitMQ would hand
    /// the finished ones out again, and their retries would be queued twice.
    Split,
    /// Return it to the queue. If it is still ours it comes again, marked, so that the database is asked.
    Requeue,
}

impl MessageFate {
    /// Decides about a message of `total` deliveries. `is_ours`: whether RabbitMQ still counts it as ours.
    fn of(total: usize, unfinished: usize, is_ours: bool) -> Self {
        match unfinished {
            0 => Self::Acknowledge,
            some if some < total && is_ours => Self::Split,
            _ => Self::Requeue,
        }
    }
}

impl MessageHandler {
    /// Handles a message that was received in an epoch.
    pub(crate) async fn process(
        self: Arc<Self>,
        intake: Arc<Intake>,
        mut message: Message,
        epoch: SubscriptionEpoch,
        _in_hand: MessageInHand,
    ) {
        let deliveries = self.decode_message(&mut message).await;
        let total = deliveries.len();
        let context = DeliveryContext {
            maybe_duplicate: message.redelivered,
            redelivered: message.redelivered,
            received_since: epoch.began,
            subscription_ended: epoch.ended.clone(),
        };
        let unfinished = self.deliver_all(&intake, deliveries, &context).await;
        if unfinished.is_stale {
            intake.state.apply(&SubscriptionChange::Draining {
                epoch: Some(epoch.number),
                ending: Ending::Cancelled,
            });
        } else if !unfinished.deliveries.is_empty() && intake.limiter.is_closing() {
            // As long as the subscription lasts, RabbitMQ would hand the message out here again.
            epoch.ended.cancelled().await;
        }
        match MessageFate::of(total, unfinished.deliveries.len(), message.is_ours()) {
            MessageFate::Acknowledge => message.ack(),
            MessageFate::Split => match self.publish_rest(intake.webhook, unfinished.deliveries).await {
                true => message.ack(),
                false => requeue_message(intake.webhook, &message).await,
            },
            MessageFate::Requeue => requeue_message(intake.webhook, &message).await,
        }
    }

    /// Decodes a message into its deliveries. A probe has none, and a message that cannot be decoded is rejected.
    async fn decode_message(&self, message: &mut Message) -> Vec<DeliveryMessage> {
        if message.is_empty() {
            return Vec::new();
        }
        let body = std::mem::take(&mut message.body);
        match wire::decode(&body) {
            Ok(deliveries) => deliveries,
            Err(error) => {
                self.reject_message(message, body, &error).await;
                Vec::new()
            }
        }
    }

    async fn deliver_all(
        &self,
        intake: &Arc<Intake>,
        deliveries: Vec<DeliveryMessage>,
        context: &DeliveryContext,
    ) -> Unfinished {
        let deliver = |delivery: DeliveryMessage| {
            let deliverer = Arc::clone(&self.deliverer);
            let intake = Arc::clone(intake);
            let context = context.of_delivery(&delivery);
            async move {
                let outcome = deliverer.deliver(intake.webhook, &delivery, context, &intake.limiter).await;
                (outcome, delivery)
            }
        };
        handle_all(&intake.slots, &intake.limiter, deliveries, deliver).await
    }

    /// Publishes deliveries that were not begun behind the other messages of the queue. Returns whether RabbitMQ has
    /// them.
    async fn publish_rest(&self, webhook: WebhookId, deliveries: Vec<DeliveryMessage>) -> bool {
        let exchange = self.names.deliveries_exchange();
        let route = Route { exchange: &exchange, key: &webhook.to_string() };
        let rest = duplicate_message(deliveries);
        let published = self.repair_publisher.publish_within(broker::PROBE_TIMEOUT, route, &rest).await;
        if let Err(error) = &published {
            debug!(
                %webhook,
                error = %Chain(error),
                "cannot publish the rest of a message; the whole message is requeued"
            );
        }
        published.is_ok()
    }

    /// Moves a message that is no delivery of ours to the rejected messages, where support sees it as a whole.
    async fn reject_message(&self, message: &Message, body: Vec<u8>, error: &InvalidDelivery) {
        telemetry::report_invalid_message(&message.key, error);
        let rejected = Outgoing {
            body,
            message_id: message.message_id.clone(),
            headers: vec![
                ("x-reject-reason", "invalid_delivery".to_owned()),
                ("x-reject-detail", format!("found in the queue of webhook {}: {error}", message.key)),
            ],
            ..Outgoing::default()
        };
        let exchange = self.names.rejected_queue();
        let route = Route { exchange: &exchange, key: "" };
        until_ok(
            || self.publisher.publish_mandatory(route, &rejected),
            |error| telemetry::report_retry(Operation::RejectMessage, error),
        )
        .await;
    }
}

/// Handles deliveries, each in a free slot. Deliveries without a slot are unfinished when the limiter
/// closes, and after a timeout, because RabbitMQ takes the message back in the end.
async fn handle_all<Deliver, Delivering>(
    slots: &Arc<Semaphore>,
    limiter: &EndpointLimiter,
    deliveries: Vec<DeliveryMessage>,
    deliver: Deliver,
) -> Unfinished
where
    Deliver: Fn(DeliveryMessage) -> Delivering,
    Delivering: Future<Output = (DeliveryOutcome, DeliveryMessage)> + Send + 'static,
{
    let mut unfinished = Unfinished::default();
    let mut in_progress = JoinSet::new();
    let deadline = Instant::now() + SLOT_TIMEOUT;
    for delivery in deliveries {
        let slot = Arc::clone(slots).acquire_owned();
        let slot = tokio::select! {
            biased;
            () = limiter.closing() => None,
            slot = tokio::time::timeout_at(deadline, slot) => slot.ok().and_then(Result::ok),
        };
        let Some(slot) = slot else {
            unfinished.deliveries.push(delivery);
            continue;
        };
        let delivering = deliver(delivery);
        in_progress.spawn(async move {
            let _slot = slot;
            delivering.await
        });
    }
    while let Some(handled) = in_progress.join_next().await {
        match handled {
            Ok((outcome, delivery)) => unfinished.note_outcome(outcome, delivery),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
    unfinished
}

impl Unfinished {
    fn note_outcome(&mut self, outcome: DeliveryOutcome, delivery: DeliveryMessage) {
        self.is_stale |= outcome == DeliveryOutcome::Stale;
        if !outcome.is_handled() {
            self.deliveries.push(delivery);
        }
    }
}

/// Returns a message to its queue.
pub(crate) async fn requeue_message(webhook: WebhookId, message: &Message) {
    if let Err(error) = message.requeue().await {
        // The channel is gone, so that RabbitMQ hands the message out again.
        debug!(%webhook, error = %Chain(&error), "cannot requeue a message; it comes back by itself");
    }
}

#[cfg(test)]
mod tests;
