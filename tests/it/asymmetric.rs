//! Signatures that anybody can verify: `v1a` beside `v1`, for webhooks that ask for it (Standard Webhooks
//! 1.0).

use std::sync::Arc;

use e2e::WAIT_TIMEOUT;
use e2e::brand::{Webhook, create_token};
use e2e::event::SMS;
use e2e::poll::eventually;
use e2e::receiver::Received;
use serde_json::{Value, json};

use crate::Stage;
use crate::python::run_script;

const BOTH: [&str; 2] = ["v1", "v1a"];

/// The schemes of a request's signatures, in order.
fn signature_schemes(request: &Received) -> Vec<String> {
    let signatures = request.header("webhook-signature").split(' ');
    signatures.map(|signature| signature.split_once(',').expect("a scheme").0.to_owned()).collect()
}

/// Whether pyca/cryptography verifies a request with this key.
fn verifies(key: &str, request: &Received, body: &str) -> bool {
    let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let headers: Value =
        headers.iter().map(|name| ((*name).to_owned(), json!(request.header(name)))).collect();
    let verified = run_script("verify_v1a.py", &json!({"publicKey": key, "headers": headers, "body": body}));
    verified["verified"].as_bool().expect("an answer")
}

fn public_key(of: &Value) -> String {
    let key = of["publicKey"].as_str().unwrap_or_else(|| panic!("no key in {of}"));
    assert!(key.starts_with("whpk_") && key.len() == "whpk_".len() + 44, "{key}");
    key.to_owned()
}

/// Waits until the requests of a webhook are signed with these schemes.
async fn wait_signed_with(stage: &Stage, webhook: &Webhook, wanted: &[&str]) -> Arc<Received> {
    let endpoint = stage.receiver.endpoint("/hook");
    eventually(&format!("requests are signed with {wanted:?}"), WAIT_TIMEOUT, async || {
        let event = stage.deliver_one(webhook).await;
        let request = endpoint.wait_for_event(event.id()).await;
        let seen = signature_schemes(&request);
        if seen == wanted { Ok(request) } else { Err(format!("{seen:?}")) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_library_verifies_v1a_with_the_public_key_alone() {
    let stage = Stage::new().await;
    let url = stage.receiver.endpoint("/hook").url().to_owned();
    let webhook =
        stage.brand.create_webhook_with(&json!({"endpoint": url, "events": [SMS], "signatures": BOTH})).await;
    let first = public_key(&webhook.json);
    assert_eq!(webhook.json["signatures"], json!(BOTH));
    assert_eq!(stage.brand.read_webhook(&webhook).await["signatures"], json!(BOTH));

    let request = wait_signed_with(&stage, &webhook, &BOTH).await;
    request.verify(&webhook.secret).expect("v1 signs as before");
    assert!(verifies(&first, &request, request.text()));
    assert!(!verifies(&first, &request, &request.text().replace("acme", "acne")));

    // A rotation replaces the key, too; both sign during the overlap.
    let rotated = stage.brand.rotate_secret(&webhook, &json!({"overlapSeconds": 3600})).await;
    let second = public_key(&rotated);
    assert_ne!(first, second);
    let request = wait_signed_with(&stage, &webhook, &[BOTH, BOTH].concat()).await;
    assert!(verifies(&first, &request, request.text()) && verifies(&second, &request, request.text()));
    let rotated = stage.brand.rotate_secret(&webhook, &json!({"overlapSeconds": 0})).await;
    let request = wait_signed_with(&stage, &webhook, &BOTH).await;
    assert!(!verifies(&first, &request, request.text()) && !verifies(&second, &request, request.text()));
    assert!(verifies(&public_key(&rotated), &request, request.text()));
    let shown =
        stage.brand.api.get(&stage.brand.webhook_path(&webhook, "/secret")).await.expect_status(200).json();
    assert_eq!((&shown["secret"], &shown["publicKey"]), (&rotated["secret"], &rotated["publicKey"]));
    assert_eq!(shown["previousExpires"], json!(null), "the old key signs no more");
}

#[tokio::test]
async fn a_patch_adds_and_removes_v1a_for_one_webhook() {
    let stage = Stage::new().await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    let shown = async |fields: [&str; 2]| {
        let secret = stage
            .brand
            .api
            .get(&stage.brand.webhook_path(&webhook, "/secret"))
            .await
            .expect_status(200)
            .json();
        let read = stage.brand.read_webhook(&webhook).await;
        [read.get(fields[0]).is_some(), secret.get(fields[1]).is_some()]
    };
    let fields = ["signatures", "publicKey"];
    assert!(webhook.json.get(fields[0]).is_none() && webhook.json.get(fields[1]).is_none());
    assert_eq!(shown(fields).await, [false, false]);
    wait_signed_with(&stage, &webhook, &["v1"]).await.verify(&webhook.secret).expect("a signature");

    let changed = stage.brand.patch_webhook(&webhook, &json!({"signatures": BOTH})).await;
    assert_eq!(changed["signatures"], json!(BOTH));
    assert_eq!(shown(fields).await, [true, true]);
    wait_signed_with(&stage, &webhook, &BOTH).await.verify(&webhook.secret).expect("the secret stays");
    let reader = create_token(&stage.brand.support, "acme", "read").await;
    let reader = stage.brand.api.with_token(Some(&reader));
    let _ = reader.get(&stage.brand.webhook_path(&webhook, "/secret")).await.expect_problem(403);
    // Other changes keep the key.
    let changed = stage.brand.patch_webhook(&webhook, &json!({"description": "x"})).await;
    assert_eq!(changed["signatures"], json!(BOTH));

    for gone in [json!(["v1"]), json!(null)] {
        stage.brand.patch_webhook(&webhook, &json!({"signatures": BOTH})).await;
        stage.brand.patch_webhook(&webhook, &json!({"signatures": gone})).await;
        assert_eq!(shown(fields).await, [false, false]);
    }
    wait_signed_with(&stage, &webhook, &["v1"]).await;
}

#[tokio::test]
async fn an_invalid_choice_of_signatures_is_a_422() {
    let stage = Stage::new().await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    let path = stage.brand.webhook_path(&webhook, "");
    for bad in [
        json!([]),
        json!(["v1a"]),
        json!(["v2"]),
        json!(["v1", "v1"]),
        json!("v1"),
        json!(["v1", 1]),
        json!({}),
    ] {
        let changed = stage.brand.api.patch(&path, &json!({"signatures": bad})).await;
        assert_eq!(changed.error_pointers(), ["/signatures"], "{bad}");
    }
}
