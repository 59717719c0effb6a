//! The queue of what was refused, as support looks at it: listed, published again, or emptied.

use std::sync::Arc;

use domain::event::RejectReason;
use lapin::message::BasicGetMessage;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, QueuePurgeOptions};
use lapin::types::AMQPValue;
use lapin::{BasicProperties, Channel};
use tokio::sync::Mutex;

use crate::error::{BrokerError, within};
use crate::headers::{self, Death};
use crate::link::{Link, OPERATION};
use crate::names::Namespace;
use crate::publisher::{Outgoing, Publisher, Route};
use crate::unreadable;

/// How much one list holds, in bytes of bodies: bounds a request's memory.
const LIST_BYTES: usize = 8 * 1024 * 1024;

/// A message that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The header `x-reject-reason`.
    pub reason: Option<String>,
    /// The header `x-reject-detail`.
    pub detail: Option<String>,
    /// The AMQP property `message_id`, if it is UTF-8.
    pub message_id: Option<String>,
    /// The body, whole.
    pub body: Vec<u8>,
}

/// The queue of what was refused. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RejectedQueue {
    link: Link,
    names: Namespace,
    /// One look at a time: what one holds, the other would miss.
    looking: Arc<Mutex<()>>,
}

impl RejectedQueue {
    /// The queue of this namespace, over a link for looking only.
    #[must_use]
    pub fn new(link: Link, names: Namespace) -> Self {
        Self { link, names, looking: Arc::default() }
    }

    /// The first messages, `limit` at most, and how many there are. They stay where they are; a
    /// quorum queue puts what was looked at behind the rest.
    ///
    /// # Errors
    /// When the broker fails.
    pub async fn list(&self, limit: usize) -> Result<(Vec<Rejected>, u64), BrokerError> {
        let _turn = self.looking.lock().await;
        let channel = self.link.channel().await?;
        let (mut found, mut bytes, mut left, mut last) = (Vec::new(), 0, 0, None);
        while found.len() < limit && bytes < LIST_BYTES {
            let Some(got) = self.get(&channel).await? else { break };
            left = u64::from(got.message_count);
            bytes += got.delivery.data.len();
            found.push(rejected(&got));
            last = Some(got);
        }
        let total = found.len() as u64 + left;
        // It would go back with the channel too, but only after the broker has said that the channel
        // is closed: who looks at once would find less.
        if let Some(got) = last {
            let options = BasicNackOptions { multiple: true, requeue: true };
            within(OPERATION, "take messages back", got.delivery.acker.nack(options)).await?;
        }
        within(OPERATION, "close a channel", channel.close(200, "seen".into())).await?;
        Ok((found, total))
    }

    /// Publishes messages as events again, `limit` at most and none twice: one that is refused once
    /// more goes to the end. Each leaves the queue once its successor is confirmed. How many did.
    ///
    /// # Errors
    /// When the broker fails; what was published by then has left.
    pub async fn republish(&self, publisher: &Publisher, limit: u64) -> Result<u64, BrokerError> {
        let _turn = self.looking.lock().await;
        let channel = self.link.channel().await?;
        let (mut done, mut most) = (0, limit);
        while done < most {
            let Some(got) = self.get(&channel).await? else { break };
            if done == 0 {
                most = limit.min(u64::from(got.message_count) + 1);
            }
            self.publish(publisher, &got).await?;
            let acking = got.delivery.acker.ack(BasicAckOptions::default());
            within(OPERATION, "take an acknowledgement", acking).await?;
            done += 1;
        }
        within(OPERATION, "close a channel", channel.close(200, "done".into())).await?;
        Ok(done)
    }

    /// Drops all messages. How many there were.
    ///
    /// # Errors
    /// When the broker fails.
    pub async fn purge(&self) -> Result<u64, BrokerError> {
        let channel = self.link.channel().await?;
        let queue = self.names.rejected();
        let purging = channel.queue_purge(queue.as_str().into(), QueuePurgeOptions::default());
        let dropped = within(OPERATION, "empty a queue", purging).await?;
        within(OPERATION, "close a channel", channel.close(200, "done".into())).await?;
        Ok(u64::from(dropped))
    }

    async fn get(&self, channel: &Channel) -> Result<Option<BasicGetMessage>, BrokerError> {
        let queue = self.names.rejected();
        let getting = channel.basic_get(queue.as_str().into(), BasicGetOptions::default());
        within(OPERATION, "hand out a message", getting).await
    }

    async fn publish(&self, publisher: &Publisher, got: &BasicGetMessage) -> Result<(), BrokerError> {
        let rejected = rejected(got);
        let message =
            Outgoing { body: rejected.body, message_id: rejected.message_id, ..Outgoing::default() };
        // The body's type counts, whatever the routing key says.
        let exchange = self.names.events();
        publisher.publish_mandatory(Route { exchange: &exchange, key: "republished" }, &message).await
    }
}

fn rejected(got: &BasicGetMessage) -> Rejected {
    let properties = &got.delivery.properties;
    Rejected {
        reason: header(properties, "x-reject-reason").or_else(|| reason_of_broker(properties)),
        detail: header(properties, "x-reject-detail"),
        message_id: unreadable::message_id(properties),
        body: got.delivery.data.clone(),
    }
}

/// The reason of a message that the broker moved here itself, past the router that adds one.
fn reason_of_broker(properties: &BasicProperties) -> Option<String> {
    let deaths = headers::deaths(properties);
    let expired = deaths.last()?.reason == Death::EXPIRED;
    let reason = if expired { RejectReason::Expired } else { RejectReason::Poison };
    Some(reason.as_str().to_owned())
}

fn header(properties: &BasicProperties, name: &str) -> Option<String> {
    match properties.headers().as_ref()?.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        _ => None,
    }
}
