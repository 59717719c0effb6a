//! A publisher for which published means confirmed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation};
use runtime::retry::Backoff;
use tokio::sync::Mutex;
use tracing::warn;

use crate::error::{BrokerError, within};
use crate::link::{Link, OPERATION};

/// Bound for a confirm: a broker that is out of memory or disk blocks publishers for long.
const CONFIRM: Duration = Duration::from_secs(30);
/// Messages in flight at once of those that must find a queue.
pub const MANDATORY_IN_FLIGHT: usize = 100;
/// The header that marks a probe, so that the consumer of a queue that producers publish to can tell it from an
/// event without a body.
pub(crate) const PROBE_HEADER: &str = "x-postrider-probe";
/// AMQP's delivery mode of messages that survive a restart.
const PERSISTENT: u8 = 2;

/// Where a message goes.
#[derive(Debug, Clone, Copy)]
pub struct Route<'a> {
    /// The exchange; empty for the default one, whose routing keys are queue names.
    pub exchange: &'a str,
    /// The routing key.
    pub key: &'a str,
}

/// A message to publish. It is always persistent.
#[derive(Debug, Clone, Default)]
pub struct Outgoing {
    /// The body.
    pub body: Vec<u8>,
    /// Headers, in order.
    pub headers: Vec<(&'static str, String)>,
    /// The AMQP property `message_id`.
    pub message_id: Option<String>,
    /// How long after it came the queue drops it once it is at its head, if ever.
    pub lives: Option<Duration>,
}

impl Outgoing {
    /// A message without headers.
    #[must_use]
    pub fn new(body: Vec<u8>) -> Self {
        Self { body, ..Self::default() }
    }

    /// A message that nobody gets: its confirm tells that a queue stores what comes.
    #[must_use]
    pub fn probe() -> Self {
        Self { headers: vec![(PROBE_HEADER, "1".to_owned())], ..Self::short_lived(Duration::ZERO) }
    }

    /// The same for a queue whose consumer drops it: one that dead-letters what expires would pass it on.
    #[must_use]
    pub fn kept_probe() -> Self {
        Self { lives: None, ..Self::probe() }
    }

    /// A message that says nothing, for whoever consumes the queue within this time.
    #[must_use]
    pub fn short_lived(lives: Duration) -> Self {
        Self { lives: Some(lives), ..Self::default() }
    }

    pub(crate) fn properties(&self) -> BasicProperties {
        let mut properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/json".into());
        if let Some(id) = &self.message_id {
            properties = properties.with_message_id(id.as_str().into());
        }
        if let Some(lives) = self.lives {
            properties = properties.with_expiration(lives.as_millis().to_string().into());
        }
        if !self.headers.is_empty() {
            let mut table = FieldTable::default();
            for (name, value) in &self.headers {
                table.insert((*name).into(), AMQPValue::LongString(value.as_str().into()));
            }
            properties = properties.with_headers(table);
        }
        properties
    }
}

/// Publishes with confirms, any number at once, over one channel that is opened again when it is
/// gone. A publish that fails may have been stored all the same: repeating it is at-least-once.
/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Publisher {
    link: Link,
    opened: Arc<Mutex<Opened>>,
    /// For one chunk at a time of messages that must find a queue.
    mandatory: Arc<Mutex<Option<Channel>>>,
}

/// The channel in use.
#[derive(Debug, Default)]
struct Opened {
    channel: Option<Channel>,
    /// How many were opened before: tells a channel from its successors.
    number: u64,
}

impl Publisher {
    /// A publisher over a link of its own.
    #[must_use]
    pub fn new(link: Link) -> Self {
        Self { link, opened: Arc::default(), mandatory: Arc::default() }
    }

    /// Publishes once; `Ok` means that the broker confirmed. The exchange must have a queue or an
    /// alternate for every key: a message that no queue takes is confirmed, too.
    ///
    /// # Errors
    /// When the broker fails, refuses the message, or does not confirm in time.
    pub async fn publish(&self, route: Route<'_>, message: &Outgoing) -> Result<(), BrokerError> {
        self.publish_within(CONFIRM, route, message).await
    }

    /// Publishes once, and gives up after `patience`: the message may have been stored all the same.
    /// A queue that answers nothing may have blocked the channel, and with it all who publish; so
    /// the next gets another connection, and those that are in flight fail and are repeated there.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub async fn publish_within(
        &self,
        patience: Duration,
        route: Route<'_>,
        message: &Outgoing,
    ) -> Result<(), BrokerError> {
        let (number, channel) = self.open().await?;
        let sending = send(&channel, route, message, BasicPublishOptions::default());
        match within(patience, "confirm a message", sending).await {
            Ok(confirmation) if confirmation.is_ack() => Ok(()),
            Ok(_) => Err(BrokerError::Nacked),
            Err(error) => {
                if matches!(error, BrokerError::Timeout { .. }) {
                    self.forget(number).await;
                }
                Err(error)
            }
        }
    }

