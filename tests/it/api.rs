//! Valid and invalid requests to the API (contract §4).

use e2e::api::Api;
use e2e::brand::{Brand, put_type};
use e2e::event::SMS;
use e2e::platform::Platform;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::Stage;

/// Endpoints that the API never accepts, whatever is allowed for development.
const BAD_ENDPOINTS: [&str; 22] = [
    "http://example.com/hook",
    "ftp://example.com/hook",
    "https://user@example.com/hook",
    "https://user:secret@example.com/hook",
    "https://example.com/hook#part",
    "example.com/hook",
    "",
    "https:///hook",
    "https://10.0.0.1/hook",
    "https://192.168.1.1:8443/",
    "https://169.254.169.254/latest/meta-data",
    "https://0.0.0.0/",
    "https://0x0a000001/",
    "https://167772161/",
    "https://012.0.0.1/",
    "https://224.0.0.1/",
    "https://240.0.0.1/",
    "https://[::1]/",
    "https://[fe80::1]/",
    "https://[::ffff:8.8.8.8]/",
    "https://[64:ff9b::808:808]/",
    "https://[2002:808:808::1]/",
];

fn webhook_json(endpoint: &str) -> Value {
    json!({"endpoint": endpoint, "events": [SMS]})
}

#[tokio::test]
async fn invalid_endpoints_are_a_422() {
    let stage = Stage::new().await;
    let path = stage.brand.webhooks_path("");
    let long = format!("https://example.com/{}", "x".repeat(2048));
    for endpoint in BAD_ENDPOINTS.into_iter().chain([long.as_str()]) {
        let pointers = stage.brand.api.post(&path, &webhook_json(endpoint)).await.error_pointers();
        assert_eq!(pointers, ["/endpoint"], "{endpoint}");
    }
    let (_, good) = stage.create_webhook("/hook").await;
    let path = stage.brand.webhooks_path(&format!("/{}", good.id));
    let pointers =
        stage.brand.api.patch(&path, &json!({"endpoint": "http://example.com/"})).await.error_pointers();
    assert_eq!(pointers, ["/endpoint"]);
    assert_eq!(stage.brand.read_webhook(&good).await["endpoint"], good.json["endpoint"]);
}

#[tokio::test]
async fn an_empty_body_counts_as_none_wherever_it_is_optional() {
    let stage = Stage::new().await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    let brand = &stage.brand;
    let requests = [
        (&brand.api, brand.webhook_path(&webhook, "/secret/rotate"), 200),
        (&brand.api, brand.webhook_path(&webhook, "/test"), 202),
        (&brand.support, "/admin/v1/rejected/republish".to_owned(), 202),
    ];
    for (api, path, status) in requests {
        // With a body, even an empty one, the request says that it is JSON.
        for body in [None, Some(""), Some("{}")] {
            let answer = api.send(http::Method::POST, &path, body.map(str::to_owned)).await;
            // The job of the request before may still run.
            let is_expected = answer.status == status || (answer.status == 409 && path.contains("rejected"));
            assert!(is_expected, "{path} {body:?}: {} {}", answer.status, answer.text);
        }
        let blank = api.send(http::Method::POST, &path, Some(" ".to_owned())).await;
        let _ = blank.expect_problem(400);
    }
}

#[tokio::test]
async fn without_allowed_networks_loopback_is_rejected() {
    let platform = Platform::builder().set("POSTRIDER_ALLOW_NETWORKS", "").start().await;
    let brand = platform.create_brand("acme").await;
    for endpoint in ["https://127.0.0.1/hook", "https://localhost:8443/hook", "https://127.1/"] {
        let pointers =
            brand.api.post(&brand.webhooks_path(""), &webhook_json(endpoint)).await.error_pointers();
        assert_eq!(pointers, ["/endpoint"], "{endpoint}");
    }
    // A name that does not resolve yet is accepted.
    brand.create_webhook("https://not-yet.invalid/hook", &[SMS]).await;
}

#[tokio::test]
async fn every_invalid_field_is_named_at_once() {
    let stage = Stage::new().await;
    put_type(&stage.brand.support, "ORDER.PAID", &json!({"description": "Not enabled for acme"})).await;
    let path = stage.brand.webhooks_path("");
    let all = json!({
        "endpoint": "http://example.com/", "events": [], "enabled": "yes", "description": 5,
        "headers": {"Host": "x"}, "maxConcurrency": 101, "ratePerSecond": 0, "retries": 3,
    });
    let pointers = stage.brand.api.post(&path, &all).await.error_pointers();
    for field in [
        "endpoint",
        "events",
        "enabled",
        "description",
        "headers",
        "maxConcurrency",
        "ratePerSecond",
        "retries",
    ] {
        let pointer = format!("/{field}");
        let named = pointers.iter().any(|p| *p == pointer || p.starts_with(&format!("{pointer}/")));
        assert!(named, "{pointer} is not in {pointers:?}");
    }
    let missing = stage.brand.api.post(&path, &json!({})).await.error_pointers();
    assert_eq!(missing, ["/endpoint", "/events"]);
    for events in [
        json!(["NOTIFICATION.NOTHING"]),
        json!(["ORDER.PAID"]),
        json!(["ORDER"]),
        json!(["order"]),
        json!([""]),
    ] {
        let body = json!({"endpoint": "https://example.com/", "events": events});
        let pointers = stage.brand.api.post(&path, &body).await.error_pointers();
        assert!(pointers.iter().all(|p| p.starts_with("/events")), "{events}: {pointers:?}");
    }
}

