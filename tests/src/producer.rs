//! An event producer with persistent messages, `mandatory` and publisher confirms.

use std::time::Duration;

use futures_util::future::join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};

use crate::WAIT_TIMEOUT;
use crate::event::Event;

/// A confirm, or any other answer of the broker, that takes longer counts as missing, where a test can publish again.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);
/// The AMQP delivery mode that survives a broker restart.
const PERSISTENT: u8 = 2;

/// A producer's connection.
#[derive(Debug)]
pub struct Producer {
    exchange: String,
    channel: Channel,
    // Closes when dropped.
    _connection: Connection,
}

/// The reason why the broker may not have a message.
pub type NotConfirmed = String;

impl Producer {
    /// Connects to the broker, to publish to `{namespace}.events`.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn connect(amqp_url: &str, namespace: &str) -> Result<Self, NotConfirmed> {
        let connected = async {
            let connection = Connection::connect(amqp_url, ConnectionProperties::default()).await?;
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok::<_, lapin::Error>((connection, channel))
        };
        let connected = tokio::time::timeout(CONFIRM_TIMEOUT, connected)
            .await
            .map_err(|_| "the broker hangs".to_owned())?;
        let (connection, channel) = connected.map_err(|e| e.to_string())?;
        Ok(Self { exchange: format!("{namespace}.events"), channel, _connection: connection })
    }

    /// Publishes an event and waits for the confirm.
    ///
    /// # Panics
    /// When it is not confirmed.
    pub async fn publish(&self, event: &Event) {
        let body = event.body();
        let properties = properties(event.message_id.as_deref());
        self.publish_patiently(&event.event_type, body.as_bytes(), properties).await;
    }

    /// Publishes these events, all in flight at once, and waits for all confirms.
    ///
    /// # Panics
    /// When one is not confirmed.
    pub async fn publish_all(&self, events: &[Event]) {
        join_all(events.iter().map(|event| self.publish(event))).await;
    }

    /// Publishes an event with this header `traceparent`.
    ///
    /// # Panics
    /// When it is not confirmed.
    pub async fn publish_traced(&self, event: &Event, trace: &str) {
        let mut headers = FieldTable::default();
        headers.insert("traceparent".into(), AMQPValue::LongString(trace.into()));
        let properties = properties(event.message_id.as_deref()).with_headers(headers);
        let body = event.body();
        self.publish_patiently(&event.event_type, body.as_bytes(), properties).await;
    }

    /// Publishes an event and waits for the confirm.
    ///
    /// # Errors
    /// When it is not confirmed, so that nobody knows whether the broker has it.
    pub async fn try_publish(&self, event: &Event) -> Result<(), NotConfirmed> {
        self.publish_raw(&event.event_type, event.body().as_bytes(), event.message_id.as_deref()).await
    }

    /// Publishes these bytes under this routing key.
    ///
    /// # Errors
    /// When it is not confirmed.
    pub async fn publish_raw(
        &self,
        key: &str,
        body: &[u8],
        message_id: Option<&str>,
    ) -> Result<(), NotConfirmed> {
        self.publish_within(CONFIRM_TIMEOUT, key, body, properties(message_id)).await
    }

    /// Publishes for a test that ends without a confirm, which a busy machine may delay.
    async fn publish_patiently(&self, key: &str, body: &[u8], properties: BasicProperties) {
        self.publish_within(WAIT_TIMEOUT, key, body, properties).await.expect("a confirm");
    }

    async fn publish_within(
        &self,
        timeout: Duration,
        key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<(), NotConfirmed> {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let confirm = async {
            let exchange = self.exchange.as_str().into();
            self.channel.basic_publish(exchange, key.into(), options, body, properties).await?.await
        };
        match tokio::time::timeout(timeout, confirm).await {
            Err(_) => Err("no confirm".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Ok(Ok(Confirmation::Ack(None))) => Ok(()),
            Ok(Ok(other)) => Err(format!("{other:?}")),
        }
    }
}

fn properties(message_id: Option<&str>) -> BasicProperties {
    let properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/json".into());
    match message_id {
        Some(id) => properties.with_message_id(id.into()),
        None => properties,
    }
}
