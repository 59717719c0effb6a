//! Messages that must find a queue, many in flight, against a real broker.

mod support;

use broker::{BrokerError, Outgoing, Publisher, Route};
use lapin::ExchangeKind;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;

use support::Ground;

const BOUND: &str = "bound";
/// More than are in flight at once.
const MESSAGES: usize = 350;

/// An exchange with one queue, both gone with the connection or soon after.
struct Stage {
    publisher: Publisher,
    ground: Ground,
}

impl Stage {
    async fn set() -> Self {
        let ground = Ground::find().await;
        let channel = &ground.channel;
        let auto_delete = ExchangeDeclareOptions { auto_delete: true, ..ExchangeDeclareOptions::default() };
        let (own, none) = (ground.name.as_str(), FieldTable::default);
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
        Self { publisher: Publisher::new(ground.link()), ground }
    }

    /// Publishes to these keys, all at once.
    async fn publish(&self, keys: &[&str]) -> Result<(), BrokerError> {
        let message = Outgoing::new(b"{}".to_vec());
        let messages: Vec<_> =
            keys.iter().map(|key| (Route { exchange: &self.ground.name, key }, &message)).collect();
        self.publisher.publish_all_mandatory(&messages).await
    }

    /// How many messages the queue has.
    async fn stored(&self) -> u32 {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let Ground { channel, name, .. } = &self.ground;
        let queue = channel.queue_declare(name.as_str().into(), passive, FieldTable::default()).await;
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
