//! The consequences of disabling a webhook, and its return (contract §4, §5).

use std::collections::BTreeSet;

use e2e::WAIT_TIMEOUT;
use e2e::brand::Webhook;
use e2e::event::{Event, ids};
use e2e::platform::Platform;
use e2e::receiver::Endpoint;
use e2e::script::{Gate, Reply};
use e2e::support::{disable_webhook, enable_webhook, republish_rejected, wait_rejected};
use serde_json::{Value, json};

use crate::Stage;

const DISABLED: &str = "WEBHOOK.DISABLED";

/// A webhook whose next event disables it.
async fn create_fragile_webhook(stage: &Stage) -> (Endpoint, Webhook) {
    let (endpoint, webhook) = stage.create_webhook("/fragile").await;
    endpoint.answer([Reply::status(410), Reply::ok()]);
    (endpoint, webhook)
}

#[tokio::test]
async fn support_is_notified_with_reason_and_contact() {
    let stage = Stage::new().await;
    let notices = stage.platform.rabbit().await.bind_queue("notices", "webhook.disabled").await;
    let (endpoint, webhook) = create_fragile_webhook(&stage).await;
    stage.publish_many(1).await;

    let notice: Value = serde_json::from_slice(&notices.next_message().await.body).expect("JSON");

    let text = notice.to_string();
    for part in [webhook.id.as_str(), "acme", "gone", "ada@example.com", "Ada", endpoint.url()] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!text.contains(&webhook.secret), "{text}");
    let read = stage.brand.wait_webhook_status(&webhook, "disabled").await;
    let detail = read["disabled"]["detail"].as_str().expect("a detail");
    assert!(text.contains(detail), "{detail} is not in {text}");
}

/// Waits for the event about a disabled webhook.
async fn wait_disabled_event(endpoint: &Endpoint) -> Value {
    let is_told = |request: &e2e::receiver::Received| request.field("type") == DISABLED;
    let all = endpoint.wait_until("the event", WAIT_TIMEOUT, |all| all.iter().any(|r| is_told(r))).await;
    all.iter().find(|request| is_told(request)).expect("the event").json()
}

#[tokio::test]
async fn subscribed_webhooks_of_the_brand_get_an_event() {
    let stage = Stage::new().await;
    let other = stage.platform.create_brand("other").await;
    let (_, webhook) = create_fragile_webhook(&stage).await;
    let endpoints = ["/all", "/named", "/quiet", "/others"].map(|path| stage.receiver.endpoint(path));
    let [all, named, quiet, others] = &endpoints;
    stage.brand.create_webhook(all.url(), &["*"]).await;
    let listening = stage.brand.create_webhook(named.url(), &[DISABLED]).await;
    stage.brand.create_webhook(quiet.url(), &["NOTIFICATION"]).await;
    other.create_webhook(others.url(), &["*"]).await;

    let first = stage.publish_many(1).await.remove(0);

    for endpoint in [all, named] {
        let event = wait_disabled_event(endpoint).await;
        let data = event["data"].to_string();
        assert!(data.contains(&webhook.id) && data.contains("gone"), "{event}");
        assert_eq!(event["brandId"], "acme", "{event}");
    }
    let listed = stage.brand.list_events(&listening, &format!("type={DISABLED}")).await;
    assert_eq!(listed.len(), 1, "{listed:?}");
    let own = Event::sms("acme");
    let foreign = Event::sms("other");
    stage.publish_event(&own).await;
    stage.publish_event(&foreign).await;
    for event in [&first, &own] {
        quiet.wait_for_event(event.id()).await;
    }
    others.wait_for_event(foreign.id()).await;
    assert_eq!((quiet.requests().len(), others.requests().len()), (2, 1));
}

