//! Takes messages from a queue one by one, when there is room for them.

use std::sync::Arc;

use lapin::options::BasicGetOptions;
use tokio::sync::Mutex;

use super::ack_batcher::{AckBatcher, ConsumerQuota};
use super::message::Message;
use crate::connection::{Link, OPERATION_TIMEOUT};
use crate::error::{BrokerError, within};

/// Takes messages from one queue, over a channel of its own, without a subscription. RabbitMQ sends nothing ahead.
#[derive(Debug)]
pub struct Puller {
    link: Link,
    queue: String,
    /// The open channel, locked while a message is taken.
    channel: Mutex<Option<Arc<AckBatcher>>>,
}

impl Puller {
    /// Creates a puller of a queue over a link that pullers share.
    #[must_use]
    pub fn new(link: Link, queue: String) -> Self {
        Self { link, queue, channel: Mutex::default() }
    }

    /// Takes the next message; `None` if the queue is empty.
    ///
    /// # Errors
    /// When RabbitMQ fails, has no such queue, or does not answer. RabbitMQ then delivers the unacknowledged messages
    /// again.
    pub async fn pull(&self) -> Result<Option<Message>, BrokerError> {
        let mut slot = self.channel.lock().await;
        // The channel is put back only after an answer, because a queue that does not answer blocks its channel.
        let acks = match slot.take() {
            Some(acks) if acks.channel().status().connected() => acks,
            _ => AckBatcher::new(self.link.open_channel().await?),
        };
        let getting = acks.channel().basic_get(self.queue.as_str().into(), BasicGetOptions::default());
        let message = within(OPERATION_TIMEOUT, "return a message", getting).await?;
        *slot = Some(Arc::clone(&acks));
        Ok(message.map(|message| Message::new(message.delivery, acks, ConsumerQuota::new(1))))
    }

    /// Acknowledges the handled messages at once.
    pub async fn flush(&self) {
        if let Some(acks) = self.channel.lock().await.as_ref() {
            acks.flush().await;
        }
    }
}
