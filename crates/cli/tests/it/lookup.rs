//! `postrider find`: lookups and searches.

use serde_json::{Value, json};

use crate::fake_api::FakeApi;
use crate::tool::{failure, json as json_of, text};

const ID: &str = "01F2SFVYVD0H873S2VRT8VQSPM";

fn lookup() -> Value {
    json!({"id": ID, "brandId": "acme", "type": "ORDER.PAID", "created": "2026-11-28T13:47:02.000Z",
        "received": "2026-11-28T13:47:02.120Z", "key": "order-17", "disposition": "routed", "detail": null,
        "test": false, "data": {"n": 1}, "duplicates": 0, "webhooks": [
        {"webhookId": "w1", "endpoint": "https://a.example/", "description": null, "status": "active",
         "result": "queued", "detail": "Queued since 13:47:02 UTC.", "since": null, "ahead": 128,
         "nextAttemptAt": null, "delivery": null},
        {"webhookId": "w2", "endpoint": "https://b.example/", "description": null, "status": "paused",
         "result": "not_subscribed", "detail": null, "since": null, "ahead": null, "nextAttemptAt": null,
         "delivery": null}], "others": []})
}

fn found(events: &Value, webhooks: &Value) -> Value {
    json!({"brands": [], "webhooks": webhooks, "eventTypes": [], "events": events})
}

#[test]
fn brand_looks_an_event_up_by_its_id() {
    let api = FakeApi::for_brand().answer(&format!("GET /v1/acme/events/{ID}"), 200, &lookup());
    let shown = text(&api, &["find", ID]);
    for wanted in
        ["w1       queued", "  Queued since 13:47:02 UTC.", "w2       not_subscribed", "Routing    routed"]
    {
        assert!(shown.contains(wanted), "{wanted} in\n{shown}");
    }
    assert_eq!(json_of(&api, &["find", ID]), lookup());
}

#[test]
fn support_looks_an_event_up_across_brands_by_its_message_id() {
    let api = FakeApi::for_support().answer("GET /admin/v1/events/msg%201", 200, &lookup());
    assert!(text(&api, &["find", "msg 1"]).contains("Brand      acme"));
    let api = FakeApi::for_support().answer(&format!("GET /v1/acme/events/{ID}"), 200, &lookup());
    assert!(text(&api, &["find", ID, "--brand", "acme"]).contains(ID));
}

#[test]
fn the_only_event_with_a_key_is_looked_up() {
    let event = json!({"id": ID, "type": "ORDER.PAID", "created": "T", "received": "T", "key": "order-17",
        "disposition": "routed", "detail": null, "test": false});
    let api = FakeApi::for_brand()
        .answer("GET /v1/acme/search", 200, &found(&json!([event]), &json!([])))
        .answer(&format!("GET /v1/acme/events/{ID}"), 200, &lookup());
    assert!(text(&api, &["find", "order-17"]).contains("w1       queued"));
    assert_eq!(
        api.lines(),
        ["GET /v1/acme/search?q=order-17".to_owned(), format!("GET /v1/acme/events/{ID}")]
    );
}

#[test]
fn several_results_are_listed_by_kind() {
    let event = |id: &str| {
        json!({"id": id, "brandId": "acme", "type": "A", "created": "T", "received": "T", "key": null,
            "disposition": "not_enabled", "detail": "It is not enabled.", "test": false})
    };
    let webhook = json!({"id": "w1", "brandId": "acme", "endpoint": "https://a.example/", "description": null,
        "status": "active"});
    let results = found(&json!([event("E1"), event("E2")]), &json!([webhook]));
    let api = FakeApi::for_support().answer("GET /admin/v1/search", 200, &results);
    let shown = text(&api, &["find", "a.example"]);
    assert!(shown.contains("Webhooks\nWEBHOOK") && shown.contains("Events\nEVENT"), "{shown}");
    assert!(shown.contains("not_enabled") && shown.contains("postrider find EVENT"), "{shown}");
    assert_eq!(json_of(&api, &["find", "a.example"]), results);
}

#[test]
fn text_that_names_nothing_is_a_failure() {
    let api = FakeApi::for_brand().answer("GET /v1/acme/search", 200, &found(&json!([]), &json!([])));
    assert!(failure(&api, &["find", "nothing"], 1).contains("nothing matches nothing"));
    assert!(failure(&api, &["find", ID], 1).contains("nothing matches"));
    failure(&api, &["find", " "], 1);
}
