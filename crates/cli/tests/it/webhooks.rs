//! Webhooks: names, filters over all brands, tests of disabled ones.

use serde_json::{Value, json};

use crate::fake_api::{FakeApi, page};
use crate::tool::{failure, text};

const ID: &str = "9e21c694-ee9e-48a7-b016-522fd8ef08c1";
const OTHER: &str = "9e21ffff-ee9e-48a7-b016-522fd8ef08c1";

fn webhook(id: &str, description: &str) -> Value {
    json!({"id": id, "brandId": "acme", "endpoint": "https://example.com/", "description": description,
        "status": "active", "events": ["A"], "health": {"state": "failing", "since": "2026-11-28T13:02:00.000Z"}})
}

fn both() -> Value {
    page(&json!([webhook(ID, "Billing"), webhook(OTHER, "Shop")]), None)
}

#[test]
fn failing_webhooks_of_all_brands_are_listed() {
    let api = FakeApi::for_support().answer("GET /admin/v1/webhooks", 200, &both());
    let shown =
        text(&api, &["webhooks", "list", "--all-brands", "--health", "failing", "--order", "attention"]);
    assert!(shown.contains("HEALTH") && shown.contains("failing") && shown.contains("acme"), "{shown}");
    assert_eq!(api.lines(), ["GET /admin/v1/webhooks?health=failing&order=attention&limit=100"]);
    assert!(failure(&api, &["webhooks", "list"], 1).contains("--brand or --all-brands"));
    failure(&api, &["webhooks", "list", "--health", "sick"], 2);
}

#[test]
fn webhook_is_named_by_the_beginning_of_its_id_or_its_description() {
    let api = FakeApi::for_brand().answer("GET /v1/acme/webhooks", 200, &both()).answer(
        &format!("GET /v1/acme/webhooks/{ID}"),
        200,
        &webhook(ID, "Billing"),
    );
    for name in ["9e21c", "billing", "Billing", ID] {
        assert!(text(&api, &["webhooks", "show", name]).contains(ID), "{name}");
    }
    let asked = api.lines().iter().filter(|line| line.starts_with("GET /v1/acme/webhooks?")).count();
    assert_eq!(asked, 3, "a whole id needs no list");
    let error = failure(&api, &["webhooks", "show", "9e21"], 1);
    assert!(error.contains(ID) && error.contains(OTHER), "{error}");
    assert!(
        failure(&api, &["webhooks", "show", "unknown"], 1).contains("there is no webhook of the brand acme")
    );
}

#[test]
fn support_names_a_webhook_without_its_brand() {
    let events = format!("GET /v1/acme/webhooks/{ID}/events");
    let api = FakeApi::for_support()
        .answer("GET /admin/v1/webhooks", 200, &both())
        .answer(&events, 200, &page(&json!([]), None))
        .answer(&format!("POST /admin/v1/webhooks/{ID}/test"), 202, &json!({"id": "E"}))
        .answer(&format!("POST /admin/v1/webhooks/{ID}/enable"), 200, &webhook(ID, "Billing"));
    text(&api, &["events", "list", "9e21c"]);
    text(&api, &["webhooks", "test", "billing"]);
    text(&api, &["webhooks", "enable", "billing", "--note", "fixed"]);
    let seen = api.lines();
    for wanted in [
        format!("{events}?order=desc&limit=100"),
        format!("POST /admin/v1/webhooks/{ID}/test"),
        format!("POST /admin/v1/webhooks/{ID}/enable"),
    ] {
        assert!(seen.contains(&wanted), "{wanted} in {seen:?}");
    }
}

#[test]
fn overlap_of_a_rotation_is_ended_and_statistics_are_a_table() {
    let stats = json!({"from": "T", "to": "T", "stepSeconds": 60, "items": [{"at": "T1", "attempts": 5,
        "outcomes": {"delivered": 4}, "latencyMs": {"p50": 1.5, "p99": null}, "events": {"delivered": 4, "failed": 1}}]});
    let api = FakeApi::for_brand()
        .answer_text(&format!("POST /v1/acme/webhooks/{ID}/secret/end-previous"), 204, "")
        .answer(&format!("GET /v1/acme/webhooks/{ID}/stats"), 200, &stats)
        .answer("GET /v1/acme/stats", 200, &stats);
    assert!(text(&api, &["webhooks", "end-previous", ID]).contains("signs no more"));
    for command in [&["webhooks", "stats", ID, "--step", "1m"][..], &["stats", "--step", "1m"]] {
        let shown = text(&api, command);
        assert!(shown.contains("EVENTS FAILED") && shown.contains("T1"), "{shown}");
    }
}
