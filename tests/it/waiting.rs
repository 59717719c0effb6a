//! Deliveries that wait for their next attempt (contract §3).

use e2e::event::ids;
use e2e::platform::Platform;
use e2e::script::Reply;

use crate::Stage;

/// Deliveries that fail within a short time.
const EVENTS: u32 = 40;

#[tokio::test]
async fn deliveries_that_fail_together_share_a_message_and_are_retried_once() {
    let mut stage = Stage::with_builder(Platform::builder().retries("30s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let failing = (0..EVENTS).map(|_| Reply::status(503));
    endpoint.answer(failing.chain([Reply::ok()]));

    let events = stage.publish_many(EVENTS as usize).await;

    endpoint.wait_for_requests(EVENTS as usize).await;
    // The deliverer finishes its work, so that all deliveries wait in the broker.
    stage.platform.deliverers[0].terminate().await;
    let messages = stage.platform.rabbit().await.wait_messages("wait.30s").await;
    assert!(messages < EVENTS, "{EVENTS} deliveries wait in {messages} messages");
    stage.platform.deliverers[0].start();

    stage.wait_settled(&webhook, "delivered", &events).await;
    let counts = endpoint.count_by_event();
    assert!(counts.keys().eq(&ids(&events)), "{counts:?}");
    assert!(counts.values().all(|requests| *requests == 2), "each failed once and arrived once: {counts:?}");
}
