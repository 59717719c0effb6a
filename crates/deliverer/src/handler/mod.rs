//! Takes one delivery a step on. `Deliverer::take_step` reads like the list of the steps; [`Deliverer::deliver`] runs it
//! with the delivery's ids for the log.
//!
//! The order is the promise: attempt, record, queue what follows, and only then does the caller acknowledge the
//! message. The process may die between any two steps. RabbitMQ then hands the message out again, marked as
//! redelivered, and the database decides where to go on.

pub(crate) mod admission;
pub(crate) mod event_data;
pub(crate) mod in_flight;

use std::borrow::Cow;

use broker::wire::{DeliveryMessage, Progress};
use domain::admission::Admission;
use domain::delivery::attempt::Outcome;
use domain::delivery::envelope::EventData;
use domain::delivery::{DeliveryStatus, is_gone};
use domain::ids::WebhookId;
use store::delivery::record::DeliveryKey;

use crate::delivery::attempt::Attempter;
use crate::delivery::{Delivery, DeliveryContext, DeliveryOutcome, messages};
use crate::limiter::attempt_memory::Reservation;
use crate::limiter::{EndpointLimiter, Permit, Priority};
use crate::recording::Recording;
use crate::telemetry::{self, DeliveryIds};
use crate::webhook_cache::WebhookConfig;
use admission::{Admitter, Permission};
use event_data::{DeliveryData, EventDataLoader};
use in_flight::InFlight;

/// The right to make one attempt, and what it takes.
struct Means<'a> {
    permit: Permit,
    memory: Reservation,
    data: Cow<'a, str>,
}

/// Delivers: decides, attempts, records.
#[derive(Debug)]
pub(crate) struct Deliverer {
    pub(crate) in_flight: InFlight,
    pub(crate) admitter: Admitter,
    pub(crate) event_data: EventDataLoader,
    pub(crate) attempter: Attempter,
    pub(crate) recording: Recording,
}

impl Deliverer {
    /// Takes a delivery one step on, wherever it came from.
    pub(crate) async fn deliver(
        &self,
        webhook: WebhookId,
        message: &DeliveryMessage,
        context: DeliveryContext,
        limiter: &EndpointLimiter,
    ) -> DeliveryOutcome {
        let event = message.head.id;
        let ids = DeliveryIds { webhook, event, attempt: message.progress.attempt };
        let key = DeliveryKey { webhook, created: message.head.created, event };
        let delivery = Delivery { webhook, message, key, context };
        telemetry::within_delivery(ids, self.take_step(delivery, limiter)).await
    }

    /// Whether this process handles the delivery now.
    pub(crate) fn is_in_flight(&self, key: &DeliveryKey) -> bool {
        self.in_flight.contains(key)
    }

    /// The steps after the wait for a permit are on the heap. Otherwise each delivery that waits, and each wrapper around
    /// it, would have room for the whole state of an attempt.
    async fn take_step(&self, mut delivery: Delivery<'_>, limiter: &EndpointLimiter) -> DeliveryOutcome {
        // After a lost connection RabbitMQ hands a message out again while its attempt still runs here.
        let (_guard, has_waited) = self.in_flight.enter(delivery.key).await;
        delivery.context.note_predecessor(has_waited);
        let admission = self.admitter.admit_on_arrival(&delivery).await;
        if !matches!(admission, Admission::Attempt { .. }) {
            return Box::pin(self.carry_out(&delivery, admission)).await;
        }
        let means = match self.acquire_means(&delivery, limiter).await {
            Ok(means) => means,
            Err(outcome) => return outcome,
        };
        match self.admitter.admit_with_permit(&delivery) {
            Permission::Attempt(webhook) => {
                let delivered = Box::pin(self.attempt(&delivery, &webhook, means)).await;
                DeliveryOutcome::Attempted { delivered }
            }
            Permission::Refused(admission) => {
                drop(means);
                Box::pin(self.carry_out(&delivery, admission)).await
            }
        }
    }

