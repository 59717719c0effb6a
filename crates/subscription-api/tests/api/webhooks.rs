//! Webhooks: create, read, change, list and delete.

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{TestApi, new_webhook};

#[tokio::test]
async fn a_webhook_is_created_as_the_guide_says() {
    let api = TestApi::new().await;
    let acme = api.brand("acme", "write", &["NOTIFICATION"]).await;
    let body = json!({"endpoint": "https://public.example/hook", "events": ["NOTIFICATION.SMS.RECEIPT"], "enabled": true});
    let answer = acme.post("/v1/acme/webhooks", &body).await;
    let location = answer.headers["location"].to_str().expect("text").to_owned();
    let webhook = answer.expect(201);

    let id = webhook["id"].as_str().expect("an id");
    assert_eq!(location, format!("/v1/acme/webhooks/{id}"));
    let secret = webhook["secret"].as_str().expect("a secret");
    assert!(secret.starts_with("whsec_") && secret.len() == "whsec_".len() + 44, "32 bytes in base64");
    let created = webhook["created"].as_str().expect("a time");
    assert!(created.len() == "2021-04-08T19:36:02.938Z".len() && created.ends_with('Z'));
    let mut expected = json!({
        "id": id, "brandId": "acme", "endpoint": "https://public.example/hook",
        "events": ["NOTIFICATION.SMS.RECEIPT"], "enabled": true, "status": "active", "disabled": null,
        "description": null, "headers": {}, "maxConcurrency": 10, "ratePerSecond": null,
        "health": {"state": "idle", "since": created, "successRate": null, "disablesAt": null},
        "created": created, "updated": created,
    });
    assert_eq!(acme.get(&location).await.expect(200), expected, "without its secret");
    assert_eq!(
        acme.get("/v1/acme/webhooks").await.expect(200),
        json!({"items": [expected], "nextCursor": null})
    );
    expected["secret"] = json!(secret);
    assert_eq!(webhook, expected);
    assert_eq!(
        acme.get(&format!("{location}/secret")).await.expect(200),
        json!({"secret": secret, "headers": {}, "previousExpires": null, "rotated": null})
    );
    api.drop_database().await;
}

#[tokio::test]
async fn every_field_is_stored() {
    let api = TestApi::new().await;
    let acme = api.brand("acme", "write", &["NOTIFICATION"]).await;
    let body = json!({
        "endpoint": "https://allowed.example:8443/a?b=c", "events": ["*", "NOTIFICATION.SMS", "*"], "enabled": false,
        "description": "für später", "headers": {"X-Tenant": "7", "Authorization": "Bearer x"},
        "maxConcurrency": 100, "ratePerSecond": 10000,
    });
    let webhook = acme.post("/v1/acme/webhooks", &body).await.expect(201);
    for (field, value) in body.as_object().expect("fields") {
        let expected = match field.as_str() {
            "events" => &json!(["*", "NOTIFICATION.SMS"]),
            "headers" => &json!({"X-Tenant": "(hidden)", "Authorization": "(hidden)"}),
            _ => value,
        };
        assert_eq!(&webhook[field], expected, "{field}");
    }
    let path = format!("/v1/acme/webhooks/{}/secret", webhook["id"].as_str().expect("id"));
    assert_eq!(acme.get(&path).await.expect(200)["headers"], body["headers"]);
    assert_eq!(webhook["status"], "paused");

    let nulls = json!({"endpoint": "https://public.example/", "events": ["*"],
        "description": null, "headers": null, "maxConcurrency": null, "ratePerSecond": null});
    let webhook = acme.post("/v1/acme/webhooks", &nulls).await.expect(201);
    assert_eq!((&webhook["maxConcurrency"], &webhook["headers"]), (&json!(10), &json!({})));
    api.drop_database().await;
}

