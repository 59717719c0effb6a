//! The bound in bytes on received messages, against a real broker.

mod support;

use std::time::Duration;

use broker::{BrokerSettings, Consumers, Ending, Link, Message, Outgoing, Publisher, Route, Subscription};
use clap::Parser;
use lapin::BasicProperties;
use lapin::options::{BasicPublishOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};

use support::TestBroker;

const MIB: usize = 1024 * 1024;
const MAX_RECEIVED_BYTES: usize = 16 * MIB;
const PREFETCH: u16 = 1000;
/// Time after which RabbitMQ deletes the unused queue.
const QUEUE_EXPIRY_MS: i32 = 600_000;
/// Longest wait for a message.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(60);
/// Heartbeat of a connection that is paused for longer than either side waits for heartbeats.
/// A busy machine may stop either side for a second or two.
const SHORT_HEARTBEAT: &str = "heartbeat=4";
/// Time that the reader pauses: RabbitMQ gives up after three heartbeats, and the client after two.
const PAUSE: Duration = Duration::from_secs(15);

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    broker: BrokerSettings,
}

/// Creates a link that holds at most this many bytes of received messages, with a query in the URL.
fn new_bounded_link(max_bytes: usize, query: &str) -> Link {
    let url =
        std::env::var("E2E_AMQP_URL").unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2f".to_owned());
    let url = format!("{url}?{query}");
    let settings = Settings::try_parse_from(["test", "--amqp-url", &url]).expect("settings").broker;
    Link::with_receive_budget(&settings, "test", max_bytes)
}

/// Declares the queue of the test.
async fn declare_queue(broker: &TestBroker) {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    arguments.insert("x-expires".into(), AMQPValue::LongInt(QUEUE_EXPIRY_MS));
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    broker.channel.queue_declare(broker.name.as_str().into(), durable, arguments).await.expect("declared");
}

/// Declares the queue and fills it with messages of these sizes.
async fn fill_queue(broker: &TestBroker, sizes: impl IntoIterator<Item = usize>) {
    declare_queue(broker).await;
    let publisher = Publisher::new(broker.new_link());
    let route = Route { exchange: "", key: &broker.name };
    for bytes in sizes {
        publisher.publish(route, &Outgoing::new(vec![b'x'; bytes])).await.expect("confirmed");
    }
    publisher.close().await;
}

/// Publishes a message of ten bytes with large headers.
async fn publish_large_headers(broker: &TestBroker) {
    let mut headers = FieldTable::default();
    headers.insert("x-large".into(), AMQPValue::LongString("x".repeat(80 * 1024).into()));
    headers.insert("x-reject-reason".into(), AMQPValue::LongString("x".repeat(20 * 1024).into()));
    headers.insert("x-reject-detail".into(), AMQPValue::LongString("x".into()));
    let properties = BasicProperties::default().with_headers(headers);
    let options = BasicPublishOptions::default();
    let key = broker.name.as_str().into();
    broker.channel.basic_publish("".into(), key, options, &[b'x'; 10], properties).await.expect("published");
}

async fn next(subscription: &mut Subscription) -> Message {
    let next = tokio::time::timeout(MESSAGE_TIMEOUT, subscription.next()).await.expect("a message in time");
    next.expect("a subscription that has not ended")
}

#[tokio::test]
async fn small_messages_then_large_ones_stay_within_the_budget_and_all_arrive() {
    let broker = TestBroker::connect().await;
    let large = 6 * MIB;
    let sizes: Vec<usize> = [vec![700; 100], vec![large; 12], vec![700; 100]].concat();
    fill_queue(&broker, sizes.iter().copied()).await;
    let link = new_bounded_link(MAX_RECEIVED_BYTES, "");
    let consumers = Consumers::new(link.clone());
    let mut subscription = consumers.subscribe(&broker.name, PREFETCH).await.expect("a queue");
    for expected in &sizes {
        let message = next(&mut subscription).await;
        assert_eq!(message.body.len(), *expected);
        message.ack();
    }
    let (_, peak) = link.received_bytes();
    assert!(peak >= large, "the messages count: {peak}");
    assert!(peak < MAX_RECEIVED_BYTES + large + MIB, "{peak} bytes were held at once");
    consumers.close().await;
}

