//! `kill -9` at the worst moments. Every confirmed event arrives, or is visible as not delivered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use e2e::WAIT_TIMEOUT;
use e2e::event::{Event, ids};
use e2e::oracle::Oracle;
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::process::Process;
use e2e::script::{Gate, Reply};

use crate::Stage;

/// How long everything may take to arrive after the last crash.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(90);
/// Time between two publishes of a steady producer.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(5);

#[tokio::test]
async fn the_router_killed_under_load_loses_and_invents_nothing() {
    let mut stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let events = Event::sms_batch("acme", 600);
    let mut oracle = Oracle::new(&stage.platform);

    let (_, ()) = tokio::join!(oracle.publish(&events, PUBLISH_INTERVAL), async {
        for arrived in [50, 200, 350] {
            endpoint.wait_for_requests(arrived).await;
            stage.platform.routers[0].crash_and_restart().await;
        }
    });

    oracle.wait_delivered(&stage.brand, &endpoint, &webhook, RECOVERY_TIMEOUT).await;
    assert_eq!(endpoint.requests().len(), 600, "a crashed router sends nothing twice");
}

/// A message that the broker redelivers keeps the id that was drawn for it first.
#[tokio::test]
async fn a_drawn_id_survives_the_crash_of_the_router() {
    let mut stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let named = |n: usize| Event::sms("acme").message_id(&format!("order-{n}")).data(&n.to_string());
    let events: Vec<_> = (0..300).map(named).collect();

    let producer =
        e2e::producer::Producer::connect(stage.platform.amqp_url(), &stage.platform.namespace).await;
    let producer = producer.expect("the broker");
    let publishing = async {
        for event in &events {
            producer.publish(event).await;
        }
    };
    let crashing = async {
        for arrived in [20, 80, 150] {
            endpoint.wait_for_requests(arrived).await;
            stage.platform.routers[0].crash_and_restart().await;
        }
    };
    tokio::join!(publishing, crashing);

    let what = "every message arrives";
    let all = endpoint
        .wait_until(what, RECOVERY_TIMEOUT, |all| {
            all.iter().map(|r| r.json()["data"].to_string()).collect::<BTreeSet<_>>().len() == 300
        })
        .await;
    let mut drawn: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for request in all {
        drawn.entry(request.json()["data"].to_string()).or_default().insert(request.event_id());
    }
    assert!(drawn.values().all(|ids| ids.len() == 1), "{drawn:?}");
    let ids = drawn.into_values().flatten().collect();
    stage.brand.wait_listed(&webhook, "", &ids, WAIT_TIMEOUT).await;
}