/// The owner of one endpoint learns neither the credential of another one nor what support wrote for itself.
#[tokio::test]
async fn the_event_has_neither_the_query_nor_the_note_of_support() {
    const NOTE: &str = "internal: behind on payment";
    let stage = Stage::new().await;
    let notices = stage.platform.rabbit().await.bind_queue("notices", "webhook.disabled").await;
    let endpoint = stage.receiver.endpoint("/vendor");
    let url = format!("{}?token=VENDOR1-SECRET", endpoint.url());
    let webhook = stage.brand.create_webhook(&url, &["NOTIFICATION"]).await;
    let other = stage.receiver.endpoint("/other-vendor");
    let listening = stage.brand.create_webhook(other.url(), &["*"]).await;

    disable_webhook(&stage.brand.support, &webhook, NOTE).await;

    let event = wait_disabled_event(&other).await;
    let data = event["data"].as_object().expect("an object");
    let fields: BTreeSet<&str> = data.keys().map(String::as_str).collect();
    assert_eq!(fields, ["at", "endpoint", "reason", "webhookId"].into(), "{event}");
    assert_eq!(data["endpoint"], endpoint.url(), "{event}");
    assert_eq!((&data["webhookId"], &data["reason"]), (&json!(webhook.id), &json!("support")), "{event}");
    let listed = stage.brand.list_events(&listening, &format!("type={DISABLED}")).await;
    let notice = String::from_utf8(notices.next_message().await.body).expect("text");
    assert!(notice.contains(NOTE) && notice.contains(endpoint.url()), "{notice}");
    for text in [event.to_string(), notice, json!(listed).to_string()] {
        assert!(!text.contains("VENDOR1-SECRET"), "{text}");
    }
    assert!(!json!(listed).to_string().contains(NOTE), "{listed:?}");
    // The catalogue describes the event as it is.
    let path = "/admin/v1/event-types";
    let types = stage.brand.support.list(path, 100).await;
    let entry = types.iter().find(|entry| entry["type"] == DISABLED).expect("the built-in type");
    let mut required: Vec<_> = entry["schema"]["required"].as_array().expect("a list").clone();
    required.sort_by_key(ToString::to_string);
    assert_eq!(required, ["at", "endpoint", "reason", "webhookId"], "{entry}");
    assert!(entry["example"].as_object().expect("an example").keys().eq(data.keys()), "{entry}");
}

