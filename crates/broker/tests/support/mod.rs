//! Helpers of the tests against a real broker.

use broker::{BrokerSettings, Link};
use clap::Parser;
use lapin::{Channel, Connection, ConnectionProperties};
use uuid::Uuid;

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    broker: BrokerSettings,
}

/// A connection and a channel of the test, and a name that no other test uses.
pub(crate) struct TestBroker {
    pub(crate) channel: Channel,
    pub(crate) name: String,
    url: String,
    _connection: Connection,
}

impl TestBroker {
    pub(crate) async fn connect() -> Self {
        let url = std::env::var("E2E_AMQP_URL")
            .unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2f".to_owned());
        let connection = Connection::connect(&url, ConnectionProperties::default()).await.expect("a broker");
        let channel = connection.create_channel().await.expect("a channel");
        Self { channel, name: format!("t{}", Uuid::new_v4().simple()), url, _connection: connection }
    }

    /// Creates a link of the code under test.
    pub(crate) fn new_link(&self) -> Link {
        let settings = Settings::try_parse_from(["test", "--amqp-url", &self.url]).expect("settings").broker;
        Link::new(&settings, "test")
    }
}