#[tokio::test]
async fn the_deliverer_killed_with_requests_in_flight_retries_them() {
    let mut stage = Stage::with_builder(Platform::builder().retries("1s,1s,1s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let gate = Gate::closed();
    endpoint.always(Reply::ok().behind(&gate));
    let events = Event::sms_batch("acme", 60);
    stage.platform.producer().await.publish_all(&events).await;
    // The maximum that is in flight at once.
    endpoint.wait_for_requests(10).await;

    stage.platform.deliverers[0].kill();
    gate.open();
    stage.platform.deliverers[0].start();
    stage.platform.deliverers[0].wait_ready().await;

    stage.brand.wait_listed(&webhook, "status=delivered", &ids(&events), RECOVERY_TIMEOUT).await;
    let seen: BTreeSet<_> = endpoint.requests().iter().map(|request| request.event_id()).collect();
    assert_eq!(seen, ids(&events));
}

#[tokio::test]
async fn the_deliverer_killed_while_retries_are_delayed_loses_nothing() {
    let mut stage = Stage::with_builder(Platform::builder().many_retries("15s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    endpoint.always(Reply::status(500));
    let events = Event::sms_batch("acme", 80);
    stage.platform.producer().await.publish_all(&events).await;
    wait_attempted(&stage, "500 for each", 80, &webhook).await;

    stage.platform.deliverers[0].kill();
    endpoint.always(Reply::ok());
    stage.platform.deliverers[0].start();
    stage.platform.deliverers[0].wait_ready().await;

    stage.brand.wait_listed(&webhook, "status=delivered", &ids(&events), RECOVERY_TIMEOUT).await;
    for event in stage.brand.list_events(&webhook, "").await {
        assert!(event["delivery"]["attempts"].as_u64() >= Some(2), "{event}");
    }
}

/// Waits until this number of deliveries has a recorded attempt.
async fn wait_attempted(stage: &Stage, what: &str, number: usize, webhook: &e2e::brand::Webhook) {
    eventually(what, WAIT_TIMEOUT, async || {
        let events = stage.brand.list_events(webhook, "").await;
        let attempted =
            events.iter().filter(|event| event["delivery"]["attempts"].as_u64() > Some(0)).count();
        if attempted == number { Ok(()) } else { Err(format!("{attempted} of {number}")) }
    })
    .await;
}

#[tokio::test]
async fn the_deliverer_killed_again_and_again_under_load_loses_nothing() {
    let mut stage = Stage::with_builder(Platform::builder().many_retries("1s")).await;
    let (good, good_webhook) = stage.create_webhook("/good").await;
    let (flaky, flaky_webhook) = stage.create_webhook("/flaky").await;
    flaky.answer(
        (0..400).map(|n| if n % 2 == 0 { Reply::status(503) } else { Reply::ok() }).chain([Reply::ok()]),
    );
    let events = Event::sms_batch("acme", 400);
    let mut oracle = Oracle::new(&stage.platform);

    let (_, ()) = tokio::join!(oracle.publish(&events, PUBLISH_INTERVAL), async {
        for arrived in [40, 150, 260] {
            good.wait_for_requests(arrived).await;
            stage.platform.deliverers[0].crash_and_restart().await;
        }
    });

    oracle.wait_delivered(&stage.brand, &good, &good_webhook, RECOVERY_TIMEOUT).await;
    oracle.wait_delivered(&stage.brand, &flaky, &flaky_webhook, RECOVERY_TIMEOUT).await;
}

#[tokio::test]
async fn everything_killed_at_once_loses_no_confirmed_event() {
    let mut stage = Stage::with_builder(Platform::builder().many_retries("2s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let fails = std::iter::repeat_n(Reply::status(500), 60);
    endpoint.answer(fails.chain([Reply::ok()]));
    let events = Event::sms_batch("acme", 200);
    stage.platform.producer().await.publish_all(&events).await;
    endpoint.wait_for_requests(80).await;

    for process in stage.platform.processes_mut() {
        process.kill();
    }
    stage.platform.start_all().await;

    let stored: BTreeSet<_> = ids(&events);
    stage.brand.wait_listed(&webhook, "status=delivered", &stored, RECOVERY_TIMEOUT).await;
}

/// The broker lost everything, because it is new or was reset.
#[tokio::test]
async fn services_recreate_the_topology_on_an_empty_broker() {
    let mut stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let first = Event::sms("acme");
    stage.publish_event(&first).await;
    endpoint.wait_for_event(first.id()).await;
    for process in stage.platform.processes_mut() {
        process.kill();
    }
    let queue = format!("webhook.{}", webhook.id);
    let rabbit = e2e::rabbit::Rabbit::connect(stage.platform.amqp_url(), &stage.platform.namespace).await;
    rabbit.expect("the broker").remove_namespace(std::slice::from_ref(&queue)).await;

    start_and_wait(&mut stage.platform.routers[0]).await;
    let second = Event::sms("acme");
    let producer =
        e2e::producer::Producer::connect(stage.platform.amqp_url(), &stage.platform.namespace).await;
    let producer = producer.expect("the broker");
    producer.publish(&second).await;
    start_and_wait(&mut stage.platform.deliverers[0]).await;
    endpoint.wait_for_event(second.id()).await;
    let third = Event::sms("acme");
    producer.publish(&third).await;
    endpoint.wait_for_event(third.id()).await;
    stage.platform.rabbit().await.wait_queue_depth(&queue, 0).await;
}

async fn start_and_wait(process: &mut Process) {
    process.start();
    process.wait_ready().await;
}

#[tokio::test]
async fn a_deleted_queue_is_recreated_and_nothing_is_lost() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let first = Event::sms("acme");
    stage.publish_event(&first).await;
    stage.brand.wait_delivery_status(&webhook, first.id(), "delivered").await;

    let queue = format!("webhook.{}", webhook.id);
    stage.platform.rabbit().await.delete_queue(&queue).await;
    let events = Event::sms_batch("acme", 20);
    stage.platform.producer().await.publish_all(&events).await;

    for event in &events {
        endpoint.wait_for_event(event.id()).await;
    }
    assert!(stage.platform.rabbit().await.queue_depth(&queue).await.is_some(), "the queue is there again");
}

/// A deliverer that starts finds the queue, and does not look for a binding.
#[tokio::test]
async fn a_queue_without_a_binding_is_bound_by_its_first_delivery() {
    let mut stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    stage.deliver_one(&webhook).await;
    let queue = format!("webhook.{}", webhook.id);
    stage.platform.deliverers[0].kill();
    stage.platform.rabbit().await.unbind_queue("deliveries", &queue, &webhook.id).await;
    let mut events = stage.publish_many(20).await;
    stage.wait_queued(&webhook, &ids(&events)).await;
    let unrouted = stage.platform.rabbit().await.queue_depth("unrouted").await;
    assert!(unrouted.is_some_and(|messages| messages > 0), "{unrouted:?}");

    start_and_wait(&mut stage.platform.deliverers[0]).await;
    start_and_wait(&mut stage.platform.routers[0]).await;
    events.extend(stage.publish_many(20).await);

    for event in &events {
        endpoint.wait_for_event(event.id()).await;
        stage.brand.wait_delivery_status(&webhook, event.id(), "delivered").await;
    }
}
