//! Brands and the event types that are enabled for them.

use serde_json::{Value, json};

use crate::support::TestApi;

#[tokio::test]
async fn a_brand_is_created_read_and_changed() {
    let api = TestApi::new().await;
    let support = api.as_support();
    let body =
        json!({"brandId": "acme", "name": "Acme", "contact": {"name": "Ada", "email": "ada@example.com"}});
    let created = support.post("/admin/v1/brands", &body).await.expect(201);
    for (field, value) in body.as_object().expect("fields") {
        assert_eq!(&created[field], value, "{field}");
    }
    assert_eq!(created["eventTypes"], json!([]), "nothing is enabled by default");
    support.post("/admin/v1/brands", &body).await.problem(409);
    assert_eq!(support.get("/admin/v1/brands/acme").await.expect(200), created);
    support.get("/admin/v1/brands/other").await.problem(404);
    support.get("/admin/v1/brands/no%20brand").await.problem(404);

    let patch = async |body: Value| support.patch("/admin/v1/brands/acme", &body).await;
    assert_eq!(patch(json!({})).await.expect(200), created);
    assert_eq!(patch(json!({"name": "Acme Inc"})).await.expect(200)["name"], "Acme Inc");
    let changed = patch(json!({"contact": {"email": "ops@example.com"}})).await.expect(200);
    assert_eq!(changed["contact"], json!({"name": "Ada", "email": "ops@example.com"}));
    assert_eq!(patch(json!({"contact": null})).await.expect(200)["contact"], Value::Null);
    assert_eq!(patch(json!({"contact": {"email": "x@example.com"}})).await.pointers(), ["/contact/name"]);
    assert_eq!(patch(json!({"name": null, "brandId": "b"})).await.pointers(), ["/brandId", "/name"]);
    support.patch("/admin/v1/brands/other", &json!({"name": "x"})).await.problem(404);
    api.drop_database().await;
}

#[tokio::test]
async fn all_errors_of_a_brand_are_named_at_once() {
    let api = TestApi::new().await;
    let support = api.as_support();
    let bad =
        json!({"brandId": "no brand", "name": "", "contact": {"email": "nobody", "phone": "1"}, "typo": 1});
    let expected = ["/brandId", "/contact/email", "/contact/name", "/contact/phone", "/name", "/typo"];
    assert_eq!(support.post("/admin/v1/brands", &bad).await.pointers(), expected);
    assert_eq!(support.post("/admin/v1/brands", &json!({})).await.pointers(), ["/brandId", "/name"]);
    for email in ["", "@", "a@", "@b", "a@b@c", "a b@c", "a"] {
        let body = json!({"brandId": "b", "name": "b", "contact": {"name": "n", "email": email}});
        assert_eq!(support.post("/admin/v1/brands", &body).await.pointers(), ["/contact/email"], "{email}");
    }
    let plain = json!({"brandId": "-_9", "name": "b"});
    assert_eq!(support.post("/admin/v1/brands", &plain).await.expect(201)["contact"], Value::Null);
    api.drop_database().await;
}

#[tokio::test]
async fn brands_are_listed_by_id() {
    let api = TestApi::new().await;
    let support = api.as_support();
    for id in ["b", "a", "C", "z"] {
        support.post("/admin/v1/brands", &json!({"brandId": id, "name": id})).await.expect(201);
    }
    for limit in [1, 3, 4, 10] {
        let ids: Vec<_> =
            support.list_all("/admin/v1/brands", limit).await.iter().map(|b| b["brandId"].clone()).collect();
        assert_eq!(ids, ["C", "a", "b", "z"], "{limit}");
    }
    api.drop_database().await;
}

