//! Pausing, deleting and disabling a webhook (contract §3, §4).

use e2e::WAIT_TIMEOUT;
use e2e::event::{Event, SMS, ids};
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::script::Reply;
use serde_json::json;

use crate::Stage;

#[tokio::test]
async fn a_410_disables_at_once_and_holds_pending_events() {
    let stage = Stage::with_builder(Platform::builder().retries("10m")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let waiting = Event::sms("acme");
    let last = Event::sms("acme");
    endpoint.answer([Reply::status(500), Reply::status(410), Reply::ok()]);

    stage.publish_event(&waiting).await;
    stage.brand.wait_attempts(&webhook, waiting.id(), 1).await;
    stage.publish_event(&last).await;

    let attempts = stage.brand.wait_attempts(&webhook, last.id(), 1).await;
    assert_eq!(attempts[0]["statusCode"], 410, "{attempts:?}");
    stage.brand.wait_delivery_status(&webhook, last.id(), "failed").await;
    let held = stage.brand.wait_delivery_status(&webhook, waiting.id(), "held").await;
    assert_eq!(held["delivery"]["nextAttemptAt"], json!(null), "{held}");
    let read = stage.brand.read_webhook(&webhook).await;
    assert_eq!((&read["status"], &read["enabled"]), (&json!("disabled"), &json!(false)), "{read}");
    assert_eq!(read["disabled"]["reason"], "gone", "{read}");
    assert!(read["disabled"]["detail"].is_string() && read["disabled"]["at"].is_string(), "{read}");

    let path = stage.brand.webhooks_path(&format!("/{}", webhook.id));
    let _ = stage.brand.api.patch(&path, &json!({"enabled": true})).await.expect_problem(409);
    let disabled = stage.brand.support.list("/admin/v1/webhooks?brandId=acme&status=disabled", 10).await;
    assert_eq!(disabled.len(), 1, "{disabled:?}");
    assert_eq!(disabled[0]["id"], webhook.id);
    assert_eq!(endpoint.requests().len(), 2, "held events are not sent");
}

#[tokio::test]
async fn events_for_a_disabled_webhook_are_held() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    endpoint.answer([Reply::status(410), Reply::ok()]);
    let last = Event::sms("acme");
    let later = Event::sms("acme");
    stage.publish_event(&last).await;
    stage.brand.wait_webhook_status(&webhook, "disabled").await;

    stage.publish_event(&later).await;

    stage.brand.wait_delivery_status(&webhook, later.id(), "held").await;
    assert_eq!(endpoint.requests().len(), 1, "a disabled webhook is sent nothing");
}

