//! A bad endpoint does not affect the others (contract §5).

use e2e::WAIT_TIMEOUT;
use e2e::brand::Webhook;
use e2e::event::Event;
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::script::Reply;

use crate::Stage;

#[tokio::test]
async fn a_hanging_endpoint_does_not_delay_others() {
    // Longer than the test waits, because a hanging endpoint would let go only then.
    let stage = Stage::with_builder(Platform::builder().set("POSTRIDER_REQUEST_TIMEOUT", "120s")).await;
    let mut hanging = Vec::new();
    for number in 0..3 {
        let (endpoint, _) = stage.create_webhook(&format!("/hang/{number}")).await;
        endpoint.always(Reply::Hang);
        hanging.push(endpoint);
    }
    let (good, _) = stage.create_webhook("/good").await;

    // More for each webhook than an endpoint takes at once (maxConcurrency 10).
    stage.platform.producer().await.publish_all(&Event::sms_batch("acme", 60)).await;

    good.wait_for_requests(60).await;
    for endpoint in hanging {
        endpoint.wait_for_requests(10).await;
        assert_eq!(endpoint.max_in_flight(), 10);
    }
}

#[tokio::test]
async fn a_failing_endpoint_with_many_retries_does_not_delay_others() {
    let stage = Stage::with_builder(Platform::builder().many_retries("1s").without_health_rule()).await;
    let (bad, bad_webhook) = stage.create_webhook("/bad").await;
    bad.always(Reply::status(500));
    stage.platform.producer().await.publish_all(&Event::sms_batch("acme", 100)).await;
    bad.wait_for_requests(150).await;

    let (good, _) = stage.create_webhook("/good").await;
    stage.platform.producer().await.publish_all(&Event::sms_batch("acme", 50)).await;

    good.wait_for_requests(50).await;
    let waiting = stage.brand.list_events(&bad_webhook, "status=pending").await;
    assert!(!waiting.is_empty(), "the other one still has much to retry");
}

/// Messages that are dead-lettered to a deleted queue stall the delay queues unless something catches them.
#[tokio::test]
async fn deleting_a_webhook_with_many_retries_does_not_delay_others() {
    let stage = Stage::with_builder(Platform::builder().retries("3s").without_health_rule()).await;
    let (busy, busy_webhook) = stage.create_webhook("/busy").await;
    busy.always(Reply::status(500));
    stage.platform.producer().await.publish_all(&Event::sms_batch("acme", 120)).await;
    busy.wait_for_requests(120).await;

    stage.brand.delete_webhook(&busy_webhook).await;
    wait_none_pending(&stage, &busy_webhook).await;
    stage.wait_no_request().await;
    let sent = busy.requests().len();
    let (good, webhook) = stage.create_webhook("/good").await;
    good.answer([Reply::status(500), Reply::ok()]);
    let event = Event::sms("acme");
    stage.publish_event(&event).await;

    good.wait_for_requests(2).await;
    stage.brand.wait_delivery_status(&webhook, event.id(), "delivered").await;
    assert_eq!(busy.requests().len(), sent, "nothing is sent for a deleted webhook");
}

/// Waits until nothing is pending any more for a deleted webhook.
async fn wait_none_pending(stage: &Stage, webhook: &Webhook) {
    let path = stage.brand.webhooks_path(&format!("/{}/events?status=pending", webhook.id));
    eventually("all deliveries of the deleted webhook have ended", WAIT_TIMEOUT, async || {
        let pending = stage.brand.support.list(&path, 1000).await;
        if pending.is_empty() { Ok(()) } else { Err(format!("{} are pending", pending.len())) }
    })
    .await;
}
