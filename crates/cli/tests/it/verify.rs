//! `postrider verify`.

use domain::webhook::signature::{Secret, Signer};
use serde_json::json;

use crate::fake_api::{FakeApi, page};
use crate::tool::{Directory, bare, error_of, tool};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const EVENT: &str = "01F2SFVYVD0H873S2VRT8VQSPM";
const ATTEMPT: &str = "01F2SFW32CT8KZXDWG4JTG9WPT";
const WEBHOOK: &str = "9e21c694-ee9e-48a7-b016-522fd8ef08c1";
const SIGNED_AT: i64 = 1_764_230_400;

fn body(data: &str) -> String {
    let ids = format!(r#""id":"{EVENT}","brandId":"acme","webhookId":"{WEBHOOK}","attemptId":"{ATTEMPT}""#);
    format!(r#"{{{ids},"created":"2025-11-27T07:59:58.938Z","type":"ORDER.PAID","data":{data}}}"#)
}

/// A raw request with this body, signed for another one.
fn request(received: &str, signed: &str) -> String {
    let secret: Secret = SECRET.parse().expect("a secret");
    let signature = Signer::new(&secret).sign(EVENT, SIGNED_AT, signed.as_bytes());
    format!(
        "POST /hooks HTTP/1.1\r\nhost: example.com\r\nWebhook-Id: {EVENT}\r\nWebhook-Timestamp: {SIGNED_AT}\r\n\
         Webhook-Signature: {signature}\r\ncontent-length: {}\r\n\r\n{received}",
        received.len()
    )
}

#[test]
fn signature_is_checked_without_the_api() {
    let directory = Directory::new();
    let secret = directory.write("secret", format!("{SECRET}\n").as_bytes());
    let run = |received: &str, at: &str| {
        let file = directory.write("request", request(received, &body(r#"{"n":1.10}"#)).as_bytes());
        let output =
            bare(&["verify", &file, "--secret-file", &secret, "--at", at]).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let at = "2025-11-27T08:01:00Z";
    let (status, shown) = run(&body(r#"{"n":1.10}"#), at);
    assert!(status == Some(0) && shown.contains("The signature is valid"), "{shown}");
    let (status, shown) = run(&body(r#"{"n":1.10}"#), "2025-11-27T09:00:00Z");
    assert!(status == Some(1) && shown.contains("signed 1 h before the receiver's time"), "{shown}");
    let (status, shown) = run(&body(r#"{"n": 1.10}"#), at);
    assert!(status == Some(1) && shown.contains("printed with other white space"), "{shown}");
    let (status, shown) = run(&body(r#"{"n":2}"#), at);
    assert!(status == Some(1) && shown.contains(&format!("--webhook {WEBHOOK}")), "{shown}");
}

#[test]
fn body_and_headers_are_given_apart_and_the_secret_in_a_variable() {
    let directory = Directory::new();
    let sent = body("null");
    let file = directory.write("body", sent.as_bytes());
    let secret: Secret = SECRET.parse().expect("a secret");
    let signature =
        format!("webhook-signature: {}", Signer::new(&secret).sign(EVENT, SIGNED_AT, sent.as_bytes()));
    let id = format!("webhook-id: {EVENT}");
    let timestamp = format!("webhook-timestamp: {SIGNED_AT}");
    let args = [
        "verify",
        "--body",
        &file,
        "-H",
        &id,
        "-H",
        &timestamp,
        "-H",
        &signature,
        "--at",
        "2025-11-27T08:00:00Z",
        "-o",
        "json",
    ];
    let output = bare(&args).env("POSTRIDER_WEBHOOK_SECRET", SECRET).output().expect("it runs");
    let verdict: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(verdict["valid"], true, "{verdict}");
    let output = bare(&args).output().expect("it runs");
    assert!(
        output.status.code() == Some(1) && error_of(&output).contains("give the webhook's secret"),
        "{output:?}"
    );
}

#[test]
fn with_the_webhook_the_body_is_compared_with_the_sent_one() {
    let directory = Directory::new();
    let path = format!("/v1/acme/webhooks/{WEBHOOK}");
    let event = format!(
        r#"{{"id":"{EVENT}","brandId":"acme","webhookId":"{WEBHOOK}","created":"2025-11-27T07:59:58.938Z","type":"ORDER.PAID","data":{{"n":1.10}},"delivery":{{}}}}"#
    );
    let api = |secret: &str| {
        FakeApi::for_brand()
            .answer(&format!("GET {path}/secret"), 200, &json!({"secret": secret, "headers": {}}))
            .answer_text(&format!("GET {path}/events/{EVENT}"), 200, &event)
            .answer(
                &format!("GET {path}/events/{EVENT}/attempts"),
                200,
                &page(&json!([{"attemptId": ATTEMPT}]), None),
            )
    };
    let sent = body(r#"{"n":1.10}"#);
    let run = |api: &FakeApi, received: &str| {
        let file = directory.write("request", request(received, &sent).as_bytes());
        let args = ["verify", &file, "--webhook", WEBHOOK, "--at", "2025-11-27T08:00:00Z"];
        String::from_utf8(tool(api, &args).output().expect("it runs").stdout).expect("text")
    };
    assert!(run(&api(SECRET), &sent).contains("the current secret of"));
    let changed = run(&api(SECRET), &body(r#"{"n":1.1}"#));
    assert!(
        changed.contains("The secret is right") && changed.contains("sent `0}}`, received `}}`"),
        "{changed}"
    );
    let rotated = run(&api("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"), &sent);
    assert!(rotated.contains("so another secret made the signature"), "{rotated}");
}