#[tokio::test]
async fn a_paused_webhook_receives_nothing_and_discards_pending_events() {
    let stage = Stage::with_builder(Platform::builder().retries("2s,2s,2s,2s,2s,2s,2s,2s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let (other, other_webhook) = stage.create_webhook("/other").await;
    endpoint.always(Reply::status(500));
    let waiting = Event::sms("acme");
    let missed = Event::sms("acme");
    let after = Event::sms("acme");

    stage.publish_event(&waiting).await;
    stage.brand.wait_attempts(&webhook, waiting.id(), 1).await;
    let paused = stage.brand.patch_webhook(&webhook, &json!({"enabled": false})).await;
    assert_eq!((&paused["status"], &paused["enabled"]), (&json!("paused"), &json!(false)), "{paused}");
    stage.brand.wait_delivery_status(&webhook, waiting.id(), "discarded").await;
    stage.wait_no_request().await;
    let sent = endpoint.requests().len();
    stage.publish_event(&missed).await;
    other.wait_for_event(missed.id()).await;
    let resumed = stage.brand.patch_webhook(&webhook, &json!({"enabled": true})).await;
    assert_eq!(resumed["status"], "active", "{resumed}");
    endpoint.always(Reply::ok());
    stage.publish_event(&after).await;

    stage.brand.wait_delivery_status(&webhook, after.id(), "delivered").await;
    endpoint.wait_for_event(after.id()).await;
    assert_eq!(endpoint.requests().len(), sent + 1, "neither the waiting nor the missed event is sent");
    stage.brand.wait_listed(&webhook, "", &ids([&waiting, &after]), WAIT_TIMEOUT).await;
    stage.brand.wait_listed(&other_webhook, "", &ids([&waiting, &missed, &after]), WAIT_TIMEOUT).await;
}

#[tokio::test]
async fn a_webhook_created_paused_receives_nothing_until_enabled() {
    let stage = Stage::new().await;
    let endpoint = stage.receiver.endpoint("/hook");
    let webhook = json!({"endpoint": endpoint.url(), "events": [SMS], "enabled": false});
    let webhook = stage.brand.create_webhook_with(&webhook).await;
    assert_eq!(webhook.json["status"], "paused", "{}", webhook.json);
    let (other, _) = stage.create_webhook("/other").await;
    let before = Event::sms("acme");
    let after = Event::sms("acme");

    stage.publish_event(&before).await;
    other.wait_for_event(before.id()).await;
    stage.brand.patch_webhook(&webhook, &json!({"enabled": true})).await;
    stage.publish_event(&after).await;

    stage.brand.wait_delivery_status(&webhook, after.id(), "delivered").await;
    endpoint.wait_for_event(after.id()).await;
    stage.brand.wait_listed(&webhook, "", &ids([&after]), WAIT_TIMEOUT).await;
}

#[tokio::test]
async fn deleting_a_webhook_deletes_its_queue_and_keeps_its_events() {
    let stage = Stage::with_builder(Platform::builder().retries("10m")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let (other, _) = stage.create_webhook("/other").await;
    endpoint.answer([Reply::ok(), Reply::status(500)]);
    let done = Event::sms("acme");
    let waiting = Event::sms("acme");
    let after = Event::sms("acme");
    stage.publish_event(&done).await;
    stage.brand.wait_delivery_status(&webhook, done.id(), "delivered").await;
    stage.publish_event(&waiting).await;
    stage.brand.wait_attempts(&webhook, waiting.id(), 1).await;
    let queue = format!("webhook.{}", webhook.id);
    assert_eq!(stage.platform.rabbit().await.queue_depth(&queue).await, Some(0));

    stage.brand.delete_webhook(&webhook).await;
    stage.publish_event(&after).await;

    other.wait_for_event(after.id()).await;
    // The consumer of a deleted queue would create it again, so it has to be gone, too.
    eventually("its queue is gone and nobody serves it any more", WAIT_TIMEOUT, async || {
        let served = stage.platform.deliverers[0].read_metric("postrider_deliverer_webhooks_owned").await;
        match stage.platform.rabbit().await.queue_depth(&queue).await {
            None if (served - 1.0).abs() < 0.5 => Ok(()),
            depth => Err(format!("its queue has {depth:?} messages, {served} webhooks are served")),
        }
    })
    .await;
    for rest in ["", "/events", "/secret"] {
        let path = stage.brand.webhooks_path(&format!("/{}{rest}", webhook.id));
        let _ = stage.brand.api.get(&path).await.expect_problem(404);
    }
    let path = stage.brand.webhooks_path(&format!("/{}/events", webhook.id));
    eventually("support still reads its events", WAIT_TIMEOUT, async || {
        let events = stage.brand.support.list(&path, 100).await;
        let mut statuses: Vec<_> = events.iter().map(|e| e["delivery"]["status"].to_string()).collect();
        statuses.sort();
        if statuses == [r#""delivered""#, r#""discarded""#] { Ok(()) } else { Err(format!("{events:?}")) }
    })
    .await;
    assert_eq!(endpoint.requests().len(), 2);
}

#[tokio::test]
async fn a_change_of_a_webhook_reaches_the_router_at_once() {
    let stage = Stage::new().await;
    for number in 0..10 {
        // Published right after the API's 201, when the router must already know the webhook.
        let (endpoint, webhook) = stage.create_webhook(&format!("/{number}")).await;
        let event = Event::sms("acme");
        stage.publish_event(&event).await;
        endpoint.wait_for_requests(1).await;
        stage.brand.delete_webhook(&webhook).await;
    }
}
