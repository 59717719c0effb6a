//! Named tokens of support: who they are, what the audit says of them, and when they end.

use chrono::{TimeDelta, Utc};
use domain::time::{format_timestamp, truncate_to_millis};
use serde_json::{Value, json};

use crate::rows::Event;
use crate::support::{Caller, TestApi};

const TOKENS: &str = "/admin/v1/tokens";

/// Creates a named token. Returns a caller with it, and its actor without the name.
async fn create_named<'a>(api: &'a TestApi, name: &str) -> (Caller<'a>, String) {
    let created = api.as_support().post(TOKENS, &json!({"name": name})).await.expect(201);
    let id = created["id"].as_str().expect("an id");
    (api.caller(created["token"].as_str().expect("a token")), format!("support:{id}"))
}

fn actors(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["actor"].as_str().expect("an actor")).collect()
}

/// In a day, in the form of the API.
fn in_days(days: i64) -> String {
    format_timestamp(truncate_to_millis(Utc::now() + TimeDelta::days(days)))
}

#[tokio::test]
async fn a_named_token_is_shown_once_and_belongs_to_support() {
    let api = TestApi::new().await;
    let support = api.as_support();
    let body = json!({"name": "Ada", "expires": in_days(30)});
    let created = support.post(TOKENS, &body).await.expect(201);
    let text = created["token"].as_str().expect("a token").to_owned();
    assert!(text.starts_with("prs_"));
    let listed = support.get(TOKENS).await;
    assert!(!listed.text.contains(&text));
    let mut shown = created.clone();
    shown.as_object_mut().expect("fields").remove("token");
    assert_eq!(listed.expect(200)["items"], json!([shown]), "and not the token of the settings");
    let row = api.sql.query_one("SELECT sha256 FROM support_tokens", &[]).await.expect("stored");
    assert_eq!(row.get::<_, Vec<u8>>(0).len(), 32);

    let ada = api.caller(&text);
    let me = ada.get("/v1/me").await.expect(200);
    assert_eq!((&me["role"], &me["brandId"], &me["name"]), (&json!("support"), &Value::Null, &json!("Ada")));
    assert_eq!(support.get("/v1/me").await.expect(200)["name"], Value::Null);
    // Whatever the prefix, a token of one kind is none of the other.
    for forged in [text.replace("prs_", "prt_"), text.replace("prs_", "")] {
        api.caller(&forged).get("/v1/me").await.problem(401);
    }
    for name in ["Grace", "Edsger"] {
        create_named(&api, name).await;
    }
    let names: Vec<_> = ada.list_all(TOKENS, 2).await.iter().map(|token| token["name"].clone()).collect();
    assert_eq!(names, ["Ada", "Grace", "Edsger"]);
    let bad = json!({"name": "", "role": "write", "expires": "2021-04-08T19:36:02.938Z"});
    assert_eq!(support.post(TOKENS, &bad).await.pointers(), ["/expires", "/name", "/role"]);
    api.drop_database().await;
}

#[tokio::test]
async fn the_audit_names_the_token_and_a_brand_does_not_see_the_name() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let (ada, actor) = create_named(&api, "Ada").await;
    let (grace, _) = create_named(&api, "Grace").await;
    let named = format!("{actor} Ada");
    let path = format!("/admin/v1/webhooks/{}", webhook["id"].as_str().expect("an id"));
    ada.post(&format!("{path}/disable"), &json!({"detail": "d"})).await.expect(200);
    grace.post(&format!("{path}/enable"), &json!({"note": "n"})).await.expect(200);
    api.as_support().post(&format!("{path}/disable"), &json!({"detail": "d"})).await.expect(200);

    let audit = async |query: &str| ada.list_all(&format!("/admin/v1/audit?{query}"), 2).await;
    assert_eq!(actors(&audit("action=webhook.disable").await), ["support", named.as_str()]);
    let own = audit(&format!("actor={actor}")).await;
    assert_eq!(actors(&own), [named.as_str()]);
    assert_eq!(audit(&format!("actor={actor}%20Ada&brandId=acme")).await, own);
    // `support` is everyone of support, alone and beside each of the other filters.
    let all = audit("actor=support").await;
    let unfiltered = audit("").await;
    let by_support =
        |entry: &&Value| entry["actor"].as_str().is_some_and(|actor| actor.starts_with("support"));
    assert_eq!(all.iter().collect::<Vec<_>>(), unfiltered.iter().filter(by_support).collect::<Vec<_>>());
    assert_eq!(audit("actor=support&action=webhook.disable").await, audit("action=webhook.disable").await);
    let subject = webhook["id"].as_str().expect("an id");
    assert_eq!(audit(&format!("actor=support&subject={subject}")).await.len(), 3);
    let created = audit("action=support_token.create").await;
    assert_eq!(actors(&created), ["support", "support"]);
    assert_eq!((&created[1]["after"]["name"], &created[1]["brandId"]), (&json!("Ada"), &Value::Null));

    for query in ["", "actor=support", &format!("actor={actor}")] {
        let entries = acme.list_all(&format!("/v1/acme/audit?{query}"), 3).await;
        let acts =
            entries.iter().filter(|entry| entry["subject"] == webhook["id"] && entry["actor"] == "support");
        assert_eq!(acts.count(), 3, "{query}: {entries:?}");
        let text = json!(entries).to_string();
        assert!(!text.contains("support:") && !text.contains("Ada"), "{query}: {text}");
    }
    assert_eq!(actors(&ada.list_all("/v1/acme/audit?action=webhook.disable", 9).await), ["support", &named]);
    api.drop_database().await;
}

