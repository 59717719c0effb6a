//! `postrider`, the command line tool, against a running platform.

use e2e::api::Api;
use e2e::cli::Cli;
use e2e::event::SMS;
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::script::Reply;
use e2e::{WAIT_TIMEOUT, binaries};
use serde_json::{Value, json};

use crate::Stage;

pub(crate) fn cli(stage: &Stage, api: &Api) -> Cli {
    Cli::new(&format!("http://{}", stage.platform.api_address()), api)
}

fn text_field<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

#[tokio::test]
async fn support_creates_a_brand_and_the_brand_creates_a_webhook() {
    let stage = Stage::new().await;
    let support = cli(&stage, &stage.brand.support);
    let new = ["brands", "create", "nova", "--name", "Nova", "--contact-name", "Ada"];
    let made = support.json(&[&new[..], &["--contact-email", "ada@example.com"]].concat()).await;
    assert_eq!(made["contact"], json!({"name": "Ada", "email": "ada@example.com"}));
    let limit = ["brands", "quotas", "nova", "--events-per-second", "500", "--bytes-per-second", "default"];
    let limited = support.json(&limit).await;
    assert_eq!((&limited["quotas"]["eventsPerSecond"], &limited["name"]), (&json!(500), &json!("Nova")));
    support.text(&["brands", "enable", "nova", "NOTIFICATION"]).await;
    support.text(&["types", "put", "NOTIFICATION.NEW", "--description", "New", "--example", "[1.10]"]).await;
    let token = support.json(&["tokens", "create", "ci", "--role", "write", "--brand", "nova"]).await;
    let tokens = support.json(&["tokens", "list", "--brand", "nova"]).await;
    assert_eq!(tokens[0]["id"], token["id"]);

    let nova = cli(&stage, &stage.brand.api.with_token(Some(text_field(&token, "token"))));
    assert_eq!(nova.json(&["me"]).await["brandId"], "nova");
    let types = nova.json(&["types", "list"]).await;
    let new = types.as_array().into_iter().flatten().find(|entry| entry["type"] == "NOTIFICATION.NEW");
    assert_eq!(new.map(|entry| &entry["enabled"]), Some(&json!(true)), "{types}");
    let endpoint = stage.receiver.endpoint("/nova");
    let create =
        ["webhooks", "create", "--endpoint", endpoint.url(), "--events", "NOTIFICATION.NEW,NOTIFICATION.SMS"];
    let webhook = nova.json(&[&create[..], &["--header", "x-team=a=b"]].concat()).await;
    assert_eq!(webhook["headers"], json!({"x-team": "(hidden)"}));
    let secret = nova.json(&["webhooks", "secret", text_field(&webhook, "id")]).await;
    assert_eq!(secret["headers"], json!({"x-team": "a=b"}));
    let data = r#"{"big":12345678901234567890}"#;
    let published = nova.json(&["events", "publish", SMS, "--data", data]).await;
    let request = endpoint.wait_for_requests(1).await.remove(0);
    assert_eq!(json!([request.event_id()]), published["ids"]);
    assert_eq!(request.header("x-team"), "a=b");

    let table = nova.text(&["webhooks", "list"]).await;
    let row = [text_field(&webhook, "id"), "active", endpoint.url(), "NOTIFICATION.NEW NOTIFICATION.SMS"];
    assert!(table.lines().any(|line| row.iter().all(|cell| line.contains(cell))), "{table}");
    let deleted = support.text(&["tokens", "delete", text_field(&token, "id"), "--brand", "nova"]).await;
    assert!(deleted.contains("is deleted"), "{deleted}");
    assert!(nova.failure(&["me"]).await.contains("(401)"));
}

