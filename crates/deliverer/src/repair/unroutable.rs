//! Handles deliveries whose webhook had no queue: they are sent on, to a queue that is declared if it is still missing, or
//! they end.

use std::sync::Arc;
use std::time::Duration;

use broker::wire::{self, DeliveryMessage};
use broker::{BrokerError, Consumers, Ending, Message, Outgoing, Route, Subscription};
use domain::delivery::DeliveryStatus;
use domain::ids::WebhookId;
use runtime::error::Chain;
use runtime::progress::{WorkItem, WorkProgress};
use runtime::retry::{Backoff, until_ok};
use store::Store;
use store::delivery::orphaned;
use store::delivery::record::{self, DeliveryEnd, DeliveryKey};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug};

use crate::delivery::messages::duplicate_message;
use crate::error::ServerError;
use crate::repair::lost_queue::QueueRepair;
use crate::telemetry::{self, Operation};
use crate::webhook_cache::{CachedWebhook, WebhookCache};

/// Messages handled at once.
const PREFETCH: u16 = 50;
/// Pause between declaring a queue and sending a message on. It slows down a message that comes back because its
/// queue was deleted again.
const SEND_ON_DELAY: Duration = Duration::from_millis(100);
/// How long a webhook's queue may take to confirm a message before the message is handled again.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);

/// Consumes the queue of unrouted deliveries.
#[derive(Debug)]
pub(crate) struct UnroutableConsumer {
    pub(crate) consumers: Consumers,
    pub(crate) router: Arc<UnroutableRouter>,
    pub(crate) progress: WorkProgress,
    pub(crate) tracker: TaskTracker,
}

/// Sends one unrouted message on.
#[derive(Debug)]
pub(crate) struct UnroutableRouter {
    pub(crate) repair: Arc<QueueRepair>,
    pub(crate) webhooks: Arc<WebhookCache>,
    pub(crate) store: Store,
}

/// The destination of an unrouted message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Destination {
    /// The webhook's queue, which is declared again.
    Queue,
    /// The database, from which the webhook's owner attempts the deliveries.
    Database,
    /// None: the deliveries are discarded.
    Discarded,
}

impl Destination {
    /// Decides by the webhook, as the cache has it. Another process may be able to read an unreadable one.
    fn of(webhook: &CachedWebhook) -> Self {
        match webhook {
            CachedWebhook::Known(webhook) if !webhook.is_deleted() => Self::Queue,
            CachedWebhook::Unreadable => Self::Database,
            CachedWebhook::Known(_) | CachedWebhook::Gone => Self::Discarded,
        }
    }
}

impl UnroutableConsumer {
    /// Consumes until `stop`.
    pub(crate) async fn serve(self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        while !stop.is_cancelled() {
            match self.subscribe().await {
                Ok(subscription) => {
                    backoff = Backoff::default();
                    self.consume(subscription, &stop).await;
                }
                Err(error) => {
                    debug!(error = %Chain(&error), "cannot subscribe to unrouted deliveries; trying again");
                }
            }
            tokio::select! { () = stop.cancelled() => {}, () = backoff.wait() => {} }
        }
    }

    async fn subscribe(&self) -> Result<Subscription, BrokerError> {
        let queue = self.router.repair.names.unrouted_queue();
        // The exchange of the same name leads to the queue, whatever the key.
        let route = Route { exchange: &queue, key: "probe" };
        let repair = &self.router.repair;
        repair.prober.check_consumable(&repair.topology, &queue, route).await?;
        self.consumers.subscribe(&queue, PREFETCH).await
    }

    async fn consume(&self, mut subscription: Subscription, stop: &CancellationToken) {
        loop {
            let message = tokio::select! {
                () = stop.cancelled() => return subscription.end(Ending::Cancelled).await,
                message = subscription.next() => message,
            };
            let Some(message) = message else { return };
            let router = Arc::clone(&self.router);
            self.tracker.spawn(router.process(message, self.progress.begin()));
        }
    }
}

impl UnroutableRouter {
    async fn process(self: Arc<Self>, message: Message, in_hand: WorkItem) {
        if let Ok(webhook) = message.key.parse::<WebhookId>() {
            until_ok(
                || self.send_on(webhook, &message),
                |error| telemetry::report_retry(Operation::ConsumeUnrouted, error),
            )
            .instrument(telemetry::webhook_span(webhook))
            .await;
        } else {
            debug!(key = message.key, "an unrouted message names no webhook");
        }
        message.ack();
        in_hand.done();
    }

    async fn send_on(&self, webhook: WebhookId, message: &Message) -> Result<(), ServerError> {
        let mut cached = self.webhooks.find(webhook);
        if !matches!(cached, CachedWebhook::Known(_)) {
            self.webhooks.refresh().await?;
            cached = self.webhooks.find(webhook);
        }
        match Destination::of(&cached) {
            Destination::Queue if self.repair.is_blocked(webhook).await => {
                self.leave_to_database(webhook, message).await
            }
            Destination::Queue => self.publish_again(webhook, message).await,
            Destination::Database => self.leave_to_database(webhook, message).await,
            Destination::Discarded => self.discard(webhook, message).await,
        }
    }

