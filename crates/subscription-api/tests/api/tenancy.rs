//! Isolation: a brand gets the same responses as if other brands did not exist.

use axum::http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::rows;
use crate::support::{TestApi, new_webhook};

/// Every brand route, with `{id}` for a webhook and `{event}` for an event.
const ROUTES: &[(Method, &str)] = &[
    (Method::GET, "/webhooks"),
    (Method::POST, "/webhooks"),
    (Method::GET, "/webhooks/{id}"),
    (Method::PATCH, "/webhooks/{id}"),
    (Method::DELETE, "/webhooks/{id}"),
    (Method::GET, "/webhooks/{id}/secret"),
    (Method::GET, "/webhooks/{id}/health"),
    (Method::GET, "/webhooks/{id}/events"),
    (Method::GET, "/webhooks/{id}/events/{event}"),
    (Method::GET, "/webhooks/{id}/events/{event}/attempts"),
    (Method::GET, "/event-types"),
    (Method::GET, "/tokens"),
];

fn body(method: &Method) -> Option<Value> {
    match *method {
        Method::POST => Some(new_webhook()),
        Method::PATCH => Some(json!({"description": "mine now"})),
        _ => None,
    }
}

#[tokio::test]
async fn a_token_of_another_brand_gets_404() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let globex = api.brand("globex", "write", &["NOTIFICATION"]).await;
    let own = globex.post("/v1/globex/webhooks", &new_webhook()).await.expect(201);
    let id = webhook["id"].as_str().expect("id");
    let event = rows::Event::new().of("acme").to(id).insert(&api.sql).await;
    for (method, route) in ROUTES {
        let route = route.replace("{id}", id).replace("{event}", &event);
        let body = body(method);
        // The path of the other brand and the path of a brand that does not exist get the same response.
        let other =
            globex.send(method.clone(), &format!("/v1/acme{route}"), body.as_ref()).await.problem(404);
        let unknown =
            globex.send(method.clone(), &format!("/v1/nobody{route}"), body.as_ref()).await.problem(404);
        assert_eq!(other, unknown, "{method} {route}");
        if route.contains(id) {
            // In its own path, the webhook of the other brand and a webhook that does not exist get the same response.
            let theirs =
                globex.send(method.clone(), &format!("/v1/globex{route}"), body.as_ref()).await.problem(404);
            let none = route.replace(id, &Uuid::new_v4().to_string());
            let none =
                globex.send(method.clone(), &format!("/v1/globex{none}"), body.as_ref()).await.problem(404);
            assert_eq!(theirs, none, "{method} {route}");
        }
    }
    let events = format!("/v1/globex/webhooks/{}/events/{event}", own["id"].as_str().expect("id"));
    globex.get(&events).await.problem(404);
    assert_eq!(
        globex.get("/v1/globex/webhooks").await.expect(200)["items"].as_array().map(Vec::len),
        Some(1)
    );
    let untouched = acme.get(&format!("/v1/acme/webhooks/{id}")).await.expect(200);
    assert_eq!(untouched["updated"], webhook["updated"]);
    api.drop_database().await;
}

#[tokio::test]
async fn support_can_use_every_brand_route() {
    let api = TestApi::new().await;
    let (_, webhook) = api.acme().await;
    let support = api.as_support();
    let id = webhook["id"].as_str().expect("id");
    let event = rows::Event::new().of("acme").to(id).insert(&api.sql).await;
    for (method, route) in ROUTES.iter().filter(|(method, _)| *method != Method::DELETE) {
        let route = route.replace("{id}", id).replace("{event}", &event);
        let body = body(method);
        let answer = support.send(method.clone(), &format!("/v1/acme{route}"), body.as_ref()).await;
        assert!(answer.status.is_success(), "{method} {route}: {}", answer.text);
        support.send(method.clone(), &format!("/v1/nobody{route}"), body.as_ref()).await.problem(404);
    }
    support.delete(&format!("/v1/acme/webhooks/{id}")).await.expect(204);
    api.drop_database().await;
}

#[tokio::test]
async fn a_cursor_is_refused_by_other_lists() {
    let api = TestApi::new().await;
    let (acme, _) = api.acme().await;
    acme.post("/v1/acme/webhooks", &new_webhook()).await.expect(201);
    let globex = api.brand("globex", "write", &["NOTIFICATION"]).await;
    let page = acme.get("/v1/acme/webhooks?limit=1").await.expect(200);
    let cursor = page["nextCursor"].as_str().expect("a cursor");
    globex.get(&format!("/v1/globex/webhooks?cursor={cursor}")).await.problem(400);
    acme.get(&format!("/v1/acme/event-types?cursor={cursor}")).await.problem(400);
    api.drop_database().await;
}