#[tokio::test]
async fn a_webhook_is_created_read_changed_and_listed() {
    let stage = Stage::new().await;
    let description = json!({
        "endpoint": "https://example.com/my/webhook/endpoint", "events": [SMS], "enabled": true,
        "description": "for the shop", "headers": {"x-shop": "7"}, "maxConcurrency": 5, "ratePerSecond": 100,
    });
    let answer = stage.brand.api.post(&stage.brand.webhooks_path(""), &description).await.expect_status(201);
    let created = answer.json();
    let path = stage.brand.webhooks_path(&format!("/{}", created["id"].as_str().expect("an id")));
    let location = answer.headers["location"].to_str().expect("text");
    assert!(location.ends_with(&path), "{location}");
    let secret = created["secret"].as_str().expect("a secret");
    assert!(secret.starts_with("whsec_") && secret.len() == "whsec_".len() + 44, "{secret}");

    let read = stage.brand.api.get(&path).await.expect_status(200).json();
    let mut wanted = created.clone();
    wanted.as_object_mut().expect("an object").remove("secret");
    assert_eq!(read, wanted);
    for (field, value) in description.as_object().expect("an object") {
        let shown = if field == "headers" { &json!({"x-shop": "(hidden)"}) } else { value };
        assert_eq!(read[field], *shown, "{field}");
    }
    assert_eq!((&read["brandId"], &read["status"]), (&json!("acme"), &json!("active")));
    assert_eq!(read["disabled"], json!(null));

    let change = json!({"description": null, "ratePerSecond": null, "events": ["*"], "headers": null});
    let changed = stage.brand.api.patch(&path, &change).await.expect_status(200).json();
    assert_eq!(changed["description"], json!(null));
    assert_eq!(changed["ratePerSecond"], json!(null));
    assert_eq!(changed["events"], json!(["*"]));
    assert_eq!(changed["maxConcurrency"], 5, "other fields stay");
    assert!(changed["updated"].as_str() >= read["updated"].as_str(), "{changed}");
    assert_eq!(stage.brand.api.list(&stage.brand.webhooks_path(""), 1).await, [changed]);
}

#[tokio::test]
async fn malformed_and_large_requests_are_rejected() {
    let stage = Stage::new().await;
    let path = stage.brand.webhooks_path("");
    let send = async |body: String| stage.brand.api.send(http::Method::POST, &path, Some(body)).await;
    let _ = send("{\"endpoint\":".to_owned()).await.expect_problem(400);
    let _ = send("x".repeat(1024 * 1024 + 1)).await.expect_problem(413);
    let _ = stage.brand.api.get(&format!("{path}?limit=none")).await.expect_problem(400);
    let _ = stage.brand.api.get("/v1/acme/nothing").await.expect_problem(404);
}

#[tokio::test]
async fn a_token_over_its_rate_gets_a_429() {
    let platform = Platform::builder().set("POSTRIDER_TOKEN_RATE", "2").start().await;
    let brand = Brand::create(&platform.support(), "acme", &[]).await;
    let answers = join_all((0..20).map(|_| brand.api.get("/v1/acme/webhooks"))).await;
    let (refused, passed): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 429);
    for answer in passed {
        let _ = answer.expect_status(200);
    }
    let refused = refused.into_iter().next().expect("a 429 among 20 requests at 2 a second");
    let wait: u64 = refused.headers["retry-after"].to_str().expect("text").parse().expect("seconds");
    assert!((1..=5).contains(&wait), "{wait}");
    let _ = refused.expect_problem(429);
    let other = e2e::brand::create_token(&platform.support(), "acme", "read").await;
    let _ = brand.api.with_token(Some(&other)).get("/v1/acme/webhooks").await.expect_status(200);
}

#[tokio::test]
async fn a_brand_sees_the_catalogue_with_its_enabled_types() {
    let stage = Stage::new().await;
    put_type(&stage.brand.support, "ORDER.PAID", &json!({"description": "Paid", "example": {"n": 1}})).await;
    let types = stage.brand.api.list("/v1/acme/event-types", 100).await;
    let enabled = |name: &str| {
        let entry = types.iter().find(|t| t["type"] == name || t["name"] == name);
        entry.unwrap_or_else(|| panic!("{name} is not in {types:?}"))["enabled"].clone()
    };
    assert_eq!(enabled(SMS), true);
    assert_eq!(enabled("ORDER.PAID"), false);
    assert_eq!(enabled("WEBHOOK.DISABLED"), true, "the built-in type is enabled for every brand");
}

#[tokio::test]
async fn the_openapi_document_is_served_without_a_token() {
    let platform = Platform::start().await;
    let nobody: Api = platform.support().with_token(None);
    let openapi = nobody.get("/openapi.json").await.expect_status(200).json();
    assert!(
        openapi["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")),
        "{}",
        openapi["openapi"]
    );
    for path in ["/v1/{brandId}/webhooks", "/v1/{brandId}/webhooks/{webhookId}/events", "/admin/v1/brands"] {
        assert!(openapi["paths"][path].is_object(), "{path} is not described");
    }
    let docs = nobody.get("/docs").await;
    let docs = if docs.status == 200 { docs } else { nobody.get("/docs/").await.expect_status(200) };
    assert!(docs.text.contains("<html"), "{}", docs.text);
}
