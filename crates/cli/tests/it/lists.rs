//! Lists: pages, filters, relative times and the note about more.

use serde_json::{Value, json};

use crate::fake_api::{FakeApi, page};
use crate::tool::{error_of, failure, json as json_of, text, tool};

const WEBHOOK: &str = "9e21c694-ee9e-48a7-b016-522fd8ef08c1";

fn events(path: &str) -> FakeApi {
    let event = |id: &str| json!({"id": id, "created": "T", "type": "A", "delivery": {"status": "failed"}});
    FakeApi::for_brand().answer(path, 200, &page(&json!([event("E3"), event("E2")]), Some("next"))).answer(
        path,
        200,
        &page(&json!([event("E1")]), None),
    )
}

#[test]
fn newest_events_come_first_and_more_is_said_on_standard_error() {
    let path = format!("GET /v1/acme/webhooks/{WEBHOOK}/events");
    let api = events(&path);
    let output = tool(&api, &["events", "list", WEBHOOK, "--limit", "2"]).output().expect("it runs");
    assert!(error_of(&output).contains("2 shown, more: --limit or --all"), "{output:?}");
    assert_eq!(api.lines(), [format!("{path}?order=desc&limit=2")]);
    let api = events(&path);
    let output = tool(&api, &["events", "list", WEBHOOK, "--all", "-o", "json"]).output().expect("it runs");
    assert!(output.stderr.is_empty(), "{output:?}");
    let all: Value = serde_json::from_slice(&output.stdout).expect("one array");
    assert_eq!(all.as_array().map(Vec::len), Some(3));
    assert!(output.stdout.ends_with(b"]\n"));
    let api = events(&path);
    let shown = text(&api, &["events", "list", WEBHOOK, "--all", "--oldest"]);
    let ids: Vec<_> = shown.lines().map(|line| &line[..2]).collect();
    assert_eq!(ids, ["EV", "E3", "E2", "E1"], "one heading");
    assert_eq!(api.lines()[1], format!("{path}?order=asc&cursor=next&limit=1000"));
}

#[test]
fn empty_list_is_an_empty_array() {
    let api = FakeApi::for_support().answer("GET /admin/v1/brands", 200, &page(&json!([]), None));
    assert_eq!(text(&api, &["brands", "list", "-o", "json"]), "[]\n");
    assert_eq!(text(&api, &["brands", "list"]), "BRAND  NAME  CONTACT  CREATED\n");
}

#[test]
fn events_of_a_brand_are_listed_by_key_and_disposition() {
    let event = json!({"id": "E", "created": "T", "type": "A", "key": "order-1", "disposition": "not_enabled",
        "detail": "The type is not enabled."});
    let api = FakeApi::for_brand().answer("GET /v1/acme/events", 200, &page(&json!([event]), None));
    let shown = text(&api, &["events", "list", "--key", "order-1"]);
    assert!(shown.contains("EVENT  CREATED  TYPE  KEY      DISPOSITION  DETAIL"), "{shown}");
    text(&api, &["events", "list", "--all-of-brand", "--disposition", "rejected", "--from", "2026-11-24"]);
    let wanted = [
        "GET /v1/acme/events?key=order-1&limit=100",
        "GET /v1/acme/events?from=2026-11-24T00%3A00%3A00.000Z&disposition=rejected&limit=100",
    ];
    assert_eq!(api.lines(), wanted);
}

#[test]
fn relative_times_become_instants_and_bad_ones_are_usage_errors() {
    let path = format!("GET /v1/acme/webhooks/{WEBHOOK}/events");
    let api = FakeApi::for_brand().answer(&path, 200, &page(&json!([]), None));
    text(&api, &["events", "list", WEBHOOK, "--from", "2h30m ago", "--to", "now", "--outcome", "timeout"]);
    let line = &api.lines()[0];
    let url: url::Url = format!("http://api{}", line.trim_start_matches("GET ")).parse().expect("a URL");
    let value = |name: &str| {
        let (_, value) =
            url.query_pairs().find(|(own, _)| own == name).unwrap_or_else(|| panic!("{name} in {line}"));
        value.parse::<chrono::DateTime<chrono::Utc>>().expect("an instant")
    };
    let distance = value("to") - value("from");
    assert!((9_000..9_010).contains(&distance.num_seconds()), "{line}");
    assert!(line.contains("outcome=timeout"), "{line}");
    assert!(failure(&api, &["events", "list", WEBHOOK, "--from", "later"], 2).contains("yesterday"));
}