    /// Publishes again and again until the broker confirms. It ends only with that; a process that
    /// stops meanwhile has not acknowledged what led to the message.
    pub async fn publish_until_confirmed(&self, route: Route<'_>, message: &Outgoing) {
        let mut backoff = Backoff::default();
        while let Err(error) = self.publish(route, message).await {
            warn!(error = %runtime::error::Chain(&error), exchange = route.exchange, "publish failed; trying again");
            backoff.wait().await;
        }
    }

    /// Publishes a message that must find a queue.
    ///
    /// # Errors
    /// As [`Self::publish_all_mandatory`].
    pub async fn publish_mandatory(&self, route: Route<'_>, message: &Outgoing) -> Result<(), BrokerError> {
        self.publish_mandatory_chunk(CONFIRM, &[(route, message)]).await
    }

    /// Publishes messages each of which must find a queue. With several in flight the client was seen to
    /// mix up which of them came back, never how many: so one that did fails them all.
    ///
    /// # Errors
    /// [`BrokerError::Unroutable`] when no queue takes one of them, else as [`Self::publish`]. Any of them
    /// may have been stored all the same.
    pub async fn publish_all_mandatory(
        &self,
        messages: &[(Route<'_>, &Outgoing)],
    ) -> Result<(), BrokerError> {
        self.publish_all_mandatory_within(CONFIRM, messages).await
    }

    /// The same with a bound for the confirms of [`MANDATORY_IN_FLIGHT`] messages.
    ///
    /// # Errors
    /// As [`Self::publish_all_mandatory`].
    pub async fn publish_all_mandatory_within(
        &self,
        timeout: Duration,
        messages: &[(Route<'_>, &Outgoing)],
    ) -> Result<(), BrokerError> {
        for chunk in messages.chunks(MANDATORY_IN_FLIGHT) {
            self.publish_mandatory_chunk(timeout, chunk).await?;
        }
        Ok(())
    }

    /// Others wait for a chunk, and not for all of somebody's messages.
    async fn publish_mandatory_chunk(
        &self,
        timeout: Duration,
        chunk: &[(Route<'_>, &Outgoing)],
    ) -> Result<(), BrokerError> {
        let mut slot = self.mandatory.lock().await;
        let channel = match slot.take() {
            Some(channel) if channel.status().connected() => channel,
            _ => self.new_channel().await?,
        };
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let sending = chunk.iter().map(|(route, message)| send(&channel, *route, message, options));
        let confirmed = within(timeout, "confirm messages", try_join_all(sending)).await;
        if matches!(confirmed, Err(BrokerError::Timeout { .. })) {
            // A queue that answers nothing blocks its channel, and soon the connection.
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
        // A channel on which one came back or failed is not used again: what it still says is not ours.
        *slot = Some(channel);
        Ok(())
    }

    /// Leaves the channel in use and its connection, because a queue that answers nothing blocks them: messages in
    /// flight fail at once and are repeated over the next.
    pub async fn abandon(&self) {
        if self.opened.lock().await.channel.take().is_some() {
            self.link.abandon().await;
        }
    }

    /// Closes the link. What was not confirmed by then is not.
    pub async fn close(&self) {
        self.link.close().await;
    }

    async fn open(&self) -> Result<(u64, Channel), BrokerError> {
        let mut opened = self.opened.lock().await;
        if let Some(channel) = opened.channel.as_ref().filter(|channel| channel.status().connected()) {
            return Ok((opened.number, channel.clone()));
        }
        let channel = self.new_channel().await?;
        *opened = Opened { channel: Some(channel.clone()), number: opened.number + 1 };
        Ok((opened.number, channel))
    }

    async fn new_channel(&self) -> Result<Channel, BrokerError> {
        let channel = self.link.channel().await?;
        within(OPERATION, "confirm messages", channel.confirm_select(ConfirmSelectOptions::default()))
            .await?;
        Ok(channel)
    }

    /// Drops a channel that no longer answers, and its connection, unless another caller did so.
    async fn forget(&self, number: u64) {
        let mut opened = self.opened.lock().await;
        if opened.number == number && opened.channel.take().is_some() {
            self.link.abandon().await;
        }
    }
}

async fn send(
    channel: &Channel,
    route: Route<'_>,
    message: &Outgoing,
    options: BasicPublishOptions,
) -> lapin::Result<Confirmation> {
    let (exchange, key) = (route.exchange.into(), route.key.into());
    channel.basic_publish(exchange, key, options, &message.body, message.properties()).await?.await
}
