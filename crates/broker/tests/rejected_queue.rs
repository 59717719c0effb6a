//! The queue of rejected messages, against a real broker.

mod support;

use std::collections::BTreeMap;

use broker::rejected_queue::{
    BRAND_HEADER, Group, MessageCount, REASON_HEADER, TIME_HEADER, TakeLimit, WALK_TIMEOUT,
};
use broker::{Namespace, Outgoing, Publisher, RejectedFilter, RejectedQueue, Route};
use lapin::ExchangeKind;
use lapin::options::{ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};

use support::TestBroker;

/// Time after which RabbitMQ deletes an unused queue.
const QUEUE_EXPIRY_MS: i32 = 600_000;

async fn declare_queue(broker: &TestBroker, name: &str, arguments: &[(&str, AMQPValue)]) {
    let mut table = FieldTable::default();
    table.insert("x-expires".into(), AMQPValue::LongInt(QUEUE_EXPIRY_MS));
    for (name, value) in arguments {
        table.insert((*name).into(), value.clone());
    }
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    broker.channel.queue_declare(name.into(), durable, table).await.expect("declared");
}

/// The time of a rejection.
const AT: &str = "2021-04-08T19:36:02.938Z";
const BODY: &[u8] = br#"{"type":"A.B"}"#;

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
        let headers = vec![
            (REASON_HEADER, "unknown_type".to_owned()),
            (BRAND_HEADER, "acme".to_owned()),
            (TIME_HEADER, AT.to_owned()),
        ];
        let message = Outgoing { headers, ..Outgoing::new(BODY.to_vec()) };
        publisher.publish(Route { exchange: "", key: &queue }, &message).await.expect("confirmed");
    }

    let rejected = RejectedQueue::new(broker.new_link(), names);
    let reader = rejected.wait_turn().await;
    let all = RejectedFilter::default();
    let limit = TakeLimit { max_messages: 10, timeout: WALK_TIMEOUT };
    let walked = reader.republish(&publisher, &all, limit).await.expect("what was republished");
    let group = Group {
        brand: Some("acme".parse().expect("a brand")),
        reason: Some("unknown_type".to_owned()),
        event_type: Some("A.B".to_owned()),
    };
    let at = domain::time::parse_timestamp(AT);
    let count = MessageCount { messages: 1, bytes: BODY.len() as u64, first: at, last: at };
    assert_eq!(walked.found, BTreeMap::from([(group, count)]));
    assert!(!walked.complete, "{walked:?}");
    let failed = reader.republish(&publisher, &all, limit).await;
    assert!(failed.is_err(), "nothing was republished: {failed:?}");
    for (event_type, matching) in [("A.B", 2), ("A.C", 0)] {
        let of_type = RejectedFilter { event_type: Some(event_type.to_owned()), ..RejectedFilter::default() };
        let counted = reader.count(&of_type).await.expect("a count");
        assert_eq!((counted.found, counted.total, counted.complete), (matching, 2, true));
    }
    for (end, matching) in [("2021-04-08T19:36:02.938Z", 0), ("2021-04-08T19:36:02.939Z", 2)] {
        let older = RejectedFilter {
            rejected_before: domain::time::parse_timestamp(end),
            ..RejectedFilter::default()
        };
        assert_eq!(reader.count(&older).await.expect("a count").found, matching, "{end}");
    }
    let left = reader.list(&all, 10).await.expect("a list");
    assert_eq!((left.found.len(), left.total, left.complete), (2, 2, true));
    let deleted = reader.delete(&all, limit).await.expect("what was deleted");
    assert_eq!(
        (deleted.found.values().map(|count| count.messages).sum::<u64>(), deleted.complete),
        (2, true)
    );
    broker
        .channel
        .exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default())
        .await
        .expect("deleted");
    publisher.close().await;
}
