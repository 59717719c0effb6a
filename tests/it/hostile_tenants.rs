//! Tenants that attack with others' ids on every route, excessive bodies and guessed tokens (contract §4).

use std::collections::BTreeMap;

use e2e::api::{Answer, Api};
use e2e::brand::{Brand, Webhook, create_token};
use e2e::event::{Event, SMS, time_ago, time_ahead};
use e2e::platform::Platform;
use e2e::routes::{self, Route};
use e2e::support;
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;

use crate::Stage;

const HOUR: Duration = Duration::from_secs(3600);
/// Maximum size of a request body (contract §4).
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// The API may report a conflict with the webhook's state before it validates the body.
const CONFLICT: u16 = 409;
/// Maximum growth of the API caused by rejected bodies.
const MAX_GROWTH_BYTES: u64 = 32 * 1024 * 1024;
/// Wrong tokens of a test, from one address.
const MAX_GUESSES: usize = 2000;
/// Wrong tokens at once. An address may have 64 connections (`crates/SECURITY.md`), and those of the requests before
/// may not be closed yet.
const GUESSES_AT_ONCE: usize = 10;

/// Two brands; the rich one owns every kind of resource.
struct Scene {
    stage: Stage,
    own: Webhook,
    rich: Brand,
    /// The ids of the rich brand, by the names of the routes' parameters.
    ids: BTreeMap<&'static str, String>,
    webhook: Webhook,
    routes: Vec<Route>,
}

impl Scene {
    async fn new() -> Self {
        let stage = Stage::with_builder(Platform::builder().unlimited_requests()).await;
        let rich = stage.platform.create_brand("rich").await;
        let (_, own) = stage.create_webhook("/own").await;
        let endpoint = stage.receiver.endpoint("/rich");
        let webhook = rich.create_webhook(endpoint.url(), &["*"]).await;
        let second = rich.create_webhook(endpoint.url(), &["*"]).await;
        let events = Event::sms_batch("rich", 2);
        stage.platform.producer().await.publish_all(&events).await;
        // The health of both shows.
        for (event, webhook) in events.iter().flat_map(|event| [(event, &webhook), (event, &second)]) {
            rich.wait_delivery_status(webhook, event.id(), "delivered").await;
        }
        let range = json!({"from": time_ago(HOUR), "to": time_ahead(HOUR), "status": "all"});
        let job = rich.redeliver_range(&webhook, &range).await;
        rich.wait_job_finished(&job).await;
        let attempts = rich.list_attempts(&webhook, events[0].id()).await;
        let tokens = stage.platform.support().list("/admin/v1/brands/rich/tokens", 10).await;
        let ids = BTreeMap::from([
            ("brandId", "rich".to_owned()),
            ("webhookId", webhook.id.clone()),
            ("eventId", events[0].id().to_owned()),
            ("jobId", job.json["jobId"].as_str().expect("an id").to_owned()),
            ("tokenId", tokens[0]["id"].as_str().expect("an id").to_owned()),
            ("type", SMS.to_owned()),
            ("typeOrGroup", SMS.to_owned()),
            ("attemptId", attempts[0]["attemptId"].as_str().expect("an id").to_owned()),
            ("idOrMessageId", events[0].id().to_owned()),
        ]);
        let routes = routes::load_routes(&stage.platform.support()).await;
        Self { stage, own, rich, ids, webhook, routes }
    }

    /// Returns the value of a route's parameter; `changed` overrides the rich brand's.
    fn parameter(&self, name: &str, changed: &[(&str, &str)]) -> String {
        let changed = changed.iter().find(|(own, _)| *own == name).map(|(_, id)| (*id).to_owned());
        changed.or_else(|| self.ids.get(name).cloned()).unwrap_or_else(|| {
            panic!("a route has a parameter {name} that this test does not know: say whose it is")
        })
    }

    async fn send_request(&self, api: &Api, route: &Route, changed: &[(&str, &str)]) -> Answer {
        let path = route.fill_path(|name| self.parameter(name, changed));
        api.send(route.method.clone(), &path, route.body.as_ref().map(Value::to_string)).await
    }

    /// Returns everything that the rich brand can see of itself.
    async fn visible_state(&self) -> Value {
        let events = self.rich.list_events(&self.webhook, "").await;
        let audit = support::list_audit(&self.stage.platform.support()).await;
        // This function itself reads the secret.
        let is_change =
            |entry: &&Value| entry["brandId"] == "rich" && entry["action"] != "webhook.read_secret";
        let changes = audit.iter().filter(is_change).count();
        json!([
            self.rich.read_webhook(&self.webhook).await,
            self.rich.read_secret(&self.webhook).await,
            self.rich.list_attempts(&self.webhook, &self.ids["eventId"]).await,
            self.rich.api.list("/v1/rich/webhooks", 100).await,
            events,
            changes,
        ])
    }
}