#[tokio::test]
async fn a_merge_patch_changes_only_the_fields_it_names() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let path = format!("/v1/acme/webhooks/{}", webhook["id"].as_str().expect("id"));
    let same = acme.patch(&path, &json!({})).await.expect(200);
    assert_eq!(same["updated"], webhook["updated"], "an empty patch changes nothing");

    let full = json!({"endpoint": "https://public.example/other", "events": ["*"], "description": "d",
        "headers": {"X-A": "1"}, "maxConcurrency": 3, "ratePerSecond": 7});
    let changed = acme.patch(&path, &full).await.expect(200);
    for (field, value) in full.as_object().expect("fields") {
        let expected = if field == "headers" { &json!({"X-A": "(hidden)"}) } else { value };
        assert_eq!(&changed[field], expected, "{field}");
    }
    assert_eq!(changed["status"], "active");
    let clear = json!({"description": null, "headers": null, "maxConcurrency": null, "ratePerSecond": null});
    let cleared = acme.patch(&path, &clear).await.expect(200);
    assert_eq!(cleared["description"], Value::Null);
    assert_eq!(cleared["headers"], json!({}));
    assert_eq!(cleared["maxConcurrency"], 10);
    assert_eq!(cleared["ratePerSecond"], Value::Null);
    assert_eq!(cleared["endpoint"], "https://public.example/other", "an absent field stays");

    for field in ["endpoint", "events", "enabled"] {
        let null = acme.patch(&path, &json!({field: null})).await;
        assert_eq!(null.pointers(), [format!("/{field}")]);
    }
    let as_json = acme
        .raw(Method::PATCH, &path, Some("application/json; charset=utf-8"), r#"{"description":"e"}"#)
        .await;
    assert_eq!(as_json.expect(200)["description"], "e");
    api.drop_database().await;
}

/// The values of headers are write-only: no view shows them, and an edit that shows them back keeps them.
#[tokio::test]
async fn headers_are_merged_by_name_and_keep_hidden_values() {
    let api = TestApi::new().await;
    let acme = api.brand("acme", "write", &["NOTIFICATION"]).await;
    let mut body = new_webhook();
    body["headers"] = json!({"Authorization": "Bearer one", "X-Team": "a", "X-Old": "o"});
    let webhook = acme.post("/v1/acme/webhooks", &body).await.expect(201);
    let path = format!("/v1/acme/webhooks/{}", webhook["id"].as_str().expect("id"));
    let hidden = json!({"Authorization": "(hidden)", "X-Team": "(hidden)", "X-Old": "(hidden)"});
    let list = acme.get("/v1/acme/webhooks").await.expect(200);
    let all = api.as_support().get("/admin/v1/webhooks").await.expect(200);
    for view in [&webhook, &acme.get(&path).await.expect(200), &list["items"][0], &all["items"][0]] {
        assert_eq!(view["headers"], hidden);
    }
    let values = async || acme.get(&format!("{path}/secret")).await.expect(200)["headers"].clone();
    assert_eq!(values().await, body["headers"]);

    let unchanged =
        acme.patch(&path, &json!({"headers": hidden, "description": webhook["description"]})).await;
    assert_eq!(unchanged.expect(200)["updated"], webhook["updated"], "what was shown changes nothing");
    acme.patch(&path, &json!({"description": "new"})).await.expect(200);
    assert_eq!(values().await, body["headers"], "an edit of another field");
    let change = json!({"x-team": "b", "X-Old": null, "X-New": "n", "authorization": "(hidden)"});
    let changed = acme.patch(&path, &json!({"headers": change})).await.expect(200);
    assert_eq!(
        changed["headers"],
        json!({"Authorization": "(hidden)", "x-team": "(hidden)", "X-New": "(hidden)"})
    );
    let expected = json!({"Authorization": "Bearer one", "x-team": "b", "X-New": "n"});
    assert_eq!(values().await, expected);
    let unknown = acme.patch(&path, &json!({"headers": {"X-Other": "(hidden)"}})).await;
    assert_eq!(unknown.pointers(), ["/headers"]);
    assert_eq!(values().await, expected);

    let dump = "SELECT string_agg(webhooks::text, '') FROM webhooks";
    let rows: String = api.sql.query_one(dump, &[]).await.expect("rows").get(0);
    assert!(rows.contains("X-New") && !rows.contains("Bearer") && !rows.contains("hidden"), "{rows}");
    acme.delete(&path).await.expect(204);
    let left = "SELECT count(*) FROM webhooks WHERE sealed_headers IS NOT NULL OR header_names IS NOT NULL";
    assert_eq!(api.sql.query_one(left, &[]).await.expect("a count").get::<_, i64>(0), 0);
    api.drop_database().await;
}

