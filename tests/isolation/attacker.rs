//! The attacker: a brand with a write token, and its endpoints.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use e2e::api::Api;
use e2e::brand::{Brand, Webhook};
use e2e::event::{Event, SMS};
use e2e::platform::Platform;
use e2e::producer::Producer;
use e2e::receiver::{Received, Receiver, Witness};
use e2e::script::Reply;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::iter;
use http::Method;
use serde_json::{Value, json};

use crate::attack::Tally;

/// Webhooks that the attacker creates at the same time.
const PARALLEL_CHANGES: usize = 20;
/// How long the attacker waits after a refusal for its rate. Shorter than `Retry-After`, because it presses.
const REFUSAL_DELAY: Duration = Duration::from_millis(100);
/// Maximum number of refusals of one change in the preparation.
const MAX_REFUSALS: usize = 600;
/// The path at which the endpoint never answers.
const HANGING: &str = "/hang";

/// The attacker brand.
#[derive(Debug, Clone)]
pub(crate) struct Attacker {
    pub(crate) brand: Brand,
    amqp_url: String,
    namespace: String,
    endpoint: Arc<Endpoint>,
    receiver: Arc<Receiver>,
}

/// Counts the attacker's requests, and answers by their path.
#[derive(Debug, Default)]
struct Endpoint {
    requests: AtomicUsize,
}

impl Witness for Endpoint {
    fn answer(&self, request: &Received) -> Reply {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if request.path.starts_with(HANGING) { Reply::Hang } else { Reply::ok() }
    }
}

impl Attacker {
    /// Creates the brand and its endpoints.
    pub(crate) async fn create(platform: &Platform) -> Self {
        let endpoint = Arc::new(Endpoint::default());
        let receiver = Receiver::start_with_witness(&platform.authority, endpoint.clone()).await;
        Self {
            brand: platform.create_brand("attacker").await,
            amqp_url: platform.amqp_url().to_owned(),
            namespace: platform.namespace.clone(),
            endpoint,
            receiver: Arc::new(receiver),
        }
    }

    /// Returns the URL of an endpoint that accepts everything.
    pub(crate) fn accepting_url(&self) -> String {
        self.receiver.endpoint("/accept").url().to_owned()
    }

    /// Returns the URL of an endpoint that never answers.
    pub(crate) fn hanging_url(&self) -> String {
        self.receiver.endpoint(HANGING).url().to_owned()
    }

    /// Returns the number of requests at its endpoints.
    pub(crate) fn count_requests(&self) -> usize {
        self.endpoint.requests.load(Ordering::Relaxed)
    }

    /// Creates this number of webhooks for all notifications with these limits, each at the URL for its number.
    pub(crate) async fn create_webhooks(
        &self,
        number: usize,
        limits: Value,
        url: impl Fn(usize) -> String,
    ) -> Vec<Webhook> {
        let bodies = (0..number).map(|n| {
            let mut body = limits.clone();
            body["endpoint"] = json!(url(n));
            body["events"] = json!(["NOTIFICATION"]);
            body
        });
        let path = self.brand.webhooks_path("");
        let create = |body: Value| self.change(Method::POST, path.clone(), Some(body), 201);
        let created: Vec<Value> = iter(bodies.map(create)).buffered(PARALLEL_CHANGES).collect().await;
        created.into_iter().map(into_webhook).collect()
    }

    /// Makes a change whose refusals for the token's rate are repeated, and returns the answer.
    ///
    /// # Panics
    /// When it is refused otherwise, or for too long.
    pub(crate) async fn change(
        &self,
        method: Method,
        path: String,
        body: Option<Value>,
        status: u16,
    ) -> Value {
        for _ in 0..MAX_REFUSALS {
            let body = body.as_ref().map(Value::to_string);
            let answer = self.brand.api.try_send(method.clone(), &path, body).await;
            match answer {
                Ok(answer) if answer.status == status => {
                    return serde_json::from_str(&answer.text).unwrap_or_default();
                }
                // The API may be restarting, too.
                Ok(answer) if ![429, 503].contains(&answer.status) => {
                    panic!("{method} {path}: {} {}", answer.status, answer.text)
                }
                _ => tokio::time::sleep(REFUSAL_DELAY).await,
            }
        }
        panic!("{method} {path} is refused again and again");
    }

    /// Changes all these webhooks alike.
    pub(crate) async fn change_all(
        &self,
        webhooks: &[Webhook],
        method: Method,
        body: Option<Value>,
        status: u16,
    ) {
        let change = |webhook: &Webhook| {
            self.change(method.clone(), self.brand.webhook_path(webhook, ""), body.clone(), status)
        };
        let changes: Vec<_> = webhooks.iter().map(change).collect();
        iter(changes).buffer_unordered(PARALLEL_CHANGES).collect::<Vec<_>>().await;
    }

    /// Publishes this number of events of a type in one HTTP request, and counts the answer.
    pub(crate) async fn post_events(&self, event_type: &str, number: usize, tally: &Tally) -> Option<u16> {
        let events: Vec<Value> = (0..number).map(|n| json!({"type": event_type, "data": n})).collect();
        let path = format!("/v1/{}/events", self.brand.id);
        let body = json!({"events": events}).to_string();
        send_counted(&self.brand.api, Method::POST, &path, Some(body), tally).await
    }

    /// Publishes events in HTTP requests of 500 until this number is accepted.
    pub(crate) async fn post_many(&self, number: usize, tally: &Tally) {
        let mut left = number;
        while left > 0 {
            let some = left.min(500);
            match self.post_events(SMS, some, tally).await {
                Some(202) => left -= some,
                _ => tokio::time::sleep(REFUSAL_DELAY).await,
            }
        }
    }

    /// Connects to the broker as a producer.
    pub(crate) async fn connect(&self) -> Producer {
        Producer::connect(&self.amqp_url, &self.namespace).await.expect("the broker")
    }

    /// Returns an event of the brand with this number of bytes of data.
    pub(crate) fn large_event(&self, bytes: usize) -> Event {
        Event::sms(&self.brand.id).data(&format!("\"{}\"", "x".repeat(bytes)))
    }
}

/// Publishes these events over AMQP, and counts the confirms.
pub(crate) async fn publish_counted(producer: &Producer, events: &[Event], tally: &Tally) {
    let confirmed = join_all(events.iter().map(|event| producer.try_publish(event))).await;
    let confirms = confirmed.iter().filter(|confirm| confirm.is_ok()).count();
    tally.add("events confirmed", confirms as u64);
    if confirms < events.len() {
        tally.add("events without a confirm", (events.len() - confirms) as u64);
    }
}

/// Sends a request to the API, counts its status, and returns it unless there was no answer.
pub(crate) async fn send_counted(
    api: &Api,
    method: Method,
    path: &str,
    body: Option<String>,
    tally: &Tally,
) -> Option<u16> {
    let status = api.try_send(method, path, body).await.ok().map(|answer| answer.status);
    match status {
        Some(status) => tally.add(format!("answers {status}"), 1),
        None => tally.add("requests without an answer", 1),
    }
    status
}

fn into_webhook(json: Value) -> Webhook {
    let text =
        |field: &str| json[field].as_str().unwrap_or_else(|| panic!("no {field} in {json}")).to_owned();
    Webhook { id: text("id"), secret: text("secret"), json }
}
