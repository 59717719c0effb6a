//! The queue of rejected messages, for support: list, republish, or purge them.

use std::sync::Arc;

use domain::event::RejectReason;
use lapin::message::BasicGetMessage;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, QueuePurgeOptions};
use lapin::types::AMQPValue;
use lapin::{BasicProperties, Channel};
use tokio::sync::Mutex;

use crate::connection::{Link, OPERATION_TIMEOUT};
use crate::consume::{Death, read_deaths, utf8_message_id};
use crate::error::{BrokerError, within};
use crate::names::Namespace;
use crate::publish::{Outgoing, Publisher, Route};

/// Largest list, in bytes of bodies, which bounds the memory of a request.
const MAX_LIST_BYTES: usize = 8 * 1024 * 1024;

/// A message that the router rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedMessage {
    /// The header `x-reject-reason`.
    pub reason: Option<String>,
    /// The header `x-reject-detail`.
    pub detail: Option<String>,
    /// The AMQP property `message_id`, if it is UTF-8.
    pub message_id: Option<String>,
    /// The complete body.
    pub body: Vec<u8>,
}

/// The queue of rejected messages. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RejectedQueue {
    link: Link,
    names: Namespace,
    /// Held while messages are read, because a concurrent reader would miss the messages that another one holds.
    reading: Arc<Mutex<()>>,
}

impl RejectedQueue {
    /// Creates a reader of this namespace's queue, over a link that nothing else uses.
    #[must_use]
    pub fn new(link: Link, names: Namespace) -> Self {
        Self { link, names, reading: Arc::default() }
    }

    /// Returns the first messages, at most `limit`, and the number of messages in the queue. The messages stay in the
    /// queue; a quorum queue moves the listed ones to its end.
    ///
    /// # Errors
    /// When RabbitMQ fails.
    pub async fn list(&self, limit: usize) -> Result<(Vec<RejectedMessage>, u64), BrokerError> {
        let _turn = self.reading.lock().await;
        let channel = self.link.open_channel().await?;
        let mut found = Vec::new();
        let mut bytes = 0;
        let mut left = 0;
        let mut last = None;
        while found.len() < limit && bytes < MAX_LIST_BYTES {
            let Some(got) = self.get_message(&channel).await? else { break };
            left = u64::from(got.message_count);
            bytes += got.delivery.data.len();
            found.push(rejected_message(&got));
            last = Some(got);
        }
        let total = found.len() as u64 + left;
        // Closing the channel requeues the messages, too, but only after RabbitMQ has confirmed the close. Without this
        // requeue, a reader that follows at once would find fewer messages.
        if let Some(got) = last {
            let options = BasicNackOptions { multiple: true, requeue: true };
            within(OPERATION_TIMEOUT, "requeue messages", got.delivery.acker.nack(options)).await?;
        }
        within(OPERATION_TIMEOUT, "close a channel", channel.close(200, "listed".into())).await?;
        Ok((found, total))
    }

    /// Publishes at most `limit` messages as events again, and returns how many. A message leaves the queue once its
    /// republished copy is confirmed. None is published twice, because a copy that is rejected again goes to the end.
    ///
    /// # Errors
    /// When RabbitMQ fails; the messages republished before have left the queue.
    pub async fn republish(&self, publisher: &Publisher, limit: u64) -> Result<u64, BrokerError> {
        let _turn = self.reading.lock().await;
        let channel = self.link.open_channel().await?;
        let mut done = 0;
        let mut max = limit;
        while done < max {
            let Some(got) = self.get_message(&channel).await? else { break };
            if done == 0 {
                max = limit.min(u64::from(got.message_count) + 1);
            }
            self.republish_message(publisher, &got).await?;
            let acking = got.delivery.acker.ack(BasicAckOptions::default());
            within(OPERATION_TIMEOUT, "take an acknowledgement", acking).await?;
            done += 1;
        }
        within(OPERATION_TIMEOUT, "close a channel", channel.close(200, "done".into())).await?;
        Ok(done)
    }

    /// Deletes all messages, and returns how many.
    ///
    /// # Errors
    /// When RabbitMQ fails.
    pub async fn purge(&self) -> Result<u64, BrokerError> {
        let channel = self.link.open_channel().await?;
        let queue = self.names.rejected_queue();
        let purging = channel.queue_purge(queue.as_str().into(), QueuePurgeOptions::default());
        let dropped = within(OPERATION_TIMEOUT, "purge a queue", purging).await?;
        within(OPERATION_TIMEOUT, "close a channel", channel.close(200, "done".into())).await?;
        Ok(u64::from(dropped))
    }

    async fn get_message(&self, channel: &Channel) -> Result<Option<BasicGetMessage>, BrokerError> {
        let queue = self.names.rejected_queue();
        let getting = channel.basic_get(queue.as_str().into(), BasicGetOptions::default());
        within(OPERATION_TIMEOUT, "get a message", getting).await
    }

    async fn republish_message(
        &self,
        publisher: &Publisher,
        got: &BasicGetMessage,
    ) -> Result<(), BrokerError> {
        let rejected = rejected_message(got);
        let message =
            Outgoing { body: rejected.body, message_id: rejected.message_id, ..Outgoing::default() };
        // The router reads the event type from the body, so the routing key is free.
        let exchange = self.names.events_exchange();
        publisher.publish_mandatory(Route { exchange: &exchange, key: "republished" }, &message).await
    }
}

fn rejected_message(got: &BasicGetMessage) -> RejectedMessage {
    let properties = &got.delivery.properties;
    RejectedMessage {
        reason: text_header(properties, "x-reject-reason").or_else(|| dead_letter_reason(properties)),
        detail: text_header(properties, "x-reject-detail"),
        message_id: utf8_message_id(properties),
        body: got.delivery.data.clone(),
    }
}

/// Returns the reason of a message that RabbitMQ dead-lettered to this queue, past the router that adds a reason.
fn dead_letter_reason(properties: &BasicProperties) -> Option<String> {
    let deaths = read_deaths(properties);
    let expired = deaths.last()?.reason == Death::EXPIRED;
    let reason = if expired { RejectReason::Expired } else { RejectReason::Poison };
    Some(reason.as_str().to_owned())
}

fn text_header(properties: &BasicProperties, name: &str) -> Option<String> {
    match properties.headers().as_ref()?.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        _ => None,
    }
}
