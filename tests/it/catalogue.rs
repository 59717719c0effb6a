//! The catalogue: schemas, examples, and types that are in use (contract §2, §4).

use e2e::WAIT_TIMEOUT;
use e2e::api::Answer;
use e2e::brand::{Webhook, put_type};
use e2e::event::{Event, SMS, ids};
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::support::REJECTED;
use serde_json::{Value, json};

use crate::Stage;

const ORDER: &str = "NOTIFICATION.ORDER";

/// Requires a number `n`, and items of a kind.
fn order_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 1}, "items": {"prefixItems": [{"type": "string"}]}},
        "required": ["n"],
    })
}

async fn put_order(stage: &Stage, description: &Value) -> Answer {
    stage.brand.support.put(&format!("/admin/v1/event-types/{ORDER}"), description).await
}

#[tokio::test]
async fn invalid_schemas_and_examples_are_a_422() {
    let stage = Stage::new().await;
    let bad = [
        (json!({"schema": {"type": "integr"}}), "/schema"),
        (json!({"schema": {"properties": 5}}), "/schema"),
        (json!({"schema": {"$ref": "https://example.com/schema.json"}}), "/schema"),
        (json!({"schema": "text"}), "/schema"),
        (json!({"schema": order_schema(), "example": {"n": 0}}), "/example"),
        (json!({"schema": order_schema(), "example": {}}), "/example"),
        (json!({"schema": order_schema(), "example": {"n": 1, "items": [1]}}), "/example"),
        (json!({"enforceSchema": true}), "/enforceSchema"),
        (json!({"schema": order_schema(), "enforced": true}), "/enforced"),
        (json!({"description": 5}), "/description"),
    ];
    for (mut description, pointer) in bad {
        if description.get("description").is_none() {
            description["description"] = json!("An order");
        }
        let pointers = put_order(&stage, &description).await.error_pointers();
        assert!(pointers.iter().all(|p| p.starts_with(pointer)), "{description}: {pointers:?}");
    }
    let types = stage.brand.api.list("/v1/acme/event-types", 100).await;
    assert!(types.iter().all(|entry| entry["type"] != ORDER), "nothing was stored: {types:?}");
    let good =
        json!({"description": "An order", "schema": order_schema(), "example": {"n": 1, "items": ["a", 1]}});
    let _ = put_order(&stage, &good).await.expect_status(201);
}

/// Events whose data the schema does not allow.
fn bad_data() -> [Event; 3] {
    ["5", r#"{"n":0}"#, r#"{"n":1,"items":[1]}"#].map(|data| Event::new("acme", ORDER).data(data))
}

#[tokio::test]
async fn an_enforced_schema_rejects_invalid_data() {
    let stage = Stage::new().await;
    let strict = json!({"description": "An order", "schema": order_schema(), "enforceSchema": true});
    put_type(&stage.brand.support, ORDER, &strict).await;
    let (endpoint, _) = stage.create_webhook("/hook").await;
    for event in bad_data() {
        stage.publish_event(&event).await;
        let taken = stage.platform.rabbit().await.take_message("rejected").await;
        assert_eq!(taken.header("x-reject-reason"), "schema_violation", "{}", event.data);
        assert!(!taken.header("x-reject-detail").is_empty(), "{}", event.data);
        assert_eq!(taken.body, event.body().as_bytes());
    }
    let good = Event::new("acme", ORDER).data(r#"{"n":1,"items":["a",1]}"#);
    stage.publish_event(&good).await;
    endpoint.wait_for_event(good.id()).await;
    assert_eq!(endpoint.requests().len(), 1);
}

#[tokio::test]
async fn a_schema_that_is_not_enforced_rejects_nothing() {
    let stage = Stage::new().await;
    let loose = json!({"description": "An order", "schema": order_schema()});
    put_type(&stage.brand.support, ORDER, &loose).await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    let events = bad_data();
    stage.platform.producer().await.publish_all(&events).await;
    stage.brand.wait_listed(&webhook, "status=delivered", &ids(&events), WAIT_TIMEOUT).await;
    assert_eq!(stage.platform.rabbit().await.queue_depth("rejected").await, Some(0));
}

/// Waits until an event is either rejected or delivered, and returns whether it was rejected.
async fn is_rejected(stage: &Stage, webhook: &Webhook, event: &Event) -> bool {
    eventually("the event is delivered or rejected", WAIT_TIMEOUT, async || {
        let list = stage.brand.support.get(REJECTED).await.expect_status(200).text;
        let delivered = stage.brand.find_event(webhook, event.id()).await.is_some();
        let refused = list.contains(event.id());
        if refused != delivered { Ok(refused) } else { Err(list) }
    })
    .await
}

#[tokio::test]
async fn enforcement_can_be_switched_while_events_flow() {
    let stage = Stage::new().await;
    let mut order = json!({"description": "An order", "schema": order_schema()});
    put_type(&stage.brand.support, ORDER, &order).await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    for (enforced, rejected) in [(true, true), (false, false), (true, true)] {
        order["enforceSchema"] = json!(enforced);
        let _ = put_order(&stage, &order).await.expect_status(200);
        // The router may learn of the change a moment later.
        eventually("invalid data is handled by the new setting", WAIT_TIMEOUT, async || {
            let [bad, ..] = bad_data();
            stage.publish_event(&bad).await;
            let seen = is_rejected(&stage, &webhook, &bad).await;
            if seen == rejected { Ok(()) } else { Err(format!("refused: {seen}")) }
        })
        .await;
    }
}

#[tokio::test]
async fn a_type_in_use_is_not_deleted() {
    let stage = Stage::new().await;
    let path = format!("/admin/v1/event-types/{ORDER}");
    put_type(&stage.brand.support, ORDER, &json!({"description": "An order"})).await;
    let other = stage.platform.create_brand("other").await;
    let mut using = vec![stage.brand.create_webhook("https://example.com/1", &[ORDER]).await];
    using.push(stage.brand.create_webhook("https://example.com/2", &[SMS, ORDER]).await);
    let others = other.create_webhook("https://example.com/3", &[ORDER]).await;
    other.patch_webhook(&others, &json!({"enabled": false})).await;

    let problem = stage.brand.support.delete(&path).await.expect_problem(409);
    let detail = problem["detail"].as_str().expect("a detail");
    assert!(detail.contains('3'), "three webhooks use it: {detail}");
    for webhook in using {
        stage.brand.delete_webhook(&webhook).await;
    }
    let problem = stage.brand.support.delete(&path).await.expect_problem(409);
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains('1')), "{problem}");
    other.delete_webhook(&others).await;
    let _ = stage.brand.support.delete(&path).await.expect_status(204);
    let _ = stage.brand.support.delete(&path).await.expect_problem(404);
    let types = stage.brand.api.list("/v1/acme/event-types", 100).await;
    assert!(types.iter().all(|entry| entry["type"] != ORDER), "{types:?}");
}

#[tokio::test]
async fn the_built_in_example_fits_its_schema() {
    let platform = Platform::start().await;
    let types = platform.support().list("/admin/v1/event-types", 100).await;
    let sms = types.iter().find(|entry| entry["type"] == SMS).unwrap_or_else(|| panic!("{types:?}"));
    assert!(sms["schema"].is_object() && sms["example"].is_object(), "{sms}");
    let body = json!({"description": "d", "schema": sms["schema"], "example": sms["example"]});
    let _ = platform.support().put(&format!("/admin/v1/event-types/{SMS}"), &body).await.expect_status(200);
}
