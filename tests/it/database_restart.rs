//! PostgreSQL restarts, or is killed, while events flow: nothing is lost.

use std::time::Duration;

use e2e::event::Event;
use e2e::oracle::Oracle;
use e2e::platform::Platform;
use e2e::private_postgres::PrivatePostgres;
use e2e::script::Reply;

use crate::Stage;

const RECOVERY_TIMEOUT: Duration = Duration::from_secs(90);

#[tokio::test]
async fn postgresql_restarted_and_killed_under_load_loses_nothing() {
    let mut postgres = PrivatePostgres::start().await;
    let stage =
        Stage::with_builder(Platform::builder().postgres(&postgres.admin_url()).many_retries("1s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let (flaky, flaky_webhook) = stage.create_webhook("/flaky").await;
    flaky.answer(
        (0..300).map(|n| if n % 3 == 0 { Reply::status(503) } else { Reply::ok() }).chain([Reply::ok()]),
    );
    let events = Event::sms_batch("acme", 400);
    let mut oracle = Oracle::new(&stage.platform);

    let (_, ()) = tokio::join!(oracle.publish(&events, Duration::from_millis(5)), async {
        endpoint.wait_for_requests(60).await;
        postgres.stop();
        postgres.restart().await;
        endpoint.wait_for_requests(150).await;
        postgres.kill();
        postgres.restart().await;
    });

    oracle.wait_delivered(&stage.brand, &endpoint, &webhook, RECOVERY_TIMEOUT).await;
    oracle.wait_delivered(&stage.brand, &flaky, &flaky_webhook, RECOVERY_TIMEOUT).await;
}
