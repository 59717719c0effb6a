//! Validation of webhooks: every rule (contract §4), alone and together.

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{TestApi, new_webhook};

/// The example with another value of one field.
fn with(field: &str, value: Value) -> Value {
    let mut body = new_webhook();
    body[field] = value;
    body
}

/// Creating and changing a webhook name only the field of the invalid value.
#[tokio::test]
async fn every_error_names_its_field() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let path = format!("/v1/acme/webhooks/{}", webhook["id"].as_str().expect("id"));
    api.as_support()
        .put("/admin/v1/event-types/OTHER.TYPE", Some(&json!({"description": "x"})))
        .await
        .expect(201);
    for (field, values) in invalid_values() {
        for value in values {
            let pointers = [format!("/{field}")];
            let created = acme.post("/v1/acme/webhooks", &with(field, value.clone())).await;
            assert_eq!(created.pointers(), pointers, "{field}: {value}");
            let changed = acme.patch(&path, &json!({field: value})).await;
            assert_eq!(changed.pointers(), pointers, "{field}: {value}");
        }
    }
    let unchanged = acme.get(&path).await.expect(200);
    assert_eq!(unchanged["updated"], webhook["updated"]);
    api.drop_database().await;
}

fn invalid_values() -> Vec<(&'static str, Vec<Value>)> {
    let many_headers: serde_json::Map<_, _> = (0..21).map(|n| (format!("X-{n}"), json!("x"))).collect();
    vec![
        (
            "endpoint",
            vec![
                json!("http://public.example/"),
                json!("ftp://public.example/"),
                json!("public.example"),
                json!(""),
                json!("https://user:pw@public.example/"),
                json!("https://public.example/#x"),
                json!("https://"),
                json!(format!("https://public.example/{}", "x".repeat(2048))),
                json!("https://127.0.0.1/"),
                json!("https://2130706433/"),
                json!("https://[::1]/"),
                json!("https://[::ffff:8.8.8.8]/"),
                json!("https://localhost/"),
                json!("https://inside.example/"),
                json!("https://10.0.0.1/"),
                json!("https://169.254.169.254/"),
                json!(7),
                json!(["https://public.example/"]),
                Value::Null,
            ],
        ),
        (
            "events",
            vec![
                json!([]),
                json!(["NO.SUCH.TYPE"]),
                json!(["NO"]),
                json!(["notification.sms"]),
                json!(["NOTIFICATION.*"]),
                json!(["OTHER.TYPE"]),
                json!(["OTHER"]),
                json!(["NOTIFICATION.SMS.RECEIPT", "OTHER"]),
                json!("*"),
                json!([1]),
                json!([null]),
                json!({}),
                Value::Null,
                json!(vec!["*"; 101]),
            ],
        ),
        ("enabled", vec![json!("true"), json!(1), Value::Null]),
        ("description", vec![json!(5), json!("x".repeat(1025)), json!("a\u{0}b")]),
        (
            "headers",
            vec![
                json!([]),
                json!("x"),
                json!({"Host": "x"}),
                json!({"Content-Length": "1"}),
                json!({"webhook-id": "x"}),
                json!({"User-Agent": "x"}),
                json!({"Connection": "x"}),
                json!({"transfer-encoding": "x"}),
                json!({"TE": "x"}),
                json!({"trailer": "x"}),
                json!({"upgrade": "x"}),
                json!({"expect": "x"}),
                json!({"proxy-x": "x"}),
                json!({":path": "x"}),
                json!({"X-A": "a\r\nb"}),
                json!({"X A": "x"}),
                json!({"X-A": 1}),
                json!({"X-A": "(hidden)"}),
                json!({"X-A": "x".repeat(4096)}),
                Value::Object(many_headers),
            ],
        ),
        ("maxConcurrency", vec![json!(0), json!(101), json!(1.5), json!("5"), json!(-1), json!(true)]),
        ("ratePerSecond", vec![json!(0), json!(10001), json!(0.5), json!("5")]),
        ("id", vec![json!("9e21c694-ee9e-48a7-b016-522fd8ef08c1")]),
        ("descripton", vec![json!("a typo")]),
    ]
}

#[tokio::test]
async fn all_errors_are_named_at_once() {
    let api = TestApi::new().await;
    let (acme, _) = api.acme().await;
    let all_wrong = json!({
        "endpoint": "https://inside.example/", "events": ["NO.SUCH.TYPE", "bad"], "enabled": 1, "description": 1,
        "headers": {"Host": "x"}, "maxConcurrency": 0, "ratePerSecond": 0, "typo": 1,
    });
    let expected = [
        "/description",
        "/enabled",
        "/endpoint",
        "/events",
        "/headers",
        "/maxConcurrency",
        "/ratePerSecond",
        "/typo",
    ];
    assert_eq!(acme.post("/v1/acme/webhooks", &all_wrong).await.pointers(), expected);
    assert_eq!(acme.post("/v1/acme/webhooks", &json!({})).await.pointers(), ["/endpoint", "/events"]);
    let twice = r#"{"endpoint":"https://public.example/","events":["*"],"events":["*"]}"#;
    let answer = acme.raw(Method::POST, "/v1/acme/webhooks", Some("application/json"), twice).await;
    assert_eq!(answer.pointers(), ["/events"]);
    assert_eq!(acme.post("/v1/acme/webhooks", &json!([])).await.pointers(), [""]);
    api.drop_database().await;
}

#[tokio::test]
async fn the_error_of_an_event_says_why() {
    let api = TestApi::new().await;
    let (acme, _) = api.acme().await;
    api.as_support()
        .put("/admin/v1/event-types/OTHER.TYPE", Some(&json!({"description": "x"})))
        .await
        .expect(201);
    let detail = async |events: Value| {
        let problem = acme.post("/v1/acme/webhooks", &with("events", events)).await.problem(422);
        problem["errors"][0]["detail"].as_str().expect("detail").to_owned()
    };
    assert!(detail(json!(["NO.SUCH"])).await.contains("catalogue"));
    assert!(detail(json!(["OTHER"])).await.contains("not enabled"));
    assert!(detail(json!(["lower"])).await.contains("segments"));
    acme.post("/v1/acme/webhooks", &with("events", json!(["*"]))).await.expect(201);
    acme.post("/v1/acme/webhooks", &with("events", json!(["WEBHOOK.DISABLED"]))).await.expect(201);
    acme.post("/v1/acme/webhooks", &with("endpoint", json!("https://not.yet.example/"))).await.expect(201);
    api.drop_database().await;
}

#[tokio::test]
async fn invalid_bodies_are_refused() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let post = async |media_type: Option<&str>, body: &str| {
        acme.raw(Method::POST, "/v1/acme/webhooks", media_type, body.to_owned()).await
    };
    for malformed in ["", "{", "{\"endpoint\":}", "nonsense", "{} {}"] {
        post(Some("application/json"), malformed).await.problem(400);
    }
    let good = new_webhook().to_string();
    for media_type in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("application/merge-patch+json"),
    ] {
        post(media_type, &good).await.problem(415);
    }
    post(Some("Application/JSON ; charset=UTF-8"), &good).await.expect(201);
    let large = with("description", json!("x".repeat(1024 * 1024))).to_string();
    post(Some("application/json"), &large).await.problem(413);
    let path = format!("/v1/acme/webhooks/{}", webhook["id"].as_str().expect("id"));
    acme.raw(Method::PATCH, &path, Some("application/json-patch+json"), "[]").await.problem(415);
    api.drop_database().await;
}
