//! The broker is killed with -9 and started again, and every confirmed event arrives.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::event::Event;
use e2e::oracle::Oracle;
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::private_broker::PrivateBroker;
use e2e::script::Reply;

use crate::Stage;

/// How long everything may take to arrive once the broker is back; it includes the broker's own start of
/// dead-lettering and the services' reconnecting.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(100);

#[tokio::test]
async fn the_broker_killed_while_deliveries_are_in_flight_loses_nothing() {
    let mut broker = PrivateBroker::start().await;
    let stage = Stage::with_builder(Platform::builder().broker(&broker.url()).many_retries("1s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let (flaky, flaky_webhook) = stage.create_webhook("/flaky").await;
    flaky.answer(
        (0..300).map(|n| if n % 3 == 0 { Reply::status(503) } else { Reply::ok() }).chain([Reply::ok()]),
    );
    let events = Event::sms_batch("acme", 300);
    let mut oracle = Oracle::new(&stage.platform);

    let (_, ()) = tokio::join!(oracle.publish(&events, Duration::from_millis(5)), async {
        endpoint.wait_for_requests(80).await;
        broker.kill();
        broker.restart().await;
    });

    oracle.wait_delivered(&stage.brand, &endpoint, &webhook, RECOVERY_TIMEOUT).await;
    oracle.wait_delivered(&stage.brand, &flaky, &flaky_webhook, RECOVERY_TIMEOUT).await;
}

#[tokio::test]
async fn the_broker_killed_while_retries_are_delayed_loses_nothing() {
    let mut broker = PrivateBroker::start().await;
    let stage = Stage::with_builder(Platform::builder().broker(&broker.url()).many_retries("20s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    endpoint.always(Reply::status(500));
    let events = Event::sms_batch("acme", 200);
    stage.platform.producer().await.publish_all(&events).await;
    eventually("each was attempted and waits", RECOVERY_TIMEOUT, async || {
        let waiting = stage.brand.list_events(&webhook, "status=pending").await;
        let attempted =
            waiting.iter().filter(|event| event["delivery"]["attempts"].as_u64() > Some(0)).count();
        if attempted == events.len() { Ok(()) } else { Err(format!("{attempted}")) }
    })
    .await;

    broker.kill();
    endpoint.always(Reply::ok());
    broker.restart().await;

    let ids: BTreeSet<_> = events.iter().map(|event| event.id().to_owned()).collect();
    stage.brand.wait_listed(&webhook, "status=delivered", &ids, RECOVERY_TIMEOUT).await;
}
