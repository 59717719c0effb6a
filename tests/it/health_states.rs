//! The state of a webhook's health tells the truth (contract §4.1), and support may test a disabled webhook.

use std::time::Duration;

use e2e::WAIT_TIMEOUT;
use e2e::brand::{Webhook, create_support_token};
use e2e::event::{Event, time_ago};
use e2e::platform::{Builder, Platform};
use e2e::poll::eventually;
use e2e::script::{Gate, Reply};
use e2e::support::disable_webhook;
use serde_json::{Value, json};

use crate::Stage;

/// Configures one attempt for each delivery, and no disabling but for a 410.
fn calm() -> Builder {
    Platform::builder().one_attempt().without_health_rule()
}

/// Waits until the health of a webhook is in this state, and returns it.
async fn wait_state(stage: &Stage, webhook: &Webhook, state: &str) -> Value {
    eventually(&format!("the webhook is {state}"), WAIT_TIMEOUT, async || {
        let health = stage.brand.read_webhook(webhook).await["health"].clone();
        if health["state"] == state { Ok(health) } else { Err(health.to_string()) }
    })
    .await
}

async fn read_overview(stage: &Stage) -> Value {
    stage.brand.support.get("/admin/v1/overview").await.expect_status(200).json()
}

/// Sums the events of the statistics at this path: delivered, failed, and attempts.
async fn sum_events(stage: &Stage, path: &str) -> [u64; 3] {
    let stats = stage.brand.api.get(path).await.expect_status(200).json();
    let items = stats["items"].as_array().unwrap_or_else(|| panic!("{stats}"));
    ["/events/delivered", "/events/failed", "/attempts"]
        .map(|pointer| items.iter().filter_map(|item| item.pointer(pointer).and_then(Value::as_u64)).sum())
}

#[tokio::test]
async fn a_failing_endpoint_needs_attention_until_it_works_again() {
    let stage = Stage::with_builder(calm()).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    wait_state(&stage, &webhook, "idle").await;
    endpoint.always(Reply::status(500));
    let failed = stage.publish_many(3).await;
    stage.wait_settled(&webhook, "failed", &failed).await;

    let health = wait_state(&stage, &webhook, "failing").await;
    assert_eq!(health["successRate"], 0.0, "{health}");
    assert!(health["since"].is_string(), "{health}");
    // What waits may have been counted a few seconds ago.
    let overview = eventually("nothing waits", WAIT_TIMEOUT, async || {
        let overview = read_overview(&stage).await;
        if overview["attention"][0]["waiting"]["deliveries"] == 0 {
            Ok(overview)
        } else {
            Err(overview.to_string())
        }
    })
    .await;
    let attention = overview["attention"].as_array().expect("a list");
    let [entry] = &attention[..] else { panic!("{overview}") };
    assert_eq!(entry["webhook"]["id"], webhook.id, "{entry}");
    assert_eq!(entry["webhook"]["health"]["state"], "failing", "{entry}");
    let brand = json!({
        "brandId": "acme", "name": "Brand acme", "contact": {"name": "Ada", "email": "ada@example.com"}
    });
    assert_eq!(entry["brand"], brand);
    assert_eq!(overview["attentionMore"], false);
    let listed = stage.brand.support.list("/admin/v1/webhooks?health=failing", 100).await;
    assert_eq!(listed.iter().map(|webhook| &webhook["id"]).collect::<Vec<_>>(), [&json!(webhook.id)]);

    endpoint.always(Reply::ok());
    stage.deliver_many(&webhook, 9).await;
    let health = wait_state(&stage, &webhook, "healthy").await;
    assert_eq!(health["successRate"], 0.75, "of deliveries: {health}");
    assert_eq!(read_overview(&stage).await["attention"], json!([]));
}

#[tokio::test]
async fn an_endpoint_that_asks_for_a_pause_rests_until_it_succeeds() {
    let stage = Stage::with_builder(Platform::builder().retries("10m").without_health_rule()).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    endpoint.answer([Reply::status(503).header("retry-after", "600"), Reply::ok()]);
    stage.publish_many(1).await;
    let health = wait_state(&stage, &webhook, "resting").await;
    assert!(health["since"].is_string(), "{health}");

    let event = stage.publish_many(1).await.remove(0);
    stage.brand.wait_delivery_status(&webhook, event.id(), "delivered").await;
    // One of two attempts failed, which is half of them.
    wait_state(&stage, &webhook, "failing").await;
}

