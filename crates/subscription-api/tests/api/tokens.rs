//! Tokens: create, list and delete; the permissions of each role; requests without a valid token.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::Method;
use chrono::{SecondsFormat, TimeDelta, Utc};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::oneshot;
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
    let two_lines = json!({"name": "ci\nsupport", "role": "read"});
    assert_eq!(support.post(tokens, &two_lines).await.pointers(), ["/name"]);
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
        (Method::GET, "/admin/v1/tokens".to_owned()),
        (Method::POST, "/admin/v1/tokens".to_owned()),
        (Method::DELETE, format!("/admin/v1/tokens/{id}")),
    ] {
        acme.send(method.clone(), &path, None).await.problem(403);
        api.anonymous().send(method, &path, None).await.problem(401);
    }
    api.drop_database().await;
}

#[tokio::test]
async fn a_write_token_manages_the_tokens_of_its_brand() {
    let api = TestApi::new().await;
    let acme = api.brand("acme", "write", &[]).await;
    let tokens = "/v1/acme/tokens";
    let created = acme.post(tokens, &json!({"name": "Grace", "role": "read"})).await.expect(201);
    let grace = api.caller(created["token"].as_str().expect("a token"));
    assert_eq!(grace.get("/v1/me").await.expect(200)["name"], "Grace");
    let listed = grace.get(tokens).await;
    assert!(!listed.text.contains("prt_"), "{}", listed.text);
    let by_support = api.as_support().get("/admin/v1/brands/acme/tokens").await.expect(200);
    assert_eq!(listed.expect(200), by_support);
    grace.post(tokens, &json!({"name": "x", "role": "read"})).await.problem(403);
    let own = format!("{tokens}/{}", created["id"].as_str().expect("an id"));
    let refused = grace.delete(&own).await.problem(403);
    assert_eq!(refused["type"], "/docs/errors#write-role-required");
    assert_eq!(acme.post(tokens, &json!({"name": ""})).await.pointers(), ["/name", "/role"]);

    acme.delete(&own).await.expect(204);
    grace.get("/v1/me").await.problem(401);
    let actor = |entry: &Value| entry["actor"].as_str().map(str::to_owned).unwrap_or_default();
    let entries = acme.list_all("/v1/acme/audit", 9).await;
    assert_eq!(
        (&entries[0]["action"], &entries[1]["action"]),
        (&json!("token.delete"), &json!("token.create"))
    );
    for entry in &entries[..2] {
        assert_eq!(entry["subject"], created["id"]);
        assert!(actor(entry).starts_with("token:") && actor(entry).ends_with(" test"), "{entry}");
    }
    let itself = actor(&entries[0]);
    let itself = itself.trim_start_matches("token:").split(' ').next().expect("an id").to_owned();
    acme.delete(&format!("{tokens}/{itself}")).await.expect(204);
    acme.get(tokens).await.problem(401);
    api.drop_database().await;
}

#[tokio::test]
async fn tokens_of_another_brand_do_not_exist() {
    let api = TestApi::new().await;
    let acme = api.brand("acme", "write", &[]).await;
    let globex = api.brand("globex", "write", &[]).await;
    let theirs = globex.get("/v1/globex/tokens").await.expect(200)["items"][0]["id"].clone();
    let theirs = theirs.as_str().expect("an id");
    let none = acme.delete(&format!("/v1/acme/tokens/{}", Uuid::new_v4())).await.problem(404);
    assert_eq!(acme.delete(&format!("/v1/acme/tokens/{theirs}")).await.problem(404), none);
    acme.delete(&format!("/v1/globex/tokens/{theirs}")).await.problem(404);
    acme.get("/v1/globex/tokens").await.problem(404);
    acme.post("/v1/globex/tokens", &json!({"name": "spy", "role": "read"})).await.problem(404);
    globex.post("/v1/globex/tokens", &json!({"name": "two", "role": "read"})).await.expect(201);
    let cursor = globex.get("/v1/globex/tokens?limit=1").await.expect(200)["nextCursor"].clone();
    acme.get(&format!("/v1/acme/tokens?cursor={}", cursor.as_str().expect("a cursor"))).await.problem(400);
    assert_eq!(globex.get("/v1/globex/tokens").await.expect(200)["items"].as_array().map(Vec::len), Some(2));
    api.drop_database().await;
}

