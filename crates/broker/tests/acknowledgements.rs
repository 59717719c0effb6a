//! Messages that RabbitMQ redelivers after a consumer has closed, against a real broker.

mod support;

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use broker::{Consumers, Ending, Message, Outgoing, Publisher, Route, Subscription};
use futures_util::FutureExt;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};

use support::TestBroker;

const MESSAGES: usize = 200;
const PREFETCH: u16 = 200;
/// A prefetch above the number of messages in a test.
const UNLIMITED_PREFETCH: u16 = 1000;
/// Time after which RabbitMQ deletes the unused queue.
const QUEUE_EXPIRY_MS: i32 = 600_000;
/// Longest wait for a message.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);

/// Declares a queue and publishes messages whose bodies are their numbers.
async fn fill_queue(broker: &TestBroker) {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    arguments.insert("x-expires".into(), AMQPValue::LongInt(QUEUE_EXPIRY_MS));
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    broker.channel.queue_declare(broker.name.as_str().into(), durable, arguments).await.expect("declared");
    publish_numbers(broker, 0..MESSAGES).await;
}

/// Subscribes to a filled queue and receives all of its messages.
async fn receive_all(broker: &TestBroker) -> (Consumers, Subscription, Vec<Message>) {
    fill_queue(broker).await;
    let consumers = Consumers::new(broker.new_link());
    let mut subscription = consumers.subscribe(&broker.name, PREFETCH).await.expect("a queue");
    let messages = receive(&mut subscription, MESSAGES).await;
    (consumers, subscription, messages)
}

async fn publish_numbers(broker: &TestBroker, numbers: Range<usize>) {
    let publisher = Publisher::new(broker.new_link());
    let route = Route { exchange: "", key: &broker.name };
    for number in numbers {
        publisher.publish(route, &Outgoing::new(number.to_string().into_bytes())).await.expect("confirmed");
    }
}

async fn receive(subscription: &mut Subscription, count: usize) -> Vec<Message> {
    let mut messages = Vec::new();
    while messages.len() < count {
        let next =
            tokio::time::timeout(MESSAGE_TIMEOUT, subscription.next()).await.expect("a message in time");
        messages.push(next.expect("a subscription that has not ended"));
    }
    messages
}

fn number_of(message: &Message) -> usize {
    std::str::from_utf8(&message.body).expect("digits").parse().expect("a number")
}

/// Returns the messages that another consumer gets after the first one has closed.
async fn receive_remaining(broker: &TestBroker, count: usize) -> BTreeSet<usize> {
    let mut again =
        Consumers::new(broker.new_link()).subscribe(&broker.name, UNLIMITED_PREFETCH).await.expect("a queue");
    let messages = receive(&mut again, count).await;
    // RabbitMQ has delivered every message to it. Messages in flight have arrived once RabbitMQ confirms the end.
    again.end(Ending::Cancelled).await;
    let more = again.next().now_or_never().flatten();
    assert!(more.is_none(), "more than {count} came: {more:?}");
    messages.iter().map(number_of).collect()
}

#[tokio::test]
async fn messages_handled_in_any_order_are_acknowledged_and_the_others_are_redelivered() {
    let broker = TestBroker::connect().await;
    let (consumers, mut subscription, messages) = receive_all(&broker).await;
    let mut kept = BTreeSet::new();
    let mut requeued = BTreeSet::new();
    for message in messages.iter().rev() {
        match number_of(message) {
            n if n % 50 == 7 => assert!(kept.insert(n)),
            n if n % 50 == 21 => {
                message.requeue().await.expect("requeued");
                requeued.insert(n);
            }
            _ => message.ack(),
        }
    }
    // RabbitMQ delivers this many more only after all acknowledgements have arrived.
    publish_numbers(&broker, MESSAGES..2 * MESSAGES).await;
    let more = receive(&mut subscription, usize::from(PREFETCH) - kept.len()).await;
    assert!(requeued.is_subset(&more.iter().map(number_of).collect()));
    consumers.close().await;

    let left: BTreeSet<usize> = kept.into_iter().chain(requeued).chain(MESSAGES..2 * MESSAGES).collect();
    assert_eq!(receive_remaining(&broker, left.len()).await, left);
}

#[tokio::test]
async fn handled_messages_are_acknowledged_before_the_link_closes() {
    let broker = TestBroker::connect().await;
    let (consumers, _subscription, messages) = receive_all(&broker).await;
    for handled in [0, 1, 2, 100] {
        messages[handled].ack();
    }
    consumers.close().await;

    let left: BTreeSet<usize> = (3..MESSAGES).filter(|number| *number != 100).collect();
    assert_eq!(receive_remaining(&broker, left.len()).await, left);
}

#[tokio::test]
async fn an_unhandled_message_delays_no_acknowledgement_of_another() {
    let broker = TestBroker::connect().await;
    fill_queue(&broker).await;
    let consumers = Consumers::new(broker.new_link());
    // The prefetch is a tenth of the messages, so the rest arrives only if all others but one are acknowledged.
    let mut subscription = consumers.subscribe(&broker.name, PREFETCH / 10).await.expect("a queue");
    let kept = receive(&mut subscription, 1).await;
    for _ in 1..MESSAGES {
        receive(&mut subscription, 1).await.iter().for_each(Message::ack);
    }
    consumers.close().await;

    assert_eq!(receive_remaining(&broker, 1).await, [number_of(&kept[0])].into());
}
