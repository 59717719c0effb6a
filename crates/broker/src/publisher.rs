//! A publisher for which published means confirmed.

use std::sync::Arc;
use std::time::Duration;

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
}

impl Outgoing {
    /// A message without headers.
    #[must_use]
    pub fn new(body: Vec<u8>) -> Self {
        Self { body, ..Self::default() }
    }

    fn properties(&self) -> BasicProperties {
        let mut properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/json".into());
        if let Some(id) = &self.message_id {
            properties = properties.with_message_id(id.as_str().into());
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
    channel: Arc<Mutex<Option<Channel>>>,
    /// For one message at a time that must find a queue.
    mandatory: Arc<Mutex<Option<Channel>>>,
}

impl Publisher {
    /// A publisher over a link of its own.
    #[must_use]
    pub fn new(link: Link) -> Self {
        Self { link, channel: Arc::default(), mandatory: Arc::default() }
    }

    /// Publishes once; `Ok` means that the broker confirmed. The exchange must have a queue or an
    /// alternate for every key: a message that no queue takes is confirmed, too.
    ///
    /// # Errors
    /// When the broker fails, refuses the message, or does not confirm in time.
    pub async fn publish(&self, route: Route<'_>, message: &Outgoing) -> Result<(), BrokerError> {
        let channel = self.open().await?;
        let confirmation = self.send(&channel, route, message, BasicPublishOptions::default()).await?;
        if confirmation.is_ack() { Ok(()) } else { Err(BrokerError::Nacked) }
    }

    /// Publishes once, and gives up after `patience`: the message may have been stored all the same.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub async fn publish_within(
        &self,
        patience: Duration,
        route: Route<'_>,
        message: &Outgoing,
    ) -> Result<(), BrokerError> {
        within(patience, "confirm a message", self.publish(route, message)).await
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

    /// Publishes a message that must find a queue, one at a time: with several in flight the client
    /// was seen to mix up which of them came back.
    ///
    /// # Errors
    /// [`BrokerError::Unroutable`] when no queue takes it, else as [`Self::publish`].
    pub async fn publish_mandatory(&self, route: Route<'_>, message: &Outgoing) -> Result<(), BrokerError> {
        let mut slot = self.mandatory.lock().await;
        let channel = match slot.take() {
            Some(channel) if channel.status().connected() => channel,
            _ => self.new_channel().await?,
        };
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let confirmation = self.send(&channel, route, message, options).await?;
        *slot = Some(channel);
        match confirmation {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(_)) => Err(BrokerError::Unroutable(route.key.to_owned())),
            Confirmation::Nack(_) | Confirmation::NotRequested => Err(BrokerError::Nacked),
        }
    }

    /// Closes the link. What was not confirmed by then is not.
    pub async fn close(&self) {
        self.link.close().await;
    }

    async fn send(
        &self,
        channel: &Channel,
        route: Route<'_>,
        message: &Outgoing,
        options: BasicPublishOptions,
    ) -> Result<Confirmation, BrokerError> {
        let (exchange, key) = (route.exchange.into(), route.key.into());
        let publishing = async {
            let confirm =
                channel.basic_publish(exchange, key, options, &message.body, message.properties()).await?;
            confirm.await
        };
        let confirmed = within(CONFIRM, "confirm a message", publishing).await;
        if matches!(confirmed, Err(BrokerError::Timeout { .. })) {
            self.forget(channel).await;
        }
        confirmed
    }

    async fn open(&self) -> Result<Channel, BrokerError> {
        let mut slot = self.channel.lock().await;
        if let Some(channel) = slot.as_ref().filter(|channel| channel.status().connected()) {
            return Ok(channel.clone());
        }
        let channel = self.new_channel().await?;
        *slot = Some(channel.clone());
        Ok(channel)
    }

    async fn new_channel(&self) -> Result<Channel, BrokerError> {
        let channel = self.link.channel().await?;
        within(OPERATION, "confirm messages", channel.confirm_select(ConfirmSelectOptions::default()))
            .await?;
        Ok(channel)
    }

    /// Drops a channel that no longer answers, unless another caller replaced it already.
    async fn forget(&self, silent: &Channel) {
        let mut slot = self.channel.lock().await;
        slot.take_if(|channel| channel.id() == silent.id());
    }
}