#[tokio::test]
async fn a_brand_can_neither_prolong_its_token_nor_exceed_its_number() {
    let api = TestApi::new().await;
    let acme = api.brand("acme", "write", &[]).await;
    let tokens = "/v1/acme/tokens";
    let end = |days| (Utc::now() + TimeDelta::days(days)).to_rfc3339_opts(SecondsFormat::Millis, true);
    let body = |expires: &str| json!({"name": "contractor", "role": "write", "expires": expires});
    let created = acme.post(tokens, &body(&end(30))).await.expect(201);
    let contractor = api.caller(created["token"].as_str().expect("a token"));
    contractor.post(tokens, &body(&end(29))).await.expect(201);
    contractor.post(tokens, &body(created["expires"].as_str().expect("a time"))).await.expect(201);
    assert_eq!(contractor.post(tokens, &body(&end(31))).await.pointers(), ["/expires"]);
    let forever = contractor.post(tokens, &json!({"name": "forever", "role": "read"})).await.problem(422);
    let detail = forever["errors"][0]["detail"].as_str().expect("a detail");
    assert!(detail.contains(created["expires"].as_str().expect("a time")), "{detail}");

    let fill = "INSERT INTO tokens (id, brand_id, name, role, sha256)
        SELECT gen_random_uuid(), 'acme', 'filler', 'read', sha256(n::text::bytea) FROM generate_series($1::int, $2::int) AS n";
    let support = api.as_support();
    // Support may create more of them.
    for (caller, first, last) in [(&acme, 1, 96), (&support, 97, 996)] {
        api.sql.execute(fill, &[&first, &last]).await.expect("filled");
        let refused =
            caller.post(tokens, &json!({"name": "one too many", "role": "read"})).await.problem(409);
        assert_eq!(refused["type"], "/docs/errors#limit-reached");
    }
    api.drop_database().await;
}

/// The body of a request may take half a minute to arrive.
#[tokio::test]
async fn a_token_that_is_deleted_while_its_request_arrives_creates_no_other() {
    let api = TestApi::new().await;
    let support = api.as_support();
    let acme = api.brand("acme", "write", &[]).await;
    let ada = support.post("/admin/v1/tokens", &json!({"name": "Ada"})).await.expect(201);
    let named = api.caller(ada["token"].as_str().expect("a token"));
    let of_acme = support.get("/admin/v1/brands/acme/tokens").await.expect(200)["items"][0].clone();
    let id_of = |token: &Value| token["id"].as_str().expect("an id").to_owned();
    let own_of_acme = format!("/admin/v1/brands/acme/tokens/{}", id_of(&of_acme));
    let own_of_named = format!("/admin/v1/tokens/{}", id_of(&ada));
    for (caller, tokens, own) in
        [(&acme, "/v1/acme/tokens", own_of_acme), (&named, "/admin/v1/tokens", own_of_named)]
    {
        let (begun, has_begun) = oneshot::channel();
        let (deleted, is_deleted) = oneshot::channel();
        let body = stream::once(async move {
            begun.send(()).expect("the test waits");
            is_deleted.await.expect("the test ends");
            let role = if tokens == "/v1/acme/tokens" { r#","role":"write""# } else { "" };
            Ok::<_, Infallible>(format!(r#"{{"name":"left behind"{role}}}"#))
        });
        let creating = caller.raw(Method::POST, tokens, Some("application/json"), Body::from_stream(body));
        let deleting = async {
            has_begun.await.expect("the body is read");
            support.delete(&own).await.expect(204);
            deleted.send(()).expect("the body is awaited");
        };
        let (created, ()) = tokio::join!(creating, deleting);
        created.problem(401);
        let listed = support.get(tokens).await;
        assert!(!listed.text.contains("left behind"), "{}", listed.text);
    }
    api.drop_database().await;
}
