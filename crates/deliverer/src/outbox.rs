//! Publishes the messages that a transaction wrote to the outbox: notices, and events of our own.

use std::time::Duration;

use broker::{BrokerError, Namespace, Outgoing, Publisher, Route};
use runtime::error::Chain;
use store::Store;
use store::delivery::outbox::{self, OutboxMessage};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::error::ServerError;

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
        let exchange = exchange_of(&self.names, message);
        let route = Route { exchange: &exchange, key: &message.routing_key };
        self.publisher.publish(route, &outgoing_of(message)).await
    }
}

fn exchange_of(names: &Namespace, message: &OutboxMessage) -> String {
    if message.exchange == "notices" { names.notices_exchange() } else { names.events_exchange() }
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

    fn message(exchange: &str) -> OutboxMessage {
        OutboxMessage {
            id: Uuid::from_u128(7),
            exchange: exchange.to_owned(),
            routing_key: "a.key".to_owned(),
            body: "{}".to_owned(),
        }
    }

    #[test]
    fn notices_and_events_go_to_their_exchanges() {
        let names: Namespace = "test".parse().expect("a namespace");
        assert_eq!(exchange_of(&names, &message("notices")), names.notices_exchange());
        assert_eq!(exchange_of(&names, &message("events")), names.events_exchange());
        assert_ne!(names.notices_exchange(), names.events_exchange());
    }

    #[test]
    fn a_message_published_twice_has_the_same_id() {
        let outgoing = outgoing_of(&message("events"));
        assert_eq!(outgoing.message_id, Some(Uuid::from_u128(7).to_string()));
        assert_eq!(outgoing.body, b"{}");
    }
}
