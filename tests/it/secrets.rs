//! Changing a webhook's secret (contract §3, §4).

use std::sync::Arc;
use std::time::Duration;

use e2e::WAIT_TIMEOUT;
use e2e::brand::{Webhook, create_token};
use e2e::event::{time_ago, time_ahead};
use e2e::poll::eventually;
use e2e::receiver::{Endpoint, Received};
use serde_json::json;

use crate::Stage;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Publishes an event and returns its request.
async fn next_request(stage: &Stage, endpoint: &Endpoint) -> Arc<Received> {
    let event = stage.publish_many(1).await.remove(0);
    endpoint.wait_for_event(event.id()).await
}

/// Waits until requests are signed with exactly these secrets. (The deliverer may use the old ones until it
/// has learned of the change.)
async fn wait_signed_with(stage: &Stage, endpoint: &Endpoint, secrets: &[&str]) {
    eventually("requests are signed with these secrets alone", WAIT_TIMEOUT, async || {
        let request = next_request(stage, endpoint).await;
        let signatures = request.header("webhook-signature").split(' ').count();
        let fit = secrets.iter().filter(|secret| request.verify(secret).is_ok()).count();
        let wanted = (secrets.len(), secrets.len());
        let seen = (signatures, fit);
        if seen == wanted { Ok(()) } else { Err(format!("{fit} fit, of {signatures} signatures")) }
    })
    .await;
}

/// Rotates, and returns the new secret and the expiry of the previous one.
async fn rotate_webhook_secret(
    stage: &Stage,
    webhook: &Webhook,
    body: serde_json::Value,
) -> (String, Option<String>) {
    let answer = stage.brand.rotate_secret(webhook, &body).await;
    let secret = answer["secret"].as_str().unwrap_or_else(|| panic!("no secret in {answer}")).to_owned();
    assert!(secret.starts_with("whsec_") && secret.len() == "whsec_".len() + 44, "{secret}");
    assert!(answer.get("previousExpires").is_some(), "{answer}");
    assert_eq!(stage.brand.read_secret(webhook).await, secret, "/secret shows the new one");
    (secret, answer["previousExpires"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn both_secrets_sign_until_the_overlap_ends() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    wait_signed_with(&stage, &endpoint, &[&webhook.secret]).await;

    let (second, _) = rotate_webhook_secret(&stage, &webhook, json!({"overlapSeconds": 3600})).await;
    wait_signed_with(&stage, &endpoint, &[&webhook.secret, &second]).await;
    let (third, expires) = rotate_webhook_secret(&stage, &webhook, json!({"overlapSeconds": 4})).await;
    let expires = expires.expect("when the old one expires");
    assert!(expires <= time_ahead(Duration::from_secs(4)) && expires >= time_ago(WAIT_TIMEOUT), "{expires}");
    wait_signed_with(&stage, &endpoint, &[&third]).await;
    // The clock of a deliverer may be ahead of the database's by a second.
    assert!(time_ahead(Duration::from_secs(1)) >= expires, "the old one signs until {expires}");
}

#[tokio::test]
async fn without_an_overlap_the_new_secret_signs_alone() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let (second, expires) = rotate_webhook_secret(&stage, &webhook, json!({"overlapSeconds": 0})).await;
    assert_eq!(expires, None);
    wait_signed_with(&stage, &endpoint, &[&second]).await;
    assert!(next_request(&stage, &endpoint).await.verify(&webhook.secret).is_err());
    assert_ne!(second, webhook.secret);
}

#[tokio::test]
async fn the_overlap_is_a_day_and_survives_a_restart() {
    let mut stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let (second, expires) = rotate_webhook_secret(&stage, &webhook, json!({})).await;
    let expires = expires.expect("when the old one expires");
    assert!(expires <= time_ahead(DAY) && expires >= time_ahead(DAY - WAIT_TIMEOUT), "{expires}");
    stage.platform.deliverers[0].crash_and_restart().await;
    wait_signed_with(&stage, &endpoint, &[&webhook.secret, &second]).await;

    // A leaked secret can be revoked at once, even during an overlap.
    let (third, _) = rotate_webhook_secret(&stage, &webhook, json!({"overlapSeconds": 0})).await;
    wait_signed_with(&stage, &endpoint, &[&third]).await;
}

#[tokio::test]
async fn an_overlap_out_of_range_is_a_422() {
    let stage = Stage::new().await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    let path = stage.brand.webhook_path(&webhook, "/secret/rotate");
    for (body, pointer) in [
        (json!({"overlapSeconds": -1}), "/overlapSeconds"),
        (json!({"overlapSeconds": 604_801}), "/overlapSeconds"),
        (json!({"overlapSeconds": 1.5}), "/overlapSeconds"),
        (json!({"overlapSeconds": "1d"}), "/overlapSeconds"),
        (json!({"overlap": 1}), "/overlap"),
    ] {
        assert_eq!(stage.brand.api.post(&path, &body).await.error_pointers(), [pointer], "{body}");
    }
    assert_eq!(stage.brand.read_secret(&webhook).await, webhook.secret, "nothing was changed");
    let read = create_token(&stage.brand.support, "acme", "read").await;
    let reader = stage.brand.api.with_token(Some(&read));
    let _ = reader.post(&path, &json!({})).await.expect_problem(403);
    rotate_webhook_secret(&stage, &webhook, json!({"overlapSeconds": 604_800})).await;
}
