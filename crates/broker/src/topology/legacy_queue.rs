//! The queue that routers of earlier versions consumed: unbound, checked and deleted.

use lapin::options::{BasicGetOptions, BasicNackOptions};

use super::Topology;
use super::table::unbind_queue;
use crate::error::BrokerError;

impl Topology {
    /// Stops routing events to [`Namespace::legacy_queue`](crate::Namespace::legacy_queue), and returns whether that
    /// queue exists. A process of an earlier version that still runs may have bound it again.
    ///
    /// # Errors
    /// When RabbitMQ fails.
    pub async fn unbind_legacy_queue(&self) -> Result<bool, BrokerError> {
        let events = self.names.events_exchange();
        let queue = self.names.legacy_queue();
        if self.queue_state(&queue).await?.is_none() {
            return Ok(false);
        }
        self.with_channel(async |channel| unbind_queue(channel, &events, &queue).await).await?;
        Ok(true)
    }

    /// Returns whether the legacy queue is empty and has no consumer. It asks the queue's leader for a message, because
    /// a queue looks empty while its leader is away.
    ///
    /// # Errors
    /// When RabbitMQ fails or does not answer.
    pub async fn is_legacy_queue_empty(&self) -> Result<bool, BrokerError> {
        let queue = self.names.legacy_queue();
        if self.queue_state(&queue).await?.is_none_or(|state| state.consumers > 0) {
            return Ok(false);
        }
        self.with_channel(async |channel| {
            match channel.basic_get(queue.as_str().into(), BasicGetOptions::default()).await? {
                None => Ok(true),
                Some(message) => {
                    let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
                    message.delivery.nack(options).await.map(|_| false)
                }
            }
        })
        .await
    }

    /// Deletes the legacy queue, once [`Self::is_legacy_queue_empty`] has returned true. An event that reaches it at
    /// this moment is in the ingest queue, too, because that queue was bound before.
    ///
    /// # Errors
    /// When RabbitMQ fails.
    pub async fn delete_legacy_queue(&self) -> Result<(), BrokerError> {
        self.delete_queue(&self.names.legacy_queue()).await
    }
}
