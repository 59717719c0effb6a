//! The router rejects messages that RabbitMQ removes from the queue of events, with a reason, and nothing
//! vanishes (contract §2).

use std::collections::BTreeSet;

use e2e::WAIT_TIMEOUT;
use e2e::event::Event;
use e2e::poll::eventually;
use e2e::raw_producer::{RawMessage, RawProducer};
use e2e::receiver::Endpoint;
use e2e::support::{republish_rejected, wait_rejected};
use serde_json::json;

use crate::Stage;

/// Creates a webhook and stops the router. No probe of the router is left, because it sends one before it
/// subscribes to a queue.
async fn create_webhook_without_router() -> (Stage, Endpoint) {
    let mut stage = Stage::new().await;
    let (endpoint, _) = stage.create_webhook("/hook").await;
    let router = &stage.platform.routers[0];
    eventually("the router consumes all queues", WAIT_TIMEOUT, async || {
        let log = router.read_log();
        let all = log.contains("taking quarantined messages") && log.matches("pace=Batches").count() >= 2;
        if all { Ok(()) } else { Err(log) }
    })
    .await;
    for queue in ["ingest", "ingest.spare", "quarantine"] {
        stage.platform.rabbit().await.wait_queue_depth(queue, 0).await;
    }
    stage.platform.routers[0].terminate().await;
    (stage, endpoint)
}

/// More returns than a message may have.
const RETURNS: usize = 51;

#[tokio::test]
async fn events_that_expire_without_a_router_are_rejected_and_republished() {
    let (mut stage, endpoint) = create_webhook_without_router().await;
    let platform = &mut stage.platform;
    let mut producer = RawProducer::connect(platform.amqp_url(), &platform.namespace).await;
    let events = Event::sms_batch("acme", 20);
    for event in &events {
        let message = RawMessage::new(event.event_type.as_bytes(), event.body().as_bytes());
        producer.publish(&message.text("expiration", b"1")).await;
    }
    let unhurried = Event::sms("acme");
    platform.producer().await.publish(&unhurried).await;
    platform.rabbit().await.wait_queue_depth("quarantine", 20).await;

    platform.routers[0].start();

    endpoint.wait_for_event(unhurried.id()).await;
    let items = wait_rejected(&stage.brand.support, 20).await;
    let bodies: BTreeSet<_> = items.iter().filter_map(|item| item["body"].as_str()).collect();
    let published: Vec<_> = events.iter().map(Event::body).collect();
    assert_eq!(bodies, published.iter().map(String::as_str).collect(), "each is there and unaltered");
    assert!(items.iter().all(|item| item["reason"] == "expired"), "{items:#?}");

    assert_eq!(republish_rejected(&stage.brand.support, json!({})).await, 20);
    for event in &events {
        endpoint.wait_for_event(event.id()).await;
    }
}

/// The consumer stands for a router that crashes whenever it receives the message.
#[tokio::test]
async fn a_message_that_kills_its_consumer_is_rejected_as_poison() {
    let (mut stage, endpoint) = create_webhook_without_router().await;
    let rabbit = stage.platform.rabbit().await;
    let poison = Event::sms("acme");
    stage.platform.producer().await.publish(&poison).await;
    for _ in 0..RETURNS {
        rabbit.requeue_ready("ingest").await;
    }
    rabbit.wait_queue_depth("quarantine", 1).await;
    let innocent = Event::sms("acme");
    stage.platform.producer().await.publish(&innocent).await;

    stage.platform.routers[0].start();

    endpoint.wait_for_event(innocent.id()).await;
    let items = wait_rejected(&stage.brand.support, 1).await;
    assert_eq!(
        (items[0]["reason"].as_str(), items[0]["body"].as_str()),
        (Some("poison"), Some(&*poison.body()))
    );
}

/// Messages that were returned several times are handled one by one, so that a message that kills its
/// consumer collects the returns alone.
#[tokio::test]
async fn messages_returned_several_times_are_delivered() {
    let (mut stage, endpoint) = create_webhook_without_router().await;
    let rabbit = stage.platform.rabbit().await;
    let returned = Event::sms("acme");
    stage.platform.producer().await.publish(&returned).await;
    for _ in 0..RETURNS / 5 {
        rabbit.requeue_ready("ingest").await;
    }
    let others = Event::sms_batch("acme", 50);
    stage.platform.producer().await.publish_all(&others).await;

    stage.platform.routers[0].start();

    for event in others.iter().chain([&returned]) {
        endpoint.wait_for_event(event.id()).await;
    }
}
