//! A setting of operators on one node: a length limit for queues.

use std::time::Duration;

use e2e::WAIT_TIMEOUT;
use e2e::brand::put_type;
use e2e::event::{Event, SMS, ids};
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::private_broker::PrivateBroker;
use e2e::rabbit_server::Server;
use e2e::script::Reply;
use serde_json::json;

use crate::Stage;

/// The policy's limit on the messages of a queue.
const MAX_LENGTH: u32 = 200;
/// A queue counts as full a little below the limit, because the deliverer takes messages away meanwhile.
const FULL: u32 = MAX_LENGTH - 20;
/// Events that fill the hanging webhook's queue, in addition to the deliverer's prefetched ones; a message
/// holds eight.
const FILLING: usize = 2500;
/// Events for the other webhooks while the queue is full.
const OTHERS: usize = 100;
/// How long all deliveries of the webhook may take once its endpoint answers again.
const CONVERGENCE_TIMEOUT: Duration = Duration::from_secs(120);
/// The type of the events that fill the queue.
const HANGING: &str = "NOTIFICATION.HANGING";

on_each_server!(a_full_queue_that_refuses_messages_holds_up_nobody_else);

async fn a_full_queue_that_refuses_messages_holds_up_nobody_else(server: Server) {
    let broker = PrivateBroker::start_server(server).await;
    let builder = Platform::builder().broker(&broker.url()).without_health_rule().many_retries("1s");
    let stage = Stage::with_builder(builder.set("POSTRIDER_REQUEST_TIMEOUT", "2s")).await;
    let pattern = format!("^{}\\.webhook\\.", stage.platform.namespace);
    let policy = json!({"max-length": MAX_LENGTH, "overflow": "reject-publish"});
    broker.set_policy("short", &pattern, &policy).await;
    put_type(&stage.brand.support, HANGING, &json!({"description": "fills a queue"})).await;
    let hanging = stage.receiver.endpoint("/hanging");
    hanging.always(Reply::Hang);
    let slow = stage.brand.create_webhook(hanging.url(), &[HANGING]).await;
    let other = stage.receiver.endpoint("/other");
    let quick = stage.brand.create_webhook(other.url(), &[SMS]).await;

    let filling: Vec<Event> = (0..FILLING).map(|_| Event::new("acme", HANGING)).collect();
    stage.platform.producer().await.publish_all(&filling).await;
    let rabbit = stage.platform.rabbit().await;
    let queue = format!("webhook.{}", slow.id);
    eventually("the queue is full", WAIT_TIMEOUT, async || match rabbit.queue_depth(&queue).await {
        Some(FULL..) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let events = ids(&stage.publish_many(OTHERS).await);
    stage.brand.wait_listed(&quick, "status=delivered", &events, WAIT_TIMEOUT).await;

    hanging.always(Reply::ok());
    stage.brand.wait_listed(&slow, "status=delivered", &ids(&filling), CONVERGENCE_TIMEOUT).await;
    assert!(hanging.count_by_event().keys().eq(&ids(&filling)), "nothing is lost, nothing is invented");
}
