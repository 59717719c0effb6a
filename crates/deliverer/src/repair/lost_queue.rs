//! Repairs the queue of a webhook.
//!
//! [`domain::queue_repair`] says when a queue is lost, and which deliveries are queued again. This module probes the
//! queue, recreates it, and fills it from the database. It may be interrupted anywhere: the queue is then silent again,
//! or whole, and a delivery that is queued twice is attempted once.
//!
//! A subscription to a lost queue blocks its channel, with every consumer on it, until RabbitMQ closes the connection.
//! So a queue is probed before a worker subscribes to it, by a message that the queue only has to confirm. A queue with
//! a subscription is probed when deliveries are due that do not come. Until the queue is recreated, its deliveries are
//! attempted from the database ([`crate::redelivery`]).

use broker::wire::{self, DeliveryMessage, WireData};
use broker::{BrokerError, Namespace, Outgoing, ProbeResult, Prober, Publisher, Route, Topology};
use chrono::TimeDelta;
use domain::ids::WebhookId;
use domain::queue_repair::{Diagnosis, QueueAnswer, SILENCE_TIMEOUT, refill_after};
use futures_util::future::join_all;
use runtime::retry::until_ok;
use store::delivery::orphaned::{self, PendingDelivery};
use store::{Store, StoreError, clock};
use tokio::time::Instant;
use tracing::warn;

use crate::delivery::messages::pending_message;
use crate::error::ServerError;
use crate::telemetry::{self, Operation};

const _: () = assert!(SILENCE_TIMEOUT.as_secs() >= 4 * broker::PROBE_TIMEOUT.as_secs());

/// Repairs queues of webhooks.
#[derive(Debug)]
pub(crate) struct QueueRepair {
    pub(crate) prober: Prober,
    pub(crate) topology: Topology,
    /// Publishes to queues that may be lost, so that nothing else waits for their confirms.
    pub(crate) publisher: Publisher,
    pub(crate) store: Store,
    pub(crate) names: Namespace,
}

impl QueueRepair {
    /// Whether a webhook's queue stores no messages, while the broker does.
    pub(crate) async fn is_blocked(&self, webhook: WebhookId) -> bool {
        self.probe(webhook).await.is_blocked()
    }

    /// Recreates a webhook's queue if it is lost, and queues deliveries again that are long due and in no queue.
    ///
    /// # Errors
    /// When the queue is lost and could not be recreated and filled. It is then examined again.
    pub(crate) async fn examine(&self, webhook: WebhookId) -> Result<(), ServerError> {
        let began = Instant::now();
        loop {
            let answer = self.ask_queue(webhook).await?;
            tokio::time::sleep(answer.probe_delay()).await;
            match answer.diagnose(began.elapsed()) {
                Diagnosis::Healthy => return self.refill_empty(webhook).await,
                Diagnosis::Suspect => {}
                Diagnosis::Lost => return self.recreate(webhook).await,
            }
        }
    }

    /// Declares a webhook's queue again, after another process may have deleted it.
    pub(crate) async fn declare_again(&self, webhook: WebhookId) -> Result<(), BrokerError> {
        self.topology.redeclare_webhook_queue(webhook).await
    }

    async fn probe(&self, webhook: WebhookId) -> ProbeResult {
        let exchange = self.names.deliveries_exchange();
        self.prober.probe_queue(Route { exchange: &exchange, key: &webhook.to_string() }).await
    }

    async fn ask_queue(&self, webhook: WebhookId) -> Result<QueueAnswer, BrokerError> {
        Ok(match self.probe(webhook).await {
            ProbeResult::Stores => QueueAnswer::Stores,
            ProbeResult::Silent(_) => QueueAnswer::Silent,
            ProbeResult::BrokerUnreachable(_) => QueueAnswer::BrokerAway,
            ProbeResult::Refuses if self.count_messages(webhook).await? == Some(0) => QueueAnswer::NoReplica,
            ProbeResult::Refuses => QueueAnswer::Full,
        })
    }

    async fn count_messages(&self, webhook: WebhookId) -> Result<Option<u32>, BrokerError> {
        self.topology.queue_depth(&self.names.webhook_queue(webhook)).await
    }

    /// Queues deliveries again that are long due, if the queue works and is empty.
    async fn refill_empty(&self, webhook: WebhookId) -> Result<(), ServerError> {
        let messages = self.count_messages(webhook).await?;
        let Some(overdue) = refill_after(false, messages) else { return Ok(()) };
        let queued = self.fill(webhook, overdue).await?;
        if queued > 0 {
            warn!(%webhook, queued, "deliveries were long due and in no queue; they were queued again");
        }
        Ok(())
    }

    /// Deletes the queue, declares it again, and queues the deliveries that are pending and due.
    async fn recreate(&self, webhook: WebhookId) -> Result<(), ServerError> {
        warn!(%webhook, "RabbitMQ has lost the queue of this webhook; recreating it");
        self.topology.delete_webhook_queue(webhook).await?;
        self.topology.redeclare_webhook_queue(webhook).await?;
        let queued = match refill_after(true, None) {
            Some(overdue) => self.fill(webhook, overdue).await?,
            None => 0,
        };
        warn!(%webhook, queued, "the queue of this webhook was recreated");
        Ok(())
    }

    /// Queues the deliveries that are pending and have been due for this long. Returns how many there were.
    async fn fill(&self, webhook: WebhookId, overdue: TimeDelta) -> Result<usize, StoreError> {
        let due_before = clock::now() - overdue;
        let mut after = None;
        let mut queued = 0;
        loop {
            let page = orphaned::list_orphaned(&self.store, webhook, due_before, after).await?;
            let Some(last) = page.last() else { return Ok(queued) };
            after = Some((last.created, last.event));
            queued += page.len();
            join_all(page.into_iter().map(|delivery| self.requeue_delivery(webhook, delivery))).await;
        }
    }

    async fn requeue_delivery(&self, webhook: WebhookId, delivery: PendingDelivery) {
        let DeliveryMessage { progress, head, data } = pending_message(delivery);
        let message = Outgoing::new(wire::encode(&progress, &head, WireData::of(&data)));
        let exchange = self.names.deliveries_exchange();
        let key = webhook.to_string();
        let route = Route { exchange: &exchange, key: &key };
        until_ok(
            || self.publisher.publish_within(broker::PROBE_TIMEOUT, route, &message),
            |error| telemetry::report_retry(Operation::RequeueDelivery, error),
        )
        .await;
    }
}
