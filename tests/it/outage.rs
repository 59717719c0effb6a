//! The servers fail and return, and the services recover without help (contract §7).

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::event::Event;
use e2e::platform::{Builder, Platform};
use e2e::proxy::{Proxy, RelayMode};
use e2e::settings::{amqp_url, database_url};

use crate::Stage;

/// How long everything may take to arrive once the server is back.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(60);
/// Events before an outage, many times the connections that an idle router has.
const EVENTS_BEFORE_OUTAGE: usize = 10;
/// How long an event may take to be stored.
const STORE_TIMEOUT: Duration = Duration::from_secs(3);

/// Cuts the server off while events flow, checks that the services report it, reconnects it, and checks that
/// all events arrive.
async fn survives_outage(builder: Builder, proxy: &mut Proxy, away: &str) {
    let mut stage = Stage::with_builder(builder.retries("1s,1s,1s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    // The producer talks to the broker directly, because only the services have the outage.
    let producer = e2e::producer::Producer::connect(&amqp_url(), &stage.platform.namespace).await;
    let producer = producer.expect("the broker");
    let events = Event::sms_batch("acme", 60);
    producer.publish_all(&events[..20]).await;
    endpoint.wait_for_requests(5).await;

    proxy.cut();
    producer.publish_all(&events[20..40]).await;
    for process in stage.platform.processes_mut() {
        let report = process.wait_readyz(503).await;
        assert!(report.contains(away), "{report}");
        let (status, _) = e2e::process::http_get(process.ops_address(), "/healthz").await.expect("/healthz");
        assert_eq!(status, 200);
    }
    proxy.restore().await;
    for process in stage.platform.processes_mut() {
        process.wait_ready().await;
    }
    producer.publish_all(&events[40..]).await;

    let ids: BTreeSet<_> = events.iter().map(|event| event.id().to_owned()).collect();
    stage.brand.wait_listed(&webhook, "status=delivered", &ids, RECOVERY_TIMEOUT).await;
    let seen: BTreeSet<_> = endpoint.requests().iter().map(|request| request.event_id()).collect();
    assert_eq!(seen, ids);
}

#[tokio::test]
async fn the_broker_cut_off_under_load_loses_nothing() {
    let (mut proxy, url) = Proxy::in_front_of(&amqp_url()).await;
    survives_outage(Platform::builder().set("AMQP_URL", &url), &mut proxy, "broker").await;
}

#[tokio::test]
async fn the_database_cut_off_under_load_loses_nothing() {
    let (mut proxy, url) = Proxy::in_front_of(&database_url()).await;
    survives_outage(Platform::builder().postgres(&url), &mut proxy, "database").await;
}

#[tokio::test]
async fn services_started_before_their_servers_work_once_these_are_up() {
    let (mut broker, amqp) = Proxy::in_front_of(&amqp_url()).await;
    let (mut database, postgres) = Proxy::in_front_of(&database_url()).await;
    let mut platform = Platform::builder().set("AMQP_URL", &amqp).postgres(&postgres).prepare().await;
    broker.cut();
    database.cut();
    for process in platform.processes_mut() {
        process.start();
        process.wait_readyz(503).await;
    }
    database.restore().await;
    broker.restore().await;
    for process in platform.processes_mut() {
        process.wait_ready().await;
    }
    let brand = platform.create_brand("acme").await;
    let receiver = e2e::receiver::Receiver::start(&platform.authority).await;
    let endpoint = receiver.endpoint("/hook");
    brand.create_webhook(endpoint.url(), &["*"]).await;
    let event = Event::sms("acme");
    platform.producer().await.publish(&event).await;
    endpoint.wait_for_event(event.id()).await;
}

/// The database stores a batch, and its answer is lost. The router must not take its own batch for a second
/// publish.
#[tokio::test]
async fn an_event_stored_without_an_answer_is_delivered() {
    let mut platform = Platform::builder().prepare().await;
    let (mut proxy, url) = Proxy::in_front_of(&platform.database_url()).await;
    platform.routers[0].set("DATABASE_URL", &url);
    platform.start_all().await;
    let brand = platform.create_brand("acme").await;
    let receiver = e2e::receiver::Receiver::start(&platform.authority).await;
    let endpoint = receiver.endpoint("/hook");
    let webhook = brand.create_webhook(endpoint.url(), &["*"]).await;
    // From here on the router knows the webhook, and stores an event at the first try. It uses its
    // connections in turn, so that the statement is prepared on each of them.
    for first in Event::sms_batch("acme", EVENTS_BEFORE_OUTAGE) {
        platform.producer().await.publish(&first).await;
        endpoint.wait_for_event(first.id()).await;
    }

    // A router that waits for the answer to something else then stores nothing, and is asked again.
    let second = loop {
        proxy.set_mode(RelayMode::HoldAnswers);
        let event = Event::sms("acme");
        platform.producer().await.publish(&event).await;
        let stored = async { while brand.find_event(&webhook, event.id()).await.is_none() {} };
        if tokio::time::timeout(STORE_TIMEOUT, stored).await.is_ok() {
            break event;
        }
        proxy.set_mode(RelayMode::Pass);
        endpoint.wait_for_event(event.id()).await;
    };
    proxy.cut();
    proxy.restore().await;

    endpoint.wait_for_event(second.id()).await;
    brand.wait_delivery_status(&webhook, second.id(), "delivered").await;
}