    /// Waits for the permit, the memory and the data of an attempt, in this order: an attempt holds memory only while it
    /// is its endpoint's turn, and no data is in memory without a reservation.
    async fn acquire_means<'a>(
        &self,
        delivery: &Delivery<'a>,
        limiter: &EndpointLimiter,
    ) -> Result<Means<'a>, DeliveryOutcome> {
        let message = delivery.message;
        let priority = Priority::from(message.progress.trigger);
        let permit = limiter.acquire(priority).await.ok_or(DeliveryOutcome::Requeue)?;
        let loaded = match &message.data {
            EventData::Inline(_) => 0,
            EventData::Stored { bytes } => *bytes,
        };
        let memory = limiter.reserve_memory(loaded).await.ok_or(DeliveryOutcome::Requeue)?;
        let data = tokio::select! {
            biased;
            data = self.event_data.data_of(message) => data,
            () = limiter.closing() => return Err(DeliveryOutcome::Requeue),
        };
        match data {
            DeliveryData::Available(data) => Ok(Means { permit, memory, data }),
            DeliveryData::Expired => Err(DeliveryOutcome::Completed),
            DeliveryData::Unreadable => {
                drop((permit, memory));
                Box::pin(self.recording.finish_delivery(delivery, DeliveryStatus::Failed)).await;
                Err(DeliveryOutcome::Completed)
            }
        }
    }

    /// Does what a decision without an attempt asks for.
    async fn carry_out(&self, delivery: &Delivery<'_>, admission: Admission) -> DeliveryOutcome {
        let progress = &delivery.message.progress;
        match admission {
            Admission::Requeue => return DeliveryOutcome::Requeue,
            Admission::RequeueStale => return DeliveryOutcome::Stale,
            Admission::Expired | Admission::AlreadyClosed => {}
            Admission::AlreadyHandled => telemetry::count_repetition(),
            Admission::End(status) => self.recording.finish_delivery(delivery, status).await,
            Admission::WaitUntil(at) => self.recording.queue_delivery(delivery, progress, at).await,
            Admission::QueueRetry { at, first_started, recorded } => {
                telemetry::count_repetition();
                let next: Progress = messages::next_progress(progress, first_started, recorded, at);
                self.recording.queue_delivery(delivery, &next, at).await;
            }
            Admission::Attempt { .. } | Admission::ReloadWebhook | Admission::LookUpDelivery => {
                unreachable!("the admitter answers questions, and the caller attempts")
            }
        }
        DeliveryOutcome::Completed
    }

    /// Makes one attempt, and records it. Returns whether the endpoint accepted the event. The permit and most of the
    /// memory end with the request, so that recording holds nobody up.
    async fn attempt(&self, delivery: &Delivery<'_>, webhook: &WebhookConfig, means: Means<'_>) -> bool {
        let Means { permit, mut memory, data } = means;
        let attempt = self.attempter.attempt(delivery, webhook, data).await;
        memory.shrink_to_record();
        let delivered = attempt.facts.outcome == Outcome::Delivered;
        // Recording disables a webhook that is gone. Until then it gets no further request.
        let _paused = match is_gone(&attempt.facts) {
            true => Some(permit.pause()),
            false => {
                permit.finish(delivered);
                None
            }
        };
        self.recording.record_attempt(delivery, webhook, attempt).await;
        delivered
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::time::Duration;

    use domain::webhook::endpoint::Endpoint;
    use futures_util::FutureExt;
    use tokio::time::timeout;

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::delivery::context::tests::context;
    use crate::delivery::messages::tests::message;
    use crate::limiter::Limits;
    use crate::limiter::attempt_memory::tests::unshared;
    use crate::limiter::attempt_rate::AttemptRate;
    use crate::services::tests::offline_deliverer;
    use crate::webhook_cache::tests::webhook;

    const LIMITS: Limits = Limits::new(2, None);

    fn limiter(closing: &CancellationToken) -> EndpointLimiter {
        EndpointLimiter::new(LIMITS, AttemptRate::default(), unshared(), closing.clone())
    }

    /// A deliverer without servers, and the id of a webhook whose endpoint is forbidden, so that its attempts fail
    /// without a connection.
    fn deliverer() -> (Arc<Deliverer>, WebhookId) {
        let (deliverer, webhooks) = offline_deliverer();
        let endpoint = Endpoint::from_stored("https://10.0.0.1/").expect("an endpoint");
        let generation = message(None).progress.generation;
        let config = WebhookConfig { endpoint, generation, closed_generation: generation, ..webhook(7) };
        let id = config.id;
        webhooks.insert(config);
        (deliverer, id)
    }

    /// Thousands of deliveries wait for their permit at the same time (`crates/docs/adr/0051-memory-shares.md`).
    const MAX_WAITING_BYTES: usize = 3072;

    #[tokio::test]
    async fn a_delivery_that_waits_has_no_room_for_an_attempt() {
        let (deliverer, id) = deliverer();
        let limiter = limiter(&CancellationToken::new());
        let message = message(None);
        let size = size_of_val(&deliverer.deliver(id, &message, context(false, false), &limiter));
        assert!(size <= MAX_WAITING_BYTES, "{size}");
    }

    /// Long enough for an attempt without a connection.
    const ATTEMPT_DELAY: Duration = Duration::from_millis(300);

    #[tokio::test]
    async fn an_attempt_that_is_not_recorded_stays_in_flight_without_a_permit() {
        let (deliverer, id) = deliverer();
        let limiter = limiter(&CancellationToken::new());
        let message = message(None);
        let mut first = pin!(deliverer.deliver(id, &message, context(false, false), &limiter));
        assert!(timeout(ATTEMPT_DELAY, &mut first).await.is_err(), "the message must not be acknowledged");
        let key = DeliveryKey { webhook: id, created: message.head.created, event: message.head.id };
        assert!(deliverer.is_in_flight(&key));
        assert!(limiter.wait_until_idle().now_or_never().is_some(), "the request is over");
        let again = deliverer.deliver(id, &message, context(true, true), &limiter);
        assert!(timeout(ATTEMPT_DELAY, again).await.is_err(), "the same delivery waits for the first");
    }

    #[tokio::test]
    async fn a_delivery_without_a_permit_is_requeued() {
        let (deliverer, id) = deliverer();
        let closing = CancellationToken::new();
        closing.cancel();
        let outcome = deliverer.deliver(id, &message(None), context(false, false), &limiter(&closing)).await;
        assert_eq!(outcome, DeliveryOutcome::Requeue);
    }

    #[tokio::test]
    async fn a_delivery_whose_subscription_ended_is_requeued_without_an_attempt() {
        let (deliverer, id) = deliverer();
        let limiter = limiter(&CancellationToken::new());
        let context = context(false, false);
        context.subscription_ended.cancel();
        let outcome = deliverer.deliver(id, &message(None), context, &limiter).await;
        assert_eq!(outcome, DeliveryOutcome::Requeue);
        assert!(limiter.wait_until_idle().now_or_never().is_some(), "its permit is returned");
    }
}
