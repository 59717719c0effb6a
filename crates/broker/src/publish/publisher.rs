//! A publisher that waits for RabbitMQ's confirm of each message.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use super::outgoing::{Outgoing, Route};
use crate::connection::{Link, OPERATION_TIMEOUT};
use crate::error::{BrokerError, within};

/// Longest time until a confirm. RabbitMQ blocks publishers for long when it is out of memory or disk.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(30);
/// Mandatory messages in flight at once on one channel.
const MAX_MANDATORY_IN_FLIGHT: usize = 100;
/// Shortest time that a channel is used although a message was refused on it, because a queue that is full refuses many.
const MIN_CHANNEL_AGE: Duration = Duration::from_secs(1);
/// Channels for mandatory messages. Callers wait for each other only when all are in use.
const MAX_MANDATORY_CHANNELS: usize = 16;

/// Publishes with confirms, any number at once, over one channel that is opened again after it was lost.
///
/// RabbitMQ may have stored a message although publishing it failed, so a caller that retries publishes at least once.
/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Publisher {
    link: Link,
    opened: Arc<Mutex<Opened>>,
    mandatory: Arc<MandatoryChannels>,
}

/// The channels for mandatory messages. A chunk of messages has one for itself until it is confirmed.
#[derive(Debug)]
struct MandatoryChannels {
    permits: Semaphore,
    /// Open channels that no chunk uses, the one used last at the end, so that no more are open than were needed.
    idle: std::sync::Mutex<Vec<Channel>>,
}

impl Default for MandatoryChannels {
    fn default() -> Self {
        Self { permits: Semaphore::new(MAX_MANDATORY_CHANNELS), idle: std::sync::Mutex::default() }
    }
}

impl MandatoryChannels {
    /// Takes the open channel that was used last, and forgets those that are closed.
    fn take_open(&self) -> Option<Channel> {
        let mut idle = self.lock_idle();
        idle.retain(|channel| channel.status().connected());
        idle.pop()
    }

    fn put_back(&self, channel: Channel) {
        self.lock_idle().push(channel);
    }

    // A poisoned lock is safe to use, because no panic can leave the list half changed.
    fn lock_idle(&self) -> MutexGuard<'_, Vec<Channel>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The channel in use.
#[derive(Debug, Default)]
struct Opened {
    channel: Option<Channel>,
    /// Number of channels opened before, which identifies the channel.
    number: u64,
    at: Option<Instant>,
}

impl Publisher {
    /// Creates a publisher over a link of its own.
    #[must_use]
    pub fn new(link: Link) -> Self {
        Self { link, opened: Arc::default(), mandatory: Arc::default() }
    }

    /// Publishes a message once; `Ok` means that RabbitMQ confirmed it. The exchange must have a queue or an alternate
    /// exchange for every key, because RabbitMQ also confirms a message that it cannot route.
    ///
    /// # Errors
    /// When RabbitMQ fails, refuses the message, or does not confirm in time.
    pub async fn publish(&self, route: Route<'_>, message: &Outgoing) -> Result<(), BrokerError> {
        self.publish_within(CONFIRM_TIMEOUT, route, message).await
    }

    /// Publishes a message once, and gives up after `timeout`; RabbitMQ may have stored the message all the same. A
    /// queue that does not answer may have blocked the channel for all publishers, so the next message gets another
    /// connection, and messages in flight fail and are repeated there.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub async fn publish_within(
        &self,
        timeout: Duration,
        route: Route<'_>,
        message: &Outgoing,
    ) -> Result<(), BrokerError> {
        let (number, channel) = self.open_channel().await?;
        let sending = send_message(&channel, route, message, BasicPublishOptions::default());
        match within(timeout, "confirm a message", sending).await {
            Ok(confirmation) if confirmation.is_ack() => Ok(()),
            Ok(_) => {
                self.leave_channel(number).await;
                Err(BrokerError::Nacked)
            }
            Err(error) => {
                if matches!(error, BrokerError::Timeout { .. }) {
                    self.drop_channel(number).await;
                }
                Err(error)
            }
        }
    }

    /// Publishes a mandatory message: RabbitMQ returns it if no queue is bound for it.
    ///
    /// # Errors
    /// As [`Self::publish_all_mandatory`].
    pub async fn publish_mandatory(&self, route: Route<'_>, message: &Outgoing) -> Result<(), BrokerError> {
        self.publish_mandatory_chunk(CONFIRM_TIMEOUT, &[(route, message)]).await
    }

