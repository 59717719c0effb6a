//! Publishes what was written to the outbox with a change: notices, and events of our own.

use std::sync::Arc;
use std::time::Duration;

use broker::{BrokerError, Outgoing, Route};
use runtime::error::Chain;
use store::outbox::{self, OutboxMessage};
use store::{Store, StoreError};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::consumer::worker::Shared;

/// How often the outbox is looked at: notices are rare.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Publishes what waits, until `stop`. Several replicas may publish the same message: a notice may
/// come twice, an event is taken once.
pub(crate) async fn serve(store: Store, shared: Arc<Shared>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match outbox::waiting(&store).await {
            Ok(waiting) if !waiting.is_empty() => {
                if let Err(error) = publish(&store, &shared, &waiting).await {
                    warn!(error = %Chain(error.as_ref()), "the outbox could not be emptied; trying again");
                }
            }
            Ok(_) => {}
            Err(error) => warn!(error = %Chain(&error), "the outbox could not be read; trying again"),
        }
        tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(LOOK_EVERY) => {} }
    }
}

async fn publish(
    store: &Store,
    shared: &Shared,
    waiting: &[OutboxMessage],
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    for message in waiting {
        publish_one(shared, message).await?;
        sent(store, message).await?;
    }
    Ok(())
}

async fn publish_one(shared: &Shared, message: &OutboxMessage) -> Result<(), BrokerError> {
    let names = &shared.handler.names;
    let exchange = if message.exchange == "notices" { names.notices() } else { names.events() };
    let outgoing = Outgoing {
        body: message.body.clone().into_bytes(),
        message_id: Some(message.id.to_string()),
        ..Outgoing::default()
    };
    let route = Route { exchange: &exchange, key: &message.routing_key };
    shared.handler.publisher.publish(route, &outgoing).await
}

async fn sent(store: &Store, message: &OutboxMessage) -> Result<(), StoreError> {
    outbox::sent(store, &[message.id]).await
}
