//! `postrider redeliver` and `postrider redeliveries`.

use serde_json::{Value, json};

use crate::fake_api::{FakeApi, page};
use crate::tool::{error_of, failure, on_terminal, run_with_input, text, tool};

const WEBHOOK: &str = "9e21c694-ee9e-48a7-b016-522fd8ef08c1";
const JOB: &str = "5b1c0000-0000-4000-8000-000000000001";
const ID: &str = "01F2SFVYVD0H873S2VRT8VQSPM";

fn job(state: &str) -> Value {
    json!({"id": JOB, "webhookId": WEBHOOK, "brandId": "acme", "trigger": "redeliver", "state": state, "total": 3,
        "more": false, "attempted": 3, "delivered": 2, "created": "T", "updated": "T"})
}

fn redeliver_path() -> String {
    format!("/v1/acme/webhooks/{WEBHOOK}/redeliver")
}

fn api() -> FakeApi {
    let path = redeliver_path();
    FakeApi::for_brand()
        .answer(&format!("POST {path}"), 200, &json!({"queued": 3}))
        .answer(&format!("POST {path}"), 202, &json!({"queued": 3, "jobId": JOB}))
        .answer(&format!("GET {path}/{JOB}"), 200, &job("running"))
        .answer(&format!("GET {path}/{JOB}"), 200, &job("finished"))
}

fn bodies(api: &FakeApi) -> Vec<Value> {
    let posts = api.seen().into_iter().filter(|seen| seen.line.starts_with("POST"));
    posts.map(|seen| serde_json::from_str(&seen.body).expect("JSON")).collect()
}

#[test]
fn range_is_counted_first_and_has_the_failed_events_by_default() {
    let api = api();
    let output = tool(&api, &["redeliver", WEBHOOK, "--from", "2h"]).output().expect("it runs");
    assert!(error_of(&output).contains("redelivering 3 failed events to"), "{output:?}");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(shown, format!("finished: 3 of 3 events attempted, 2 delivered  (job {JOB})\n"));
    let sent = bodies(&api);
    assert_eq!((sent.len(), &sent[0], &sent[0]["status"]), (2, &sent[1], &json!("failed")));
    assert!(sent[0]["to"].is_string(), "the range ends now: {}", sent[0]);
    assert!(api.lines()[0].ends_with("?dryRun=true") && !api.lines()[1].contains("dryRun"));
}

#[test]
fn every_status_is_sent_only_if_it_is_meant() {
    let api = api();
    let words = text(&api, &["redeliver", WEBHOOK, "--from", "2h", "--status", "all", "--dry-run"]);
    assert!(words.starts_with("3 events (delivered ones included) would be redelivered"), "{words}");
    assert_eq!(bodies(&api)[0]["status"], "all");
    assert_eq!(api.seen().len(), 1);
}

#[test]
fn terminal_is_asked_before_anything_is_sent() {
    let range = ["redeliver", WEBHOOK, "--from", "2h"];
    let refused = api();
    let (shown, status) = on_terminal(&mut tool(&refused, &range), 120, Some(("[y/N] ", "\n")));
    assert!(!status.success() && shown.contains("Redeliver 3 failed events to"), "{shown}");
    assert_eq!(bodies(&refused).len(), 1, "only the count");
    let accepted = api();
    let (shown, status) = on_terminal(&mut tool(&accepted, &range), 120, Some(("[y/N] ", "y\n")));
    assert!(status.success() && shown.contains("finished: 3 of 3"), "{shown}");
}

#[test]
fn nothing_to_redeliver_starts_no_job() {
    let path = format!("POST {}", redeliver_path());
    let api = FakeApi::for_brand().answer(&path, 200, &json!({"queued": 0}));
    let words = text(&api, &["redeliver", WEBHOOK, "--from", "2h"]);
    assert!(words.starts_with("there are 0 failed events"), "{words}");
    assert_eq!(api.seen().len(), 1);
}

