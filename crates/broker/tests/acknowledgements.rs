//! Which messages come again after a consumer has gone, against a real broker.

mod support;

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use broker::{Consumers, Ending, Message, Outgoing, Publisher, Route, Subscription};
use futures_util::FutureExt;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};

use support::Ground;

const MESSAGES: usize = 200;
const PREFETCH: u16 = 200;
/// More than all messages of a test.
const ALL: u16 = 1000;
/// When the broker drops a queue that nobody uses.
const QUEUE_LIVES_MS: i32 = 60_000;
/// Longest wait for something that has to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A queue like those of webhooks, with messages that are their own numbers.
async fn filled(ground: &Ground) {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    arguments.insert("x-expires".into(), AMQPValue::LongInt(QUEUE_LIVES_MS));
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    ground.channel.queue_declare(ground.name.as_str().into(), durable, arguments).await.expect("declared");
    publish(ground, 0..MESSAGES).await;
}

/// A consumer that has all messages of a queue in hand.
async fn all_in_hand(ground: &Ground) -> (Consumers, Subscription, Vec<Message>) {
    filled(ground).await;
    let consumers = Consumers::new(ground.link());
    let mut subscription = consumers.subscribe(&ground.name, PREFETCH).await.expect("a queue");
    let messages = take(&mut subscription, MESSAGES).await;
    (consumers, subscription, messages)
}

async fn publish(ground: &Ground, numbers: Range<usize>) {
    let publisher = Publisher::new(ground.link());
    let route = Route { exchange: "", key: &ground.name };
    for number in numbers {
        publisher.publish(route, &Outgoing::new(number.to_string().into_bytes())).await.expect("confirmed");
    }
}

async fn take(subscription: &mut Subscription, count: usize) -> Vec<Message> {
    let mut messages = Vec::new();
    while messages.len() < count {
        let next = tokio::time::timeout(PATIENCE, subscription.next()).await.expect("a message in time");
        messages.push(next.expect("a subscription that lasts"));
    }
    messages
}

fn number(message: &Message) -> usize {
    std::str::from_utf8(&message.body).expect("digits").parse().expect("a number")
}

/// What another consumer gets, after the first has gone.
async fn left_over(ground: &Ground, count: usize) -> BTreeSet<usize> {
    let mut again = Consumers::new(ground.link()).subscribe(&ground.name, ALL).await.expect("a queue");
    let messages = take(&mut again, count).await;
    // All that there was went to it; what was on its way is here once the broker confirms the end.
    again.end(Ending::Cancelled).await;
    let more = again.next().now_or_never().flatten();
    assert!(more.is_none(), "more than {count} came: {more:?}");
    messages.iter().map(number).collect()
}

#[tokio::test]
async fn what_was_handled_in_any_order_is_acknowledged_and_what_was_not_comes_again() {
    let ground = Ground::find().await;
    let (consumers, mut subscription, messages) = all_in_hand(&ground).await;
    let (mut kept, mut given_back) = (BTreeSet::new(), BTreeSet::new());
    for message in messages.iter().rev() {
        match number(message) {
            n if n % 50 == 7 => assert!(kept.insert(n)),
            n if n % 50 == 21 => {
                message.requeue().await.expect("given back");
                given_back.insert(n);
            }
            _ => message.ack(),
        }
    }
    // The broker hands out so many more only when it has heard of all that were acknowledged.
    publish(&ground, MESSAGES..2 * MESSAGES).await;
    let more = take(&mut subscription, usize::from(PREFETCH) - kept.len()).await;
    assert!(given_back.is_subset(&more.iter().map(number).collect()));
    consumers.close().await;

    let left: BTreeSet<usize> = kept.into_iter().chain(given_back).chain(MESSAGES..2 * MESSAGES).collect();
    assert_eq!(left_over(&ground, left.len()).await, left);
}

#[tokio::test]
async fn what_was_handled_is_acknowledged_before_the_link_closes() {
    let ground = Ground::find().await;
    let (consumers, _subscription, messages) = all_in_hand(&ground).await;
    for handled in [0, 1, 2, 100] {
        messages[handled].ack();
    }
    consumers.close().await;

    let left: BTreeSet<usize> = (3..MESSAGES).filter(|number| *number != 100).collect();
    assert_eq!(left_over(&ground, left.len()).await, left);
}

#[tokio::test]
async fn a_message_that_is_kept_in_hand_holds_up_the_acknowledgement_of_no_other() {
    let ground = Ground::find().await;
    filled(&ground).await;
    let consumers = Consumers::new(ground.link());
    // No more than a tenth at once: the rest comes only if all but one of those before are acknowledged.
    let mut subscription = consumers.subscribe(&ground.name, PREFETCH / 10).await.expect("a queue");
    let kept = take(&mut subscription, 1).await;
    for _ in 1..MESSAGES {
        take(&mut subscription, 1).await.iter().for_each(Message::ack);
    }
    consumers.close().await;

    assert_eq!(left_over(&ground, 1).await, [number(&kept[0])].into());
}
