//! Signatures that anybody can verify: `v1a` beside `v1`, for webhooks that ask for it (Standard Webhooks
//! 1.0).

use std::sync::Arc;

use e2e::PATIENCE;
use e2e::brand::{Webhook, create_token};
use e2e::event::SMS;
use e2e::poll::eventually;
use e2e::receiver::Received;
use serde_json::{Value, json};

use crate::Stage;
use crate::python::run;

const BOTH: [&str; 2] = ["v1", "v1a"];

/// The schemes of a request's signatures, in order.
fn schemes(request: &Received) -> Vec<String> {
    let signatures = request.header("webhook-signature").split(' ');
    signatures.map(|signature| signature.split_once(',').expect("a scheme").0.to_owned()).collect()
}

/// Whether pyca/cryptography verifies a request with this key.
fn verifies(key: &str, request: &Received, body: &str) -> bool {
    let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let headers: Value =
        headers.iter().map(|name| ((*name).to_owned(), json!(request.header(name)))).collect();
    let verified = run("verify_v1a.py", &json!({"publicKey": key, "headers": headers, "body": body}));
    verified["verified"].as_bool().expect("an answer")
}

fn key(of: &Value) -> String {
    let key = of["publicKey"].as_str().unwrap_or_else(|| panic!("no key in {of}"));
    assert!(key.starts_with("whpk_") && key.len() == "whpk_".len() + 44, "{key}");
    key.to_owned()
}

/// Waits until the requests of a webhook are signed with these schemes.
async fn signed(stage: &Stage, webhook: &Webhook, wanted: &[&str]) -> Arc<Received> {
    let endpoint = stage.receiver.endpoint("/hook");
    eventually(&format!("requests are signed with {wanted:?}"), PATIENCE, async || {
        let event = stage.one_more(webhook).await;
        let request = endpoint.wait_for_event(event.id()).await;
        let seen = schemes(&request);
        if seen == wanted { Ok(request) } else { Err(format!("{seen:?}")) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_library_verifies_v1a_with_the_public_key_alone() {
    let stage = Stage::set().await;
    let url = stage.receiver.endpoint("/hook").url().to_owned();
    let webhook =
        stage.brand.webhook_of(&json!({"endpoint": url, "events": [SMS], "signatures": BOTH})).await;
    let first = key(&webhook.json);
    assert_eq!(webhook.json["signatures"], json!(BOTH));
    assert_eq!(stage.brand.read(&webhook).await["signatures"], json!(BOTH));

    let request = signed(&stage, &webhook, &BOTH).await;
    request.verify(&webhook.secret).expect("v1 signs as before");
    assert!(verifies(&first, &request, request.text()));
    assert!(!verifies(&first, &request, &request.text().replace("acme", "acne")));

    // A rotation replaces the key, too; both sign during the overlap.
    let rotated = stage.brand.rotate(&webhook, &json!({"overlapSeconds": 3600})).await;
    let second = key(&rotated);
    assert_ne!(first, second);
    let request = signed(&stage, &webhook, &[BOTH, BOTH].concat()).await;
    assert!(verifies(&first, &request, request.text()) && verifies(&second, &request, request.text()));
    let rotated = stage.brand.rotate(&webhook, &json!({"overlapSeconds": 0})).await;
    let request = signed(&stage, &webhook, &BOTH).await;
    assert!(!verifies(&first, &request, request.text()) && !verifies(&second, &request, request.text()));
    assert!(verifies(&key(&rotated), &request, request.text()));
    let shown = stage.brand.api.get(&stage.brand.path_of(&webhook, "/secret")).await.expect(200).json();
    assert_eq!(shown, json!({"secret": rotated["secret"], "publicKey": rotated["publicKey"]}));
}

#[tokio::test]
async fn it_is_asked_for_and_given_up_by_a_patch_and_others_see_nothing_of_it() {
    let stage = Stage::set().await;
    let (_, webhook) = stage.webhook("/hook").await;
    let shown = async |fields: [&str; 2]| {
        let secret = stage.brand.api.get(&stage.brand.path_of(&webhook, "/secret")).await.expect(200).json();
        let read = stage.brand.read(&webhook).await;
        [read.get(fields[0]).is_some(), secret.get(fields[1]).is_some()]
    };
    let fields = ["signatures", "publicKey"];
    assert!(webhook.json.get(fields[0]).is_none() && webhook.json.get(fields[1]).is_none());
    assert_eq!(shown(fields).await, [false, false]);
    signed(&stage, &webhook, &["v1"]).await.verify(&webhook.secret).expect("a signature");

    let changed = stage.brand.patch(&webhook, &json!({"signatures": BOTH})).await;
    assert_eq!(changed["signatures"], json!(BOTH));
    assert_eq!(shown(fields).await, [true, true]);
    signed(&stage, &webhook, &BOTH).await.verify(&webhook.secret).expect("the secret stays");
    let reader = create_token(&stage.brand.support, "acme", "read").await;
    let reader = stage.brand.api.with_token(Some(&reader));
    let _ = reader.get(&stage.brand.path_of(&webhook, "/secret")).await.problem(403);
    // Other changes keep the key.
    let changed = stage.brand.patch(&webhook, &json!({"description": "x"})).await;
    assert_eq!(changed["signatures"], json!(BOTH));

    for gone in [json!(["v1"]), json!(null)] {
        stage.brand.patch(&webhook, &json!({"signatures": BOTH})).await;
        stage.brand.patch(&webhook, &json!({"signatures": gone})).await;
        assert_eq!(shown(fields).await, [false, false]);
    }
    signed(&stage, &webhook, &["v1"]).await;
}

#[tokio::test]
async fn what_is_no_choice_of_signatures_is_a_422() {
    let stage = Stage::set().await;
    let (_, webhook) = stage.webhook("/hook").await;
    let path = stage.brand.path_of(&webhook, "");
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
        assert_eq!(changed.pointers(), ["/signatures"], "{bad}");
    }
}
