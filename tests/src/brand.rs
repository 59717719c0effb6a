//! A brand as a test uses it: its token, its webhooks, and the answers of Get Events.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::WAIT_TIMEOUT;
use crate::api::Api;
use crate::poll::eventually;

/// A brand with a token that may write.
#[derive(Debug, Clone)]
pub struct Brand {
    /// Its id.
    pub id: String,
    /// The API with the brand's token.
    pub api: Api,
    /// The API with the support token.
    pub support: Api,
}

/// A webhook at the time of its creation.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Its id.
    pub id: String,
    /// Its secret, `whsec_…`.
    pub secret: String,
    /// The whole answer of the API.
    pub json: Value,
}

impl Brand {
    /// Creates a brand and enables these types or groups.
    pub async fn create(support: &Api, id: &str, enabled: &[&str]) -> Self {
        let contact = json!({"name": "Ada", "email": "ada@example.com"});
        let brand = json!({"brandId": id, "name": format!("Brand {id}"), "contact": contact});
        let _ = support.post("/admin/v1/brands", &brand).await.expect_status(201);
        let token = create_token(support, id, "write").await;
        let brand =
            Self { id: id.to_owned(), api: support.with_token(Some(&token)), support: support.clone() };
        for pattern in enabled {
            brand.enable_type(pattern).await;
        }
        brand
    }

    /// Allows the brand to receive a type or group.
    pub async fn enable_type(&self, pattern: &str) {
        let path = format!("/admin/v1/brands/{}/event-types/{pattern}", self.id);
        let _ = self.support.put(&path, &json!({})).await.expect_status(204);
    }

    /// Withdraws a type or group from the brand.
    pub async fn disable_type(&self, pattern: &str) {
        let path = format!("/admin/v1/brands/{}/event-types/{pattern}", self.id);
        let _ = self.support.delete(&path).await.expect_status(204);
    }

    /// Returns `/v1/{brandId}/webhooks`, followed by `rest`.
    #[must_use]
    pub fn webhooks_path(&self, rest: &str) -> String {
        format!("/v1/{}/webhooks{rest}", self.id)
    }

    /// Subscribes an endpoint to these types or groups.
    pub async fn create_webhook(&self, endpoint: &str, events: &[&str]) -> Webhook {
        self.create_webhook_with(&json!({"endpoint": endpoint, "events": events})).await
    }

    /// Creates a webhook from this description.
    pub async fn create_webhook_with(&self, description: &Value) -> Webhook {
        let json = self.api.post(&self.webhooks_path(""), description).await.expect_status(201).json();
        let text =
            |field: &str| json[field].as_str().unwrap_or_else(|| panic!("no {field} in {json}")).to_owned();
        Webhook { id: text("id"), secret: text("secret"), json }
    }

    /// Reads the webhook as it is now.
    pub async fn read_webhook(&self, webhook: &Webhook) -> Value {
        self.api.get(&self.webhooks_path(&format!("/{}", webhook.id))).await.expect_status(200).json()
    }

    /// Changes a webhook.
    pub async fn patch_webhook(&self, webhook: &Webhook, change: &Value) -> Value {
        self.api
            .patch(&self.webhooks_path(&format!("/{}", webhook.id)), change)
            .await
            .expect_status(200)
            .json()
    }

    /// Reads the values of a webhook's custom headers.
    pub async fn read_headers(&self, webhook: &Webhook) -> Value {
        self.api.get(&self.webhook_path(webhook, "/secret")).await.expect_status(200).json()["headers"]
            .clone()
    }

    /// Deletes a webhook.
    pub async fn delete_webhook(&self, webhook: &Webhook) {
        let _ = self.api.delete(&self.webhooks_path(&format!("/{}", webhook.id))).await.expect_status(204);
    }

    /// Returns all pages of Get Events; `query` is empty or such as `status=failed`.
    pub async fn list_events(&self, webhook: &Webhook, query: &str) -> Vec<Value> {
        self.api.list(&self.webhooks_path(&format!("/{}/events?{query}", webhook.id)), 1000).await
    }

    /// Returns one event as Get Events shows it; `None` while it is not listed.
    pub async fn find_event(&self, webhook: &Webhook, event: &str) -> Option<Value> {
        let answer = self.api.get(&self.webhooks_path(&format!("/{}/events/{event}", webhook.id))).await;
        (answer.status != 404).then(|| answer.expect_status(200).json())
    }

    /// Returns the attempts of an event, in order.
    pub async fn list_attempts(&self, webhook: &Webhook, event: &str) -> Vec<Value> {
        self.api.list(&self.webhooks_path(&format!("/{}/events/{event}/attempts", webhook.id)), 100).await
    }

    /// Returns the exchange of an attempt.
    pub async fn read_exchange(&self, webhook: &Webhook, event: &str, attempt: &Value) -> Value {
        let attempt = attempt["attemptId"].as_str().unwrap_or_else(|| panic!("no attemptId in {attempt}"));
        let path = self.webhook_path(webhook, &format!("/events/{event}/attempts/{attempt}"));
        self.api.get(&path).await.expect_status(200).json()
    }