/// Returns ids of a webhook, an event, an attempt, a job and a token that do not exist.
fn unknown_ids() -> [(&'static str, String); 6] {
    let uuid = uuid::Uuid::new_v4().to_string();
    let ulid = ulid::Ulid::generate().to_string();
    [
        ("brandId", "nobody".to_owned()),
        ("webhookId", uuid.clone()),
        ("eventId", ulid.clone()),
        ("attemptId", ulid),
        ("jobId", uuid.clone()),
        ("tokenId", uuid),
    ]
}

#[tokio::test]
async fn every_route_hides_the_resources_of_others() {
    let scene = Scene::new().await;
    let acme = &scene.stage.brand.api;
    let before = scene.visible_state().await;
    let nobodys = unknown_ids();
    let nobodys: Vec<(&str, &str)> = nobodys.iter().map(|(name, id)| (*name, id.as_str())).collect();
    let mut tried = 0;
    let own = scene.own.id.as_str();
    for route in scene.routes.iter().filter(|route| route.is_for_brands()) {
        // Through the other's path, through the own path, and through the own webhook's path where the route
        // is below a webhook.
        let ways: [&[(&str, &str)]; 3] =
            [&[], &[("brandId", "acme")], &[("brandId", "acme"), ("webhookId", own)]];
        let depth = 1 + route.path.matches("Id}").count().saturating_sub(1).min(2);
        for way in ways.into_iter().take(depth) {
            let theirs = scene.send_request(acme, route, way).await;
            let nothing: Vec<_> = way.iter().chain(&nobodys).copied().collect();
            let nobodys = scene.send_request(acme, route, &nothing).await;
            let what = format!("{} {} {way:?}", route.method, route.path);
            assert_eq!(theirs.status, 404, "{what}: {}", theirs.text);
            assert_eq!((theirs.status, &theirs.text), (nobodys.status, &nobodys.text), "{what}");
            tried += 1;
        }
    }
    assert!(tried >= 30, "{tried} ways");
    eprintln!("{tried} paths to another brand's resources are closed");
    assert_eq!(scene.visible_state().await, before, "the other brand is unchanged");
}

#[tokio::test]
async fn every_route_requires_a_sufficient_role() {
    let scene = Scene::new().await;
    let support = scene.stage.platform.support();
    let reader = support.with_token(Some(&create_token(&support, "rich", "read").await));
    let before = scene.visible_state().await;
    for route in scene.routes.iter().filter(|route| route.path != "/v1/me") {
        let what = format!("{} {}", route.method, route.path);
        for nobody in [None, Some(""), Some("wrong"), Some("prt_")] {
            let answer = scene.send_request(&support.with_token(nobody), route, &[]).await;
            assert_eq!(answer.status, 401, "{what} with {nobody:?}: {}", answer.text);
        }
        if route.is_for_support() {
            for api in [&reader, &scene.rich.api, &scene.stage.brand.api] {
                assert_eq!(scene.send_request(api, route, &[]).await.status, 403, "{what} by a brand");
            }
        } else if route.needs_write() {
            assert_eq!(scene.send_request(&reader, route, &[]).await.status, 403, "{what} by a reader");
        }
    }
    let mut after = scene.visible_state().await;
    // The reader's token was created meanwhile.
    after[5] = before[5].clone();
    assert_eq!(after, before);
}

#[tokio::test]
async fn cursors_of_others_are_rejected() {
    let scene = Scene::new().await;
    let mut tried = 0;
    for route in scene.routes.iter().filter(|route| route.is_for_brands() && route.has_cursor) {
        let path = route.fill_path(|name| scene.parameter(name, &[]));
        let page = scene.rich.api.get(&format!("{path}?limit=1")).await.expect_status(200).json();
        let Some(cursor) = page["nextCursor"].as_str() else { continue };
        let own = route
            .fill_path(|name| scene.parameter(name, &[("brandId", "acme"), ("webhookId", &scene.own.id)]));
        let _ = scene.rich.api.get(&format!("{path}?limit=1&cursor={cursor}")).await.expect_status(200);
        let answer = scene.stage.brand.api.get(&format!("{own}?limit=1&cursor={cursor}")).await;
        // The catalogue is common to all brands, so that the cursor opens its next page.
        let harmless =
            answer.status == 200 && !scene.ids.values().any(|id| id != SMS && answer.text.contains(id));
        assert!(harmless || [400, 404].contains(&answer.status), "{own}: {} {}", answer.status, answer.text);
        tried += 1;
    }
    assert!(tried >= 2, "{tried} lists have a second page");
}

/// Returns bodies for a route that are too long, too deep, or contain a key twice.
fn bad_bodies(route: &Route) -> Vec<(&'static str, &'static [u16], String)> {
    let deep = |open: &str, close: &str, depth: usize| open.repeat(depth) + "1" + &close.repeat(depth);
    let mut bodies: Vec<(_, &[u16], _)> = vec![
        ("too long", &[413], format!("{{\"long\":\"{}\"}}", "a".repeat(MAX_BODY_BYTES))),
        ("too long, only spaces", &[413], " ".repeat(MAX_BODY_BYTES + 1)),
        ("deep lists", &[400, 422], deep("[", "]", 100_000)),
        ("deep objects", &[400, 422], deep("{\"a\":", "}", 100_000)),
        ("never closed", &[400], "[".repeat(500_000)),
        ("no JSON", &[400], "{\"a\":}".to_owned()),
        ("another kind", &[422], "[]".to_owned()),
    ];
    if let Some((name, value)) = &route.field {
        bodies.push(("a duplicate key", &[422], format!("{{\"{name}\":{value},\"{name}\":{value}}}")));
    }
    bodies
}

#[tokio::test]
async fn excessive_bodies_are_rejected_on_every_route_at_little_cost() {
    let scene = Scene::new().await;
    let support = scene.stage.platform.support();
    let before = scene.visible_state().await;
    let process = &scene.stage.platform.apis[0];
    process.reset_peak();
    let memory = process.read_memory().now;
    let mut refused = 0;
    for route in scene.routes.iter().filter(|route| route.body.is_some()) {
        let path = route.fill_path(|name| scene.parameter(name, &[]));
        for (what, status, body) in bad_bodies(route) {
            let answer = support.send(route.method.clone(), &path, Some(body)).await;
            assert!(
                status.contains(&answer.status) || answer.status == CONFLICT,
                "{} {path}, {what}: {} {}",
                route.method,
                answer.status,
                answer.text
            );
            refused += 1;
        }
    }
    let growth = process.read_memory().peak.saturating_sub(memory);
    eprintln!("{refused} bodies refused, the API grew by {} KiB at most", growth / 1024);
    assert!(growth < MAX_GROWTH_BYTES, "{growth} bytes");
    assert_eq!(scene.visible_state().await, before, "nothing was changed");
}

/// Valid tokens at first use, at a replica that has not seen them, while wrong ones come from the same address.
#[tokio::test]
async fn wrong_tokens_never_lock_out_valid_ones() {
    let stage = Stage::with_builder(Platform::builder().apis(2)).await;
    let mut fresh = Vec::new();
    for _ in 0..20 {
        fresh.push(create_token(&stage.brand.support, "acme", "read").await);
    }
    let guessing = async {
        let mut wrong = 0;
        for _ in 0..MAX_GUESSES / GUESSES_AT_ONCE {
            let guesses = (0..GUESSES_AT_ONCE).map(|_| {
                let guess = format!("prt_{}", uuid::Uuid::new_v4().simple());
                let api = stage.platform.support_of(1).with_token(Some(&guess));
                async move { api.get("/v1/acme/webhooks").await }
            });
            for answer in join_all(guesses).await {
                let _ = answer.expect_status(401);
                wrong += 1;
            }
        }
        wrong
    };
    let valid = async {
        for token in &fresh {
            let api = stage.platform.support_of(1).with_token(Some(token));
            let _ = api.get("/v1/acme/webhooks").await.expect_status(200);
            let _ = stage.platform.support_of(1).get("/admin/v1/brands/acme").await.expect_status(200);
        }
    };
    let (wrong, ()) = tokio::join!(guessing, valid);
    eprintln!("{wrong} wrong tokens beside {} valid ones at their first use", fresh.len());
}

#[tokio::test]
async fn a_token_over_its_rate_waits_and_others_do_not() {
    let stage = Stage::with_builder(Platform::builder().set("POSTRIDER_TOKEN_RATE", "5")).await;
    let other =
        stage.platform.support().with_token(Some(&create_token(&stage.brand.support, "acme", "read").await));
    let many = join_all((0..40).map(|_| stage.brand.api.send(Method::GET, "/v1/acme/webhooks", None))).await;
    let of = |status: u16| many.iter().filter(|answer| answer.status == status).collect::<Vec<_>>();
    assert!(
        of(200).len() >= 5 && of(200).len() + of(429).len() == many.len(),
        "{} {}",
        of(200).len(),
        of(429).len()
    );
    assert!(of(429).iter().all(|answer| answer.headers.contains_key("retry-after")) && !of(429).is_empty());
    let _ = other.get("/v1/acme/webhooks").await.expect_status(200);
}
