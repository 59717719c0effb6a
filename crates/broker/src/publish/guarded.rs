//! A publisher that no single queue can block.
//!
//! It bypasses a queue that does not answer or that refuses messages, until the queue stores messages again. The caller
//! decides what happens to the messages of a blocked queue.

use runtime::tasks;
use std::sync::Arc;
use std::time::Duration;

use runtime::retry::Backoff;

use super::blocked_queues::{BlockedQueues, QueueHealth};
use super::outgoing::{Outgoing, Route};
use super::prober::{PROBE_TIMEOUT, ProbeResult, Prober};
use super::publisher::Publisher;
use crate::error::BrokerError;

/// Time without a confirm after which the queue is probed. A broker that is merely busy confirms sooner.
const PROBE_DELAY: Duration = Duration::from_secs(1);
/// Time without a confirm after which the message is published again over another connection. A probe that began after
/// [`PROBE_DELAY`] has its result by then.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);

const _: () = assert!(CONFIRM_TIMEOUT.as_secs() > PROBE_DELAY.as_secs() + 2 * PROBE_TIMEOUT.as_secs());

/// Publishes with confirms, and bypasses blocked queues. Cheap to clone.
#[derive(Debug, Clone)]
pub struct GuardedPublisher {
    publisher: Publisher,
    prober: Prober,
    blocked: Arc<BlockedQueues>,
}

/// The result of publishing a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// RabbitMQ has the message.
    Confirmed,
    /// The queue stores nothing. RabbitMQ may have the message all the same.
    Blocked,
}

impl GuardedPublisher {
    /// Wraps a publisher.
    #[must_use]
    pub fn new(publisher: Publisher, prober: Prober) -> Self {
        Self { publisher, prober, blocked: Arc::default() }
    }

    /// Publishes a message, and retries until RabbitMQ confirms it or its queue turns out to be blocked.
    ///
    /// `queue` is the key of the queue in [`BlockedQueues`]. `message` creates the message; its argument says whether
    /// RabbitMQ may have stored an earlier copy. `on_error` is called after each failure.
    pub async fn publish(
        &self,
        queue: &str,
        route: Route<'_>,
        message: impl Fn(bool) -> Outgoing,
        on_error: impl Fn(&BrokerError),
    ) -> Published {
        let mut backoff = Backoff::default();
        let mut repeated = false;
        while !self.bypasses(queue, route) {
            let outgoing = message(repeated);
            let published = tokio::select! {
                published = self.publisher.publish_within(CONFIRM_TIMEOUT, route, &outgoing) => published,
                () = self.found_blocked(route) => {
                    self.block_and_abandon(queue).await;
                    break;
                }
            };
            let Err(error) = published else { return Published::Confirmed };
            on_error(&error);
            if matches!(error, BrokerError::Nacked) && self.prober.probe_queue(route).await.is_blocked() {
                self.blocked.block(queue);
                break;
            }
            repeated = true;
            backoff.wait().await;
        }
        Published::Blocked
    }

    /// Returns how many queues are blocked.
    #[must_use]
    pub fn blocked_queues(&self) -> usize {
        self.blocked.count()
    }

    /// Returns whether a queue is blocked.
    #[must_use]
    pub fn is_blocked(&self, queue: &str) -> bool {
        self.blocked.contains(queue)
    }

    /// Publishes to a queue again, because it was declared again.
    pub fn unblock(&self, queue: &str) {
        self.blocked.unblock(queue);
    }

    /// Probes a queue.
    pub async fn probe_queue(&self, route: Route<'_>) -> ProbeResult {
        self.prober.probe_queue(route).await
    }

    /// Resolves once a probe has shown that the queue stores nothing.
    async fn found_blocked(&self, queue: Route<'_>) {
        tokio::time::sleep(PROBE_DELAY).await;
        if !self.prober.probe_queue(queue).await.is_blocked() {
            std::future::pending::<()>().await;
        }
    }

    /// Marks a silent queue as blocked. Because it blocks the channel in use, the first caller that finds out abandons
    /// the channel, so that messages to other queues go over a new one.
    async fn block_and_abandon(&self, queue: &str) {
        if self.blocked.block(queue) {
            self.publisher.abandon().await;
        }
    }

    /// Returns whether a queue is bypassed, and probes it in the background if a probe is due.
    fn bypasses(&self, queue: &str, route: Route<'_>) -> bool {
        let health = self.blocked.health_of(queue);
        if health == QueueHealth::ProbeDue {
            let guarded = self.clone();
            let [queue, exchange, key] = [queue, route.exchange, route.key].map(str::to_owned);
            tasks::spawn_named("queue probe", async move {
                let route = Route { exchange: &exchange, key: &key };
                if matches!(guarded.prober.probe_queue(route).await, ProbeResult::Stores) {
                    guarded.blocked.unblock(&queue);
                }
            });
        }
        health != QueueHealth::Healthy
    }
}
