//! Test events send the catalogue's example to one webhook (contract §4).

use e2e::WAIT_TIMEOUT;
use e2e::brand::put_type;
use e2e::event::{Event, SMS};
use e2e::platform::Platform;
use e2e::script::Reply;
use serde_json::{Value, json};

use crate::Stage;

const SHOWN: &str = "NOTIFICATION.SHOWN";

fn object_keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[tokio::test]
async fn a_test_event_sends_the_example_to_one_webhook() {
    let stage = Stage::new().await;
    let example = json!({"shown": [1, "two", {"three": null}]});
    let shown = json!({"description": "With an example", "example": example});
    put_type(&stage.brand.support, SHOWN, &shown).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let (other, other_webhook) = stage.create_webhook("/other").await;

    let id = stage.brand.send_test(&webhook, &json!({"type": SHOWN})).await;

    let listed = stage.brand.wait_delivery_status(&webhook, &id, "delivered").await;
    assert_eq!((&listed["test"], &listed["type"]), (&json!(true), &json!(SHOWN)), "{listed}");
    let request = endpoint.wait_for_event(&id).await;
    let body = request.json();
    assert_eq!((&body["data"], &body["type"]), (&example, &json!(SHOWN)), "{body}");
    assert_eq!(object_keys(&body).len(), 7, "a test event looks like any other: {body}");
    assert!(id.parse::<ulid::Ulid>().is_ok(), "{id}");
    request.verify(&webhook.secret).expect("a signature that verifies");
    assert_eq!(stage.brand.list_triggers(&webhook, &id).await, ["test"]);
    let all = stage.brand.list_events(&webhook, "").await;
    assert_eq!(all.iter().map(|item| &item["test"]).collect::<Vec<_>>(), [&json!(true)], "{all:?}");

    // The other webhook gets the next event only.
    let event = Event::sms("acme");
    stage.publish_event(&event).await;
    other.wait_for_event(event.id()).await;
    let listed = stage.brand.wait_delivery_status(&other_webhook, event.id(), "delivered").await;
    assert_ne!(listed["test"], json!(true), "{listed}");
    assert_eq!(stage.brand.find_event(&other_webhook, &id).await, None);
    assert_eq!(other.requests().len(), 1);
}

#[tokio::test]
async fn the_type_is_optional_and_a_failed_test_is_retried() {
    let stage = Stage::with_builder(Platform::builder().retries("1s,1s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    endpoint.answer([Reply::status(500), Reply::ok()]);

    let id = stage.brand.send_test(&webhook, &json!({})).await;

    stage.brand.wait_delivery(&webhook, &id, "delivered", 2).await;
    assert_eq!(endpoint.wait_for_event(&id).await.field("type"), SMS, "the one type it subscribes to");
    assert_eq!(stage.brand.list_triggers(&webhook, &id).await, ["test", "retry"]);
    let again = stage.brand.send_test(&webhook, &json!({})).await;
    stage.brand.wait_listed(&webhook, "status=delivered", &[id, again].into(), WAIT_TIMEOUT).await;
}

#[tokio::test]
async fn a_test_of_an_unknown_type_is_a_422() {
    let stage = Stage::new().await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    let path = stage.brand.webhook_path(&webhook, "/test");
    for (body, pointer) in [
        (json!({"type": "NOTIFICATION.NOTHING"}), "/type"),
        (json!({"type": "NOTIFICATION"}), "/type"),
        (json!({"type": "sms"}), "/type"),
        (json!({"type": 1}), "/type"),
        (json!({"typ": SMS}), "/typ"),
    ] {
        assert_eq!(stage.brand.api.post(&path, &body).await.error_pointers(), [pointer], "{body}");
    }
    assert_eq!(stage.brand.list_events(&webhook, "").await, [] as [Value; 0]);
}
