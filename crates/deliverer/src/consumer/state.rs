//! The state of a webhook's subscription, as one value with pure transitions.
//!
//! ```text
//!                 Subscribed                   MessageReceived
//! Connecting ───────────────────▶ Subscribed ──────────────────▶ Active
//!   │    ▲ ▲                        │  │                          │  │
//!   │    │ └──────── Ended ─────────┘  │ Draining                 │  │ Draining
//!   │    └────────── Ended ────────────┼──────────────────────────┘  │
//!   │ QueueLost                        └────────▶ Draining ◀─────────┘
//!   ▼                                                │
//! CutOff ── Subscribed ──▶ Subscribed   Connecting ◀─┘ Ended
//!
//! any state ── Closed ──▶ Closed
//! ```
//!
//! RabbitMQ hands a queue's messages out to its first subscriber only, the single active consumer. A replica learns
//! that it is the active one from the first message; until then it is `Subscribed`, whether it is the owner or the
//! standby. Each subscription is a [`SubscriptionEpoch`] with a token that is cancelled when it ends: RabbitMQ then
//! hands the unacknowledged messages out again.

use broker::Ending;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// One subscription of a webhook's queue.
#[derive(Debug, Clone)]
pub(crate) struct SubscriptionEpoch {
    /// Tells a subscription from its predecessors.
    pub(crate) number: u64,
    /// When the replica began to subscribe.
    pub(crate) began: Instant,
    /// Cancelled when the subscription ends.
    pub(crate) ended: CancellationToken,
}

impl SubscriptionEpoch {
    pub(crate) fn new(number: u64) -> Self {
        Self { number, began: Instant::now(), ended: CancellationToken::new() }
    }
}

/// The state of a subscription.
#[derive(Debug, Clone)]
pub(crate) enum SubscriptionState {
    /// The replica is not subscribed.
    Connecting,
    /// The replica is subscribed, and RabbitMQ has handed it no message. The owner starts here, too.
    Subscribed(SubscriptionEpoch),
    /// The replica is the queue's active consumer.
    Active(SubscriptionEpoch),
    /// The end of the subscription is decided, and its requests finish.
    Draining {
        /// The subscription.
        epoch: SubscriptionEpoch,
        /// Whether it was active before.
        was_active: bool,
        /// How it ends.
        ending: Ending,
    },
    /// The owner cannot subscribe because the queue is lost. No replica gets messages out of it, so that the owner
    /// attempts deliveries from the database.
    CutOff {
        /// Cancelled when the queue works again.
        ended: CancellationToken,
    },
    /// The worker ended.
    Closed,
}

/// A change of the state.
#[derive(Debug, Clone)]
pub(crate) enum SubscriptionChange {
    /// RabbitMQ accepted the subscription.
    Subscribed(SubscriptionEpoch),
    /// RabbitMQ handed a message out.
    MessageReceived,
    /// The subscription has to end: the one of this number, or whichever there is.
    Draining {
        /// The number of the epoch that has to end.
        epoch: Option<u64>,
        /// How it ends.
        ending: Ending,
    },
    /// The subscription ended.
    Ended,
    /// The replica could not subscribe, because the queue is lost.
    QueueLost,
    /// The worker ends.
    Closed,
}

impl SubscriptionState {
    /// Returns the state after a change, or `None` if it has no effect on this state.
    fn after(&self, change: &SubscriptionChange) -> Option<Self> {
        use SubscriptionState::{Active, Closed, Connecting, CutOff, Draining, Subscribed};
        match (self, change) {
            (Closed, _) => None,
            (_, SubscriptionChange::Closed) => Some(Closed),
            (Connecting | CutOff { .. }, SubscriptionChange::Subscribed(epoch)) => {
                Some(Subscribed(epoch.clone()))
            }
            (Connecting, SubscriptionChange::QueueLost) => Some(CutOff { ended: CancellationToken::new() }),
            (Subscribed(epoch), SubscriptionChange::MessageReceived) => Some(Active(epoch.clone())),
            (Subscribed(epoch) | Active(epoch), SubscriptionChange::Draining { epoch: named, ending })
                if named.is_none_or(|number| number == epoch.number) =>
            {
                let was_active = matches!(self, Active(_));
                Some(Draining { epoch: epoch.clone(), was_active, ending: *ending })
            }
            (Subscribed(_) | Active(_) | Draining { .. }, SubscriptionChange::Ended) => Some(Connecting),
            _ => None,
        }
    }

    /// Returns the token that is cancelled when this state's subscription, or its outage, ends.
    fn token(&self) -> Option<&CancellationToken> {
        match self {
            Self::Subscribed(epoch) | Self::Active(epoch) | Self::Draining { epoch, .. } => {
                Some(&epoch.ended)
            }
            Self::CutOff { ended } => Some(ended),
            Self::Connecting | Self::Closed => None,
        }
    }

    /// Whether both states belong to the same subscription.
    fn continues(&self, next: &Self) -> bool {
        let epoch = |state: &Self| match state {
            Self::Subscribed(epoch) | Self::Active(epoch) | Self::Draining { epoch, .. } => {
                Some(epoch.number)
            }
            Self::Connecting | Self::CutOff { .. } | Self::Closed => None,
        };
        epoch(self).is_some() && epoch(self) == epoch(next)
    }

    /// Whether RabbitMQ hands the queue's messages out to this replica.
    pub(crate) fn is_active(&self) -> bool {
        matches!(self, Self::Active(_) | Self::Draining { was_active: true, .. })
    }

    /// Whether no replica gets messages out of the queue.
    pub(crate) fn is_cut_off(&self) -> bool {
        matches!(self, Self::CutOff { .. })
    }

    /// Returns how the subscription has to end, once that is decided.
    pub(crate) fn ending(&self) -> Option<Ending> {
        match self {
            Self::Draining { ending, .. } => Some(*ending),
            _ => None,
        }
    }

    /// Returns until when this replica sends the webhook's deliveries from the database, if it does.
    pub(crate) fn sends_until(&self) -> Option<CancellationToken> {
        let sends = self.is_active() || self.is_cut_off();
        self.token().filter(|_| sends).cloned()
    }
}

/// The state of one webhook's subscription, shared by the tasks that work on it.
#[derive(Debug)]
pub(crate) struct SharedState(watch::Sender<SubscriptionState>);

impl Default for SharedState {
    fn default() -> Self {
        Self(watch::Sender::new(SubscriptionState::Connecting))
    }
}

impl SharedState {
    /// Changes the state, and cancels the token of a subscription or outage that ended with it. Returns whether the
    /// state changed.
    pub(crate) fn apply(&self, change: &SubscriptionChange) -> bool {
        self.0.send_if_modified(|state| {
            let Some(next) = state.after(change) else { return false };
            if let Some(ended) = state.token().filter(|_| !state.continues(&next)) {
                ended.cancel();
            }
            *state = next;
            true
        })
    }

    pub(crate) fn is_active(&self) -> bool {
        self.0.borrow().is_active()
    }

    pub(crate) fn is_cut_off(&self) -> bool {
        self.0.borrow().is_cut_off()
    }

    pub(crate) fn sends_until(&self) -> Option<CancellationToken> {
        self.0.borrow().sends_until()
    }

    /// Resolves when the subscription has to end.
    pub(crate) async fn wait_for_ending(&self) -> Ending {
        let mut changes = self.0.subscribe();
        loop {
            let ending = changes.borrow_and_update().ending();
            if let Some(ending) = ending {
                return ending;
            }
            if changes.changed().await.is_err() {
                unreachable!("the sender is borrowed");
            }
        }
    }
}

#[cfg(test)]
mod tests;
