//! The servers fail and return, and the services recover without help (contract §7).

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::PATIENCE;
use e2e::event::Event;
use e2e::platform::{Builder, Platform};
use e2e::poll::eventually;
use e2e::proxy::{Proxy, Weather};
use e2e::settings::{amqp_url, database_url};

use crate::Stage;

/// How long everything may take to arrive once the server is back.
const HEALED: Duration = Duration::from_secs(60);
/// Events before an outage, many times the connections that an idle router has.
const PREPARING: usize = 10;

/// Cuts the server off while events flow, checks that the services report it, reconnects it, and checks that
/// all events arrive.
async fn survives(builder: Builder, proxy: &mut Proxy, away: &str) {
    let mut stage = Stage::with(builder.retries("1s,1s,1s")).await;
    let (endpoint, webhook) = stage.webhook("/hook").await;
    // The producer talks to the broker directly, because only the services have the outage.
    let producer = e2e::producer::Producer::connect(&amqp_url(), &stage.platform.namespace).await;
    let producer = producer.expect("the broker");
    let events = Event::many("acme", 60);
    producer.publish_all(&events[..20]).await;
    endpoint.wait_for(5).await;

    proxy.cut();
    producer.publish_all(&events[20..40]).await;
    for process in stage.platform.processes_mut() {
        let report = process.wait_readyz(503).await;
        assert!(report.contains(away), "{report}");
        let (status, _) = e2e::process::get(process.ops(), "/healthz").await.expect("/healthz");
        assert_eq!(status, 200);
    }
    proxy.heal().await;
    for process in stage.platform.processes_mut() {
        process.wait_ready().await;
    }
    producer.publish_all(&events[40..]).await;

    let ids: BTreeSet<_> = events.iter().map(|event| event.id().to_owned()).collect();
    stage.brand.wait_listed(&webhook, "status=delivered", &ids, HEALED).await;
    let seen: BTreeSet<_> = endpoint.requests().iter().map(|request| request.event_id()).collect();
    assert_eq!(seen, ids);
}

#[tokio::test]
async fn the_broker_cut_off_while_events_flow_costs_nothing() {
    let (mut proxy, url) = Proxy::before(&amqp_url()).await;
    survives(Platform::builder().set("AMQP_URL", &url), &mut proxy, "broker").await;
}

#[tokio::test]
async fn the_database_cut_off_while_events_flow_costs_nothing() {
    let (mut proxy, url) = Proxy::before(&database_url()).await;
    survives(Platform::builder().postgres(&url), &mut proxy, "database").await;
}

#[tokio::test]
async fn services_that_started_before_their_servers_serve_once_these_are_up() {
    let (mut broker, amqp) = Proxy::before(&amqp_url()).await;
    let (mut database, postgres) = Proxy::before(&database_url()).await;
    let mut platform = Platform::builder().set("AMQP_URL", &amqp).postgres(&postgres).prepare().await;
    broker.cut();
    database.cut();
    for process in platform.processes_mut() {
        process.start();
        process.wait_readyz(503).await;
    }
    database.heal().await;
    broker.heal().await;
    for process in platform.processes_mut() {
        process.wait_ready().await;
    }
    let brand = platform.brand("acme").await;
    let receiver = e2e::receiver::Receiver::start(&platform.authority).await;
    let endpoint = receiver.endpoint("/hook");
    brand.webhook(endpoint.url(), &["*"]).await;
    let event = Event::sms("acme");
    platform.producer().await.publish(&event).await;
    endpoint.wait_for_event(event.id()).await;
}

/// The database stores a batch, and its answer is lost. The router must not take its own batch for a second
/// publish.
#[tokio::test]
async fn an_event_whose_storing_was_not_heard_of_is_delivered() {
    let mut platform = Platform::builder().prepare().await;
    let (mut proxy, url) = Proxy::before(&platform.database_url()).await;
    platform.routers[0].set("DATABASE_URL", &url);
    platform.start_all().await;
    let brand = platform.brand("acme").await;
    let receiver = e2e::receiver::Receiver::start(&platform.authority).await;
    let endpoint = receiver.endpoint("/hook");
    let webhook = brand.webhook(endpoint.url(), &["*"]).await;
    // From here on the router knows the webhook, and stores an event at the first try. It uses its
    // connections in turn, so that the statement is prepared on each of them.
    for first in Event::many("acme", PREPARING) {
        platform.producer().await.publish(&first).await;
        endpoint.wait_for_event(first.id()).await;
    }

    proxy.set(Weather::AnswersHeld);
    let second = Event::sms("acme");
    platform.producer().await.publish(&second).await;
    eventually("the event is stored", PATIENCE, async || {
        brand.event(&webhook, second.id()).await.map(drop).ok_or_else(|| "it is not listed".to_owned())
    })
    .await;
    proxy.cut();
    proxy.heal().await;

    endpoint.wait_for_event(second.id()).await;
    brand.wait_status(&webhook, second.id(), "delivered").await;
}
