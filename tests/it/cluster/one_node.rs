//! Settings of operators on one node: a length limit for queues, and an account with no more permissions than
//! it needs.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::WAIT_TIMEOUT;
use e2e::brand::put_type;
use e2e::event::{Event, SMS, ids};
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::private_broker::PrivateBroker;
use e2e::rabbit_server::Server;
use e2e::receiver::Endpoint;
use e2e::script::Reply;
use e2e::support::{REJECTED, wait_rejected};
use http::Method;
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
/// A type that is unknown at first.
const LATER: &str = "NOTIFICATION.LATER";
/// The careful operator's account.
const USER: &str = "careful";
const PASSWORD: &str = "least-privilege";

on_each_server!(
    a_full_queue_that_refuses_messages_holds_up_nobody_else,
    the_permissions_of_the_namespace_are_enough,
);

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

async fn the_permissions_of_the_namespace_are_enough(server: Server) {
    let broker = PrivateBroker::start_server(server).await;
    let url = broker.url_of(USER, PASSWORD);
    let mut platform = Platform::builder().broker(&url).retries("1s,1s,1s").prepare().await;
    broker.add_user(USER, PASSWORD, &format!("^{}\\.", platform.namespace)).await;
    platform.start_all().await;
    let stage = Stage::on_platform(platform).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    endpoint.answer_each([Reply::status(503), Reply::ok()]);

    // Events of producers (which fail once), of the API and of a test.
    let mut owed = ids(&stage.deliver_many(&webhook, 20).await);
    let posted = stage.brand.api.send(Method::POST, "/v1/acme/events", Some(Event::sms("acme").body())).await;
    let _ = posted.expect_status(202);
    owed.insert(stage.brand.send_test(&webhook, &json!({"type": SMS})).await);
    endpoint.wait_until("22 events, each twice", WAIT_TIMEOUT, |all| all.len() == 44).await;

    // Rejected messages, and events after them.
    let producer = stage.platform.producer().await;
    let later: Vec<Event> = (0..3).map(|_| Event::new("acme", LATER)).collect();
    producer.publish_all(&later).await;
    producer.publish_raw("SOME.KEY", b"not JSON", None).await.expect("a confirm");
    wait_rejected(&stage.brand.support, 4).await;
    owed.insert(stage.deliver_one(&webhook).await.id().to_owned());

    // The messages are republished; one of them is rejected again.
    put_type(&stage.brand.support, LATER, &json!({"description": "known at last"})).await;
    republish_until_arrived(&stage, &endpoint, &ids(&later)).await;
    wait_rejected(&stage.brand.support, 1).await;
    owed.extend(ids(&later));
    eventually("the overview shows the remaining message", WAIT_TIMEOUT, async || {
        let overview = stage.brand.support.get("/admin/v1/overview").await.expect_status(200).json();
        if overview["rejected"] == 1 { Ok(()) } else { Err(overview.to_string()) }
    })
    .await;
    // The event of the API has a drawn id. An attempt is recorded after the endpoint has seen it.
    eventually("all events are delivered", WAIT_TIMEOUT, async || {
        let delivered = stage.brand.list_events(&webhook, "status=delivered").await;
        let delivered: BTreeSet<&str> = delivered.iter().filter_map(|event| event["id"].as_str()).collect();
        let is_complete = owed.iter().all(|id| delivered.contains(id.as_str()));
        if is_complete && delivered.len() == owed.len() + 1 {
            Ok(())
        } else {
            Err(format!("{owed:?} of {delivered:?}"))
        }
    })
    .await;
}

/// Republishes the rejected messages until these events have arrived, because the router may learn of their
/// type a moment later.
async fn republish_until_arrived(stage: &Stage, endpoint: &Endpoint, events: &BTreeSet<String>) {
    eventually("the republished events have arrived", WAIT_TIMEOUT, async || {
        let missing = events.difference(&endpoint.count_by_event().into_keys().collect()).count();
        if missing == 0 {
            return Ok(());
        }
        let republished = stage.brand.support.post(&format!("{REJECTED}/republish"), &json!({})).await;
        let _ = republished.expect_status(202);
        Err(missing.to_string())
    })
    .await;
    for event in events {
        endpoint
            .wait_until("each is retried", WAIT_TIMEOUT, |all| {
                all.iter().filter(|request| request.event_id() == *event).count() == 2
            })
            .await;
    }
}
