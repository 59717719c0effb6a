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

fn field(entries: &[Value], name: &str) -> Vec<String> {
    entries.iter().map(|entry| entry[name].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn filters_narrow_the_list_and_its_pages() {
    let api = TestApi::new().await;
    let support = api.as_support();
    let acme = api.brand("acme", "write", &["NOTIFICATION"]).await;
    let other = api.brand("globex", "write", &["NOTIFICATION"]).await;
    let webhook = acme.post("/v1/acme/webhooks", &new_webhook()).await.expect(201);
    let id = webhook["id"].as_str().expect("id").to_owned();
    for n in 0..5 {
        let path = format!("/v1/acme/webhooks/{id}");
        acme.patch(&path, &json!({"description": format!("{n}")})).await.expect(200);
    }
    other.post("/v1/globex/webhooks", &new_webhook()).await.expect(201);
    let list = async |query: &str| support.list_all(&format!("/admin/v1/audit?{query}"), 2).await;
    let all = list("").await;

    let of_acme = list("brandId=acme").await;
    let expected: Vec<Value> = all.iter().filter(|entry| entry["brandId"] == "acme").cloned().collect();
    assert_eq!(of_acme, expected);
    assert_eq!(
        field(&list(&format!("subject={id}&action=webhook.change")).await, "action"),
        ["webhook.change"; 5]
    );
    assert_eq!(list("brandId=globex&action=webhook.change").await, [] as [Value; 0]);
    let created = list("action=webhook.create").await;
    assert_eq!(field(&created, "brandId"), ["globex", "acme"]);
    let actor = created[1]["actor"].as_str().expect("an actor");
    let by_actor = list(&format!("actor={}", actor.replace(' ', "%20"))).await;
    assert_eq!(by_actor.len(), 6, "{by_actor:?}");
    let token = actor.split(' ').next().expect("the id");
    assert_eq!(list(&format!("actor={token}")).await, by_actor, "the name does not count");
    assert!(field(&list("actor=support").await, "actor").iter().all(|actor| actor == "support"));
    assert_eq!(list("actor=platform").await, [] as [Value; 0]);
    let at = of_acme[2]["at"].as_str().expect("a time");
    let before = list(&format!("brandId=acme&to={at}")).await;
    let expected: Vec<Value> =
        of_acme.iter().filter(|entry| entry["at"].as_str() < Some(at)).cloned().collect();
    assert_eq!(before, expected);
    let since = list(&format!("brandId=acme&from={at}")).await;
    assert_eq!([since, before].concat(), of_acme);
    for bad in [
        "brandId=a%20b",
        "actor=nobody",
        "action=",
        "subject=",
        "from=x",
        "to=2021-04-08",
        "brand=acme",
        "actor=a&actor=b",
        "from=2021-04-08T19:36:02Z&to=2021-04-08T19:36:02Z",
    ] {
        support.get(&format!("/admin/v1/audit?{bad}")).await.problem(400);
    }
    let page = support.get("/admin/v1/audit?brandId=acme&limit=1").await.expect(200);
    let cursor = page["nextCursor"].as_str().expect("a cursor");
    support.get(&format!("/admin/v1/audit?cursor={cursor}&brandId=globex")).await.problem(400);
    let next = support.get(&format!("/admin/v1/audit?cursor={cursor}&limit=1")).await.expect(200);
    assert_eq!(next["items"][0], of_acme[1], "the cursor carries the filter");
    api.drop_database().await;
}

#[tokio::test]
async fn a_brand_reads_its_own_audit_without_notes_of_support() {
    let api = TestApi::new().await;
    let support = api.as_support();
    let (acme, webhook) = api.acme().await;
    let globex = api.brand("globex", "read", &[]).await;
    let id = webhook["id"].as_str().expect("id");
    support.post(&format!("/admin/v1/webhooks/{id}/disable"), &json!({"detail": "d"})).await.expect(200);
    let enable = format!("/admin/v1/webhooks/{id}/enable");
    support.post(&enable, &json!({"note": "an internal note"})).await.expect(200);

    let own = acme.list_all("/v1/acme/audit", 2).await;
    assert!(own.iter().all(|entry| entry["brandId"] == "acme" && entry["outcome"] == "done"), "{own:?}");
    let actions = field(&own, "action");
    assert_eq!(actions[..3], ["webhook.enable", "webhook.disable", "webhook.create"]);
    assert!(!json!(own).to_string().contains("an internal note"));
    let by_support = support.list_all("/v1/acme/audit", 2).await;
    assert_eq!(field(&by_support, "id"), field(&own, "id"));
    assert_eq!(by_support[0]["after"]["note"], "an internal note");
    let narrowed = acme.list_all("/v1/acme/audit?action=webhook.disable", 2).await;
    assert_eq!(field(&narrowed, "actor"), ["support"]);

    acme.get("/v1/acme/audit?brandId=globex").await.problem(400);
    acme.get("/v1/globex/audit").await.problem(404);
    globex.get("/admin/v1/audit").await.problem(403);
    let page = acme.get("/v1/acme/audit?limit=1000").await.expect(200);
    assert_eq!(page["items"], json!(own), "a larger limit is accepted");
    acme.get("/v1/acme/audit?limit=1001").await.problem(400);
    // A cursor gives no access to the entries of another brand.
    let page = acme.get("/v1/acme/audit?limit=1").await.expect(200);
    let cursor = page["nextCursor"].as_str().expect("a cursor");
    globex.get(&format!("/v1/globex/audit?cursor={cursor}")).await.problem(400);
    let of_globex = globex.list_all("/v1/globex/audit", 10).await;
    assert!(!of_globex.is_empty() && of_globex.iter().all(|entry| entry["brandId"] == "globex"));
    api.drop_database().await;
}
