//! The queue of rejected messages, against a real broker.

mod support;

use std::collections::BTreeMap;

use broker::rejected_queue::{BRAND_HEADER, MessageCount, REASON_HEADER};
use broker::{Namespace, Outgoing, Publisher, RejectedFilter, RejectedQueue, Route};
use lapin::ExchangeKind;
use lapin::options::{ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};

use support::TestBroker;

/// Time after which RabbitMQ deletes an unused queue.
const QUEUE_EXPIRY_MS: i32 = 60_000;

async fn declare_queue(broker: &TestBroker, name: &str, arguments: &[(&str, AMQPValue)]) {
    let mut table = FieldTable::default();
    table.insert("x-expires".into(), AMQPValue::LongInt(QUEUE_EXPIRY_MS));
    for (name, value) in arguments {
        table.insert((*name).into(), value.clone());
    }
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    broker.channel.queue_declare(name.into(), durable, table).await.expect("declared");
}

/// The exchange of events takes one message, and refuses further ones.
#[tokio::test]
async fn a_walk_that_fails_half_way_returns_what_it_did() {
    let broker = TestBroker::connect().await;
    let names: Namespace = broker.name.parse().expect("a namespace");
    let text = |text: &str| AMQPValue::LongString(text.into());
    declare_queue(&broker, &names.rejected_queue(), &[("x-queue-type", text("quorum"))]).await;
    let full = format!("{}.full", broker.name);
    let arguments = [("x-max-length", AMQPValue::LongInt(1)), ("x-overflow", text("reject-publish"))];
    declare_queue(&broker, &full, &arguments).await;
    let exchange = names.events_exchange();
    let kind = ExchangeKind::Topic;
    let options = ExchangeDeclareOptions::default();
    broker
        .channel
        .exchange_declare(exchange.as_str().into(), kind, options, FieldTable::default())
        .await
        .expect("declared");
    let options = QueueBindOptions::default();
    let bound = broker.channel.queue_bind(
        full.as_str().into(),
        exchange.as_str().into(),
        "#".into(),
        options,
        FieldTable::default(),
    );
    bound.await.expect("bound");
    let publisher = Publisher::new(broker.new_link());
    let queue = names.rejected_queue();
    for _ in 0..3 {
        let headers = vec![(REASON_HEADER, "unknown_type".to_owned()), (BRAND_HEADER, "acme".to_owned())];
        let message = Outgoing { headers, ..Outgoing::new(b"{}".to_vec()) };
        publisher.publish(Route { exchange: "", key: &queue }, &message).await.expect("confirmed");
    }

    let rejected = RejectedQueue::new(broker.new_link(), names);
    let reader = rejected.wait_turn().await;
    let all = RejectedFilter::default();
    let walked = reader.republish(&publisher, &all, 10).await.expect("what was republished");
    let group = (Some("acme".parse().expect("a brand")), Some("unknown_type".to_owned()));
    assert_eq!(walked.found, BTreeMap::from([(group, MessageCount { messages: 1, bytes: 2 })]));
    assert!(!walked.complete, "{walked:?}");
    let failed = reader.republish(&publisher, &all, 10).await;
    assert!(failed.is_err(), "nothing was republished: {failed:?}");
    let left = reader.list(&all, 10).await.expect("a list");
    assert_eq!((left.found.len(), left.total, left.complete), (2, 2, true));
    broker
        .channel
        .exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default())
        .await
        .expect("deleted");
    publisher.close().await;
}
