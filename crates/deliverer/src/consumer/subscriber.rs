//! Subscribes to the queue of a webhook.

use std::time::Duration;

use broker::{BrokerError, Consumers, Namespace, Outgoing, Prober, Publisher, Route, Subscription, Topology};
use domain::ids::WebhookId;

/// How often a queue is nudged at most, and how long a nudge lives.
pub(crate) const NUDGE_INTERVAL: Duration = Duration::from_secs(2);

/// Subscribes to the queues of webhooks.
#[derive(Debug)]
pub(crate) struct Subscriber {
    pub(crate) names: Namespace,
    pub(crate) topology: Topology,
    pub(crate) prober: Prober,
    pub(crate) consumers: Consumers,
    /// Publishes to queues that may be lost, so that nothing else waits for their confirms.
    pub(crate) publisher: Publisher,
}

impl Subscriber {
    /// Subscribes to a webhook's queue. The queue is declared if it is missing, and probed, because a subscription to a
    /// lost queue would block its channel.
    ///
    /// # Errors
    /// When the broker fails, or the queue is lost.
    pub(crate) async fn subscribe(
        &self,
        webhook: WebhookId,
        prefetch: u16,
    ) -> Result<Subscription, BrokerError> {
        self.topology.ensure_webhook_queue(webhook).await?;
        let queue = self.names.webhook_queue(webhook);
        let exchange = self.names.deliveries_exchange();
        let route = Route { exchange: &exchange, key: &webhook.to_string() };
        self.prober.check_consumable(&self.topology, &queue, route).await?;
        self.consumers.subscribe(&queue, prefetch).await
    }

    /// Publishes an empty message to a webhook's queue. The replica that receives it learns that it is the active
    /// consumer.
    ///
    /// # Errors
    /// When the broker does not confirm the message in time.
    pub(crate) async fn nudge(&self, webhook: WebhookId) -> Result<(), BrokerError> {
        let exchange = self.names.deliveries_exchange();
        let route = Route { exchange: &exchange, key: &webhook.to_string() };
        let nudge = Outgoing::empty_expiring(NUDGE_INTERVAL);
        self.publisher.publish_within(broker::PROBE_TIMEOUT, route, &nudge).await
    }
}