#[test]
fn audit_is_filtered_and_a_brand_reads_its_own() {
    let entry = json!({"id": "I", "at": "T", "actor": "platform", "action": "webhook.disable", "brandId": "acme",
        "subject": "W", "outcome": "done"});
    let support = FakeApi::for_support().answer("GET /admin/v1/audit", 200, &page(&json!([entry]), None));
    assert!(text(&support, &["audit", "--actor", "platform", "--brand", "acme"]).contains("OUTCOME"));
    assert_eq!(support.lines(), ["GET /admin/v1/audit?actor=platform&brandId=acme&limit=100"]);
    let brand = FakeApi::for_brand().answer("GET /v1/acme/audit", 200, &page(&json!([entry]), None));
    assert_eq!(json_of(&brand, &["audit", "--action", "webhook.disable"]), json!([entry]));
    assert_eq!(brand.lines(), ["GET /v1/acme/audit?action=webhook.disable&limit=100"]);
}

#[test]
fn published_event_keeps_its_bytes_and_has_a_key() {
    let api = FakeApi::for_brand().answer("POST /v1/acme/events", 202, &json!({"ids": ["E"]}));
    let data = r#"{"n":12345678901234567890123, "z":1.10,"a":"\u00e9"}"#;
    text(&api, &["events", "publish", "A.B", "--data", data, "--key", "order-1"]);
    assert_eq!(api.seen()[0].body, format!(r#"{{"type":"A.B","key":"order-1","data":{data}}}"#));
}

#[test]
fn attempt_is_shown_as_http() {
    let path = format!("/v1/acme/webhooks/{WEBHOOK}/events/E/attempts");
    let exchange = json!({"attemptId": "A2", "startedAt": "T", "durationMs": 5, "outcome": "http_status",
        "error": "HTTP 500", "remoteAddress": "192.0.2.1:443", "tls": null, "location": null,
        "timing": {"dnsMs": 1, "connectMs": 2, "tlsMs": 3, "firstByteMs": 4},
        "request": {"method": "POST", "url": "https://example.com/", "headers": [["webhook-id", "E"]], "body": "{}"},
        "response": {"status": 500, "headers": [], "body": "no", "bodyTruncated": false, "headersTruncated": false}});
    let attempts = json!([{"attemptId": "A1"}, {"attemptId": "A2"}]);
    let api = FakeApi::for_brand().answer(&format!("GET {path}"), 200, &page(&attempts, None)).answer(
        &format!("GET {path}/A2"),
        200,
        &exchange,
    );
    let shown = text(&api, &["events", "attempt", WEBHOOK, "E"]);
    assert!(
        shown.contains("> POST https://example.com/\n> webhook-id: E\n>\n{}\n\n< 500\n<\nno\n"),
        "{shown}"
    );
    assert_eq!(json_of(&api, &["events", "attempt", WEBHOOK, "E", "A2"]), exchange);
}

#[test]
fn rejected_jobs_are_listed_shown_and_cancelled() {
    let job = json!({"id": "J", "action": "republish", "brandId": "acme", "reason": null, "type": null,
        "state": "running", "done": 1, "total": 2, "created": "T", "updated": "T", "actor": "support"});
    let api = FakeApi::for_support()
        .answer("GET /admin/v1/rejected/jobs", 200, &page(&json!([job]), None))
        .answer("GET /admin/v1/rejected/jobs/J", 200, &job)
        .answer_text("DELETE /admin/v1/rejected/jobs/J", 204, "");
    assert!(text(&api, &["rejected", "jobs", "list"]).contains("running"));
    assert_eq!(json_of(&api, &["rejected", "jobs", "show", "J"]), job);
    assert!(text(&api, &["rejected", "jobs", "cancel", "J"]).contains("is cancelled"));
}

#[test]
fn a_rejected_job_that_stopped_is_a_failure() {
    let job = |state: &str| {
        json!({"id": "J", "action": "delete", "brandId": null, "reason": null, "type": null,
            "state": state, "done": 1, "total": 2, "created": "T", "updated": "T", "actor": "support"})
    };
    for (state, is_success) in [("finished", true), ("stopped", false)] {
        let api = FakeApi::for_support().answer("DELETE /admin/v1/rejected", 202, &job("running")).answer(
            "GET /admin/v1/rejected/jobs/J",
            200,
            &job(state),
        );
        let output = tool(&api, &["rejected", "delete", "--yes", "-o", "json"]).output().expect("it runs");
        assert_eq!(output.status.success(), is_success, "{output:?}");
        let shown: Value = serde_json::from_slice(&output.stdout).expect("the job");
        assert_eq!(shown, job(state));
        assert_eq!(error_of(&output).contains("the job J is stopped"), !is_success, "{output:?}");
    }
}
