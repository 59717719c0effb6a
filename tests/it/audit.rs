//! The audit of all changes, with actor and time (contract §4).

use e2e::WAIT_TIMEOUT;
use e2e::api::Api;
use e2e::brand::{Webhook, create_token};
use e2e::event::{SMS, time_ago, time_ahead};
use e2e::poll::eventually;
use e2e::script::Reply;
use e2e::support::{AUDIT, REJECTED, disable_webhook, list_audit};
use http::Method;
use serde_json::{Value, json};

use crate::Stage;

const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);
/// A header value that only the owner may see.
const HEADER_SECRET: &str = "Bearer s3cret-of-the-owner";

/// A write: its actor, its action, and the names that the entry has to contain.
struct Write<'a> {
    by: &'a Api,
    method: Method,
    path: String,
    body: Value,
    names: &'a str,
}

impl Write<'_> {
    /// Carries it out, and checks that the audit contains it.
    async fn seen_in_audit(self, support: &Api) -> Value {
        let before = list_audit(support).await;
        let body = (!self.body.is_null()).then(|| self.body.to_string());
        let answer = self.by.send(self.method.clone(), &self.path, body).await;
        assert!((200..300).contains(&answer.status), "{} {} {}", answer.request, answer.status, answer.text);
        if self.path.starts_with(REJECTED) {
            // The entry changes when the job ends.
            wait_no_job(support).await;
        }
        let after = list_audit(support).await;
        let new: Vec<_> = after.iter().filter(|entry| !before.contains(entry)).collect();
        let [entry] = &new[..] else { panic!("{}: {} new entries: {new:?}", answer.request, new.len()) };
        assert!(entry.to_string().contains(self.names), "{} is not in {entry}", self.names);
        (*entry).clone()
    }
}

/// Waits until every job on rejected messages has ended.
async fn wait_no_job(support: &Api) {
    eventually("no job on rejected messages runs", WAIT_TIMEOUT, async || {
        let jobs = support.get(&format!("{REJECTED}/jobs")).await.expect_status(200);
        if jobs.text.contains("\"running\"") { Err(jobs.text) } else { Ok(()) }
    })
    .await;
}

fn writes_of_support<'a>(support: &'a Api, webhook: &'a Webhook) -> Vec<Write<'a>> {
    let id = &webhook.id;
    let contact = json!({"name": "Bo", "email": "bo@example.com"});
    let write = |method: Method, path: &str, body: Value, names: &'a str| Write {
        by: support,
        method,
        path: format!("/admin/v1/{path}"),
        body,
        names,
    };
    vec![
        write(Method::POST, "brands", json!({"brandId": "new", "name": "New", "contact": contact}), "new"),
        write(Method::PATCH, "brands/new", json!({"name": "Newer"}), "Newer"),
        write(Method::PUT, "event-types/ORDER.PAID", json!({"description": "Paid"}), "ORDER.PAID"),
        write(Method::PUT, "brands/new/event-types/ORDER", json!({}), "ORDER"),
        write(Method::DELETE, "brands/new/event-types/ORDER", Value::Null, "ORDER"),
        write(Method::DELETE, "event-types/ORDER.PAID", Value::Null, "ORDER.PAID"),
        write(Method::POST, &format!("webhooks/{id}/disable"), json!({"detail": "for a test"}), "for a test"),
        write(Method::POST, &format!("webhooks/{id}/enable"), json!({"note": "it is over"}), "it is over"),
        write(Method::POST, "rejected/republish", json!({}), "republish"),
        write(Method::DELETE, "rejected", Value::Null, "rejected"),
    ]
}

fn writes_of_the_brand<'a>(brand: &'a Api, webhook: &'a Webhook, event: &str) -> Vec<Write<'a>> {
    let range = json!({"from": time_ago(HOUR), "to": time_ahead(HOUR), "status": "all"});
    let write = |method: Method, rest: &str, body: Value| Write {
        by: brand,
        method,
        path: format!("/v1/acme/webhooks/{}{rest}", webhook.id),
        body,
        names: &webhook.id,
    };
    vec![
        write(
            Method::PATCH,
            "",
            json!({"description": "changed", "headers": {"authorization": HEADER_SECRET}}),
        ),
        write(Method::POST, "/secret/rotate", json!({})),
        write(Method::POST, "/test", json!({})),
        write(Method::POST, &format!("/events/{event}/redeliver"), json!({})),
        write(Method::POST, "/redeliver", range),
        write(Method::PATCH, "", json!({"enabled": false})),
        write(Method::DELETE, "", Value::Null),
    ]
}