    /// Returns the path of a webhook's resource, such as `/secret`.
    #[must_use]
    pub fn webhook_path(&self, webhook: &Webhook, rest: &str) -> String {
        self.webhooks_path(&format!("/{}{rest}", webhook.id))
    }

    /// Waits until the webhook has this status, and returns it.
    pub async fn wait_webhook_status(&self, webhook: &Webhook, status: &str) -> Value {
        eventually(&format!("the webhook is {status}"), WAIT_TIMEOUT, async || {
            let read = self.read_webhook(webhook).await;
            if read["status"] == status { Ok(read) } else { Err(read.to_string()) }
        })
        .await
    }

    /// Waits until the delivery of an event has this status and number of attempts, and returns the event.
    pub async fn wait_delivery(&self, webhook: &Webhook, event: &str, status: &str, attempts: u64) -> Value {
        let what = format!("event {event} is {status} after {attempts} attempts");
        eventually(&what, WAIT_TIMEOUT, async || {
            let delivery = self.find_event(webhook, event).await.unwrap_or_default()["delivery"].clone();
            let fits = delivery["status"] == status && delivery["attempts"] == attempts;
            if fits { Ok(delivery) } else { Err(delivery.to_string()) }
        })
        .await
    }

    /// Waits until Get Events lists nothing for this query.
    pub async fn wait_no_events(&self, webhook: &Webhook, query: &str, within: Duration) {
        let path = self.webhook_path(webhook, &format!("/events?{query}&limit=1"));
        eventually(&format!("nothing is listed with {query}"), within, async || {
            let page = self.api.get(&path).await.expect_status(200).json();
            if page["items"] == json!([]) { Ok(()) } else { Err(page.to_string()) }
        })
        .await;
    }

    /// Waits until the delivery of an event has this status, and returns the event.
    pub async fn wait_delivery_status(&self, webhook: &Webhook, event: &str, status: &str) -> Value {
        let what = format!("event {event} is {status}");
        eventually(&what, WAIT_TIMEOUT, async || match self.find_event(webhook, event).await {
            Some(found) if found["delivery"]["status"] == status => Ok(found),
            other => Err(format!("{other:?}")),
        })
        .await
    }

    /// Waits until an event has this number of recorded attempts, and returns them.
    pub async fn wait_attempts(&self, webhook: &Webhook, event: &str, number: usize) -> Vec<Value> {
        let what = format!("event {event} has {number} attempts");
        eventually(&what, WAIT_TIMEOUT, async || {
            let answer =
                self.api.get(&self.webhooks_path(&format!("/{}/events/{event}/attempts", webhook.id))).await;
            match answer.status {
                200 => Some(answer.json()["items"].as_array().cloned().unwrap_or_default()),
                _ => None,
            }
            .filter(|attempts| attempts.len() >= number)
            .ok_or(answer.text)
        })
        .await
    }

    /// Waits until Get Events with this query lists exactly these events, in any order.
    pub async fn wait_listed(
        &self,
        webhook: &Webhook,
        query: &str,
        ids: &BTreeSet<String>,
        within: Duration,
    ) {
        let what = format!("exactly {} events are listed with {query:?}", ids.len());
        eventually(&what, within, async || {
            let events = self.list_events(webhook, query).await;
            let seen: BTreeSet<_> =
                events.iter().filter_map(|e| e["id"].as_str().map(str::to_owned)).collect();
            if seen == *ids { Ok(()) } else { Err(describe_difference(ids, &seen)) }
        })
        .await;
    }
}

/// Creates a named token of support. Returns its id and the token.
///
/// # Panics
/// When the API refuses.
pub async fn create_support_token(support: &Api, name: &str) -> (String, String) {
    let created = support.post("/admin/v1/tokens", &json!({"name": name})).await.expect_status(201).json();
    let field = |field: &str| created[field].as_str().expect("a text").to_owned();
    (field("id"), field("token"))
}

/// Creates a token for a brand.
pub async fn create_token(support: &Api, brand: &str, role: &str) -> String {
    let path = format!("/admin/v1/brands/{brand}/tokens");
    let token =
        support.post(&path, &json!({"name": format!("{role} token"), "role": role})).await.expect_status(201);
    token.json()["token"].as_str().expect("a token").to_owned()
}

/// Adds a type to the catalogue.
pub async fn put_type(support: &Api, event_type: &str, description: &Value) {
    let answer = support.put(&format!("/admin/v1/event-types/{event_type}"), description).await;
    let _ = answer.expect_status(201);
}

fn describe_difference(wanted: &BTreeSet<String>, seen: &BTreeSet<String>) -> String {
    let missing: Vec<_> = wanted.difference(seen).take(5).collect();
    let extra: Vec<_> = seen.difference(wanted).take(5).collect();
    format!("{} of {}; missing {missing:?}, not asked for {extra:?}", seen.len(), wanted.len())
}
