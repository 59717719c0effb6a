//! Refusals of events that are published over HTTP. The end-to-end tests publish events that are accepted.

use axum::http::{Method, StatusCode};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, Caller, TestApi, new_webhook};

const EVENTS: &str = "/v1/acme/events";
const SMS: &str = "NOTIFICATION.SMS.RECEIPT";

fn sms(data: &Value) -> Value {
    json!({"type": SMS, "data": data})
}

/// Publishes with the idempotency key `key`.
async fn publish(acme: &Caller<'_>, body: &Value) -> Answer {
    acme.with_header("idempotency-key", "key").send(Method::POST, EVENTS, Some(body)).await
}

async fn count_keys(api: &TestApi) -> i64 {
    api.sql.query_one("SELECT count(*) FROM idempotency_keys", &[]).await.expect("a count").get(0)
}

async fn enforce_schema(api: &TestApi) {
    let schema = json!({"type": "object", "properties": {"n": {"type": "number"}, "list": {"items": {"type": "string"}}}});
    let definition = json!({"description": "x", "schema": schema, "enforceSchema": true});
    let path = format!("/admin/v1/event-types/{SMS}");
    api.as_support().put(&path, Some(&definition)).await.expect(200);
}

#[tokio::test]
async fn unknown_and_built_in_types_are_named_by_pointer() {
    let api = TestApi::new().await;
    let (acme, _) = api.acme().await;
    let unknown = json!({"type": "NO.SUCH", "data": 1});
    let built_in = json!({"type": "WEBHOOK.DISABLED", "data": {}});
    for event in [&unknown, &built_in] {
        assert_eq!(publish(&acme, event).await.pointers(), ["/type"], "{event}");
    }
    let both = json!({"events": [sms(&json!(1)), unknown, sms(&json!(2)), built_in]});
    assert_eq!(publish(&acme, &both).await.pointers(), ["/events/1/type", "/events/3/type"]);
    assert_eq!(count_keys(&api).await, 0, "a refused request does not use up its key");
    api.drop_database().await;
}

#[tokio::test]
async fn a_violated_schema_is_named_by_pointer() {
    let api = TestApi::new().await;
    let (acme, _) = api.acme().await;
    enforce_schema(&api).await;
    let body = json!({"events": [
        sms(&json!({"n": 1})), sms(&json!({"n": "one"})), sms(&json!([])), sms(&json!({"list": ["a", 7]})),
    ]});
    let expected = ["/events/1/data/n", "/events/2/data", "/events/3/data/list/1"];
    assert_eq!(publish(&acme, &body).await.pointers(), expected);
    assert_eq!(publish(&acme, &sms(&json!({"n": null}))).await.pointers(), ["/data/n"]);
    assert_eq!(count_keys(&api).await, 0);
    api.drop_database().await;
}

/// The rules in memory are not older than the request when they refuse it.
#[tokio::test]
async fn a_change_of_the_catalogue_has_an_effect_on_the_next_refusal() {
    let api = TestApi::new().await;
    let (acme, _) = api.acme().await;
    let support = api.as_support();
    let new = json!({"events": [{"type": "NEW.TYPE", "data": {}}, {"type": "NO.SUCH", "data": 1}]});
    let pointers = async || publish(&acme, &new).await.pointers();
    assert_eq!(pointers().await, ["/events/0/type", "/events/1/type"]);
    let definition = json!({"description": "x"});
    support.put("/admin/v1/event-types/NEW.TYPE", Some(&definition)).await.expect(201);
    assert_eq!(pointers().await, ["/events/1/type"]);
    support.delete("/admin/v1/event-types/NEW.TYPE").await.expect(204);
    assert_eq!(pointers().await, ["/events/0/type", "/events/1/type"]);
    api.drop_database().await;
}

#[tokio::test]
async fn data_is_judged_by_the_schema_of_the_moment() {
    let api = TestApi::new().await;
    let (acme, _) = api.acme().await;
    let support = api.as_support();
    enforce_schema(&api).await;
    let body = json!({"events": [sms(&json!({"n": "one"})), sms(&json!([]))]});
    let pointers = async || publish(&acme, &body).await.pointers();
    assert_eq!(pointers().await, ["/events/0/data/n", "/events/1/data"]);
    let looser = json!({"description": "x", "schema": {"type": "object"}, "enforceSchema": true});
    support.put(&format!("/admin/v1/event-types/{SMS}"), Some(&looser)).await.expect(200);
    assert_eq!(pointers().await, ["/events/1/data"]);
    api.drop_database().await;
}

#[tokio::test]
async fn an_event_that_the_router_would_reject_does_not_use_up_the_key() {
    let api = TestApi::new().await;
    let (acme, _) = api.acme().await;
    let old =
        json!({"events": [sms(&json!(1)), {"type": SMS, "data": 1, "created": "2001-01-01T00:00:00Z"}]});
    assert_eq!(publish(&acme, &old).await.pointers(), ["/events/1/created"]);
    let large = sms(&json!("x".repeat(256 * 1024)));
    assert_eq!(publish(&acme, &large).await.pointers(), ["/data"]);
    publish(&acme, &sms(&json!("x".repeat(1024 * 1024)))).await.problem(413);
    assert_eq!(count_keys(&api).await, 0);
    api.drop_database().await;
}

