//! The states of a delivery and the transitions between them.
//!
//! [`DeliveryStatus::after`] is the only transition function. The tests of `store` compare its SQL statements with it.

use crate::vocabulary::vocabulary;
use crate::webhook::WebhookStatus;

vocabulary! {
    /// The state of a delivery (contract §4).
    ///
    /// Every state except `Pending` is final until a user requests a redelivery.
    DeliveryStatus {
        /// The delivery is queued, in flight, or waits for its next attempt.
        Pending = "pending",
        /// The endpoint answered an attempt with a 2xx status.
        Delivered = "delivered",
        /// No retry is left, or the retry window is over.
        Failed = "failed",
        /// The delivery is kept, because the platform or support disabled the webhook.
        Held = "held",
        /// The delivery was dropped, because the brand paused or deleted the webhook.
        Discarded = "discarded",
    }
}

/// An event in the life of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// An attempt of the latest round ended with this verdict: `Pending`, `Delivered` or `Failed`.
    Attempted(DeliveryStatus),
    /// An attempt of an older round ended; it is counted, but does not change the status.
    AttemptedInOlderRound,
    /// The retry window ended before the next attempt could start.
    WindowOver,
    /// The webhook stopped receiving events, so pending deliveries become `Held` or `Discarded`.
    WebhookStopped(DeliveryStatus),
    /// A user requested a redelivery, which starts a new round.
    RoundStarted,
    /// The redelivery was withdrawn before its first attempt, so that the delivery returns to this status.
    RoundWithdrawn(DeliveryStatus),
}

impl DeliveryStatus {
    /// Returns the status of a delivery after a transition.
    #[must_use]
    pub fn after(self, transition: Transition) -> Self {
        match (self, transition) {
            (_, Transition::RoundStarted) => Self::Pending,
            // The delivery ended while this attempt was in flight, and the endpoint accepted it nevertheless.
            (_, Transition::Attempted(Self::Delivered)) => Self::Delivered,
            (Self::Pending, Transition::Attempted(next) | Transition::WebhookStopped(next)) => next,
            (Self::Pending, Transition::WindowOver) => Self::Failed,
            (Self::Pending, Transition::RoundWithdrawn(former)) => former,
            (status, _) => status,
        }
    }

    /// Returns the status of pending deliveries after their webhook changed to `webhook`.
    ///
    /// Returns `None` if they stay pending.
    #[must_use]
    pub fn when_webhook_becomes(webhook: WebhookStatus) -> Option<Self> {
        match webhook {
            WebhookStatus::Active => None,
            WebhookStatus::Paused | WebhookStatus::Deleted => Some(Self::Discarded),
            WebhookStatus::Disabled => Some(Self::Held),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transition_from_every_status_follows_the_diagram() {
        use DeliveryStatus::{Delivered, Discarded, Failed, Held, Pending};
        let drawn = |from, transition| match (from, transition) {
            (Pending, Transition::Attempted(Failed) | Transition::WindowOver) => Failed,
            (Pending, Transition::WebhookStopped(Held)) => Held,
            (Pending, Transition::WebhookStopped(Discarded)) => Discarded,
            (_, Transition::Attempted(Delivered)) => Delivered,
            (_, Transition::RoundStarted) => Pending,
            _ => from,
        };
        let transitions = [
            Transition::Attempted(Pending),
            Transition::Attempted(Delivered),
            Transition::Attempted(Failed),
            Transition::AttemptedInOlderRound,
            Transition::WindowOver,
            Transition::WebhookStopped(Held),
            Transition::WebhookStopped(Discarded),
            Transition::RoundStarted,
        ];
        for from in DeliveryStatus::ALL {
            for transition in transitions {
                assert_eq!(from.after(transition), drawn(*from, transition), "{from} {transition:?}");
            }
        }
    }
}