#[tokio::test]
async fn a_brand_and_support_manage_their_own_tokens() {
    let stage = Stage::new().await;
    let brand = cli(&stage, &stage.brand.api);
    let grace = brand.json(&["tokens", "create", "Grace", "--expires", "90d"]).await;
    let as_grace = cli(&stage, &stage.brand.api.with_token(Some(text_field(&grace, "token"))));
    assert_eq!(as_grace.json(&["me"]).await["name"], "Grace");
    assert_eq!(as_grace.json(&["tokens", "list"]).await[1]["id"], grace["id"]);
    assert!(as_grace.failure(&["tokens", "create", "another"]).await.contains("role write"));
    brand.text(&["tokens", "delete", text_field(&grace, "id")]).await;
    assert!(as_grace.failure(&["me"]).await.contains("(401)"));

    let support = cli(&stage, &stage.brand.support);
    let ada = support.json(&["support-tokens", "create", "Ada", "--expires", "365d"]).await;
    let as_ada = cli(&stage, &stage.brand.support.with_token(Some(text_field(&ada, "token"))));
    assert_eq!(as_ada.json(&["me"]).await["name"], "Ada");
    as_ada.text(&["types", "put", "NOTIFICATION.NEW", "--description", "New"]).await;
    let actor = format!("support:{}", text_field(&ada, "id"));
    let acts = support.json(&["audit", "--actor", &actor]).await;
    assert_eq!(
        (&acts[0]["actor"], &acts[0]["action"]),
        (&json!(format!("{actor} Ada")), &json!("event_type.put"))
    );
    assert_eq!(support.json(&["support-tokens", "list"]).await[0]["id"], ada["id"]);
    assert!(brand.failure(&["support-tokens", "list"]).await.contains("support token"));
    as_ada.text(&["support-tokens", "delete", text_field(&ada, "id")]).await;
    assert!(as_ada.failure(&["me"]).await.contains("(401)"));
}

#[tokio::test]
async fn webhooks_are_changed_paused_rotated_and_deleted() {
    let stage = Stage::new().await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    let brand = cli(&stage, &stage.brand.api);
    let id = webhook.id.as_str();
    let changed =
        brand.json(&["webhooks", "update", id, "--max-concurrency", "3", "--description", "Mine"]).await;
    assert_eq!((&changed["maxConcurrency"], &changed["description"]), (&json!(3), &json!("Mine")));
    assert_eq!(brand.json(&["webhooks", "pause", id]).await["status"], "paused");
    assert_eq!(brand.json(&["webhooks", "resume", id]).await["status"], "active");
    assert_eq!(text_field(&brand.json(&["webhooks", "secret", id]).await, "secret"), webhook.secret);
    let rotated = brand.json(&["webhooks", "rotate", id, "--overlap-seconds", "60"]).await;
    assert_ne!(text_field(&rotated, "secret"), webhook.secret);
    let support = cli(&stage, &stage.brand.support);
    assert_eq!(support.json(&["webhooks", "disable", id, "--detail", "a test"]).await["status"], "disabled");
    assert!(brand.failure(&["webhooks", "resume", id]).await.contains("(409)"));
    assert_eq!(support.json(&["webhooks", "enable", id, "--note", "over"]).await["status"], "active");
    assert!(brand.json(&["webhooks", "health", id]).await.is_object());
    assert!(brand.failure(&["webhooks", "delete", id]).await.contains("--yes"), "there is nobody to ask");
    brand.text(&["webhooks", "delete", id, "--yes"]).await;
    assert!(brand.failure(&["webhooks", "show", id]).await.contains("(404)"));
}

#[tokio::test]
async fn events_are_read_redelivered_and_followed() {
    let stage = Stage::with_builder(Platform::builder().one_attempt().without_health_rule()).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    endpoint.always(Reply::status(500));
    let events = stage.publish_many(3).await;
    stage.wait_settled(&webhook, "failed", &events).await;
    let brand = cli(&stage, &stage.brand.api);
    let id = webhook.id.as_str();
    let failed = brand.json(&["events", "list", id, "--status", "failed", "--limit", "2"]).await;
    assert_eq!(failed.as_array().map(Vec::len), Some(2));
    assert!(text_field(&failed[0], "created") >= text_field(&failed[1], "created"));
    let attempts = brand.json(&["events", "attempts", id, events[0].id()]).await;
    assert_eq!(attempts[0]["statusCode"], 500);

    endpoint.always(Reply::ok());
    let delivered = stage.deliver_one(&webhook).await;
    stage.wait_settled(&webhook, "delivered", std::slice::from_ref(&delivered)).await;
    let range = ["redeliver", id, "--from", "2000-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z"];
    let counted = brand.json(&[&range[..], &["--dry-run"]].concat()).await;
    assert_eq!(counted, json!({"queued": 3}), "only failed events, unless told otherwise");
    let relative = ["redeliver", id, "--from", "1h", "--status", "delivered", "--dry-run"];
    let words = brand.text(&relative).await;
    assert!(words.starts_with("1 delivered event would be redelivered"), "{words}");
    let done = brand.json(&range).await;
    assert_eq!(
        (&done["state"], &done["delivered"], &done["total"]),
        (&json!("finished"), &json!(3), &json!(3))
    );
    stage.wait_settled(&webhook, "failed", &[]).await;
    assert_eq!(endpoint.requests_of(delivered.id()).len(), 1, "a delivered event is not sent again");
    assert_eq!(brand.json(&["redeliver", id, events[0].id()]).await["queued"], 1);

    let mut tail = brand.start(&["tail", id, "--lines", "1"]);
    // The tool has looked, so that later events are new to it.
    tail.next_line().await;
    let mut more = stage.publish_many(1).await;
    let more = more.remove(0);
    loop {
        let line = tail.next_line().await;
        if line["id"] == more.id() && line["status"] == "delivered" {
            break;
        }
    }
    assert!(brand.text(&["tail", id, "--once", "-n", "1"]).await.contains("delivered"));
}

