//! Mandatory messages, many in flight, against a real broker.

mod support;

use broker::{BrokerError, Outgoing, Publisher, Route};
use futures_util::future::join_all;
use lapin::ExchangeKind;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;

use support::TestBroker;

const BOUND: &str = "bound";
/// More messages than are in flight at once.
const MESSAGES: usize = 350;

/// An exchange with one queue, which RabbitMQ deletes when the connection closes.
struct BoundQueue {
    publisher: Publisher,
    broker: TestBroker,
}

impl BoundQueue {
    async fn create() -> Self {
        let broker = TestBroker::connect().await;
        let channel = &broker.channel;
        let auto_delete = ExchangeDeclareOptions { auto_delete: true, ..ExchangeDeclareOptions::default() };
        let own = broker.name.as_str();
        let none = FieldTable::default;
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
        Self { publisher: Publisher::new(broker.new_link()), broker }
    }

    /// Publishes a message to each of these keys, all at once.
    async fn publish_to(&self, keys: &[&str]) -> Result<(), BrokerError> {
        let message = Outgoing::new(b"{}".to_vec());
        let messages: Vec<_> =
            keys.iter().map(|key| (Route { exchange: &self.broker.name, key }, &message)).collect();
        self.publisher.publish_all_mandatory(&messages).await
    }

    /// Returns the number of messages in the queue.
    async fn count_stored(&self) -> u32 {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let TestBroker { channel, name, .. } = &self.broker;
        let queue = channel.queue_declare(name.as_str().into(), passive, FieldTable::default()).await;
        queue.expect("the queue exists").message_count()
    }
}

#[tokio::test]
async fn messages_with_a_bound_key_are_stored() {
    let bound = BoundQueue::create().await;
    bound.publish_to(&[BOUND; MESSAGES]).await.expect("stored");
    assert_eq!(bound.count_stored().await, 350);
    bound.publish_to(&[]).await.expect("nothing to store");
}

#[tokio::test]
async fn an_unroutable_message_fails_its_chunk_and_no_later_message() {
    let bound = BoundQueue::create().await;
    for lost in (0..MESSAGES).step_by(13) {
        let mut keys = [BOUND; MESSAGES];
        keys[lost] = "nowhere";
        let failed = bound.publish_to(&keys).await;
        assert!(matches!(failed, Err(BrokerError::Unroutable(_))), "{lost}: {failed:?}");
        bound.publish_to(&[BOUND; 50]).await.expect("later messages are stored");
    }
}

#[tokio::test]
async fn callers_beside_an_unroutable_message_are_not_affected() {
    let bound = BoundQueue::create().await;
    let publish = async |caller: usize| {
        let mut keys = [BOUND; 20];
        if caller.is_multiple_of(3) {
            keys[caller % 20] = "nowhere";
        }
        (caller, bound.publish_to(&keys).await)
    };
    for (caller, published) in join_all((0..60).map(publish)).await {
        match published {
            Ok(()) => assert!(!caller.is_multiple_of(3), "{caller}"),
            Err(BrokerError::Unroutable(_)) => assert!(caller.is_multiple_of(3), "{caller}"),
            Err(error) => panic!("{caller}: {error:?}"),
        }
    }
    assert_eq!(bound.count_stored().await, 40 * 20 + 20 * 19);
}
