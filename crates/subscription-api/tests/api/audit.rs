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
    for secret in ["whsec_", "prt_", "hidden-value", webhook["secret"].as_str().expect("secret")] {
        assert!(!text.contains(secret), "{secret}");
    }
    assert!(text.contains("(hidden)"), "the name of the header is recorded");
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
