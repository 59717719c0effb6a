//! A publisher that nobody's queue can hold up: one that answers nothing, or that refuses messages, is passed by until
//! it stores messages again. What becomes of its messages is for the caller to decide.

use std::sync::Arc;
use std::time::Duration;

use runtime::retry::Backoff;

use crate::blocked::{BlockedQueues, Treatment};
use crate::error::BrokerError;
use crate::prober::{Hearing, Prober};
use crate::publisher::{Outgoing, Publisher, Route};

/// How long a confirm may take before the queue is probed: a broker that is merely busy is quicker.
const SUSPECT_AFTER: Duration = Duration::from_secs(1);
/// How long a confirm may take before the message is published again over another connection. A probe that began
/// after [`SUSPECT_AFTER`] has its answer by then.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);

const _: () =
    assert!(CONFIRM_TIMEOUT.as_secs() > SUSPECT_AFTER.as_secs() + 2 * crate::prober::PROBE_TIMEOUT.as_secs());

/// Publishes with confirms, and passes blocked queues by. Cheap to clone.
#[derive(Debug, Clone)]
pub struct GuardedPublisher {
    publisher: Publisher,
    prober: Prober,
    blocked: Arc<BlockedQueues>,
}

/// How publishing a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// The broker has it.
    Confirmed,
    /// The queue stores nothing. It may have the message all the same.
    Blocked,
}

impl GuardedPublisher {
    /// Guards a publisher.
    #[must_use]
    pub fn new(publisher: Publisher, prober: Prober) -> Self {
        Self { publisher, prober, blocked: Arc::default() }
    }

    /// Publishes a message, again and again until the broker confirms it or its queue is found to be blocked. `queue`
    /// is what the queue is remembered by; `message` is told whether an earlier one may have been stored, and `failed`
    /// of each failure.
    pub async fn publish(
        &self,
        queue: &str,
        route: Route<'_>,
        message: impl Fn(bool) -> Outgoing,
        failed: impl Fn(&BrokerError),
    ) -> Published {
        let mut backoff = Backoff::default();
        let mut repeated = false;
        while !self.passes_by(queue, route) {
            let outgoing = message(repeated);
            let published = tokio::select! {
                published = self.publisher.publish_within(CONFIRM_TIMEOUT, route, &outgoing) => published,
                () = self.suspect(route) => {
                    self.leave_channel(queue).await;
                    break;
                }
            };
            let Err(error) = published else { return Published::Confirmed };
            failed(&error);
            if matches!(error, BrokerError::Nacked) && self.prober.hear(route).await.is_blocked() {
                self.blocked.block(queue);
                break;
            }
            repeated = true;
            backoff.wait().await;
        }
        Published::Blocked
    }

    /// How many queues are passed by.
    #[must_use]
    pub fn blocked_queues(&self) -> usize {
        self.blocked.count()
    }

    /// Whether a queue is passed by.
    #[must_use]
    pub fn is_blocked(&self, queue: &str) -> bool {
        self.blocked.contains(queue)
    }

    /// Uses a queue again, because it was declared anew.
    pub fn unblock(&self, queue: &str) {
        self.blocked.unblock(queue);
    }

    /// Asks a queue whether it stores messages.
    pub async fn hear(&self, route: Route<'_>) -> Hearing {
        self.prober.hear(route).await
    }

    /// Resolves once the queue is known to store nothing.
    async fn suspect(&self, queue: Route<'_>) {
        tokio::time::sleep(SUSPECT_AFTER).await;
        if !self.prober.hear(queue).await.is_blocked() {
            std::future::pending::<()>().await;
        }
    }

    /// Passes a silent queue by. It blocks the channel in use, so that messages to others have to go over the next;
    /// the first caller to find out leaves that channel.
    async fn leave_channel(&self, queue: &str) {
        if self.blocked.block(queue) {
            self.publisher.abandon().await;
        }
    }

    /// Whether a queue is passed by. Whether it stores messages again is asked in the background.
    fn passes_by(&self, queue: &str, route: Route<'_>) -> bool {
        let treatment = self.blocked.treatment(queue);
        if treatment == Treatment::Probe {
            let guarded = self.clone();
            let [queue, exchange, key] = [queue, route.exchange, route.key].map(str::to_owned);
            tokio::spawn(async move {
                let route = Route { exchange: &exchange, key: &key };
                if matches!(guarded.prober.hear(route).await, Hearing::Stores) {
                    guarded.blocked.unblock(&queue);
                }
            });
        }
        treatment != Treatment::Use
    }
}