#[tokio::test]
async fn types_are_enabled_and_disabled_for_a_brand() {
    let api = TestApi::new().await;
    let support = api.as_support();
    let acme = api.brand("acme", "read", &[]).await;
    let enabled = async || {
        let listed = acme.get("/v1/acme/event-types").await.expect(200);
        let items = listed["items"].as_array().expect("items").clone();
        let on = items.iter().filter(|item| item["enabled"] == true);
        on.map(|item| item["type"].as_str().expect("type").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(enabled().await, ["WEBHOOK.DISABLED"]);
    let path = |pattern: &str| format!("/admin/v1/brands/acme/event-types/{pattern}");
    for (pattern, on, expected) in [
        ("NOTIFICATION.SMS.RECEIPT", true, &["NOTIFICATION.SMS.RECEIPT", "WEBHOOK.DISABLED"][..]),
        ("NOTIFICATION", false, &["WEBHOOK.DISABLED"]),
        ("*", true, &["NOTIFICATION.SMS.RECEIPT", "WEBHOOK.DISABLED"]),
        ("NOTIFICATION.SMS", false, &["WEBHOOK.DISABLED"]),
        ("*", false, &["WEBHOOK.DISABLED"]),
    ] {
        for _ in 0..2 {
            let answer = if on {
                support.put(&path(pattern), None).await
            } else {
                support.delete(&path(pattern)).await
            };
            assert_eq!(answer.expect(204), Value::Null, "idempotent");
            assert_eq!(enabled().await, expected, "{pattern} {on}");
        }
    }
    support.put(&path("NO.SUCH"), None).await.problem(404);
    support.delete(&path("NO.SUCH")).await.problem(404);
    assert_eq!(support.put(&path("lower"), None).await.pointers(), ["/typeOrGroup"]);
    support.delete(&path("WEBHOOK.DISABLED")).await.problem(409);
    support.delete(&path("WEBHOOK")).await.expect(204);
    assert_eq!(enabled().await, ["WEBHOOK.DISABLED"]);
    support.put("/admin/v1/brands/other/event-types/*", None).await.problem(404);
    api.drop_database().await;
}

#[tokio::test]
async fn support_sets_changes_and_clears_quotas() {
    let api = TestApi::new().await;
    let support = api.as_support();
    let unlimited = json!({"eventsPerSecond": null, "bytesPerSecond": null, "deliveriesPerSecond": null, "waitingBytes": null});
    let plain = support.post("/admin/v1/brands", &json!({"brandId": "plain", "name": "p"})).await.expect(201);
    assert_eq!(plain["quotas"], unlimited);
    assert_eq!(plain["waiting"], json!({"events": 0, "bytes": 0, "since": null}));

    let body =
        json!({"brandId": "acme", "name": "a", "quotas": {"eventsPerSecond": 100, "waitingBytes": 1 << 30}});
    let created = support.post("/admin/v1/brands", &body).await.expect(201);
    let quotas = json!({"eventsPerSecond": 100, "bytesPerSecond": null, "deliveriesPerSecond": null, "waitingBytes": 1 << 30});
    assert_eq!(created["quotas"], quotas);
    let patch = async |quotas: Value| {
        let patched = support.patch("/admin/v1/brands/acme", &json!({"quotas": quotas})).await.expect(200);
        assert_eq!(patched, support.get("/admin/v1/brands/acme").await.expect(200));
        patched["quotas"].clone()
    };
    assert_eq!(patch(json!({})).await, quotas, "an absent quota stays");
    let changed = json!({"eventsPerSecond": null, "bytesPerSecond": 4096, "deliveriesPerSecond": 7.0});
    let expected = json!({"eventsPerSecond": null, "bytesPerSecond": 4096, "deliveriesPerSecond": 7, "waitingBytes": 1 << 30});
    assert_eq!(patch(changed).await, expected);
    assert_eq!(patch(Value::Null).await, unlimited);

    let audit = support.get("/admin/v1/audit?limit=2").await.expect(200);
    let entry = &audit["items"][1];
    assert_eq!((&entry["before"]["quotas"], &entry["after"]["quotas"]), (&quotas, &expected));
    assert_eq!(entry["after"].get("waiting"), None, "the audit has the configuration alone");
    api.drop_database().await;
}

#[tokio::test]
async fn every_invalid_quota_is_named() {
    let api = TestApi::new().await;
    let support = api.as_support();
    let bad = json!({"quotas": {"eventsPerSecond": 0, "bytesPerSecond": 1023, "deliveriesPerSecond": 1.5, "waitingBytes": "1", "events": 1}});
    let pointers = [
        "/quotas/bytesPerSecond",
        "/quotas/deliveriesPerSecond",
        "/quotas/events",
        "/quotas/eventsPerSecond",
        "/quotas/waitingBytes",
    ];
    support.post("/admin/v1/brands", &json!({"brandId": "acme", "name": "a"})).await.expect(201);
    assert_eq!(support.patch("/admin/v1/brands/acme", &bad).await.pointers(), pointers);
    let new = json!({"brandId": "b", "name": "b", "quotas": bad["quotas"]});
    assert_eq!(support.post("/admin/v1/brands", &new).await.pointers(), pointers);
    let whole = json!({"quotas": 1});
    assert_eq!(support.patch("/admin/v1/brands/acme", &whole).await.pointers(), ["/quotas"]);
    api.drop_database().await;
}

#[tokio::test]
async fn support_sees_the_events_that_wait_for_a_brand() {
    let api = TestApi::new().await;
    let support = api.as_support();
    for id in ["acme", "other"] {
        support.post("/admin/v1/brands", &json!({"brandId": id, "name": id})).await.expect(201);
    }
    let waiting = "INSERT INTO brand_backlogs VALUES ('acme', 3, 4096, '2026-01-02T03:04:05.678Z')";
    api.sql.batch_execute(waiting).await.expect("inserted");
    let expected = json!({"events": 3, "bytes": 4096, "since": "2026-01-02T03:04:05.678Z"});
    assert_eq!(support.get("/admin/v1/brands/acme").await.expect(200)["waiting"], expected);
    let listed = support.list_all("/admin/v1/brands", 10).await;
    let nothing = json!({"events": 0, "bytes": 0, "since": null});
    assert_eq!((&listed[0]["waiting"], &listed[1]["waiting"]), (&expected, &nothing));
    api.drop_database().await;
}
