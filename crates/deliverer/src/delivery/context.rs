//! One delivery in this process: what it is, how it came here, and how handling it ended.

use broker::wire::DeliveryMessage;
use domain::delivery::attempt::Trigger;
use domain::ids::WebhookId;
use store::delivery::record::DeliveryKey;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How a delivery came to this process.
#[derive(Debug, Clone)]
pub(crate) struct DeliveryContext {
    /// Whether someone may have acted on the delivery before.
    pub(crate) maybe_duplicate: bool,
    /// Whether RabbitMQ handed the message out before. A process may have died after it recorded an attempt and before
    /// it queued the retry.
    pub(crate) redelivered: bool,
    /// The earliest instant at which the message may have come: its subscription began, or its row was read.
    pub(crate) received_since: Instant,
    /// Cancelled when the subscription ends, because RabbitMQ then hands the message out again.
    pub(crate) subscription_ended: CancellationToken,
}

impl DeliveryContext {
    /// Returns the context of a delivery that was read from the database. Another replica may have had it before. If
    /// the delivery is no longer ours, its limiter is closed.
    pub(crate) fn from_database() -> Self {
        Self {
            maybe_duplicate: true,
            redelivered: false,
            received_since: Instant::now(),
            subscription_ended: CancellationToken::new(),
        }
    }

    /// Returns the context of one delivery out of a message with this context.
    pub(crate) fn of_delivery(&self, delivery: &DeliveryMessage) -> Self {
        let progress = &delivery.progress;
        let maybe_duplicate = self.maybe_duplicate || progress.repeated || progress.trigger != Trigger::Fresh;
        Self { maybe_duplicate, ..self.clone() }
    }

    /// Notes that another task of this process handled the delivery before. The database tells how that ended, and that
    /// task queued the retry.
    pub(crate) fn note_predecessor(&mut self, has_waited: bool) {
        self.maybe_duplicate |= has_waited;
        self.redelivered &= !has_waited;
    }
}

/// One delivery on its way through the steps.
#[derive(Debug)]
pub(crate) struct Delivery<'a> {
    pub(crate) webhook: WebhookId,
    pub(crate) message: &'a DeliveryMessage,
    pub(crate) key: DeliveryKey,
    pub(crate) context: DeliveryContext,
}

/// How handling a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeliveryOutcome {
    /// An attempt was made and recorded, and its retry confirmed or left to the database. The message may be
    /// acknowledged.
    Attempted {
        /// Whether the endpoint accepted the event.
        delivered: bool,
    },
    /// The delivery needs no attempt now, and what it needs is recorded or confirmed. The message may be acknowledged.
    Completed,
    /// Nothing was done. The message goes back to its queue, whose active consumer gets it again.
    Requeue,
    /// Nothing was done, because the process stalled after it received the message. Another replica may have it.
    Stale,
}

impl DeliveryOutcome {
    /// Whether the delivery needs no message any more.
    pub(crate) fn is_handled(self) -> bool {
        matches!(self, Self::Attempted { .. } | Self::Completed)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::delivery::messages::tests::message;

    pub(crate) fn context(maybe_duplicate: bool, redelivered: bool) -> DeliveryContext {
        DeliveryContext { maybe_duplicate, redelivered, ..DeliveryContext::from_database() }
    }

    #[test]
    fn only_a_fresh_delivery_of_a_message_that_is_no_copy_is_attempted_without_a_lookup() {
        for trigger in Trigger::ALL {
            for repeated in [false, true] {
                let mut delivery = message(None);
                delivery.progress.trigger = *trigger;
                delivery.progress.repeated = repeated;
                let of_fresh_message = context(false, false).of_delivery(&delivery);
                let is_certain = *trigger == Trigger::Fresh && !repeated;
                assert_eq!(of_fresh_message.maybe_duplicate, !is_certain, "{trigger} {repeated}");
                assert!(context(true, true).of_delivery(&delivery).maybe_duplicate, "it stays in doubt");
            }
        }
    }

    #[test]
    fn a_delivery_that_waited_for_another_task_is_compared_and_leaves_the_retry_to_that_task() {
        for (maybe_duplicate, redelivered) in [(false, false), (true, false), (true, true)] {
            let mut waited = context(maybe_duplicate, redelivered);
            waited.note_predecessor(true);
            assert_eq!((waited.maybe_duplicate, waited.redelivered), (true, false));
            let mut alone = context(maybe_duplicate, redelivered);
            alone.note_predecessor(false);
            assert_eq!((alone.maybe_duplicate, alone.redelivered), (maybe_duplicate, redelivered));
        }
    }

    #[test]
    fn a_message_is_needed_until_its_deliveries_are_handled() {
        let handled = [
            DeliveryOutcome::Attempted { delivered: false },
            DeliveryOutcome::Attempted { delivered: true },
            DeliveryOutcome::Completed,
            DeliveryOutcome::Requeue,
            DeliveryOutcome::Stale,
        ]
        .map(DeliveryOutcome::is_handled);
        assert_eq!(handled, [true, true, true, false, false]);
    }
}
