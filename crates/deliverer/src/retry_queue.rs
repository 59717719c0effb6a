//! Publishes deliveries into the delay queues.
//!
//! Failed deliveries of one webhook with the same delay share a message, because each trip through a delay queue costs
//! two extra hops. Otherwise an endpoint that only fails would cost the broker many times as much as a working endpoint.
//!
//! A delay queue that stores nothing holds nobody up. The database knows its deliveries with the time of their next
//! attempt, and the webhook's owner attempts them from there ([`crate::redelivery`]). If the queue stays so, it is
//! recreated.

use runtime::tasks;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use broker::wire::{self, MAX_BATCH_BYTES, MAX_DELIVERIES};
use broker::{GuardedPublisher, Namespace, Outgoing, ProbeResult, Route, Topology};
use domain::delivery::retry::DelayLevels;
use domain::ids::WebhookId;
use domain::queue_repair::{Diagnosis, QueueAnswer};
use domain::time::Timestamp;
use futures_util::future::join_all;
use runtime::progress::WorkProgress;
use store::clock;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, warn};

use crate::telemetry::{self, Operation};

/// Longest time that a message waits for more deliveries. They come back that much later.
const MAX_LINGER: Duration = Duration::from_millis(50);
/// For short delays a message waits at most this part of the delay.
const LINGER_DIVISOR: u32 = 20;
/// How often blocked delay queues are examined.
const EXAMINE_INTERVAL: Duration = Duration::from_secs(5);

/// Publishes deliveries into the delay queues. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct RetryQueue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    publisher: GuardedPublisher,
    names: Namespace,
    levels: DelayLevels,
    progress: WorkProgress,
    /// Messages that wait for more deliveries. A task waits until RabbitMQ has its delivery, so that there are no more of
    /// them than deliveries in hand.
    open_batches: Mutex<HashMap<BatchKey, mpsc::Sender<WaitingDelivery>>>,
}

/// The webhook and the delay that the deliveries of a message have in common.
type BatchKey = (WebhookId, Duration);

/// A delivery on its way into a delay queue.
#[derive(Debug)]
struct WaitingDelivery {
    body: Vec<u8>,
    /// Signals that RabbitMQ has the delivery, or that it is left to the database.
    published: oneshot::Sender<()>,
}

impl RetryQueue {
    pub(crate) fn new(
        publisher: GuardedPublisher,
        names: Namespace,
        levels: DelayLevels,
        progress: WorkProgress,
    ) -> Self {
        Self(Arc::new(Inner { publisher, names, levels, progress, open_batches: Mutex::default() }))
    }

    /// Publishes a delivery, as [`wire::encode`] wrote it, into the delay queue that fits best; it comes back by itself.
    /// Returns once RabbitMQ has the delivery, or its queue stores nothing. The database has to know the time of the
    /// next attempt before.
    pub(crate) async fn publish(&self, webhook: WebhookId, body: Vec<u8>, until: Timestamp) {
        let remaining = (until - clock::now()).to_std().unwrap_or_default();
        let (sender, published) = oneshot::channel();
        let delay = self.0.levels.level_for(remaining);
        self.add_to_batch((webhook, delay), WaitingDelivery { body, published: sender });
        if published.await.is_err() {
            unreachable!("a message is published until it is confirmed or left to the database");
        }
    }

    /// Recreates delay queues that store nothing for long: the database has their deliveries, too. Runs for good.
    pub(crate) async fn repair_queues(self, topology: Topology) {
        let mut outages = Outages::default();
        loop {
            tokio::time::sleep(EXAMINE_INTERVAL).await;
            for delay in self.0.levels.delays() {
                let answer = self.ask_queue(*delay).await;
                if outages.diagnose(*delay, answer, Instant::now()) == Diagnosis::Lost {
                    self.recreate(&topology, *delay).await;
                }
            }
            telemetry::report_blocked_queues(self.0.publisher.blocked_queues());
        }
    }

    /// Probes a delay queue that is blocked. It has no limit of length, so that a queue which refuses messages has no
    /// replica that is up.
    async fn ask_queue(&self, delay: Duration) -> QueueAnswer {
        let exchange = self.0.names.delay_queue(delay);
        if !self.0.publisher.is_blocked(&exchange) {
            return QueueAnswer::Stores;
        }
        match self.0.publisher.probe_queue(Route { exchange: &exchange, key: "probe" }).await {
            ProbeResult::Silent(_) => QueueAnswer::Silent,
            ProbeResult::Refuses => QueueAnswer::NoReplica,
            ProbeResult::Stores => QueueAnswer::Stores,
            ProbeResult::BrokerUnreachable(_) => QueueAnswer::BrokerAway,
        }
    }

