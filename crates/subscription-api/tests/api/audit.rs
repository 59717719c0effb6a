//! The audit: every change has an entry, and no entry contains a secret.

use serde_json::{Value, json};

use crate::support::{TestApi, new_webhook};

#[tokio::test]
async fn every_change_is_recorded_with_its_actor_and_states() {
    let api = TestApi::new().await;
    let support = api.as_support();
    let acme = api.brand("acme", "write", &["NOTIFICATION"]).await;
    let mut body = new_webhook();
    body["headers"] = json!({"Authorization": "Bearer hidden-value"});
    body["endpoint"] = json!("https://public.example/hook?token=hidden-query");
    let webhook = acme.post("/v1/acme/webhooks", &body).await.expect(201);
    let id = webhook["id"].as_str().expect("id");
    let path = format!("/v1/acme/webhooks/{id}");
    acme.patch(&path, &json!({"description": "new"})).await.expect(200);
    acme.patch(&path, &json!({"description": "new"})).await.expect(200);
    support.post(&format!("/admin/v1/webhooks/{id}/disable"), &json!({"detail": "d"})).await.expect(200);
    support
        .post(&format!("/admin/v1/webhooks/{id}/enable"), &json!({"note": "they called"}))
        .await
        .expect(200);
    acme.delete(&path).await.expect(204);
    support.patch("/admin/v1/brands/acme", &json!({"name": "Acme Inc"})).await.expect(200);
    support.put("/admin/v1/event-types/A.B", Some(&json!({"description": "x"}))).await.expect(201);
    support.delete("/admin/v1/event-types/A.B").await.expect(204);
    support.delete("/admin/v1/brands/acme/event-types/NOTIFICATION").await.expect(204);
    support.delete("/admin/v1/brands/acme/event-types/NOTIFICATION").await.expect(204);
    let tokens = "/admin/v1/brands/acme/tokens";
    let token = support.post(tokens, &json!({"name": "t", "role": "read"})).await.expect(201);
    support.delete(&format!("{tokens}/{}", token["id"].as_str().expect("id"))).await.expect(204);
    acme.post("/v1/acme/webhooks", &json!({})).await.problem(422);

    let mut entries = support.list_all("/admin/v1/audit", 4).await;
    entries.reverse();
    let actions: Vec<_> = entries.iter().map(|entry| entry["action"].as_str().expect("action")).collect();
    let expected = [
        "brand.create",
        "event_type.enable",
        "token.create",
        "webhook.create",
        "webhook.change",
        "webhook.disable",
        "webhook.enable",
        "webhook.delete",
        "brand.change",
        "event_type.put",
        "event_type.delete",
        "event_type.disable",
        "token.create",
        "token.delete",
    ];
    assert_eq!(actions, expected);
    assert_webhook_entries(&entries, id);
    let text = serde_json::to_string(&entries).expect("text");
    for secret in
        ["whsec_", "prt_", "hidden-value", "hidden-query", webhook["secret"].as_str().expect("secret")]
    {
        assert!(!text.contains(secret), "{secret}");
    }
    assert!(text.contains(r#""Authorization":"(hidden)""#), "the name of the header is recorded");
    assert!(text.contains("https://public.example/hook?(hidden)"), "and the endpoint without its query");
    api.drop_database().await;
}

/// Both the brand and support can read a secret, and nobody gets one without an entry.
#[tokio::test]
async fn every_reading_of_a_secret_is_recorded() {
    let api = TestApi::new().await;
    let acme = api.brand("acme", "write", &["NOTIFICATION"]).await;
    let mut body = new_webhook();
    body["headers"] = json!({"X-Key": "hidden-value"});
    let webhook = acme.post("/v1/acme/webhooks", &body).await.expect(201);
    let id = webhook["id"].as_str().expect("id");
    let path = format!("/v1/acme/webhooks/{id}/secret");
    let support = api.as_support();
    let readings = async || {
        let entries = support.list_all("/admin/v1/audit", 100).await;
        let is_reading = |entry: &Value| entry["action"] == "webhook.read_secret";
        entries.into_iter().filter(is_reading).collect::<Vec<_>>()
    };
    acme.get(&path).await.expect(200);
    support.get(&path).await.expect(200);
    let found = readings().await;
    let [by_support, by_brand] = &found[..] else { panic!("{found:?}") };
    assert_eq!(by_support["actor"], "support");
    assert!(by_brand["actor"].as_str().is_some_and(|actor| actor.starts_with("token:")), "{by_brand}");
    for entry in [by_support, by_brand] {
        assert_eq!((&entry["subject"], &entry["brandId"]), (&json!(id), &json!("acme")));
        assert_eq!(entry["after"], json!({"secret": true, "headers": ["X-Key"]}));
        assert!(!entry.to_string().contains("hidden-value"), "{entry}");
    }

    api.token("acme", "read").await.get(&path).await.problem(403);
    acme.get(&format!("/v1/acme/webhooks/{}/secret", uuid::Uuid::new_v4())).await.problem(404);
    assert_eq!(readings().await.len(), 2, "a refused reading shows nothing");
    let refuse = "ALTER TABLE audit ADD CHECK (action <> 'webhook.read_secret') NOT VALID";
    api.sql.batch_execute(refuse).await.expect("altered");
    let refused = acme.get(&path).await;
    assert!(refused.status.is_server_error() && !refused.text.contains("whsec_"), "{}", refused.text);
    api.drop_database().await;
}

fn assert_webhook_entries(entries: &[Value], id: &str) {
    let [created, changed, disabled, enabled, deleted] = &entries[3..8] else { unreachable!("five entries") };
    for entry in &entries[3..8] {
        assert_eq!((&entry["subject"], &entry["brandId"]), (&json!(id), &json!("acme")));
    }
    assert!(
        created["actor"]
            .as_str()
            .is_some_and(|actor| actor.starts_with("token:") && actor.ends_with(" test"))
    );
    assert_eq!((&created["before"], &created["after"]["status"]), (&Value::Null, &json!("active")));
    assert_eq!(
        (&changed["before"]["description"], &changed["after"]["description"]),
        (&Value::Null, &json!("new"))
    );
    assert_eq!(
        (&disabled["actor"], &disabled["after"]["disabled"]["detail"]),
        (&json!("support"), &json!("d"))
    );
    assert_eq!(enabled["after"]["note"], "they called");
    assert_eq!((&deleted["before"]["description"], &deleted["after"]), (&json!("new"), &Value::Null));
}
