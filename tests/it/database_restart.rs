//! PostgreSQL restarts, or is killed, while events flow: nothing is lost.

use std::time::Duration;

use e2e::event::Event;
use e2e::oracle::Oracle;
use e2e::platform::Platform;
use e2e::private_postgres::PrivatePostgres;
use e2e::script::Reply;

use crate::Stage;

const HEALED: Duration = Duration::from_secs(90);

#[tokio::test]
async fn postgresql_restarted_and_killed_while_events_flow_loses_nothing() {
    let mut postgres = PrivatePostgres::start().await;
    let stage = Stage::with(Platform::builder().postgres(&postgres.admin_url()).many_retries("1s")).await;
    let (endpoint, webhook) = stage.webhook("/hook").await;
    let (flaky, flaky_webhook) = stage.webhook("/flaky").await;
    flaky.answer(
        (0..300).map(|n| if n % 3 == 0 { Reply::status(503) } else { Reply::ok() }).chain([Reply::ok()]),
    );
    let events = Event::many("acme", 400);
    let amqp_url = stage.platform.amqp_url().to_owned();
    let namespace = stage.platform.namespace.clone();
    let mut oracle = Oracle::default();

    let (_, ()) =
        tokio::join!(oracle.publish(&amqp_url, &namespace, &events, Duration::from_millis(5)), async {
            endpoint.wait_for(60).await;
            postgres.stop();
            postgres.restart().await;
            endpoint.wait_for(150).await;
            postgres.kill();
            postgres.restart().await;
        });

    oracle.wait_arrived(&endpoint, HEALED).await;
    oracle.wait_arrived(&flaky, HEALED).await;
    oracle.wait_all(&stage.brand, &webhook, "delivered", HEALED).await;
    oracle.wait_all(&stage.brand, &flaky_webhook, "delivered", HEALED).await;
}
