//! Messages that must find a queue, many in flight, against a real broker.

use broker::{BrokerError, BrokerSettings, Link, Outgoing, Publisher, Route};
use clap::Parser;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};
use uuid::Uuid;

const BOUND: &str = "bound";
/// More than are in flight at once.
const MESSAGES: usize = 350;

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    broker: BrokerSettings,
}

/// An exchange with one queue, both gone with the connection or soon after.
struct Stage {
    publisher: Publisher,
    channel: Channel,
    name: String,
    _connection: Connection,
}

impl Stage {
    async fn set() -> Self {
        let url = std::env::var("E2E_AMQP_URL")
            .unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2f".to_owned());
        let connection = Connection::connect(&url, ConnectionProperties::default()).await.expect("a broker");
        let channel = connection.create_channel().await.expect("a channel");
        let name = format!("t{}", Uuid::new_v4().simple());
        let auto_delete = ExchangeDeclareOptions { auto_delete: true, ..ExchangeDeclareOptions::default() };
        let (own, none) = (name.as_str(), FieldTable::default);
        channel
            .exchange_declare(own.into(), ExchangeKind::Direct, auto_delete, none())
            .await
            .expect("declared");
        let exclusive = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(own.into(), exclusive, none()).await.expect("declared");
        channel
            .queue_bind(own.into(), own.into(), BOUND.into(), QueueBindOptions::default(), none())
            .await
            .expect("bound");
        let settings = Settings::try_parse_from(["test", "--amqp-url", &url]).expect("settings").broker;
        Self {
            publisher: Publisher::new(Link::new(&settings, "test")),
            channel,
            name,
            _connection: connection,
        }
    }

    /// Publishes to these keys, all at once.
    async fn publish(&self, keys: &[&str]) -> Result<(), BrokerError> {
        let message = Outgoing::new(b"{}".to_vec());
        let messages: Vec<_> =
            keys.iter().map(|key| (Route { exchange: &self.name, key }, &message)).collect();
        self.publisher.publish_all_mandatory(&messages).await
    }

    /// How many messages the queue has.
    async fn stored(&self) -> u32 {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue =
            self.channel.queue_declare(self.name.as_str().into(), passive, FieldTable::default()).await;
        queue.expect("it is there").message_count()
    }
}

#[tokio::test]
async fn all_that_find_a_queue_are_stored() {
    let stage = Stage::set().await;
    stage.publish(&[BOUND; MESSAGES]).await.expect("stored");
    assert_eq!(stage.stored().await, 350);
    stage.publish(&[]).await.expect("nothing to store");
}

#[tokio::test]
async fn one_that_finds_none_fails_them_all_wherever_it_stands_and_nobody_after() {
    let stage = Stage::set().await;
    for lost in (0..MESSAGES).step_by(13) {
        let mut keys = [BOUND; MESSAGES];
        keys[lost] = "nowhere";
        let failed = stage.publish(&keys).await;
        assert!(matches!(failed, Err(BrokerError::Unroutable(_))), "{lost}: {failed:?}");
        stage.publish(&[BOUND; 50]).await.expect("others are not told of it");
    }
}