#[tokio::test]
async fn every_write_is_audited_without_secrets() {
    let stage = Stage::new().await;
    let support = stage.brand.support.clone();
    let (_, webhook) = stage.create_webhook("/hook").await;
    let event = stage.deliver_many(&webhook, 1).await.remove(0);
    let mut by_support = Vec::new();
    for write in writes_of_support(&support, &webhook) {
        by_support.push(write.seen_in_audit(&support).await);
    }
    let mut secrets = vec![webhook.secret.clone(), stage.brand.api.token().to_owned()];
    let mut by_brand = Vec::new();
    for write in writes_of_the_brand(&stage.brand.api, &webhook, event.id()) {
        by_brand.push(write.seen_in_audit(&support).await);
        let secret = stage.brand.api.get(&stage.brand.webhook_path(&webhook, "/secret")).await;
        secrets.extend(secret.json()["secret"].as_str().map(str::to_owned));
    }
    tokens_are_audited(&support, &mut secrets).await;

    secrets.extend([support.token().to_owned(), HEADER_SECRET.to_owned()]);
    let all = support.get(&format!("{AUDIT}?limit=1000")).await.expect_status(200).text;
    for secret in secrets {
        assert!(!all.contains(&secret), "{secret} is in the audit");
    }
    // The audit distinguishes the actors.
    let who = |entry: &Value| entry["actor"].clone();
    assert!(by_support.iter().all(|entry| who(entry) == who(&by_support[0])), "{by_support:?}");
    assert!(by_brand.iter().all(|entry| who(entry) == who(&by_brand[0])), "{by_brand:?}");
    assert_ne!(who(&by_support[0]), who(&by_brand[0]));
}

/// Creates, uses and deletes a token.
async fn tokens_are_audited(support: &Api, secrets: &mut Vec<String>) {
    let before = list_audit(support).await.len();
    secrets.push(create_token(support, "acme", "write").await);
    assert_eq!(list_audit(support).await.len(), before + 1, "a drawn token");
    let tokens = support.list("/admin/v1/brands/acme/tokens", 100).await;
    let id = tokens[tokens.len() - 1]["id"].as_str().expect("an id");
    let path = format!("/admin/v1/brands/acme/tokens/{id}");
    let write = Write { by: support, method: Method::DELETE, path, body: Value::Null, names: id };
    write.seen_in_audit(support).await;
}

#[tokio::test]
async fn an_entry_has_actor_time_and_the_values_before_and_after() {
    let stage = Stage::new().await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    let path = stage.brand.webhook_path(&webhook, "");
    let body = json!({"maxConcurrency": 3, "events": [SMS]});
    let write = Write { by: &stage.brand.api, method: Method::PATCH, path, body, names: &webhook.id };
    let entry = write.seen_in_audit(&stage.brand.support).await;
    assert_eq!(entry["before"]["maxConcurrency"], 10, "{entry}");
    assert_eq!(entry["after"]["maxConcurrency"], 3, "{entry}");
    assert_eq!(entry["after"]["events"], json!([SMS]), "{entry}");
    let at = entry["at"].as_str().unwrap_or_else(|| panic!("no time in {entry}"));
    assert!(at >= time_ago(HOUR).as_str() && at <= time_ahead(HOUR).as_str(), "{entry}");
    // Rejected requests and reads change nothing, so that the audit does not contain them.
    let before = list_audit(&stage.brand.support).await.len();
    let refused = stage.brand.webhook_path(&webhook, "");
    let _ = stage.brand.api.patch(&refused, &json!({"maxConcurrency": 0})).await.expect_problem(422);
    let _ = stage.brand.read_webhook(&webhook).await;
    assert_eq!(list_audit(&stage.brand.support).await.len(), before);
}

/// The platform's own act is in the audit once, with its reason, and its brand reads it.
#[tokio::test]
async fn a_webhook_that_the_platform_disables_is_audited_once() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    endpoint.always(Reply::status(410));
    stage.publish_many(5).await;
    stage.brand.wait_webhook_status(&webhook, "disabled").await;
    let query = format!("subject={}&actor=platform", webhook.id);
    for (by, path) in [(&stage.brand.support, AUDIT), (&stage.brand.api, "/v1/acme/audit")] {
        let found = by.list(&format!("{path}?{query}"), 10).await;
        let [entry] = &found[..] else { panic!("{} entries: {found:?}", found.len()) };
        assert_eq!((&entry["action"], &entry["outcome"]), (&json!("webhook.disable"), &json!("done")));
        assert_eq!(
            (&entry["brandId"], &entry["after"]["disabled"]["reason"]),
            (&json!("acme"), &json!("gone"))
        );
    }
    let by_support = stage.create_webhook("/other").await.1;
    disable_webhook(&stage.brand.support, &by_support, "the owner asked for it").await;
    let of_platform = stage.brand.support.list(&format!("{AUDIT}?actor=platform"), 10).await;
    assert_eq!(of_platform.len(), 1, "{of_platform:?}");
}
