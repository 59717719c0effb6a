//! Deliveries whose webhook has no queue: the queue is made and they are sent on, or they end.

use std::sync::Arc;
use std::time::Duration;

use broker::wire;
use broker::{Ending, Message, Outgoing, Route};
use domain::delivery::DeliveryStatus;
use domain::ids::WebhookId;
use domain::webhook::WebhookStatus;
use runtime::error::Chain;
use runtime::retry::Backoff;
use store::record::{self, DeliveryKey};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::handler::repeated;
use crate::worker::Shared;
use crate::{events, heal};

/// Messages handled at once.
const PREFETCH: u16 = 50;
/// A message whose queue is gone again as soon as it was made does not go round in circles.
const PACE: Duration = Duration::from_millis(100);

/// How long a webhook's queue may take to confirm before it is tried again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Consumes the queue of unrouted deliveries until `stop`.
pub(crate) async fn serve(shared: Arc<Shared>, stop: CancellationToken) {
    let queue = shared.handler.names.unrouted();
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        match shared.consumers.subscribe(&queue, PREFETCH).await {
            Ok(mut subscription) => {
                backoff = Backoff::default();
                loop {
                    let message = tokio::select! {
                        () = stop.cancelled() => break subscription.end(Ending::Cancelled).await,
                        message = subscription.next() => message,
                    };
                    let Some(message) = message else { break };
                    shared.tracker.spawn(handle(Arc::clone(&shared), message));
                }
            }
            Err(error) => {
                debug!(error = %Chain(&error), "cannot subscribe to unrouted deliveries; trying again")
            }
        }
        tokio::select! { () = stop.cancelled() => {}, () = backoff.wait() => {} }
    }
}

async fn handle(shared: Arc<Shared>, message: Message) {
    let mut backoff = Backoff::default();
    while let Err(error) = send_on(&shared, &message).await {
        events::step_failed("unrouted", error.as_ref());
        backoff.wait().await;
    }
    message.ack();
}

async fn send_on(shared: &Shared, message: &Message) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let handler = &shared.handler;
    let webhook: Option<WebhookId> = message.key.parse().ok();
    let mut target = webhook.and_then(|id| handler.directory.get(id));
    if target.is_none() {
        handler.directory.refresh().await?;
        target = webhook.and_then(|id| handler.directory.get(id));
    }
    match (webhook, target) {
        (Some(id), Some(target)) if target.status != WebhookStatus::Deleted => {
            heal::hear(shared, id).await?;
            shared.topology.declare_webhook_again(id).await?;
            tokio::time::sleep(PACE).await;
            let exchange = handler.names.deliveries();
            let route = Route { exchange: &exchange, key: &message.key };
            shared.mender.publish_within(PATIENCE, route, &marked(&message.body)).await?;
        }
        (Some(webhook), _) => end(shared, webhook, message).await?,
        (None, _) => debug!(key = message.key, "an unrouted message names no webhook"),
    }
    Ok(())
}

/// What was parked may have been queued from the database meanwhile: the copy says so.
fn marked(body: &[u8]) -> Outgoing {
    // What cannot be read is set aside by whoever has the queue.
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
            events::delivery_ended(DeliveryStatus::Discarded);
        }
    }
    Ok(())
}
