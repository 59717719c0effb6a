//! Colour, width, questions and hidden input on a terminal.

use serde_json::json;

use crate::fake_api::{FakeApi, page};
use crate::tool::{on_terminal, text, tool};

const ID: &str = "9e21c694-ee9e-48a7-b016-522fd8ef08c1";
const ESCAPE: char = '\u{1b}';

fn api_with_webhook() -> FakeApi {
    let endpoint = "https://example.com/a/path/that/is/much/longer/than/the/terminal/is/wide";
    let webhook = json!({"id": ID, "brandId": "acme", "endpoint": endpoint, "description": "Billing",
        "status": "disabled", "events": ["NOTIFICATION.SMS.RECEIPT", "ORDER"], "health": null});
    FakeApi::for_brand()
        .answer("GET /v1/acme/webhooks", 200, &page(&json!([webhook]), None))
        .answer(&format!("GET /v1/acme/webhooks/{ID}"), 200, &webhook)
        .answer_text(&format!("DELETE /v1/acme/webhooks/{ID}"), 204, "")
}

#[test]
fn tables_are_cut_and_coloured_on_a_terminal_only() {
    let api = api_with_webhook();
    let piped = text(&api, &["webhooks", "list"]);
    assert!(piped.contains("/is/wide") && !piped.contains(ESCAPE) && !piped.contains('…'), "{piped}");
    let (shown, status) = on_terminal(&mut tool(&api, &["webhooks", "list"]), 100, None);
    assert!(status.success() && shown.contains(ID) && shown.contains('…'), "{shown}");
    assert!(shown.contains("\u{1b}[31mdisabled\u{1b}[0m"), "{shown:?}");
    let mut plain = tool(&api, &["webhooks", "list"]);
    let (shown, _) = on_terminal(plain.env("NO_COLOR", "1"), 100, None);
    assert!(!shown.contains(ESCAPE), "{shown:?}");
    assert!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
    for columns in [20, 60] {
        let (shown, _) = on_terminal(plain.env("NO_COLOR", "1"), columns, None);
        assert!(shown.lines().all(|line| line.chars().count() <= usize::from(columns)), "{shown}");
    }
}

#[test]
fn json_on_a_terminal_is_whole_and_not_coloured() {
    let api = api_with_webhook();
    let (shown, status) = on_terminal(&mut tool(&api, &["webhooks", "list", "-o", "json"]), 40, None);
    assert!(status.success() && shown.contains("/is/wide") && !shown.contains(ESCAPE), "{shown}");
}

#[test]
fn deletion_is_asked_for_on_a_terminal_and_needs_yes_without_one() {
    let api = api_with_webhook();
    let delete = ["webhooks", "delete", "billing"];
    let (shown, status) = on_terminal(&mut tool(&api, &delete), 200, Some(("[y/N] ", "n\n")));
    assert!(!status.success() && shown.contains("nothing was deleted"), "{shown}");
    assert!(shown.contains(ID) && shown.contains("https://example.com/a/path"), "{shown}");
    let error = crate::tool::failure(&api, &delete, 1);
    assert!(error.contains("--yes"), "{error}");
    assert!(api.lines().iter().all(|line| !line.starts_with("DELETE")), "{:?}", api.lines());
    let (shown, status) = on_terminal(&mut tool(&api, &delete), 200, Some(("[y/N] ", "y\n")));
    assert!(status.success() && shown.contains("is deleted"), "{shown}");
    text(&api, &["webhooks", "delete", ID, "--yes"]);
    let deletions = api.lines().iter().filter(|line| line.starts_with("DELETE")).count();
    assert_eq!(deletions, 2);
}

#[test]
fn nested_data_is_spread_on_a_terminal_and_keeps_its_bytes_in_a_pipe() {
    let event =
        r#"{"id":"E","data":{"n":12345678901234567890123,"z":1.10,"a":[]},"delivery":{"status":"held"}}"#;
    let api = FakeApi::for_brand().answer_text(&format!("GET /v1/acme/webhooks/{ID}/events/E"), 200, event);
    let show = ["events", "show", ID, "E"];
    let piped = text(&api, &show);
    assert!(piped.contains(r#"data      {"n":12345678901234567890123,"z":1.10,"a":[]}"#), "{piped}");
    assert_eq!(text(&api, &[&show[..], &["-o", "json"]].concat()), format!("{event}\n"));
    let (shown, _) = on_terminal(tool(&api, &show).env("NO_COLOR", "1"), 80, None);
    assert!(shown.contains("data\n  {\n    \"n\": 12345678901234567890123,\n    \"z\": 1.10,"), "{shown}");
}
