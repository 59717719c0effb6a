//! Two brands never see each other's webhooks, events or tokens (contract §4).

use std::collections::BTreeSet;

use e2e::WAIT_TIMEOUT;
use e2e::api::Api;
use e2e::brand::{Brand, Webhook, create_token};
use e2e::event::{Event, SMS};
use serde_json::json;

use crate::Stage;

struct Two {
    stage: Stage,
    acme: Webhook,
    other: Brand,
    others: Webhook,
    event: Event,
}

async fn two_brands() -> Two {
    let stage = Stage::new().await;
    let other = stage.platform.create_brand("other").await;
    let (_, acme) = stage.create_webhook("/acme").await;
    let endpoint = stage.receiver.endpoint("/other");
    let others = other.create_webhook(endpoint.url(), &["*"]).await;
    let event = Event::sms("other");
    stage.publish_event(&event).await;
    endpoint.wait_for_requests(1).await;
    other.wait_delivery_status(&others, event.id(), "delivered").await;
    Two { stage, acme, other, others, event }
}

#[tokio::test]
async fn an_event_reaches_only_its_own_brands_webhooks() {
    let two = two_brands().await;
    let own = Event::sms("acme");
    two.stage.publish_event(&own).await;
    two.stage.receiver.endpoint("/acme").wait_for_event(own.id()).await;

    let of = |event: &Event| BTreeSet::from([event.id().to_owned()]);
    two.stage.brand.wait_listed(&two.acme, "", &of(&own), WAIT_TIMEOUT).await;
    two.other.wait_listed(&two.others, "", &of(&two.event), WAIT_TIMEOUT).await;
    assert_eq!(two.stage.receiver.endpoint("/acme").requests().len(), 1);
    assert_eq!(two.stage.receiver.endpoint("/other").requests().len(), 1);
}

/// A brand's requests about a webhook, with a body where one is needed.
const ROUTES: [(&str, &str, &str); 12] = [
    ("GET", "", ""),
    ("PATCH", "", r#"{"description":"mine"}"#),
    ("DELETE", "", ""),
    ("GET", "/secret", ""),
    ("GET", "/events", ""),
    ("GET", "/events/EVENT", ""),
    ("GET", "/events/EVENT/attempts", ""),
    ("GET", "/stats", ""),
    ("POST", "/events/EVENT/redeliver", "{}"),
    ("POST", "/redeliver", r#"{"from":"2026-01-01T00:00:00Z","to":"2026-01-02T00:00:00Z","status":"all"}"#),
    ("POST", "/secret/rotate", "{}"),
    ("POST", "/test", "{}"),
];

/// Routes for support only.
const ADMIN_ROUTES: [&str; 7] = [
    "/admin/v1/brands",
    "/admin/v1/webhooks",
    "/admin/v1/brands/acme/tokens",
    "/admin/v1/tokens",
    "/admin/v1/overview",
    "/admin/v1/rejected",
    "/admin/v1/audit",
];

async fn send_request(
    api: &Api,
    brand: &str,
    two: &Two,
    (method, rest, body): (&str, &str, &str),
) -> e2e::api::Answer {
    let rest = rest.replace("EVENT", two.event.id());
    let path = format!("/v1/{brand}/webhooks/{}{rest}", two.others.id);
    let body = (!body.is_empty()).then(|| body.to_owned());
    api.send(method.parse().expect("a method"), &path, body).await
}

#[tokio::test]
async fn resources_of_another_brand_are_hidden() {
    let two = two_brands().await;
    let acme = &two.stage.brand.api;

    for route in ROUTES {
        // Through its owner's path, and through the own brand's path.
        for brand in ["other", "acme"] {
            let seen = send_request(acme, brand, &two, route).await.expect_problem(404);
            let nobody = send_request(acme, "nobody", &two, route).await.expect_problem(404);
            assert_eq!(seen["title"], nobody["title"], "{route:?}");
            assert!(!seen.to_string().contains(&two.stage.receiver.port().to_string()), "{seen}");
        }
    }
    let webhook = json!({"endpoint": "https://example.com/", "events": [SMS]});
    let _ = acme.post("/v1/other/webhooks", &webhook).await.expect_problem(404);
    let _ = acme.get("/v1/other/webhooks").await.expect_problem(404);
    let _ = acme.get("/v1/other/event-types").await.expect_problem(404);
    let own = acme.list("/v1/acme/webhooks", 100).await;
    assert_eq!(own.iter().map(|webhook| &webhook["id"]).collect::<Vec<_>>(), [&json!(two.acme.id)]);
    assert_eq!(two.other.read_webhook(&two.others).await["description"], json!(null), "nothing was changed");
}

#[tokio::test]
async fn a_token_has_only_the_permissions_of_its_role() {
    let two = two_brands().await;
    let support = two.stage.platform.support();
    let reader = support.with_token(Some(&create_token(&support, "other", "read").await));

    for route in ROUTES {
        for nobody in [None, Some(""), Some("wrong")] {
            let _ = send_request(&support.with_token(nobody), "other", &two, route).await.expect_problem(401);
        }
        let is_read = route.0 == "GET" && route.1 != "/secret";
        if is_read {
            let _ = send_request(&reader, "other", &two, route).await.expect_status(200);
        } else if route.0 != "GET" {
            let _ = send_request(&reader, "other", &two, route).await.expect_problem(403);
        }
    }
    for path in ADMIN_ROUTES {
        let _ = two.stage.brand.api.get(path).await.expect_problem(403);
        let _ = support.with_token(None).get(path).await.expect_problem(401);
    }
}

#[tokio::test]
async fn a_deleted_token_is_invalid_and_tokens_are_shown_once() {
    let stage = Stage::new().await;
    let support = stage.platform.support();
    let secret = create_token(&support, "acme", "write").await;
    let api = support.with_token(Some(&secret));
    let _ = api.get("/v1/acme/webhooks").await.expect_status(200);

    let listed = support.get("/admin/v1/brands/acme/tokens").await.expect_status(200);
    assert!(!listed.text.contains(&secret), "a token is shown once");
    for token in listed.json()["items"].as_array().expect("a list") {
        let path = format!("/admin/v1/brands/acme/tokens/{}", token["id"].as_str().expect("an id"));
        let _ = support.delete(&path).await.expect_status(204);
    }

    let _ = api.get("/v1/acme/webhooks").await.expect_problem(401);
    let _ = stage.brand.api.get("/v1/acme/webhooks").await.expect_problem(401);
}