#[tokio::test]
async fn a_message_larger_than_the_budget_passes_alone() {
    let broker = TestBroker::connect().await;
    fill_queue(&broker, [3 * MIB; 4]).await;
    let link = new_bounded_link(MIB, "");
    let consumers = Consumers::new(link.clone());
    let mut subscription = consumers.subscribe(&broker.name, PREFETCH).await.expect("a queue");
    for _ in 0..4 {
        let message = next(&mut subscription).await;
        assert_eq!(message.body.len(), 3 * MIB);
        message.ack();
    }
    let (_, peak) = link.received_bytes();
    assert!(peak < 4 * MIB, "{peak} bytes were held at once");
    consumers.close().await;
}

#[tokio::test]
async fn a_pause_of_several_heartbeats_ends_neither_connection_nor_subscription() {
    let broker = TestBroker::connect().await;
    fill_queue(&broker, [MIB; 8]).await;
    let link = new_bounded_link(MIB, SHORT_HEARTBEAT);
    let consumers = Consumers::new(link.clone());
    let mut subscription = consumers.subscribe(&broker.name, PREFETCH).await.expect("a queue");
    let kept = next(&mut subscription).await;
    tokio::time::sleep(PAUSE).await;
    let (held, _) = link.received_bytes();
    assert!(held < 2 * MIB, "the link went on reading: {held}");
    assert!(kept.is_ours());
    kept.ack();
    drop(kept);
    for _ in 1..8 {
        let message = next(&mut subscription).await;
        assert!(!message.redelivered);
        message.ack();
    }
    consumers.close().await;
}

#[tokio::test]
async fn a_subscription_ends_while_the_budget_is_used_up_and_nothing_is_lost() {
    let broker = TestBroker::connect().await;
    fill_queue(&broker, [MIB; 20]).await;
    let link = new_bounded_link(MIB, "");
    let consumers = Consumers::new(link.clone());
    let mut subscription = consumers.subscribe(&broker.name, PREFETCH).await.expect("a queue");
    let kept = next(&mut subscription).await;
    let ending = subscription.end(Ending::Closed);
    tokio::time::timeout(MESSAGE_TIMEOUT, ending).await.expect("RabbitMQ's answer is read");
    let (_, peak) = link.received_bytes();
    assert!(peak < 4 * MIB, "messages that nobody takes are dropped: {peak}");
    drop(kept);
    let mut again = consumers.subscribe(&broker.name, PREFETCH).await.expect("a queue");
    for _ in 0..20 {
        next(&mut again).await.ack();
    }
    consumers.close().await;
}

#[tokio::test]
async fn headers_count_until_the_message_is_taken() {
    let broker = TestBroker::connect().await;
    declare_queue(&broker).await;
    for _ in 0..40 {
        publish_large_headers(&broker).await;
    }
    let link = new_bounded_link(MIB, "");
    let consumers = Consumers::new(link.clone());
    let mut subscription = consumers.subscribe(&broker.name, PREFETCH).await.expect("a queue");
    let mut kept = Vec::new();
    for _ in 0..40 {
        kept.push(next(&mut subscription).await);
    }
    let (held, peak) = link.received_bytes();
    assert!(held < MIB / 4, "{held} bytes are held although the headers are dropped");
    assert!(peak > 100 * 1024, "headers count while they are in memory: {peak}");
    assert!(kept.iter().all(|message| message.memory_bytes() < 2048 && message.rejection.is_none()));
    kept.iter().for_each(Message::ack);
    consumers.close().await;
}

#[tokio::test]
async fn a_message_larger_than_the_budget_is_not_lost_when_its_subscription_is_cancelled() {
    let broker = TestBroker::connect().await;
    fill_queue(&broker, [32 * MIB]).await;
    let consumers = Consumers::new(new_bounded_link(MIB, ""));
    let mut subscription = consumers.subscribe(&broker.name, 1).await.expect("a queue");
    // The message is on its way.
    subscription.end(Ending::Cancelled).await;
    let message = next(&mut subscription).await;
    assert_eq!(message.body.len(), 32 * MIB);
    message.ack();
    consumers.close().await;
}
