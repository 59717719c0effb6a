//! The state of a webhook's health: in views, in filters and in the order of lists, and statistics of a brand.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::rows::Event;
use crate::support::{Caller, TestApi, new_webhook};

fn id_of(webhook: &Value) -> Uuid {
    webhook["id"].as_str().and_then(|id| id.parse().ok()).expect("an id")
}

/// Inserts a time slice as the deliverer does.
async fn insert_slice(api: &TestApi, webhook: &Value, minutes_ago: i64, delivered: i32, failed: i32) {
    let at: DateTime<Utc> = domain::time::truncate_to_millis(Utc::now()) - TimeDelta::minutes(minutes_ago);
    let sql = "INSERT INTO webhook_activity (webhook_id, slice, delivered, http_status, timeout, dns, connect, tls, blocked, \
               protocol, durations, first_failure, last_failure, events_delivered, events_failed) \
               VALUES ($1, $2::timestamptz, $3, $4, 0, 0, 0, 0, 0, 0, array_fill(0, ARRAY[15]), \
               CASE WHEN $4 > 0 THEN $2::timestamptz END, CASE WHEN $4 > 0 THEN $2::timestamptz END, $3, $4)";
    api.sql.execute(sql, &[&id_of(webhook), &at, &delivered, &failed]).await.expect("inserted");
}

async fn create(acme: &Caller<'_>, description: &str) -> Value {
    let mut body = new_webhook();
    body["description"] = json!(description);
    acme.post("/v1/acme/webhooks", &body).await.expect(201)
}

async fn health_of(acme: &Caller<'_>, webhook: &Value) -> Value {
    let path = format!("/v1/acme/webhooks/{}", id_of(webhook));
    acme.get(&path).await.expect(200)["health"].clone()
}

fn descriptions(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["description"].as_str().expect("a description")).collect()
}

/// One webhook in each state, named by it, in an order that is not that of the severity.
async fn one_of_each(api: &TestApi) -> Caller<'_> {
    let acme = api.brand("acme", "write", &["NOTIFICATION.SMS.RECEIPT"]).await;
    create(&acme, "idle").await;
    let paused = create(&acme, "paused").await;
    let path = format!("/v1/acme/webhooks/{}", id_of(&paused));
    acme.patch(&path, &json!({"enabled": false})).await.expect(200);
    let healthy = create(&acme, "healthy").await;
    insert_slice(api, &healthy, 2, 10, 4).await;
    let resting = create(&acme, "resting").await;
    insert_slice(api, &resting, 2, 0, 4).await;
    let rest = "INSERT INTO webhook_streaks (webhook_id, failed_in_row, resting_since, resting_until) \
                VALUES ($1, 0, now(), now() + interval '1 hour')";
    api.sql.execute(rest, &[&id_of(&resting)]).await.expect("resting");
    let disabled = create(&acme, "disabled").await;
    let path = format!("/admin/v1/webhooks/{}/disable", id_of(&disabled));
    api.as_support().post(&path, &json!({"detail": "x"})).await.expect(200);
    let failing = create(&acme, "failing").await;
    for minutes in 1..=12 {
        insert_slice(api, &failing, minutes, 0, 10).await;
    }
    acme
}

#[tokio::test]
async fn each_state_is_shown_filtered_and_ordered() {
    let api = TestApi::new().await;
    let acme = one_of_each(&api).await;
    let support = api.as_support();
    let created = ["idle", "paused", "healthy", "resting", "disabled", "failing"];
    let worst = ["failing", "disabled", "resting", "idle", "healthy", "paused"];
    for (caller, list) in [(&acme, "/v1/acme/webhooks"), (&support, "/admin/v1/webhooks")] {
        // The pages are smaller than the segments of the list.
        for limit in [1, 2, 100] {
            let all = caller.list_all(list, limit).await;
            assert_eq!(descriptions(&all), created, "{list} {limit}");
            for webhook in &all {
                assert_eq!(webhook["health"]["state"], webhook["description"], "{webhook}");
            }
            let by_attention = caller.list_all(&format!("{list}?order=attention"), limit).await;
            assert_eq!(descriptions(&by_attention), worst, "{list} {limit}");
        }
        for state in created {
            for order in ["created", "attention"] {
                let found = caller.list_all(&format!("{list}?health={state}&order={order}"), 1).await;
                assert_eq!(descriptions(&found), [state], "{list} {order}");
            }
        }
        let active = caller.list_all(&format!("{list}?status=active&order=attention"), 2).await;
        assert_eq!(descriptions(&active), ["failing", "resting", "idle", "healthy"]);
        let none = caller.list_all(&format!("{list}?status=active&health=disabled"), 100).await;
        assert!(none.is_empty(), "{none:?}");
        for bad in ["health=well", "order=worst", "status=deleted", "q="] {
            caller.get(&format!("{list}?{bad}")).await.problem(400);
        }
    }
    let other = api.brand("other", "read", &[]).await;
    assert!(other.list_all("/v1/other/webhooks?health=failing", 100).await.is_empty());
    assert!(support.list_all("/admin/v1/webhooks?brandId=other&order=attention", 100).await.is_empty());
    api.drop_database().await;
}

