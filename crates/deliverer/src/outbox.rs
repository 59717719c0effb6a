//! Publishes the messages that a transaction wrote to the outbox: notices, and events of our own.

use std::time::Duration;

use broker::{BrokerError, Namespace, Outgoing, Publisher, Route};
use runtime::error::Chain;
use store::Store;
use store::delivery::outbox::{self, OutboxMessage};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::error::ServerError;

/// The exchange of notices, as the outbox names it.
const NOTICES: &str = "notices";
/// How often the outbox is looked at: notices are rare.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Publishes the messages of the outbox.
#[derive(Debug)]
pub(crate) struct OutboxPublisher {
    pub(crate) store: Store,
    pub(crate) publisher: Publisher,
    pub(crate) names: Namespace,
}

impl OutboxPublisher {
    /// Publishes until `stop`. Several replicas may publish the same message. A notice may then come twice; an event is
    /// accepted once.
    pub(crate) async fn serve(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.publish_waiting().await {
                warn!(error = %Chain(&error), "cannot publish the messages of the outbox; trying again");
            }
            tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(POLL_INTERVAL) => {} }
        }
    }

    async fn publish_waiting(&self) -> Result<(), ServerError> {
        for message in outbox::list_waiting(&self.store).await? {
            self.publish_one(&message).await?;
            outbox::delete_sent(&self.store, &[message.id]).await?;
        }
        Ok(())
    }

    async fn publish_one(&self, message: &OutboxMessage) -> Result<(), BrokerError> {
        let outgoing = outgoing_of(message);
        if message.exchange == NOTICES {
            let exchange = self.names.notices_exchange();
            let route = Route { exchange: &exchange, key: &message.routing_key };
            // Nobody may have bound a queue for notices.
            return self.publisher.publish(route, &outgoing).await;
        }
        let exchange = self.names.ingest_exchange();
        let [main, spare] = ingest_keys(&self.names);
        let published =
            self.publisher.publish_mandatory(Route { exchange: &exchange, key: &main }, &outgoing).await;
        match published {
            Ok(()) => Ok(()),
            // The ingest queue may store nothing. An event in both queues is stored once.
            Err(_) => {
                self.publisher.publish_mandatory(Route { exchange: &exchange, key: &spare }, &outgoing).await
            }
        }
    }
}

/// Returns the routing keys of the two queues that can take events, the one in ordinary use first.
///
/// Our own events do not go through the exchange of the producers, so that routers can tell them apart from forged ones.
fn ingest_keys(names: &Namespace) -> [String; 2] {
    [names.ingest_queue(), names.ingest_spare_queue()]
}

fn outgoing_of(message: &OutboxMessage) -> Outgoing {
    Outgoing {
        body: message.body.clone().into_bytes(),
        message_id: Some(message.id.to_string()),
        ..Outgoing::default()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn message() -> OutboxMessage {
        OutboxMessage {
            id: Uuid::from_u128(7),
            exchange: "events".to_owned(),
            routing_key: "a.key".to_owned(),
            body: "{}".to_owned(),
        }
    }

    #[test]
    fn a_message_published_twice_has_the_same_id() {
        let outgoing = outgoing_of(&message());
        assert_eq!(outgoing.message_id, Some(Uuid::from_u128(7).to_string()));
        assert_eq!(outgoing.body, b"{}");
    }
}
