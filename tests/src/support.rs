//! Support's actions, with the support token.

use http::Method;
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

/// Starts a job on rejected messages with this request, and returns the job at its end. Waits for a job before it.
///
/// # Panics
/// When the request is refused for another reason.
pub async fn run_rejected_job(support: &Api, method: Method, path: &str, body: Option<Value>) -> Value {
    let what = format!("the job of {method} {path} has ended");
    let started = eventually(&what, WAIT_TIMEOUT, async || {
        let body = body.as_ref().map(ToString::to_string);
        let answer = support.send(method.clone(), path, body).await;
        if [409, 503].contains(&answer.status) { Err(answer.text) } else { Ok(answer) }
    })
    .await
    .expect_status(202);
    let location = started.headers["location"].to_str().expect("a path").to_owned();
    eventually(&what, WAIT_TIMEOUT, async || {
        let job = support.get(&location).await.expect_status(200).json();
        if job["state"] == "running" { Err(job.to_string()) } else { Ok(job) }
    })
    .await
}

/// Republishes the rejected messages that a body such as `{"brandId":"acme"}` names, and returns how many they were.
///
/// # Panics
/// When the job does not end well.
pub async fn republish_rejected(support: &Api, body: Value) -> u64 {
    let path = format!("{REJECTED}/republish");
    let job = run_rejected_job(support, Method::POST, &path, Some(body)).await;
    assert_eq!(job["state"], "finished", "{job}");
    job["done"].as_u64().unwrap_or_else(|| panic!("no number in {job}"))
}

/// Deletes the rejected messages that a query such as `brandId=acme` names, and returns how many they were.
///
/// # Panics
/// When the job does not end well.
pub async fn delete_rejected(support: &Api, query: &str) -> u64 {
    let job = run_rejected_job(support, Method::DELETE, &format!("{REJECTED}?{query}"), None).await;
    assert_eq!(job["state"], "finished", "{job}");
    job["done"].as_u64().unwrap_or_else(|| panic!("no number in {job}"))
}

/// Waits until this number of messages is listed as rejected, and returns the list.
pub async fn wait_rejected(support: &Api, number: usize) -> Vec<Value> {
    eventually(&format!("{number} messages are rejected"), WAIT_TIMEOUT, async || {
        let answer = support.get(REJECTED).await;
        // Another request has its turn.
        if answer.status == 503 {
            return Err(answer.text);
        }
        let list = answer.expect_status(200).json();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        if items.len() == number && list["total"] == number { Ok(items) } else { Err(list.to_string()) }
    })
    .await
}

/// Returns all audit entries so far.
pub async fn list_audit(support: &Api) -> Vec<Value> {
    support.list(AUDIT, 1000).await
}