/// Data that a parsed JSON value would change or could not hold.
fn odd_data() -> [String; 4] {
    [
        r#"{"n":12345678901234567890123, "z":1,"a":1.10}"#.to_owned(),
        "1e400".to_owned(),
        r#""\ud800 \u00e9""#.to_owned(),
        format!("{}{}", "[".repeat(128), "]".repeat(128)),
    ]
}

#[tokio::test]
async fn data_is_passed_on_and_shown_as_it_was_given() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let brand = cli(&stage, &stage.brand.api);
    let mut ids = Vec::new();
    for data in odd_data() {
        let published = brand.json(&["events", "publish", SMS, "--data", &data]).await;
        let id = published["ids"][0].as_str().expect("an id").to_owned();
        let request = endpoint.wait_for_requests(ids.len() + 1).await.pop().expect("a request");
        assert_eq!(request.header("webhook-id"), id);
        assert!(request.text().ends_with(&format!("\"data\":{data}}}")), "{}", request.text());
        let show = ["events", "show", webhook.id.as_str(), &id];
        let shown = brand.text(&show).await;
        let row = shown.lines().find(|line| line.starts_with("data ")).unwrap_or_default();
        assert!(row.ends_with(&format!(" {data}")), "{shown}");
        let json = brand.text(&[&show[..], &["--output", "json"]].concat()).await;
        assert!(json.contains(&format!("\"data\":{data}")), "{json}");
        ids.push(id);
    }
    let listed = brand.text(&["events", "list", &webhook.id]).await;
    assert!(ids.iter().all(|id| listed.contains(id.as_str())), "{listed}");

    // An example must be JSON that every parser can read, so only digits are odd here.
    let [example, ..] = odd_data();
    let support = cli(&stage, &stage.brand.support);
    support.text(&["types", "put", "NOTIFICATION.ODD", "--description", "Odd", "--example", &example]).await;
    let json = support.text(&["types", "catalogue", "--output", "json"]).await;
    assert!(json.contains("12345678901234567890123") && json.contains("1.10"), "{json}");
}

#[tokio::test]
async fn control_characters_do_not_reach_the_terminal() {
    let stage = Stage::new().await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    let brand = cli(&stage, &stage.brand.api);
    let hostile = "\u{1b}]0;owned\u{7}\u{9b}2K\u{202e}txt";
    let id = webhook.id.as_str();
    let json = brand.json(&["webhooks", "update", id, "--description", hostile]).await;
    assert_eq!(json["description"], hostile, "programs get what was stored");
    let shown = brand.text(&["webhooks", "show", id]).await;
    assert!(shown.contains(r"\u001b]0;owned\u0007\u009b2K\u202etxt"), "{shown}");
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{shown:?}");

    let support = cli(&stage, &stage.brand.support);
    support.text(&["brands", "create", "nova", "--name", hostile]).await;
    for command in [&["brands", "list"][..], &["brands", "show", "nova"]] {
        let shown = support.text(command).await;
        assert!(shown.contains(r"\u001b]0;owned") && !shown.contains('\u{1b}'), "{shown:?}");
    }
}

#[tokio::test]
async fn support_lists_rejected_messages() {
    let stage = Stage::new().await;
    let support = cli(&stage, &stage.brand.support);
    stage.platform.producer().await.publish_raw("SOME.KEY", b"not JSON", None).await.expect("a confirm");
    let listed = eventually("the rejected message is listed", WAIT_TIMEOUT, async || {
        let listed = support.json(&["rejected", "list"]).await;
        if listed[0].is_object() { Ok(listed) } else { Err(listed.to_string()) }
    })
    .await;
    assert_eq!(listed[0]["reason"], "invalid_json");
    let job = support.json(&["rejected", "republish", "--limit", "1"]).await;
    assert_eq!(
        (&job["state"], &job["done"]),
        (&serde_json::json!("finished"), &serde_json::json!(1)),
        "{job}"
    );
    assert!(support.json(&["overview"]).await["services"].is_array());
    assert_eq!(support.json(&["audit", "--limit", "1"]).await[0]["action"], "rejected.republish");
}

