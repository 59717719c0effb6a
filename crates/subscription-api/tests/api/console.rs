//! The routes that mainly the console uses: the owner of its token, the health of a webhook, and its own files.

use serde_json::json;

use crate::support::TestApi;

#[tokio::test]
async fn a_token_names_its_owner() {
    let api = TestApi::new().await;
    let support = api.as_support();
    let me = support.get("/v1/me").await.expect(200);
    let exchange = me["exchange"].clone();
    assert!(exchange.as_str().is_some_and(|name| name.ends_with(".events")), "{exchange}");
    assert_eq!(me, json!({"role": "support", "brandId": null, "name": null, "exchange": exchange}));
    for role in ["read", "write"] {
        let brand = api.brand(&format!("of-{role}"), role, &[]).await;
        let me = brand.get("/v1/me").await.expect(200);
        assert_eq!((&me["role"], &me["brandId"]), (&json!(role), &json!(format!("of-{role}"))));
        assert!(me["name"].is_string() && me["exchange"] == exchange);
    }
    api.anonymous().get("/v1/me").await.problem(401);
    api.drop_database().await;
}

#[tokio::test]
async fn health_shows_the_numbers_and_the_rule() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let path = format!("/v1/acme/webhooks/{}/health", webhook["id"].as_str().expect("id"));
    let rule = json!({"minAttempts": 50, "failureRate": 0.9, "spanSeconds": 3000, "failedDeliveries": 10});
    let mut expected = json!({
        "windowSeconds": 3600, "attempts": 0, "failures": 0, "firstFailure": null, "lastFailure": null,
        "failedInRow": 0, "rule": rule,
    });
    assert_eq!(acme.get(&path).await.expect(200), expected);
    api.sql
        .execute("INSERT INTO webhook_streaks (webhook_id, failed_in_row) SELECT id, 7 FROM webhooks", &[])
        .await
        .expect("a streak");
    expected["failedInRow"] = json!(7);
    assert_eq!(acme.get(&path).await.expect(200), expected);
    api.drop_database().await;
}

/// A build without the console says how to build it. A build with the console serves the page at every path below
/// `/console`.
#[tokio::test]
async fn the_console_is_served_or_says_how_to_build_it() {
    let api = TestApi::new().await;
    let page = api.anonymous().get("/console").await;
    if page.status == 404 {
        assert!(page.text.contains("npm run build"), "{}", page.text);
    } else {
        assert_eq!(page.status, 200);
        assert!(page.text.contains("<script type=\"module\" src=\"/console/assets/"), "{}", page.text);
        let policy = page.headers["content-security-policy"].to_str().expect("text");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        let deep = api.anonymous().get("/console/brands/acme/webhooks").await;
        assert_eq!(deep.text, page.text);
    }
    api.anonymous().get("/console/assets/nothing.js").await.problem(404);
    api.drop_database().await;
}
