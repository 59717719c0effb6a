//! The catalogue of event types.

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{TestApi, new_webhook};

#[tokio::test]
async fn a_new_catalogue_has_the_type_of_the_guide_and_the_built_in_type() {
    let api = TestApi::new().await;
    let support = api.as_support();
    let listed = support.get("/admin/v1/event-types").await.expect(200);
    let names: Vec<_> =
        listed["items"].as_array().expect("items").iter().map(|item| item["type"].clone()).collect();
    assert_eq!(names, ["NOTIFICATION.SMS.RECEIPT", "WEBHOOK.DISABLED"]);
    let receipt = &listed["items"][0];
    assert_eq!(receipt["example"]["phoneNumber"], "+1234456789");
    assert_eq!(receipt["schema"]["type"], "object");
    assert_eq!((&receipt["enforceSchema"], &receipt["builtIn"]), (&json!(false), &json!(false)));
    api.brand("acme", "read", &[]).await.get("/v1/acme/event-types").await.expect(200);
    api.drop_database().await;
}

#[tokio::test]
async fn a_type_is_created_replaced_and_deleted() {
    let api = TestApi::new().await;
    let support = api.as_support();
    let path = "/admin/v1/event-types/ORDER.PAID";
    let full = json!({"description": "Paid.", "schema": {"type": "object"}, "enforceSchema": true, "example": {"n": 1}});
    let created = support.put(path, Some(&full)).await.expect(201);
    for (field, value) in full.as_object().expect("fields") {
        assert_eq!(&created[field], value, "{field}");
    }
    assert_eq!(created["type"], "ORDER.PAID");
    let replaced = support.put(path, Some(&json!({"description": "Paid!"}))).await.expect(200);
    assert_eq!(
        (&replaced["schema"], &replaced["enforceSchema"]),
        (&Value::Null, &json!(false)),
        "replaced as a whole"
    );
    assert_eq!(replaced["created"], created["created"]);
    support.delete(path).await.expect(204);
    support.delete(path).await.problem(404);
    assert_eq!(support.list_all("/admin/v1/event-types", 1).await.len(), 2);
    support.put(path, Some(&json!({"description": "Again.", "schema": true}))).await.expect(201);
    api.drop_database().await;
}

#[tokio::test]
async fn examples_keep_their_digits() {
    let api = TestApi::new().await;
    let support = api.as_support();
    let body = r#"{"description":"x","example":{"big":12345678901234567890,"price" : 1.10}}"#;
    let path = "/admin/v1/event-types/ORDER.PAID";
    let created = support.raw(Method::PUT, path, Some("application/json"), body).await;
    assert!(
        created.text.contains(r#""example":{"big":12345678901234567890,"price" : 1.10}"#),
        "{}",
        created.text
    );
    let listed = support.get("/admin/v1/event-types").await;
    assert!(listed.text.contains(r#"{"big":12345678901234567890,"price" : 1.10}"#), "{}", listed.text);
    api.drop_database().await;
}

#[tokio::test]
async fn all_errors_of_a_type_are_named_at_once() {
    let api = TestApi::new().await;
    let support = api.as_support();
    let path = "/admin/v1/event-types/ORDER.PAID";
    let bad = json!({"description": "", "schema": [], "enforceSchema": 1, "typo": 1});
    assert_eq!(
        support.put(path, Some(&bad)).await.pointers(),
        ["/description", "/enforceSchema", "/schema", "/typo"]
    );
    let no_schema = json!({"description": "x", "enforceSchema": true});
    assert_eq!(support.put(path, Some(&no_schema)).await.pointers(), ["/enforceSchema"]);
    let large = json!({"description": "x", "example": "x".repeat(300_000)});
    assert_eq!(support.put(path, Some(&large)).await.pointers(), ["/example"]);
    let deep = format!("{{\"description\":\"x\",\"example\":{}{}}}", "[".repeat(9000), "]".repeat(9000));
    let deep = support.raw(Method::PUT, path, Some("application/json"), deep).await;
    assert_eq!(deep.pointers(), ["/example"]);
    for bad in ["order.paid", "ORDER..PAID", "*", "ORDER.*", "A.B.C.D.E.F.G.H.I"] {
        let path = format!("/admin/v1/event-types/{bad}");
        assert_eq!(
            support.put(&path, Some(&json!({"description": "x"}))).await.pointers(),
            ["/type"],
            "{bad}"
        );
        assert_eq!(support.delete(&path).await.pointers(), ["/type"], "{bad}");
    }
    api.drop_database().await;
}

#[tokio::test]
async fn a_schema_whose_evaluation_could_explode_is_refused() {
    let api = TestApi::new().await;
    let support = api.as_support();
    let path = "/admin/v1/event-types/ORDER.PAID";
    let mut definitions = json!({"d22": {"required": ["no"]}});
    for level in 0..22 {
        let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
        definitions[format!("d{level}")] = json!({"anyOf": [next, next]});
    }
    let doubling = json!({"$ref": "#/$defs/d0", "$defs": definitions});
    let definition =
        json!({"description": "x", "schema": doubling, "enforceSchema": true, "example": {"a": 1}});
    let refused = support.put(path, Some(&definition)).await;
    assert!(refused.text.contains("refer to each definition from fewer places"), "{}", refused.text);
    assert_eq!(refused.pointers(), ["/schema"]);
    let endless = json!({"description": "x", "schema": {"allOf": [{"$ref": "#"}]}});
    assert_eq!(support.put(path, Some(&endless)).await.pointers(), ["/schema"]);
    let misfit = json!({"description": "x", "schema": {"required": ["a"]}, "example": {"b": 1}});
    assert_eq!(support.put(path, Some(&misfit)).await.pointers(), ["/example"]);
    api.drop_database().await;
}

#[tokio::test]
async fn a_type_in_use_or_built_in_cannot_be_deleted() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let support = api.as_support();
    let used = "/admin/v1/event-types/NOTIFICATION.SMS.RECEIPT";
    let one = support.delete(used).await.problem(409);
    assert!(one["detail"].as_str().expect("detail").starts_with("1 webhook "), "{one}");
    acme.post("/v1/acme/webhooks", &new_webhook()).await.expect(201);
    let two = support.delete(used).await.problem(409);
    assert!(two["detail"].as_str().expect("detail").starts_with("2 webhooks "), "{two}");
    let path = format!("/v1/acme/webhooks/{}", webhook["id"].as_str().expect("id"));
    acme.patch(&path, &json!({"events": ["NOTIFICATION"]})).await.expect(200);
    let listed = acme.list_all("/v1/acme/webhooks", 10).await;
    acme.delete(&format!("/v1/acme/webhooks/{}", listed[1]["id"].as_str().expect("id"))).await.expect(204);
    support.delete(used).await.expect(204);

    let built_in = "/admin/v1/event-types/WEBHOOK.DISABLED";
    support.delete(built_in).await.problem(409);
    support.put(built_in, Some(&json!({"description": "x"}))).await.problem(409);
    api.drop_database().await;
}
