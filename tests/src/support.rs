//! Support's actions, with the support token.

use serde_json::{Value, json};

use crate::WAIT_TIMEOUT;
use crate::api::Api;
use crate::brand::Webhook;
use crate::poll::eventually;

/// The API path of rejected messages.
pub const REJECTED: &str = "/admin/v1/rejected";
/// The API path of the audit.
pub const AUDIT: &str = "/admin/v1/audit";

/// Disables a webhook.
pub async fn disable_webhook(support: &Api, webhook: &Webhook, detail: &str) -> Value {
    let path = format!("/admin/v1/webhooks/{}/disable", webhook.id);
    support.post(&path, &json!({"detail": detail})).await.expect_status(200).json()
}

/// Enables a webhook again, with the body `{"note","redeliverHeld"?}`.
pub async fn enable_webhook(support: &Api, webhook: &Webhook, body: &Value) -> Value {
    let path = format!("/admin/v1/webhooks/{}/enable", webhook.id);
    support.post(&path, body).await.expect_status(200).json()
}

/// Waits until this number of messages is listed as rejected, and returns the list.
pub async fn wait_rejected(support: &Api, number: usize) -> Vec<Value> {
    eventually(&format!("{number} messages are rejected"), WAIT_TIMEOUT, async || {
        let list = support.get(REJECTED).await.expect_status(200).json();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        if items.len() == number && list["total"] == number { Ok(items) } else { Err(list.to_string()) }
    })
    .await
}

/// Returns all audit entries so far.
pub async fn list_audit(support: &Api) -> Vec<Value> {
    support.list(AUDIT, 1000).await
}