#[tokio::test]
async fn a_text_is_found_in_endpoint_and_description() {
    let api = TestApi::new().await;
    let acme = one_of_each(&api).await;
    for (text, number) in [("MY/webhook", 6), ("faILing", 1), ("%25", 0), ("nothing", 0)] {
        for order in ["created", "attention"] {
            let found = acme.list_all(&format!("/v1/acme/webhooks?q={text}&order={order}"), 4).await;
            assert_eq!(found.len(), number, "{text} {order}");
        }
    }
    api.drop_database().await;
}

#[tokio::test]
async fn the_cursor_carries_the_filter_and_the_place_stays_while_webhooks_are_added() {
    let api = TestApi::new().await;
    let acme = one_of_each(&api).await;
    let list = "/v1/acme/webhooks?order=attention";
    let first = acme.get(&format!("{list}&limit=2")).await.expect(200);
    let cursor = first["nextCursor"].as_str().expect("more").to_owned();
    let late = create(&acme, "late").await;
    insert_slice(&api, &late, 1, 0, 5).await;
    let rest = acme.get(&format!("/v1/acme/webhooks?cursor={cursor}")).await.expect(200);
    let items = rest["items"].as_array().expect("items");
    assert_eq!(descriptions(items), ["resting", "idle", "healthy", "paused"]);
    acme.get(&format!("/v1/acme/webhooks?cursor={cursor}&health=idle")).await.problem(400);
    acme.get(&format!("/v1/acme/webhooks?cursor={cursor}&order=created")).await.problem(400);
    api.as_support().get(&format!("/admin/v1/webhooks?cursor={cursor}")).await.problem(400);
    api.drop_database().await;
}

#[tokio::test]
async fn the_health_tells_since_when_how_often_and_until_when() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    assert_eq!(
        health_of(&acme, &webhook).await,
        json!({"state": "idle", "since": webhook["created"], "successRate": null, "disablesAt": null})
    );
    // Healthy an hour ago, and failing for 20 minutes: 30 more until the failures span 50 minutes.
    insert_slice(&api, &webhook, 58, 3, 0).await;
    for minutes in 1..=20 {
        insert_slice(&api, &webhook, minutes, 0, 5).await;
    }
    let health = health_of(&acme, &webhook).await;
    assert_eq!(health["state"], "failing", "{health}");
    let rate = health["successRate"].as_f64().expect("a rate");
    assert!((rate - 3.0 / 103.0).abs() < 0.001, "{health}");
    let seconds_from_now = |field: &str| {
        let at: DateTime<Utc> = health[field].as_str().and_then(|at| at.parse().ok()).expect("a time");
        (at - Utc::now()).num_seconds()
    };
    assert!((-1230..=-1170).contains(&seconds_from_now("since")), "{health}");
    assert!((1710..=1890).contains(&seconds_from_now("disablesAt")), "{health}");
    api.drop_database().await;
}

#[tokio::test]
async fn what_was_before_a_webhook_was_enabled_again_does_not_count() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    insert_slice(&api, &webhook, 1, 0, 20).await;
    let streak = "INSERT INTO webhook_streaks (webhook_id, failed_in_row) VALUES ($1, 5)";
    api.sql.execute(streak, &[&id_of(&webhook)]).await.expect("failed");
    assert_eq!(health_of(&acme, &webhook).await["state"], "failing");
    let admin = format!("/admin/v1/webhooks/{}", id_of(&webhook));
    let support = api.as_support();
    support.post(&format!("{admin}/disable"), &json!({"detail": "x"})).await.expect(200);
    let disabled = health_of(&acme, &webhook).await;
    assert_eq!((&disabled["state"], &disabled["disablesAt"]), (&json!("disabled"), &Value::Null));
    let enabled = support.post(&format!("{admin}/enable"), &json!({"note": "x"})).await.expect(200);
    assert_eq!(enabled["health"]["state"], "healthy", "{enabled}");
    api.drop_database().await;
}

#[tokio::test]
async fn the_audit_has_no_health() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let path = format!("/v1/acme/webhooks/{}", id_of(&webhook));
    acme.patch(&path, &json!({"description": "x"})).await.expect(200);
    let entries = api.as_support().get("/admin/v1/audit").await;
    assert!(!entries.text.contains("\"health\""), "{}", entries.text);
    api.drop_database().await;
}