    /// Publishes the message, and declares the queue only if the message comes back.
    ///
    /// A declaration waits for the whole cluster: while a node hangs it takes up to a minute. Most messages come here
    /// because the queue was missing for a moment, and is there again.
    async fn publish_again(&self, webhook: WebhookId, message: &Message) -> Result<(), ServerError> {
        if message.is_sent_on {
            self.repair.declare_again(webhook).await?;
            tokio::time::sleep(SEND_ON_DELAY).await;
        }
        let exchange = self.repair.names.deliveries_exchange();
        let route = Route { exchange: &exchange, key: &message.key };
        let copy = mark_duplicate(&message.body);
        self.repair.publisher.publish_within(CONFIRM_TIMEOUT, route, &copy).await?;
        Ok(())
    }

    /// Records that no queue has a message of these deliveries. The webhook's owner attempts them from the database.
    async fn leave_to_database(&self, webhook: WebhookId, message: &Message) -> Result<(), ServerError> {
        let keys: Vec<DeliveryKey> =
            decode_deliveries(message).iter().map(|delivery| key_of(webhook, delivery)).collect();
        orphaned::record_orphaned(&self.store, &keys).await?;
        Ok(())
    }

    /// Discards the deliveries of a webhook that is gone, so that their status says so.
    async fn discard(&self, webhook: WebhookId, message: &Message) -> Result<(), ServerError> {
        let mut ends: Vec<DeliveryEnd> = decode_deliveries(message)
            .iter()
            .map(|delivery| DeliveryEnd {
                key: key_of(webhook, delivery),
                round: delivery.progress.round,
                status: DeliveryStatus::Discarded,
            })
            .collect();
        // One entry for each delivery, in the order in which every statement locks rows.
        ends.sort_by_key(|end| (end.key, std::cmp::Reverse(end.round)));
        ends.dedup_by_key(|end| end.key);
        let ended = record::finish_deliveries(&self.store, &ends, None).await?;
        for _ in ended.iter().filter(|has_ended| **has_ended) {
            telemetry::count_ended_delivery(DeliveryStatus::Discarded);
        }
        Ok(())
    }
}

fn decode_deliveries(message: &Message) -> Vec<DeliveryMessage> {
    wire::decode(&message.body).unwrap_or_default()
}

fn key_of(webhook: WebhookId, delivery: &DeliveryMessage) -> DeliveryKey {
    DeliveryKey { webhook, created: delivery.head.created, event: delivery.head.id }
}

/// Creates a copy that says that its deliveries may have been queued from the database meanwhile. A message that cannot
/// be decoded is copied as it is, because the consumer of the webhook's queue rejects it.
fn mark_duplicate(body: &[u8]) -> Outgoing {
    let copy = wire::decode(body).map_or_else(|_| Outgoing::new(body.to_vec()), duplicate_message);
    copy.marked_sent_on()
}

#[cfg(test)]
mod tests {
    use broker::wire::WireData;
    use domain::webhook::WebhookStatus;

    use super::*;
    use crate::delivery::messages::tests::message;
    use crate::webhook_cache::WebhookConfig;
    use crate::webhook_cache::tests::webhook;

    #[test]
    fn a_message_goes_to_its_queue_unless_the_webhook_is_gone_or_unreadable() {
        let known = |status| CachedWebhook::Known(Arc::new(WebhookConfig { status, ..webhook(1) }));
        for (status, destination) in [
            (WebhookStatus::Active, Destination::Queue),
            // The consumer closes its deliveries.
            (WebhookStatus::Paused, Destination::Queue),
            (WebhookStatus::Disabled, Destination::Queue),
            (WebhookStatus::Deleted, Destination::Discarded),
        ] {
            assert_eq!(Destination::of(&known(status)), destination, "{status}");
        }
        assert_eq!(Destination::of(&CachedWebhook::Gone), Destination::Discarded);
        assert_eq!(Destination::of(&CachedWebhook::Unreadable), Destination::Database);
    }

    #[test]
    fn a_copy_is_marked_and_a_message_that_cannot_be_decoded_stays_as_it_is() {
        let delivery = message(None);
        let body = wire::encode(&delivery.progress, &delivery.head, WireData::of(&delivery.data));
        let copied = wire::decode(&mark_duplicate(&body).body).expect("deliveries");
        assert!(copied.len() == 1 && copied[0].progress.repeated);
        assert_eq!(mark_duplicate(b"no delivery").body, b"no delivery");
        // Only a message that comes back needs a declaration.
        assert_eq!(mark_duplicate(b"no delivery").headers.len(), 1);
    }

    #[test]
    fn the_key_names_webhook_event_and_creation() {
        let delivery = message(None);
        let id = webhook(7).id;
        let key = key_of(id, &delivery);
        assert_eq!((key.webhook, key.event, key.created), (id, delivery.head.id, delivery.head.created));
    }
}