#[tokio::test]
async fn a_full_backlog_is_a_429_of_its_brand_alone() {
    let api = TestApi::new().await;
    let (acme, _) = api.acme().await;
    let other = api.brand("other", "write", &[SMS]).await;
    enforce_schema(&api).await;
    let quotas = json!({"quotas": {"waitingBytes": 1 << 20}});
    api.as_support().patch("/admin/v1/brands/acme", &quotas).await.expect(200);
    let waiting =
        "INSERT INTO brand_backlogs VALUES ('acme', 9, 1048576, now()), ('other', 9, 1048576, now())";
    api.sql.batch_execute(waiting).await.expect("inserted");
    let refused = publish(&acme, &sms(&json!(1))).await;
    let seconds =
        refused.headers["retry-after"].to_str().expect("text").parse::<u64>().expect("whole seconds");
    assert!(seconds >= 1);
    let problem = refused.problem(429);
    assert!(problem["detail"].as_str().is_some_and(|text| text.contains("waitingBytes")), "{problem}");
    assert_eq!(count_keys(&api).await, 0);
    // The other brand has the default, and gets to the check of the schema.
    let body = sms(&json!({"n": "one"}));
    assert_eq!(other.send(Method::POST, "/v1/other/events", Some(&body)).await.pointers(), ["/data/n"]);
    api.drop_database().await;
}

/// The broker is away, so that nothing is published.
#[tokio::test]
async fn a_request_that_the_broker_did_not_take_costs_nothing() {
    let api = TestApi::new().await;
    let (acme, _) = api.acme().await;
    let quotas = json!({"quotas": {"eventsPerSecond": 1}});
    api.as_support().patch("/admin/v1/brands/acme", &quotas).await.expect(200);
    let many = json!({"events": vec![sms(&json!(1)); 500]});
    for _ in 0..3 {
        publish(&acme, &many).await.problem(503);
    }
    assert_eq!(count_keys(&api).await, 1);
    api.drop_database().await;
}

/// The broker is away: a request that needed it would get a 503.
#[tokio::test]
async fn a_retry_of_a_published_request_publishes_nothing_and_costs_nothing() {
    let api = TestApi::new().await;
    let (acme, _) = api.acme().await;
    let quotas = json!({"quotas": {"eventsPerSecond": 1}});
    api.as_support().patch("/admin/v1/brands/acme", &quotas).await.expect(200);
    let many = json!({"events": vec![sms(&json!(1)); 500]});
    publish(&acme, &many).await.problem(503);
    api.sql.batch_execute("UPDATE idempotency_keys SET published = true").await.expect("published");
    let first = publish(&acme, &many).await.expect(202);
    let second = publish(&acme, &many).await.expect(202);
    assert_eq!((first["ids"].as_array().map(Vec::len), &first), (Some(500), &second));
    // Another request with the key is still a mistake.
    assert_eq!(publish(&acme, &sms(&json!(2))).await.pointers(), [""]);
    // Also when the catalogue would refuse the events by now.
    enforce_schema(&api).await;
    // Its rules are read every second. Until then, the broker is missing.
    let refused = async || acme.post(EVENTS, &many).await.status == StatusCode::UNPROCESSABLE_ENTITY;
    while !refused().await {}
    assert_eq!(publish(&acme, &many).await.expect(202), first);
    api.drop_database().await;
}

/// Other brands and support use all connections for requests: a lock makes each of their changes wait with one.
#[tokio::test]
async fn the_rules_of_publishing_wait_for_no_request() {
    let api = TestApi::new().await;
    let patient = api.patient_replica();
    let (acme, _) = api.acme().await;
    let acme = acme.on(&patient);
    let mut busy = Vec::new();
    for id in ["one", "two", "three", "four"] {
        let caller = api.brand(id, "write", &[SMS]).await;
        let webhook = caller.post(&format!("/v1/{id}/webhooks"), &new_webhook()).await.expect(201);
        let path = format!("/v1/{id}/webhooks/{}", webhook["id"].as_str().expect("an id"));
        busy.push((caller.on(&patient), path));
    }
    api.sql.batch_execute("BEGIN; SELECT 1 FROM webhooks FOR UPDATE").await.expect("locked");
    let change = json!({"description": "x"});
    let mut waiting = join_all(busy.iter().flat_map(|(caller, path)| {
        let change = &change;
        (0..2).map(move |_| caller.patch(path, change))
    }));
    // The connections are taken when that many statements wait for the lock.
    let mut polling = Box::pin(async {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE wait_event_type = 'Lock' AND datname = current_database()";
        while api.sql.query_one(waiting, &[]).await.expect("a count").get::<_, i64>(0) < 8 {
            api.sql.batch_execute("SELECT pg_stat_clear_snapshot()").await.expect("forgotten");
        }
    });
    tokio::select! {
        _ = &mut waiting => panic!("a change did not wait for the lock"),
        () = &mut polling => {}
    }
    let unknown = json!({"type": "NO.SUCH", "data": 1});
    let publishing = acme.send(Method::POST, EVENTS, Some(&unknown));
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("the changes ended before the publisher had its answer"),
        answer = publishing => assert_eq!(answer.pointers(), ["/type"]),
    }
    drop(waiting);
    drop(polling);
    drop(busy);
    api.sql.batch_execute("ROLLBACK").await.expect("released");
    api.drop_database().await;
}