/// A job shows who asked for it, and so does the entry of its cancellation.
#[tokio::test]
async fn a_brand_does_not_see_who_of_support_created_a_job() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let id = webhook["id"].as_str().expect("an id");
    Event::new().to(id).status("failed").insert(&api.sql).await;
    let (ada, actor) = create_named(&api, "Ada").await;
    let path = format!("/v1/acme/webhooks/{id}/redeliver");
    let at = |hours| format_timestamp(Utc::now() + TimeDelta::hours(hours));
    let job = ada.post(&path, &json!({"from": at(-2), "to": at(1), "status": "all"})).await.expect(202);
    let job = format!("{path}/{}", job["jobId"].as_str().expect("an id"));
    assert_eq!(ada.get(&job).await.expect(200)["actor"], format!("{actor} Ada"));
    acme.delete(&job).await.expect(204);
    for list in [&job, &path, "/v1/acme/redeliveries", "/v1/acme/audit"] {
        let answer = acme.get(list).await;
        assert!(answer.text.contains(r#""actor":"support""#), "{list}: {}", answer.text);
        assert!(!answer.text.contains("Ada") && !answer.text.contains(&actor), "{list}: {}", answer.text);
    }
    api.drop_database().await;
}

#[tokio::test]
async fn a_deleted_or_expired_token_is_refused_at_once() {
    let api = TestApi::new().await;
    let replica = api.another_replica();
    let support = api.as_support();
    let (ada, actor) = create_named(&api, "Ada").await;
    let (grace, _) = create_named(&api, "Grace").await;
    for caller in [&ada, &grace, &ada.on(&replica), &grace.on(&replica)] {
        caller.get("/admin/v1/brands").await.expect(200);
    }
    let own = format!("{TOKENS}/{}", actor.replace("support:", ""));
    ada.delete(&own).await.expect(204);
    api.sql
        .batch_execute("UPDATE support_tokens SET expires = now() - interval '1 s'")
        .await
        .expect("expired");
    for caller in [&ada, &grace, &ada.on(&replica), &grace.on(&replica)] {
        caller.get("/admin/v1/brands").await.problem(401);
    }
    support.delete(&own).await.problem(404);
    support.delete(&format!("{TOKENS}/nonsense")).await.problem(404);
    let deleted = support.list_all("/admin/v1/audit?action=support_token.delete", 9).await;
    assert_eq!(actors(&deleted), [format!("{actor} Ada")]);
    assert_eq!(deleted[0]["before"]["name"], "Ada");
    api.drop_database().await;
}

#[tokio::test]
async fn support_tokens_are_bounded_in_number_and_in_time() {
    let api = TestApi::new().await;
    let support = api.as_support();
    let create = async |by: &Caller<'_>, expires: &str| {
        by.post(TOKENS, &json!({"name": "next", "expires": expires})).await
    };
    let created = create(&support, &in_days(30)).await.expect(201);
    let temporary = api.caller(created["token"].as_str().expect("a token"));
    create(&temporary, created["expires"].as_str().expect("a time")).await.expect(201);
    assert_eq!(create(&temporary, &in_days(31)).await.pointers(), ["/expires"]);
    assert_eq!(temporary.post(TOKENS, &json!({"name": "forever"})).await.pointers(), ["/expires"]);
    // A brand's token has another owner.
    api.brand("acme", "read", &[]).await;
    let brand_token = json!({"name": "ci", "role": "write"});
    for tokens in ["/admin/v1/brands/acme/tokens", "/v1/acme/tokens"] {
        temporary.post(tokens, &brand_token).await.expect(201);
    }

    let fill = "INSERT INTO support_tokens (id, name, sha256, created)
        SELECT gen_random_uuid(), 'filler', sha256(n::text::bytea), now() FROM generate_series(1, 998) AS n";
    api.sql.batch_execute(fill).await.expect("filled");
    let refused = support.post(TOKENS, &json!({"name": "one too many"})).await.problem(409);
    assert_eq!(refused["type"], "/docs/errors#limit-reached");
    api.drop_database().await;
}

#[tokio::test]
async fn the_token_of_a_brand_reaches_no_support_token() {
    let api = TestApi::new().await;
    let (_, actor) = create_named(&api, "Ada").await;
    let acme = api.brand("acme", "write", &[]).await;
    let one = format!("{TOKENS}/{}", actor.replace("support:", ""));
    for answer in
        [acme.get(TOKENS).await, acme.post(TOKENS, &json!({"name": "mine"})).await, acme.delete(&one).await]
    {
        assert_eq!(answer.problem(403)["type"], "/docs/errors#support-required");
    }
    acme.delete(&one.replace(TOKENS, "/v1/acme/tokens")).await.problem(404);
    api.anonymous().get(TOKENS).await.problem(401);
    api.drop_database().await;
}