#[tokio::test]
async fn overview_is_text_for_people() {
    let stage = Stage::new().await;
    let support = cli(&stage, &stage.brand.support);
    let services = "Services   1 subscription-api, 1 router, 1 deliverer";
    let shown = eventually("all services are seen", WAIT_TIMEOUT, async || {
        let shown = support.text(&["overview"]).await;
        if shown.contains(services) { Ok(shown) } else { Err(shown) }
    })
    .await;
    for line in ["Waiting    0 deliveries", "Webhooks   0 active", "Rejected   0 events"] {
        assert!(shown.lines().any(|shown| shown.starts_with(line)), "{line} in\n{shown}");
    }
}

#[tokio::test]
async fn webhooks_are_named_by_prefix_or_description() {
    let stage = Stage::new().await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    let brand = cli(&stage, &stage.brand.api);
    let id = webhook.id.as_str();
    brand.text(&["webhooks", "update", &id[..8], "--description", "Billing"]).await;
    let event = stage.deliver_one(&webhook).await;
    let listed = brand.json(&["events", "list", "billing", "--from", "1h"]).await;
    assert_eq!(listed[0]["id"], event.id());
    assert!(brand.text(&["webhooks", "health", "billing"]).await.contains("none failed"));
    assert!(brand.text(&["webhooks", "stats", "billing", "--from", "1h"]).await.starts_with("FROM"));
    // Support needs no brand, because its token reaches the webhooks of all brands.
    let support = cli(&stage, &stage.brand.support);
    assert_eq!(support.json(&["webhooks", "list", "--all-brands"]).await[0]["id"], webhook.id);
    assert_eq!(support.json(&["events", "list", "billing"]).await[0]["id"], event.id());
    assert!(support.failure(&["events", "list", "shop"]).await.contains("no webhook of any brand"));
}

#[tokio::test]
async fn signature_of_a_real_request_is_verified_and_a_change_is_explained() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let event = stage.deliver_one(&webhook).await;
    let request = endpoint.wait_for_event(event.id()).await;
    let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"]
        .map(|name| format!("{name}: {}", request.header(name)));
    let raw = |body: &str| format!("POST / HTTP/1.1\r\n{}\r\n\r\n{body}", headers.join("\r\n"));
    let path = std::env::temp_dir().join(format!("postrider-verify-{}", webhook.id));
    let file = path.to_str().expect("text");
    let verify = ["verify", file, "--webhook", &webhook.id];
    let brand = cli(&stage, &stage.brand.api);
    std::fs::write(&path, raw(request.text())).expect("a file");
    assert!(brand.text(&verify).await.contains("The signature is valid"));
    for (body, wanted) in [
        (format!("{}\n", request.text()), "white space was added"),
        (request.text().replace("\"data\":", "\"data\": "), "printed with other white space"),
        (request.text().replace("\"brandId\":\"acme\"", "\"brandId\":\"other\""), "The secret is right"),
    ] {
        std::fs::write(&path, raw(&body)).expect("a file");
        let output = brand.run(&verify).await;
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.code() == Some(1) && shown.contains(wanted), "{wanted} in {shown}");
    }
    std::fs::remove_file(&path).expect("removed");
}

#[tokio::test]
async fn errors_are_explained_in_words() {
    let stage = Stage::new().await;
    let brand = cli(&stage, &stage.brand.api);
    let wrong =
        brand.failure(&["webhooks", "create", "--endpoint", "http://example.com", "--events", "NONE"]).await;
    assert!(wrong.contains("(422)") && wrong.contains("/endpoint: ") && wrong.contains("/events"), "{wrong}");
    assert!(cli(&stage, &stage.brand.support).failure(&["webhooks", "list"]).await.contains("--brand"));
    let away = Cli::new("http://127.0.0.1:1", &stage.brand.api);
    assert!(away.failure(&["me"]).await.contains("does not answer"));
}

#[test]
fn completions_and_help_need_no_api() {
    for shell in ["bash", "zsh", "fish"] {
        let output = std::process::Command::new(binaries::binary_path("postrider"))
            .args(["completions", shell])
            .env_clear()
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("forward-to"), "{shell}: {text}");
    }
}
