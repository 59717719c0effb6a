use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Confirmation, Connection, ConnectionProperties};

const PERSISTENT: u8 = 2;

/// Publishes one event. Returns `Ok(true)` once it is stored, and `Ok(false)` if RabbitMQ refused it or has no
/// queue for it. After an error, publish it again with the same `message_id`: it remains one event.
pub async fn produce(amqp_url: &str, exchange: &str) -> lapin::Result<bool> {
    let connection = Connection::connect(amqp_url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    // brandId is the id of your brand.
    let event = r#"{"brandId":"acme","type":"NOTIFICATION.SMS.RECEIPT",
        "data":{"phoneNumber":"+1234456789","message":"from Rust"}}"#;
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id("order-4713-shipped".into());
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let key = "NOTIFICATION.SMS.RECEIPT";
    let published = channel.basic_publish(exchange.into(), key.into(), options, event.as_bytes(), properties);
    let confirmed = published.await?.await?;
    connection.close(200, "done".into()).await?;
    Ok(matches!(confirmed, Confirmation::Ack(None)))
}