    /// Publishes mandatory messages. If RabbitMQ returns a message, all of its chunk fail, because the client was seen
    /// to mix up which of several messages in flight came back, though never how many.
    ///
    /// # Errors
    /// [`BrokerError::Unroutable`] when no queue is bound for one of the messages, otherwise as [`Self::publish`].
    /// RabbitMQ may have stored any of the messages all the same.
    pub async fn publish_all_mandatory(
        &self,
        messages: &[(Route<'_>, &Outgoing)],
    ) -> Result<(), BrokerError> {
        self.publish_all_mandatory_within(CONFIRM_TIMEOUT, messages).await
    }

    /// Publishes mandatory messages, with a timeout for the confirms of each chunk.
    ///
    /// # Errors
    /// As [`Self::publish_all_mandatory`].
    pub async fn publish_all_mandatory_within(
        &self,
        timeout: Duration,
        messages: &[(Route<'_>, &Outgoing)],
    ) -> Result<(), BrokerError> {
        for chunk in messages.chunks(MAX_MANDATORY_IN_FLIGHT) {
            self.publish_mandatory_chunk(timeout, chunk).await?;
        }
        Ok(())
    }

    /// Publishes one chunk over a channel that no other caller uses meanwhile. A caller waits for the chunks of others only
    /// while all channels are in use.
    async fn publish_mandatory_chunk(
        &self,
        timeout: Duration,
        chunk: &[(Route<'_>, &Outgoing)],
    ) -> Result<(), BrokerError> {
        // Nobody closes the semaphore, so that this does not fail.
        let _permit = self.mandatory.permits.acquire().await.ok();
        let channel = match self.mandatory.take_open() {
            Some(channel) => channel,
            None => self.new_confirm_channel().await?,
        };
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let sending = chunk.iter().map(|(route, message)| send_message(&channel, *route, message, options));
        let confirmed = within(timeout, "confirm messages", try_join_all(sending)).await;
        if matches!(confirmed, Err(BrokerError::Timeout { .. })) {
            // A queue that does not answer blocks its channel, and soon the connection.
            self.link.abandon().await;
        }
        let confirmations = confirmed?;
        for ((route, _), confirmation) in chunk.iter().zip(confirmations) {
            match confirmation {
                Confirmation::Ack(None) => {}
                Confirmation::Ack(Some(_)) => return Err(BrokerError::Unroutable(route.key.to_owned())),
                Confirmation::Nack(_) | Confirmation::NotRequested => return Err(BrokerError::Nacked),
            }
        }
        // A channel is not used again after a message failed or came back, because later answers on it may belong to
        // these messages.
        self.mandatory.put_back(channel);
        Ok(())
    }

    /// Drops the channel in use and its connection, because a queue that does not answer blocks them. Messages in
    /// flight fail at once, and their callers repeat them over the next connection.
    pub async fn abandon(&self) {
        if self.opened.lock().await.channel.take().is_some() {
            self.link.abandon().await;
        }
    }

    /// Closes the link. Messages without a confirm fail.
    pub async fn close(&self) {
        self.link.close().await;
    }

    async fn open_channel(&self) -> Result<(u64, Channel), BrokerError> {
        let mut opened = self.opened.lock().await;
        if let Some(channel) = opened.channel.as_ref().filter(|channel| channel.status().connected()) {
            return Ok((opened.number, channel.clone()));
        }
        let channel = self.new_confirm_channel().await?;
        let number = opened.number + 1;
        *opened = Opened { channel: Some(channel.clone()), number, at: Some(Instant::now()) };
        Ok((opened.number, channel))
    }

    async fn new_confirm_channel(&self) -> Result<Channel, BrokerError> {
        let channel = self.link.open_channel().await?;
        let selecting = channel.confirm_select(ConfirmSelectOptions::default());
        within(OPERATION_TIMEOUT, "turn on confirms", selecting).await?;
        Ok(channel)
    }

    /// Lets the next message open another channel. Messages in flight are still confirmed on this one.
    ///
    /// RabbitMQ 3.10 keeps the leader of a queue for as long as a channel lives that has published to it. A channel that was
    /// opened between the death of a node and the election keeps the dead node, and refuses all messages for the queue until
    /// that node is back.
    async fn leave_channel(&self, number: u64) {
        let mut opened = self.opened.lock().await;
        if opened.number == number && opened.at.is_some_and(|at| at.elapsed() >= MIN_CHANNEL_AGE) {
            opened.channel = None;
        }
    }

    /// Drops a channel that does not answer, and its connection, unless another caller did so.
    async fn drop_channel(&self, number: u64) {
        let mut opened = self.opened.lock().await;
        if opened.number == number && opened.channel.take().is_some() {
            self.link.abandon().await;
        }
    }
}

async fn send_message(
    channel: &Channel,
    route: Route<'_>,
    message: &Outgoing,
    options: BasicPublishOptions,
) -> lapin::Result<Confirmation> {
    let (exchange, key) = (route.exchange.into(), route.key.into());
    channel.basic_publish(exchange, key, options, &message.body, message.properties()).await?.await
}
