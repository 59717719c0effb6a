//! `postrider overview`.

use serde_json::json;

use crate::fake_api::FakeApi;
use crate::tool::{error_of, text, tool};

fn overview(rejected: u64) -> serde_json::Value {
    let service = |name: &str| {
        json!({"id": "I", "service": name, "host": "h", "version": "1", "started": "2026-11-28T13:00:00.000Z",
            "lastSeen": "2026-11-28T13:40:10.000Z"})
    };
    json!({"at": "2026-11-28T13:40:12.000Z", "services": [service("router"), service("deliverer")], "queues": [],
        "waiting": {"deliveries": 3, "more": false, "oldest": "2026-11-28T13:30:12.000Z"},
        "webhooks": {"active": 1, "paused": 0, "disabled": 0}, "disabled": [], "rejected": rejected, "minutes": []})
}

#[test]
fn overview_is_text_for_people_and_json_for_programs() {
    let summary = json!({"items": [{"brandId": "acme", "reason": "unknown_type", "messages": 131, "bytes": 1}],
        "dropped": [], "total": 131, "complete": true});
    let api = FakeApi::for_support().answer("GET /admin/v1/overview", 200, &overview(131)).answer(
        "GET /admin/v1/rejected/summary",
        200,
        &summary,
    );
    let shown = text(&api, &["overview"]);
    for wanted in [
        "Services   1 router, 1 deliverer",
        "no subscription-api was seen",
        "3 deliveries; the oldest was due 10 min ago",
        "unknown_type  acme   131",
    ] {
        assert!(shown.contains(wanted), "{wanted} in\n{shown}");
    }
    let json = text(&api, &["overview", "-o", "json"]);
    assert_eq!(json, format!("{}\n", overview(131)), "byte for byte");
}

#[test]
fn overview_is_shown_even_if_the_rejected_events_cannot_be_counted() {
    let api = FakeApi::for_support().answer("GET /admin/v1/overview", 200, &overview(2));
    let output = tool(&api, &["overview"]).output().expect("it runs");
    assert!(
        output.status.success() && String::from_utf8_lossy(&output.stdout).contains("Rejected   2 events")
    );
    assert!(error_of(&output).contains("cannot be counted"), "{output:?}");
}