#[tokio::test]
async fn statistics_of_a_brand_sum_its_webhooks_and_count_events() {
    let api = TestApi::new().await;
    let acme = api.brand("acme", "write", &["NOTIFICATION.SMS.RECEIPT"]).await;
    for description in ["a", "b"] {
        let webhook = create(&acme, description).await;
        insert_slice(&api, &webhook, 5, 2, 1).await;
    }
    let other = api.brand("other", "write", &["NOTIFICATION.SMS.RECEIPT"]).await;
    let foreign = other.post("/v1/other/webhooks", &new_webhook()).await.expect(201);
    insert_slice(&api, &foreign, 5, 100, 0).await;
    let stats = acme.get("/v1/acme/stats?step=10m").await.expect(200);
    let sum = |pointer: &str| -> i64 {
        let items = stats["items"].as_array().expect("items").iter();
        items.filter_map(|item| item.pointer(pointer).and_then(Value::as_i64)).sum()
    };
    assert_eq!(
        (sum("/attempts"), sum("/outcomes/http_status"), sum("/events/delivered"), sum("/events/failed")),
        (6, 2, 4, 2),
        "{stats}"
    );
    acme.get("/v1/other/stats").await.problem(404);
    acme.get("/v1/acme/stats?step=x").await.problem(400);
    api.drop_database().await;
}

#[tokio::test]
async fn get_events_filters_by_the_last_attempt() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let id = webhook["id"].as_str().expect("an id");
    let mut events = Vec::new();
    for outcomes in [&["timeout", "http_status"][..], &["http_status", "timeout"], &[]] {
        let event = Event::new().to(id).status("failed");
        events.push(event.insert(&api.sql).await);
        for outcome in outcomes {
            event.attempt(&api.sql, outcome, "fresh").await;
            tokio::time::sleep(std::time::Duration::from_millis(2)).await; // a ULID of its own millisecond
        }
    }
    let list = format!("/v1/acme/webhooks/{id}/events");
    let found = async |query: &str| -> Vec<String> {
        let items = acme.list_all(&format!("{list}?{query}"), 1).await;
        items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(found("outcome=http_status").await, [events[0].clone()]);
    assert_eq!(found("outcome=timeout&order=desc").await, [events[1].clone()]);
    assert_eq!(found("statusCode=500").await, events[..2]);
    assert_eq!(found("statusCode=500&outcome=timeout&status=failed").await, [events[1].clone()]);
    assert!(found("statusCode=404").await.is_empty());
    for bad in ["outcome=odd", "statusCode=99", "statusCode=x"] {
        let problem = acme.get(&format!("{list}?{bad}")).await.problem(400);
        let detail = problem["detail"].as_str().expect("a detail");
        assert!(bad != "outcome=odd" || detail.contains("delivered, http_status, timeout"), "{detail}");
    }
    api.drop_database().await;
}

#[tokio::test]
async fn a_rotation_is_shown_and_its_overlap_can_be_ended() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let path = format!("/v1/acme/webhooks/{}/secret", id_of(&webhook));
    let rotated = acme.post(&format!("{path}/rotate"), &json!({"overlapSeconds": 60})).await.expect(200);
    let shown = acme.get(&path).await.expect(200);
    assert_eq!(shown["previousExpires"], rotated["previousExpires"]);
    assert!(shown["previousExpires"].is_string() && shown["rotated"].is_string(), "{shown}");
    for _ in 0..2 {
        acme.post(&format!("{path}/end-previous"), &json!({})).await.expect(204);
    }
    let ended = acme.get(&path).await.expect(200);
    assert_eq!((&ended["previousExpires"], &ended["rotated"]), (&Value::Null, &shown["rotated"]));
    assert_eq!(ended["secret"], rotated["secret"]);
    let entries = api.as_support().get("/admin/v1/audit").await;
    assert_eq!(
        entries.text.matches("webhook.end_previous_secret").count(),
        1,
        "the second call ended nothing"
    );
    let reader = api.token("acme", "read").await;
    reader.post(&format!("{path}/end-previous"), &json!({})).await.problem(403);
    api.drop_database().await;
}

#[tokio::test]
async fn a_token_may_end_at_a_time() {
    let api = TestApi::new().await;
    api.brand("acme", "write", &[]).await;
    let support = api.as_support();
    let tokens = "/admin/v1/brands/acme/tokens";
    let expires = Utc::now() + TimeDelta::hours(1);
    let expires = domain::time::format_timestamp(domain::time::truncate_to_millis(expires));
    let body = json!({"name": "ci", "role": "read", "expires": expires});
    let created = support.post(tokens, &body).await.expect(201);
    assert_eq!((&created["expires"], &created["lastUsedAt"]), (&json!(expires), &Value::Null));
    let caller = api.caller(created["token"].as_str().expect("a token"));
    caller.get("/v1/acme/webhooks").await.expect(200);
    api.sql
        .batch_execute("UPDATE tokens SET expires = now() - interval '1 s' WHERE name = 'ci'")
        .await
        .expect("expired");
    caller.get("/v1/acme/webhooks").await.problem(401);
    let past = json!({"name": "ci", "role": "read", "expires": "2021-04-08T19:36:02.938Z"});
    assert_eq!(support.post(tokens, &past).await.pointers(), ["/expires"]);
    api.drop_database().await;
}
