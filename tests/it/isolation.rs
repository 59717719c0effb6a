//! A bad endpoint does not affect the others (contract §5).

use e2e::PATIENCE;
use e2e::brand::Webhook;
use e2e::event::Event;
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::script::Reply;

use crate::Stage;

#[tokio::test]
async fn a_hanging_endpoint_holds_up_no_other() {
    // Longer than the test waits, because a hanging endpoint would let go only then.
    let stage = Stage::with(Platform::builder().set("POSTRIDER_REQUEST_TIMEOUT", "120s")).await;
    let mut hanging = Vec::new();
    for number in 0..3 {
        let (endpoint, _) = stage.webhook(&format!("/hang/{number}")).await;
        endpoint.always(Reply::Hang);
        hanging.push(endpoint);
    }
    let (good, _) = stage.webhook("/good").await;

    // More for each webhook than an endpoint takes at once (maxConcurrency 10).
    stage.platform.producer().await.publish_all(&Event::many("acme", 60)).await;

    good.wait_for(60).await;
    for endpoint in hanging {
        endpoint.wait_for(10).await;
        assert_eq!(endpoint.most_in_flight(), 10);
    }
}

#[tokio::test]
async fn a_failing_endpoint_with_much_to_retry_holds_up_no_other() {
    let stage = Stage::with(Platform::builder().many_retries("1s").never_disabled()).await;
    let (bad, bad_webhook) = stage.webhook("/bad").await;
    bad.always(Reply::status(500));
    stage.platform.producer().await.publish_all(&Event::many("acme", 100)).await;
    bad.wait_for(150).await;

    let (good, _) = stage.webhook("/good").await;
    stage.platform.producer().await.publish_all(&Event::many("acme", 50)).await;

    good.wait_for(50).await;
    let waiting = stage.brand.events(&bad_webhook, "status=pending").await;
    assert!(!waiting.is_empty(), "the other one still has much to retry");
}

/// Messages that are dead-lettered to a deleted queue stall the delay queues unless something catches them.
#[tokio::test]
async fn deleting_a_webhook_with_much_to_retry_holds_up_no_other() {
    let stage = Stage::with(Platform::builder().retries("3s").never_disabled()).await;
    let (busy, busy_webhook) = stage.webhook("/busy").await;
    busy.always(Reply::status(500));
    stage.platform.producer().await.publish_all(&Event::many("acme", 120)).await;
    busy.wait_for(120).await;

    stage.brand.delete(&busy_webhook).await;
    settled(&stage, &busy_webhook).await;
    stage.wait_no_request().await;
    let sent = busy.requests().len();
    let (good, webhook) = stage.webhook("/good").await;
    good.answer([Reply::status(500), Reply::ok()]);
    let event = Event::sms("acme");
    stage.publish(&event).await;

    good.wait_for(2).await;
    stage.brand.wait_status(&webhook, event.id(), "delivered").await;
    assert_eq!(busy.requests().len(), sent, "nothing is sent for a deleted webhook");
}

/// Waits until nothing is pending any more for a deleted webhook.
async fn settled(stage: &Stage, webhook: &Webhook) {
    let path = stage.brand.path(&format!("/{}/events?status=pending", webhook.id));
    eventually("all deliveries of the deleted webhook have ended", PATIENCE, async || {
        let pending = stage.brand.support.list(&path, 1000).await;
        if pending.is_empty() { Ok(()) } else { Err(format!("{} are pending", pending.len())) }
    })
    .await;
}