/// The platform signs what it delivers, so that a forged event would be believed.
#[tokio::test]
async fn nobody_but_the_platform_publishes_the_event() {
    let stage = Stage::new().await;
    let endpoint = stage.receiver.endpoint("/all");
    let webhook = stage.brand.create_webhook(endpoint.url(), &["*"]).await;
    let forged = Event::new("acme", DISABLED).data(r#"{"webhookId":"x","reason":"gone"}"#);
    let producer = stage.platform.producer().await;
    producer.publish(&forged).await;
    let body = forged.body();
    producer.publish_raw("SOME.KEY", body.as_bytes(), Some("forged")).await.expect("a confirm");

    let items = wait_rejected(&stage.brand.support, 2).await;

    for item in &items {
        assert_eq!((&item["reason"], &item["body"]), (&json!("built_in_type"), &json!(body)), "{item}");
    }
    let over_http = json!({"type": DISABLED, "data": {}});
    let answer = stage.brand.api.post("/v1/acme/events", &over_http).await;
    assert_eq!(answer.error_pointers(), ["/type"]);
    // Republishing does not make it genuine.
    republish_rejected(&stage.brand.support, json!({})).await;
    wait_rejected(&stage.brand.support, 2).await;
    let last = stage.deliver_one(&webhook).await;
    assert_eq!(endpoint.count_by_event().keys().collect::<Vec<_>>(), [last.id()]);
}

#[tokio::test]
async fn disabling_by_support_is_notified_without_other_webhooks() {
    let stage = Stage::new().await;
    let notices = stage.platform.rabbit().await.bind_queue("notices", "webhook.disabled").await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let disabled = disable_webhook(&stage.brand.support, &webhook, "the owner asked for it").await;
    assert_eq!(
        (&disabled["status"], &disabled["enabled"]),
        (&json!("disabled"), &json!(false)),
        "{disabled}"
    );
    assert_eq!(disabled["disabled"]["reason"], "support", "{disabled}");
    assert_eq!(disabled["disabled"]["detail"], "the owner asked for it", "{disabled}");
    let notice = String::from_utf8(notices.next_message().await.body).expect("text");
    assert!(notice.contains("the owner asked for it") && notice.contains(&webhook.id), "{notice}");
    assert!(endpoint.requests().is_empty());
}

/// Returns a webhook that support disabled, with one waiting event and five later ones.
async fn create_held_webhook(stage: &Stage) -> (Endpoint, Webhook, Vec<Event>) {
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    endpoint.answer([Reply::status(500), Reply::ok()]);
    let mut events = stage.publish_many(1).await;
    stage.brand.wait_attempts(&webhook, events[0].id(), 1).await;
    disable_webhook(&stage.brand.support, &webhook, "a test").await;
    events.extend(stage.publish_many(5).await);
    stage.wait_settled(&webhook, "held", &events).await;
    (endpoint, webhook, events)
}

#[tokio::test]
async fn held_events_are_listed_and_sent_on_request() {
    let stage = Stage::with_builder(Platform::builder().retries("10m")).await;
    let (endpoint, webhook, events) = create_held_webhook(&stage).await;
    let one = stage.brand.find_event(&webhook, events[3].id()).await.expect("a held event");
    assert_eq!((&one["delivery"]["attempts"], &one["delivery"]["nextAttemptAt"]), (&json!(0), &Value::Null));
    assert_eq!(stage.brand.list_attempts(&webhook, events[3].id()).await, [] as [Value; 0]);

    let body = json!({"note": "the owner fixed it", "redeliverHeld": true});
    let enabled = enable_webhook(&stage.brand.support, &webhook, &body).await;

    assert_eq!((&enabled["status"], &enabled["enabled"]), (&json!("active"), &json!(true)), "{enabled}");
    assert_eq!(enabled["disabled"], Value::Null, "{enabled}");
    stage.wait_settled(&webhook, "delivered", &events).await;
    assert_eq!(stage.brand.list_triggers(&webhook, events[0].id()).await, ["fresh", "held"]);
    for event in &events[1..] {
        assert_eq!(stage.brand.list_triggers(&webhook, event.id()).await, ["held"]);
    }
    stage.deliver_one(&webhook).await;
    assert_eq!(endpoint.requests().len(), 1 + 6 + 1, "each was sent once");
}

#[tokio::test]
async fn only_support_enables_with_a_note() {
    let stage = Stage::with_builder(Platform::builder().retries("10m")).await;
    let (endpoint, webhook, events) = create_held_webhook(&stage).await;
    let path = stage.brand.webhook_path(&webhook, "");
    let support = &stage.brand.support;
    let admin = |verb: &str| format!("/admin/v1/webhooks/{}/{verb}", webhook.id);

    let _ = stage.brand.api.patch(&path, &json!({"enabled": true})).await.expect_problem(409);
    let _ = stage.brand.api.post(&admin("enable"), &json!({"note": "me"})).await.expect_problem(403);
    let _ = stage.brand.api.post(&admin("disable"), &json!({"detail": "me"})).await.expect_problem(403);
    let bad = [json!({}), json!({"note": ""}), json!({"note": 1})];
    for body in &bad {
        assert_eq!(support.post(&admin("enable"), body).await.error_pointers(), ["/note"], "{body}");
    }
    assert_eq!(support.post(&admin("disable"), &json!({})).await.error_pointers(), ["/detail"]);
    assert_eq!(
        support.post(&admin("enable"), &json!({"note": "x", "held": 1})).await.error_pointers(),
        ["/held"]
    );
    let nobody = format!("/admin/v1/webhooks/{}/enable", uuid::Uuid::new_v4());
    let _ = support.post(&nobody, &json!({"note": "x"})).await.expect_problem(404);

    enable_webhook(support, &webhook, &json!({"note": "the owner fixed it"})).await;
    stage.deliver_one(&webhook).await;
    stage.wait_settled(&webhook, "held", &events).await;
    assert_eq!(endpoint.requests().len(), 2, "held events stay held unless the request redelivers them");
}

#[tokio::test]
async fn a_changed_webhook_stays_disabled() {
    let stage = Stage::new().await;
    let (_, webhook) = stage.create_webhook("/old").await;
    let new = stage.receiver.endpoint("/new");
    disable_webhook(&stage.brand.support, &webhook, "wrong address").await;
    let changed = stage.brand.patch_webhook(&webhook, &json!({"endpoint": new.url()})).await;
    assert_eq!((&changed["status"], &changed["enabled"]), (&json!("disabled"), &json!(false)), "{changed}");
    enable_webhook(&stage.brand.support, &webhook, &json!({"note": "fixed"})).await;
    let event = stage.publish_many(1).await.remove(0);
    new.wait_for_event(event.id()).await;
}

#[tokio::test]
async fn a_whole_backlog_is_held_and_sent() {
    let builder = Platform::builder().retries("1s").set("POSTRIDER_REQUEST_TIMEOUT", "60s");
    let mut stage = Stage::with_builder(builder).await;
    let endpoint = stage.receiver.endpoint("/hook");
    // With one request at a time, the others wait behind the one in flight.
    let one = json!({"endpoint": endpoint.url(), "events": ["NOTIFICATION"], "maxConcurrency": 1});
    let webhook = stage.brand.create_webhook_with(&one).await;
    let gate = Gate::closed();
    endpoint.always(Reply::ok().behind(&gate));
    let events = stage.publish_many(200).await;
    endpoint.wait_for_requests(1).await;
    stage.wait_settled(&webhook, "pending", &events).await;

    disable_webhook(&stage.brand.support, &webhook, "a test").await;
    stage.brand.wait_no_events(&webhook, "status=pending", WAIT_TIMEOUT).await;
    gate.open();

    let in_flight = endpoint.requests()[0].event_id();
    stage.brand.wait_attempts(&webhook, &in_flight, 1).await;
    let held: Vec<_> = events.iter().filter(|event| event.id() != in_flight).cloned().collect();
    stage.wait_settled(&webhook, "held", &held).await;
    let body = json!({"note": "fixed", "redeliverHeld": true});
    enable_webhook(&stage.brand.support, &webhook, &body).await;
    endpoint.wait_for_requests(1 + 20).await;
    stage.platform.deliverers[0].crash_and_restart().await;
    stage.wait_settled(&webhook, "delivered", &events).await;
    let counts = endpoint.count_by_event();
    assert!(counts.keys().eq(&ids(&events)), "{} arrived", counts.len());
}
