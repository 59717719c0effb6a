//! Tokens: create, list and delete; the permissions of each role; requests without a valid token.

use axum::http::Method;
use serde_json::json;
use uuid::Uuid;

use crate::support::{TestApi, new_webhook};

#[tokio::test]
async fn a_token_is_shown_once_and_valid_until_it_is_deleted() {
    let api = TestApi::new().await;
    let support = api.as_support();
    api.brand("acme", "write", &[]).await;
    let tokens = "/admin/v1/brands/acme/tokens";
    let created = support.post(tokens, &json!({"name": "ci", "role": "read"})).await.expect(201);
    let token = created["token"].as_str().expect("a token").to_owned();
    assert!(token.starts_with("prt_"));
    let listed = support.get(tokens).await;
    assert!(!listed.text.contains(&token));
    let listed = listed.expect(200);
    let mut shown = created.clone();
    shown.as_object_mut().expect("fields").remove("token");
    assert_eq!(listed["items"][1], shown);
    let stored: Vec<u8> =
        api.sql.query_one("SELECT sha256 FROM tokens WHERE name = 'ci'", &[]).await.expect("stored").get(0);
    assert_eq!(stored.len(), 32);

    let caller = api.caller(&token);
    caller.get("/v1/acme/webhooks").await.expect(200);
    let path = format!("{tokens}/{}", created["id"].as_str().expect("id"));
    support.delete(&path.replace("acme", "other")).await.problem(404);
    support.delete(&path).await.expect(204);
    support.delete(&path).await.problem(404);
    support.delete(&format!("{tokens}/nonsense")).await.problem(404);
    caller.get("/v1/acme/webhooks").await.problem(401);
    api.drop_database().await;
}

#[tokio::test]
async fn all_errors_of_a_token_are_named_at_once() {
    let api = TestApi::new().await;
    let support = api.as_support();
    api.brand("acme", "read", &[]).await;
    let tokens = "/admin/v1/brands/acme/tokens";
    let bad = json!({"name": "", "role": "admin", "typo": 1});
    assert_eq!(support.post(tokens, &bad).await.pointers(), ["/name", "/role", "/typo"]);
    assert_eq!(support.post(tokens, &json!({})).await.pointers(), ["/name", "/role"]);
    support.post("/admin/v1/brands/other/tokens", &json!({"name": "x", "role": "read"})).await.problem(404);
    support.get("/admin/v1/brands/other/tokens").await.problem(404);
    api.drop_database().await;
}

#[tokio::test]
async fn a_request_without_a_valid_token_is_refused() {
    let api = TestApi::new().await;
    let forged = format!("prt_{}", "A".repeat(43));
    for caller in
        [api.anonymous(), api.caller("nonsense"), api.caller(&forged), api.caller(&"x".repeat(5000))]
    {
        for path in ["/v1/acme/webhooks", "/v1/acme/event-types", "/admin/v1/brands", "/admin/v1/audit"] {
            let answer = caller.get(path).await;
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
            answer.problem(401);
        }
    }
    api.drop_database().await;
}

#[tokio::test]
async fn a_read_token_can_only_read() {
    let api = TestApi::new().await;
    let (_, webhook) = api.acme().await;
    let reader = api.token("acme", "read").await;
    let path = format!("/v1/acme/webhooks/{}", webhook["id"].as_str().expect("id"));
    for rest in ["", "/events"] {
        reader.get(&format!("{path}{rest}")).await.expect(200);
    }
    reader.get("/v1/acme/webhooks").await.expect(200);
    reader.get("/v1/acme/event-types").await.expect(200);
    reader.get(&format!("{path}/secret")).await.problem(403);
    reader.post("/v1/acme/webhooks", &new_webhook()).await.problem(403);
    reader.post("/v1/acme/webhooks", &json!({})).await.problem(403);
    reader.patch(&path, &json!({"enabled": false})).await.problem(403);
    reader.delete(&path).await.problem(403);
    api.drop_database().await;
}

#[tokio::test]
async fn support_routes_refuse_the_token_of_a_brand() {
    let api = TestApi::new().await;
    let (acme, _) = api.acme().await;
    let id = Uuid::new_v4();
    for (method, path) in [
        (Method::GET, "/admin/v1/brands".to_owned()),
        (Method::POST, "/admin/v1/brands".to_owned()),
        (Method::GET, "/admin/v1/brands/acme".to_owned()),
        (Method::PATCH, "/admin/v1/brands/acme".to_owned()),
        (Method::PUT, "/admin/v1/brands/acme/event-types/*".to_owned()),
        (Method::DELETE, "/admin/v1/brands/acme/event-types/*".to_owned()),
        (Method::GET, "/admin/v1/brands/acme/tokens".to_owned()),
        (Method::POST, "/admin/v1/brands/acme/tokens".to_owned()),
        (Method::DELETE, format!("/admin/v1/brands/acme/tokens/{id}")),
        (Method::GET, "/admin/v1/event-types".to_owned()),
        (Method::PUT, "/admin/v1/event-types/A".to_owned()),
        (Method::DELETE, "/admin/v1/event-types/A".to_owned()),
        (Method::GET, "/admin/v1/webhooks".to_owned()),
        (Method::POST, format!("/admin/v1/webhooks/{id}/disable")),
        (Method::POST, format!("/admin/v1/webhooks/{id}/enable")),
        (Method::GET, "/admin/v1/audit".to_owned()),
    ] {
        acme.send(method.clone(), &path, None).await.problem(403);
        api.anonymous().send(method, &path, None).await.problem(401);
    }
    api.drop_database().await;
}