#[tokio::test]
async fn resuming_a_webhook_checks_it_again() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let path = format!("/v1/acme/webhooks/{}", webhook["id"].as_str().expect("id"));
    let paused = acme.patch(&path, &json!({"enabled": false})).await.expect(200);
    assert_eq!((&paused["status"], &paused["enabled"]), (&json!("paused"), &json!(false)));
    acme.patch(&path, &json!({"endpoint": "https://public.example/changed"})).await.expect(200);

    let switch = "/admin/v1/brands/acme/event-types/NOTIFICATION.SMS.RECEIPT";
    api.as_support().delete(switch).await.expect(204);
    assert_eq!(acme.patch(&path, &json!({"enabled": true})).await.pointers(), ["/events"]);
    acme.patch(&path, &json!({"description": "still allowed"})).await.expect(200);
    api.as_support().put(switch, None).await.expect(204);
    let sql = "UPDATE webhooks SET endpoint = 'https://inside.example/'";
    api.sql.batch_execute(sql).await.expect("changed behind the API's back");
    assert_eq!(acme.patch(&path, &json!({"enabled": true})).await.pointers(), ["/endpoint"]);
    let both = json!({"enabled": true, "endpoint": "https://public.example/"});
    assert_eq!(acme.patch(&path, &both).await.expect(200)["status"], "active");
    api.drop_database().await;
}

#[tokio::test]
async fn a_deleted_webhook_is_not_visible_to_its_brand() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let path = format!("/v1/acme/webhooks/{}", webhook["id"].as_str().expect("id"));
    assert_eq!(acme.delete(&path).await.expect(204), Value::Null);
    for rest in ["", "/secret", "/events"] {
        acme.get(&format!("{path}{rest}")).await.problem(404);
    }
    acme.patch(&path, &json!({})).await.problem(404);
    acme.delete(&path).await.problem(404);
    assert_eq!(acme.get("/v1/acme/webhooks").await.expect(200)["items"], json!([]));
    let support = api.as_support();
    support.get(&path).await.problem(404);
    support.get(&format!("{path}/events")).await.expect(200);
    assert_eq!(support.get("/admin/v1/webhooks").await.expect(200)["items"], json!([]));
    api.drop_database().await;
}

#[tokio::test]
async fn the_number_of_webhooks_of_a_brand_is_bounded() {
    let api = TestApi::new().await;
    let (acme, _) = api.acme().await;
    let fill = "INSERT INTO webhooks (id, brand_id, endpoint, events, status, secret) \
                SELECT gen_random_uuid(), 'acme', 'https://public.example/', '{*}', 'paused', '' \
                FROM generate_series(2, 1000)";
    api.sql.batch_execute(fill).await.expect("filled");
    let full = acme.post("/v1/acme/webhooks", &new_webhook()).await.problem(409);
    assert!(full["detail"].as_str().expect("detail").contains("1000"), "{full}");
    api.drop_database().await;
}

#[tokio::test]
async fn webhooks_are_listed_page_by_page() {
    let api = TestApi::new().await;
    let acme = api.brand("acme", "write", &["NOTIFICATION"]).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(acme.post("/v1/acme/webhooks", &new_webhook()).await.expect(201)["id"].clone());
    }
    for limit in [1, 2, 5, 100] {
        let listed = acme.list_all("/v1/acme/webhooks", limit).await;
        assert_eq!(
            listed.into_iter().map(|webhook| webhook["id"].clone()).collect::<Vec<_>>(),
            ids,
            "{limit}"
        );
    }
    api.drop_database().await;
}

/// Clients send `Content-Type: application/json` with every POST, also without a body.
#[tokio::test]
async fn an_empty_json_body_counts_as_none() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let path = format!("/v1/acme/webhooks/{}", webhook["id"].as_str().expect("an id"));
    for (caller, path, status) in [
        (&acme, format!("{path}/secret/rotate"), 200),
        (&acme, format!("{path}/test"), 202),
        (&api.as_support(), "/admin/v1/rejected/republish".to_owned(), 202),
    ] {
        let answer = caller.raw(Method::POST, &path, Some("application/json"), String::new()).await;
        answer.expect(status);
    }
    api.drop_database().await;
}
