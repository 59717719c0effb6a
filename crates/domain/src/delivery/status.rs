//! The states of a delivery and the transitions between them.

use crate::vocabulary::vocabulary;
use crate::webhook::WebhookStatus;

vocabulary! {
    /// Where a delivery stands (contract §4). All but `Pending` are final until someone asks for
    /// one more delivery.
    DeliveryStatus {
        /// Queued, in flight, or waiting for its next attempt.
        Pending = "pending",
        /// An attempt was answered 2xx.
        Delivered = "delivered",
        /// The retries are used up or the window is over.
        Failed = "failed",
        /// Kept back because the platform or support disabled the webhook.
        Held = "held",
        /// Given up because the brand paused or deleted the webhook.
        Discarded = "discarded",
    }
}

/// What may happen to a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// An attempt of its latest round ended, and this follows from it: `Pending`, `Delivered` or `Failed`.
    Attempted(DeliveryStatus),
    /// An attempt of an older round ended: it counts as an attempt and decides nothing.
    AttemptedBefore,
    /// The window was over before the next attempt could start.
    WindowOver,
    /// The webhook stopped receiving; what waits becomes `Held` or `Discarded`.
    Stopped(DeliveryStatus),
    /// Someone asked for one more delivery: a new round begins.
    BegunAgain,
}

impl DeliveryStatus {
    /// Where a delivery that stands here stands after a transition. All changes of the status are these;
    /// the statements of `store` are held against this function.
    #[must_use]
    pub fn after(self, transition: Transition) -> Self {
        match (self, transition) {
            (_, Transition::BegunAgain) => Self::Pending,
            // An attempt that was in flight when the delivery ended, and arrived.
            (_, Transition::Attempted(Self::Delivered)) => Self::Delivered,
            (Self::Pending, Transition::Attempted(next) | Transition::Stopped(next)) => next,
            (Self::Pending, Transition::WindowOver) => Self::Failed,
            (status, _) => status,
        }
    }

    /// Returns how deliveries that wait end when their webhook gets the status `webhook`; `None` when they go on.
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

    /// Every transition from every status: what changes, and that all else stays.
    #[test]
    fn every_transition_leads_where_the_drawing_says() {
        use DeliveryStatus::{Delivered, Discarded, Failed, Held, Pending};
        let drawn = |from, transition| match (from, transition) {
            (Pending, Transition::Attempted(Failed) | Transition::WindowOver) => Failed,
            (Pending, Transition::Stopped(Held)) => Held,
            (Pending, Transition::Stopped(Discarded)) => Discarded,
            (_, Transition::Attempted(Delivered)) => Delivered,
            (_, Transition::BegunAgain) => Pending,
            _ => from,
        };
        let transitions = [
            Transition::Attempted(Pending),
            Transition::Attempted(Delivered),
            Transition::Attempted(Failed),
            Transition::AttemptedBefore,
            Transition::WindowOver,
            Transition::Stopped(Held),
            Transition::Stopped(Discarded),
            Transition::BegunAgain,
        ];
        for from in DeliveryStatus::ALL {
            for transition in transitions {
                assert_eq!(from.after(transition), drawn(*from, transition), "{from} {transition:?}");
            }
        }
    }
}