    async fn recreate(&self, topology: &Topology, delay: Duration) {
        warn!(?delay, "RabbitMQ has lost a delay queue; recreating it");
        match topology.recreate_delay_queue(delay).await {
            Ok(()) => self.0.publisher.unblock(&self.0.names.delay_queue(delay)),
            Err(error) => telemetry::report_retry(Operation::RepairQueue, &error),
        }
    }

    /// Adds a delivery to the open batch of its kind, or opens one.
    fn add_to_batch(&self, key: BatchKey, delivery: WaitingDelivery) {
        let mut batches = self.open_batches();
        let delivery = match batches.get(&key) {
            Some(open) => match open.try_send(delivery) {
                Ok(()) => return,
                Err(full_or_closed) => full_or_closed.into_inner(),
            },
            None => delivery,
        };
        let (open, more) = mpsc::channel(MAX_DELIVERIES);
        batches.insert(key, open);
        drop(batches);
        let publishing = self.clone().publish_batch(key, delivery, more);
        tasks::spawn_named("retry batch", publishing.instrument(telemetry::webhook_span(key.0)));
    }

    async fn publish_batch(
        self,
        key: BatchKey,
        first: WaitingDelivery,
        more: mpsc::Receiver<WaitingDelivery>,
    ) {
        let deadline = Instant::now() + linger_of(key.1);
        let gathered = gather(first, more, deadline).await;
        self.forget_batch(key);
        let messages = split_into_messages(gathered);
        join_all(messages.into_iter().map(|message| self.publish_message(key, message))).await;
    }

    fn forget_batch(&self, key: BatchKey) {
        let mut batches = self.open_batches();
        if batches.get(&key).is_some_and(mpsc::Sender::is_closed) {
            batches.remove(&key);
        }
    }

    async fn publish_message(&self, (webhook, delay): BatchKey, deliveries: Vec<WaitingDelivery>) {
        let exchange = self.0.names.delay_queue(delay);
        let route = Route { exchange: &exchange, key: &webhook.to_string() };
        let (bodies, waiting): (Vec<_>, Vec<_>) =
            deliveries.into_iter().map(|d| (d.body, d.published)).unzip();
        let body = wire::join_deliveries(bodies);
        let message = |_repeated| Outgoing::new(body.clone());
        let in_hand = self.0.progress.begin();
        let publishing = self.0.publisher.publish(&exchange, route, message, |error| {
            telemetry::report_retry(Operation::PublishRetry, error);
        });
        publishing.await;
        in_hand.done();
        telemetry::report_blocked_queues(self.0.publisher.blocked_queues());
        for published in waiting {
            // The task that waits may have been stopped meanwhile.
            let _ = published.send(());
        }
    }

    fn open_batches(&self) -> MutexGuard<'_, HashMap<BatchKey, mpsc::Sender<WaitingDelivery>>> {
        self.0.open_batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns how long a message with this delay waits for more deliveries.
fn linger_of(delay: Duration) -> Duration {
    MAX_LINGER.min(delay / LINGER_DIVISOR)
}

/// Gathers the deliveries of a batch until it is full, or until the deadline.
async fn gather(
    first: WaitingDelivery,
    mut more: mpsc::Receiver<WaitingDelivery>,
    deadline: Instant,
) -> Vec<WaitingDelivery> {
    let mut bytes = first.body.len();
    let mut gathered = vec![first];
    while gathered.len() < MAX_DELIVERIES && bytes < MAX_BATCH_BYTES {
        let Ok(Some(delivery)) = timeout_at(deadline, more.recv()).await else { break };
        bytes += delivery.body.len();
        gathered.push(delivery);
    }
    // The next delivery opens another batch. Deliveries that were added up to here still belong to this one.
    more.close();
    while let Some(delivery) = more.recv().await {
        gathered.push(delivery);
    }
    gathered
}

/// Splits deliveries into messages, as few as their limits allow, in order.
fn split_into_messages(deliveries: Vec<WaitingDelivery>) -> Vec<Vec<WaitingDelivery>> {
    let mut messages = Vec::<Vec<WaitingDelivery>>::new();
    let mut bytes = 0;
    for delivery in deliveries {
        let size = delivery.body.len();
        match messages.last_mut() {
            Some(message) if wire::has_room(message.len(), bytes, size) => {
                bytes += size;
                message.push(delivery);
            }
            _ => {
                bytes = size;
                messages.push(vec![delivery]);
            }
        }
    }
    messages
}

/// Since when each delay queue stores nothing.
#[derive(Debug, Default)]
struct Outages(HashMap<Duration, Instant>);

impl Outages {
    /// Judges a queue that answers so at `now`.
    fn diagnose(&mut self, delay: Duration, answer: QueueAnswer, now: Instant) -> Diagnosis {
        let since = *self.0.entry(delay).or_insert(now);
        let diagnosis = answer.diagnose(now - since);
        if diagnosis == Diagnosis::Healthy {
            self.0.remove(&delay);
        }
        diagnosis
    }
}

#[cfg(test)]
mod tests;
