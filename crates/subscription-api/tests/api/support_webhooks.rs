//! Webhooks of all brands, for support: list, disable and enable.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{TestApi, new_webhook};

#[tokio::test]
async fn support_disables_a_webhook_and_only_support_enables_it() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let support = api.as_support();
    let id = webhook["id"].as_str().expect("id");
    let own = format!("/v1/acme/webhooks/{id}");
    let admin = format!("/admin/v1/webhooks/{id}");
    support.post(&format!("{admin}/enable"), &json!({"note": "x"})).await.problem(409);

    let disabled = support
        .post(&format!("{admin}/disable"), &json!({"detail": "too many complaints"}))
        .await
        .expect(200);
    assert_eq!((&disabled["status"], &disabled["enabled"]), (&json!("disabled"), &json!(false)));
    assert_eq!(
        (&disabled["disabled"]["reason"], &disabled["disabled"]["detail"]),
        (&json!("support"), &json!("too many complaints"))
    );
    assert!(disabled["disabled"]["at"].as_str().is_some_and(|at| at.len() == 24));
    assert_eq!(acme.get(&own).await.expect(200), disabled);
    acme.patch(&own, &json!({"enabled": true})).await.problem(409);
    assert_eq!(
        acme.patch(&own, &json!({"enabled": false, "description": "d"})).await.expect(200)["status"],
        "disabled"
    );

    let enabled = support
        .post(&format!("{admin}/enable"), &json!({"note": "they called", "redeliverHeld": false}))
        .await
        .expect(200);
    assert_eq!((&enabled["status"], &enabled["disabled"]), (&json!("active"), &Value::Null));
    api.drop_database().await;
}

#[tokio::test]
async fn the_fields_of_support_requests_are_checked() {
    let api = TestApi::new().await;
    let (_, webhook) = api.acme().await;
    let support = api.as_support();
    let admin = format!("/admin/v1/webhooks/{}", webhook["id"].as_str().expect("id"));
    assert_eq!(support.post(&format!("{admin}/disable"), &json!({})).await.pointers(), ["/detail"]);
    assert_eq!(
        support.post(&format!("{admin}/disable"), &json!({"detail": "", "x": 1})).await.pointers(),
        ["/detail", "/x"]
    );
    support.post(&format!("{admin}/disable"), &json!({"detail": "x"})).await.expect(200);
    assert_eq!(
        support.post(&format!("{admin}/enable"), &json!({"redeliverHeld": 1})).await.pointers(),
        ["/note", "/redeliverHeld"]
    );
    let other = format!("/admin/v1/webhooks/{}", Uuid::new_v4());
    for action in ["disable", "enable"] {
        let body = json!({"detail": "x", "note": "x"}).as_object().map(|_| match action {
            "disable" => json!({"detail": "x"}),
            _ => json!({"note": "x"}),
        });
        support.post(&format!("{other}/{action}"), &body.expect("a body")).await.problem(404);
        support.post(&format!("/admin/v1/webhooks/nonsense/{action}"), &json!({})).await.problem(404);
    }
    api.as_support().delete("/admin/v1/brands/acme/event-types/*").await.expect(204);
    assert_eq!(support.post(&format!("{admin}/enable"), &json!({"note": "x"})).await.pointers(), ["/events"]);
    api.drop_database().await;
}

#[tokio::test]
async fn webhooks_of_all_brands_are_listed_and_filtered() {
    let api = TestApi::new().await;
    let (acme, first) = api.acme().await;
    let globex = api.brand("globex", "write", &["NOTIFICATION"]).await;
    let second = globex.post("/v1/globex/webhooks", &new_webhook()).await.expect(201);
    let third = acme.post("/v1/acme/webhooks", &new_webhook()).await.expect(201);
    let support = api.as_support();
    let (first, second, third) = (&first["id"], &second["id"], &third["id"]);
    let disable = format!("/admin/v1/webhooks/{}/disable", third.as_str().expect("id"));
    support.post(&disable, &json!({"detail": "x"})).await.expect(200);
    for (query, expected) in [
        ("", vec![first, second, third]),
        ("?brandId=acme", vec![first, third]),
        ("?brandId=globex", vec![second]),
        ("?brandId=nobody", vec![]),
        ("?status=active", vec![first, second]),
        ("?status=disabled", vec![third]),
        ("?status=paused", vec![]),
        ("?status=active&brandId=acme", vec![first]),
    ] {
        for limit in [1, 10] {
            let listed = support.list_all(&format!("/admin/v1/webhooks{query}"), limit).await;
            assert_eq!(listed.iter().map(|webhook| &webhook["id"]).collect::<Vec<_>>(), expected, "{query}");
        }
    }
    for bad in ["status=deleted", "status=x", "brandId=no%20brand", "brand=acme"] {
        support.get(&format!("/admin/v1/webhooks?{bad}")).await.problem(400);
    }
    api.drop_database().await;
}