#[tokio::test]
async fn success_counts_events_and_not_attempts() {
    let stage = Stage::with_builder(Platform::builder().retries("1s,1s,1s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    endpoint.answer([Reply::status(500), Reply::status(500), Reply::ok()]);
    let event = stage.publish_many(1).await.remove(0);
    stage.brand.wait_delivery(&webhook, event.id(), "delivered", 3).await;
    for path in [stage.brand.webhook_path(&webhook, "/stats"), "/v1/acme/stats".to_owned()] {
        assert_eq!(sum_events(&stage, &path).await, [1, 0, 3], "{path}");
    }
    let minutes = read_overview(&stage).await["minutes"].clone();
    let events: u64 =
        minutes.as_array().into_iter().flatten().filter_map(|m| m["events"]["delivered"].as_u64()).sum();
    assert_eq!(events, 1);
}

#[tokio::test]
async fn the_oldest_delivery_counts_from_when_it_came_and_names_its_webhook() {
    let stage = Stage::with_builder(Platform::builder().set("POSTRIDER_REQUEST_TIMEOUT", "60s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let gate = Gate::closed();
    endpoint.always(Reply::ok().behind(&gate));
    let began = time_ago(Duration::ZERO);
    let event = Event::sms("acme").created(&time_ago(Duration::from_secs(3 * 24 * 3600)));
    stage.publish_event(&event).await;
    endpoint.wait_for_requests(1).await;
    let waiting = eventually("one delivery waits", WAIT_TIMEOUT, async || {
        let waiting = read_overview(&stage).await["waiting"].clone();
        if waiting["deliveries"] == 1 { Ok(waiting) } else { Err(waiting.to_string()) }
    })
    .await;
    let oldest = waiting["oldest"].as_str().expect("a time");
    assert!(oldest >= &began[..19], "{oldest} is before {began}, when the event was published");
    let names = [&waiting["oldestBrandId"], &waiting["oldestWebhookId"]];
    assert_eq!(names, [&json!("acme"), &json!(webhook.id)]);
    gate.open();
    stage.brand.wait_delivery_status(&webhook, event.id(), "delivered").await;
}

#[tokio::test]
async fn support_tests_a_disabled_webhook_without_changing_it() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    stage.deliver_many(&webhook, 1).await;
    disable_webhook(&stage.brand.support, &webhook, "a test").await;
    let disabled = stage.brand.read_webhook(&webhook).await;
    let stats = stage.brand.webhook_path(&webhook, "/stats");
    let before = sum_events(&stage, &stats).await;
    let path = format!("/admin/v1/webhooks/{}/test", webhook.id);
    for (reply, status) in [
        (Reply::status(500), "failed"),
        (Reply::status(410), "failed"),
        (Reply::status(503).header("retry-after", "600"), "failed"),
        (Reply::ok(), "delivered"),
    ] {
        endpoint.always(reply);
        let sent = stage.brand.support.post(&path, &json!({})).await.expect_status(202).json();
        let id = sent["eventId"].as_str().expect("an id");
        let tested = stage.brand.wait_delivery(&webhook, id, status, 1).await;
        assert_eq!(tested["nextAttemptAt"], Value::Null, "{tested}");
        assert_eq!(stage.brand.list_triggers(&webhook, id).await, ["test"]);
    }
    assert_eq!(stage.brand.read_webhook(&webhook).await, disabled, "it stays as it is");
    assert_eq!(sum_events(&stage, &stats).await, before, "tests count for nothing");
    // Other events are still held.
    let held = stage.publish_many(1).await.remove(0);
    stage.brand.wait_delivery_status(&webhook, held.id(), "held").await;
    assert_eq!(endpoint.requests().len(), 5);
}

#[tokio::test]
async fn the_last_use_of_a_token_is_recorded() {
    let stage = Stage::new().await;
    let support = &stage.brand.support;
    let began = time_ago(Duration::ZERO);
    let (_, ada) = create_support_token(support, "Ada").await;
    for api in [&stage.brand.api, &support.with_token(Some(&ada))] {
        let _ = api.get("/v1/acme/webhooks").await.expect_status(200);
    }
    for tokens in ["/admin/v1/brands/acme/tokens", "/admin/v1/tokens"] {
        let used = eventually("the use is recorded", WAIT_TIMEOUT, async || {
            let token = support.list(tokens, 100).await[0].clone();
            if token["lastUsedAt"].is_string() { Ok(token) } else { Err(token.to_string()) }
        })
        .await;
        assert!(used["lastUsedAt"].as_str() >= Some(&began[..19]), "{used}");
        assert_eq!(used["expires"], Value::Null, "{used}");
    }
}
