//! Deliveries whose webhook has no queue: the queue is made and they are sent on, or they end.

use std::sync::Arc;
use std::time::Duration;

use broker::wire::{self, DeliveryMessage};
use broker::{BrokerError, Ending, Message, Outgoing, Route, Subscription};
use domain::delivery::DeliveryStatus;
use domain::ids::WebhookId;
use domain::webhook::WebhookStatus;
use runtime::error::Chain;
use runtime::progress::{InHand, Progress};
use runtime::retry::Backoff;
use store::record::{self, DeliveryKey};
use store::stranded;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::consumer::worker::Shared;
use crate::delivery::repeated;
use crate::webhook_cache::Known;
use crate::{repair, telemetry};

/// Messages handled at once.
const PREFETCH: u16 = 50;
/// A message whose queue is gone again as soon as it was made does not go round in circles.
const PACE: Duration = Duration::from_millis(100);

/// How long a webhook's queue may take to confirm before it is tried again.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);

/// Consumes the queue of unrouted deliveries until `stop`.
pub(crate) async fn serve(shared: Arc<Shared>, progress: Progress, stop: CancellationToken) {
    let queue = shared.handler.names.unrouted();
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        match subscribe(&shared, &queue).await {
            Ok(mut subscription) => {
                backoff = Backoff::default();
                loop {
                    let message = tokio::select! {
                        () = stop.cancelled() => break subscription.end(Ending::Cancelled).await,
                        message = subscription.next() => message,
                    };
                    let Some(message) = message else { break };
                    shared.tracker.spawn(handle(Arc::clone(&shared), message, progress.begin()));
                }
            }
            Err(error) => {
                debug!(error = %Chain(&error), "cannot subscribe to unrouted deliveries; trying again")
            }
        }
        tokio::select! { () = stop.cancelled() => {}, () = backoff.wait() => {} }
    }
}

async fn subscribe(shared: &Shared, queue: &str) -> Result<Subscription, BrokerError> {
    // The exchange of the same name leads to it, whatever the key.
    let route = Route { exchange: queue, key: "probe" };
    shared.prober.check_consumable(&shared.topology, queue, route).await?;
    shared.consumers.subscribe(queue, PREFETCH).await
}

async fn handle(shared: Arc<Shared>, message: Message, in_hand: InHand) {
    let mut backoff = Backoff::default();
    while let Err(error) = send_on(&shared, &message).await {
        telemetry::step_failed("unrouted", error.as_ref());
        backoff.wait().await;
    }
    message.ack();
    in_hand.done();
}

async fn send_on(shared: &Shared, message: &Message) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let Ok(webhook) = message.key.parse::<WebhookId>() else {
        debug!(key = message.key, "an unrouted message names no webhook");
        return Ok(());
    };
    let directory = &shared.handler.directory;
    let mut known = directory.find(webhook);
    if !matches!(known, Known::Target(_)) {
        directory.refresh().await?;
        known = directory.find(webhook);
    }
    match known {
        Known::Target(target) if target.status != WebhookStatus::Deleted => {
            if repair::lost_queue::hear(shared, webhook).await.is_blocked() {
                return leave_to_database(shared, webhook, message).await;
            }
            shared.topology.declare_webhook_again(webhook).await?;
            tokio::time::sleep(PACE).await;
            let exchange = shared.handler.names.deliveries();
            let route = Route { exchange: &exchange, key: &message.key };
            shared.mender.publish_within(CONFIRM_TIMEOUT, route, &marked(&message.body)).await?;
            Ok(())
        }
        // Another process may be able to read it.
        Known::Unreadable => leave_to_database(shared, webhook, message).await,
        Known::Target(_) | Known::Gone => end(shared, webhook, message).await,
    }
}

/// The webhook's queue takes nothing now: its owner attempts the deliveries from the database.
async fn leave_to_database(
    shared: &Shared,
    webhook: WebhookId,
    message: &Message,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let deliveries = wire::decode(&message.body).unwrap_or_default();
    let key = |delivery: &DeliveryMessage| DeliveryKey {
        webhook,
        created: delivery.head.created,
        event: delivery.head.id,
    };
    stranded::note(&shared.handler.store, &deliveries.iter().map(key).collect::<Vec<_>>()).await?;
    Ok(())
}

/// An unrouted delivery may have been queued from the database meanwhile: the copy says so.
fn marked(body: &[u8]) -> Outgoing {
    // The consumer of the webhook's queue sets a message aside that it cannot read.
    wire::decode(body).map_or_else(|_| Outgoing::new(body.to_vec()), repeated)
}

/// The webhook is gone: what was on its way to it is discarded, and visible as such.
async fn end(
    shared: &Shared,
    webhook: WebhookId,
    message: &Message,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    for delivery in wire::decode(&message.body).unwrap_or_default() {
        let key = DeliveryKey { webhook, created: delivery.head.created, event: delivery.head.id };
        let round = delivery.progress.round;
        if record::finish(&shared.handler.store, key, round, DeliveryStatus::Discarded).await? {
            telemetry::delivery_ended(DeliveryStatus::Discarded);
        }
    }
    Ok(())
}