#[test]
fn events_are_redelivered_by_their_ids_in_one_request() {
    let path = format!("POST {}", redeliver_path());
    let answer = json!({"queued": 1, "jobId": JOB});
    let api = FakeApi::for_brand().answer(&path, 202, &answer);
    let mut command = tool(&api, &["redeliver", WEBHOOK, "--ids", "-", "--no-wait"]);
    let output = run_with_input(&mut command, &format!("{ID}\n{ID}\n"));
    assert!(output.status.success(), "{}", error_of(&output));
    assert_eq!(bodies(&api), [json!({"ids": [ID]})]);
    assert!(failure(&api, &["redeliver", WEBHOOK, "--ids", "nonsense"], 1).contains("ULID"));
    failure(&api, &["redeliver", WEBHOOK, "--ids", ID, "--from", "1h"], 2);
}

#[test]
fn ids_without_an_event_are_named() {
    let path = format!("POST {}", redeliver_path());
    let api = FakeApi::for_brand().answer(&path, 202, &json!({"queued": 1, "jobId": JOB, "unknown": [ID]}));
    let mut command = tool(&api, &["redeliver", WEBHOOK, "--ids", ID, "--no-wait"]);
    let output = command.output().expect("it runs");
    assert!(output.status.success() && error_of(&output).contains(&format!("no event {ID}")), "{output:?}");
}

#[test]
fn job_that_ends_early_is_an_error() {
    let path = redeliver_path();
    for state in ["stopped", "cancelled"] {
        let api = FakeApi::for_brand()
            .answer(&format!("POST {path}"), 202, &json!({"queued": 3, "jobId": JOB}))
            .answer(&format!("GET {path}/{JOB}"), 200, &job(state));
        let output = tool(&api, &["redeliver", WEBHOOK, "--ids", ID]).output().expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).starts_with(state), "{output:?}");
        assert!(error_of(&output).contains(&format!("the redelivery job was {state}")), "{output:?}");
    }
}

#[test]
fn open_job_is_named_with_the_command_that_shows_it() {
    let path = format!("POST {}", redeliver_path());
    let problem = json!({"title": "Conflict", "detail": "the job is open", "jobId": JOB});
    let api = FakeApi::for_brand().answer(&path, 409, &problem);
    let error = failure(&api, &["redeliver", WEBHOOK, "--ids", ID], 1);
    assert!(error.contains(&format!("postrider redeliveries show {JOB} --webhook {WEBHOOK}")), "{error}");
    assert!(error.contains("the job is open (409)"), "{error}");
}

#[test]
fn jobs_are_listed_for_a_webhook_a_brand_and_all_brands() {
    let jobs = page(&json!([job("running")]), None);
    let api = FakeApi::for_support()
        .answer(&format!("GET {}", redeliver_path()), 200, &jobs)
        .answer("GET /v1/acme/redeliveries", 200, &jobs)
        .answer("GET /admin/v1/redeliveries", 200, &jobs);
    for list in [
        &["redeliveries", "list", WEBHOOK, "--brand", "acme"][..],
        &["redeliveries", "list", "--brand", "acme", "--state", "running"],
        &["redeliveries", "list"],
        &["redeliveries", "list", "--all-brands"],
    ] {
        assert!(text(&api, list).contains(JOB), "{list:?}");
    }
    let path = redeliver_path();
    let wanted = [
        format!("GET {path}?limit=100"),
        "GET /v1/acme/redeliveries?state=running&limit=100".to_owned(),
        "GET /admin/v1/redeliveries?limit=100".to_owned(),
        "GET /admin/v1/redeliveries?limit=100".to_owned(),
    ];
    assert_eq!(api.lines(), wanted);
}

#[test]
fn job_is_shown_and_cancelled_by_the_beginning_of_its_id() {
    let path = redeliver_path();
    let api = FakeApi::for_brand()
        .answer("GET /v1/acme/redeliveries", 200, &page(&json!([job("running")]), None))
        .answer(&format!("GET {path}/{JOB}"), 200, &job("running"))
        .answer_text(&format!("DELETE {path}/{JOB}"), 204, "");
    assert!(text(&api, &["redeliveries", "show", "5b1c"]).contains("running"));
    assert!(text(&api, &["redeliveries", "cancel", "5b1c"]).contains("is cancelled"));
    assert!(failure(&api, &["redeliveries", "show", "ffff"], 1).contains("no job"));
    text(&api, &["redeliveries", "show", JOB, "--webhook", WEBHOOK]);
    assert_eq!(api.lines().last(), Some(&format!("GET {path}/{JOB}")));
}
