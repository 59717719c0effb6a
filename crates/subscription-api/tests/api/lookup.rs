//! "Where is my event?": one event with its webhooks, the events of a brand, and the search.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use crate::rows::Event;
use crate::support::TestApi;

const UNMATCHED: &str = "INSERT INTO unmatched_events (id, brand_id, created, identity, type, key, received, reason, detail) \
     VALUES (gen_random_uuid(), $1, now(), $2, 'A.B', 'order 7', now(), $3, 'a test')";

/// Gives the stored events the current version of the configuration.
const STAMP: &str = "UPDATE events SET received = created, key = 'order 7', routing_version = (SELECT routing FROM config_version)";

#[tokio::test]
async fn an_event_has_every_webhook_of_its_brand_with_a_reason() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let id = webhook["id"].as_str().expect("id");
    let event = Event::new().to(id).data(r#"{"b":1.10}"#).status("delivered");
    event.insert(&api.sql).await;
    api.sql.batch_execute(STAMP).await.expect("stamped");
    let found = acme.get(&format!("/v1/acme/events/{}", event.id)).await;
    assert!(found.text.contains(r#""data":{"b":1.10}"#), "{}", found.text);
    let found = found.expect(200);
    assert_eq!(found["received"], found["created"]);
    for (member, value) in [
        ("id", json!(event.id.to_string())),
        ("type", json!("NOTIFICATION.SMS.RECEIPT")),
        ("key", json!("order 7")),
        ("disposition", json!("routed")),
        ("detail", Value::Null),
        ("test", json!(false)),
        ("duplicates", json!(0)),
    ] {
        assert_eq!(found[member], value, "{member}");
    }
    assert!(found.get("reason").is_none() && found.get("brandId").is_none());
    let at = &found["webhooks"][0];
    assert_eq!((&at["webhookId"], &at["result"]), (&webhook["id"], &json!("delivered")));
    assert_eq!((&at["endpoint"], &at["status"]), (&webhook["endpoint"], &json!("active")));
    assert_eq!(at["delivery"]["status"], "delivered");
    for member in ["since", "ahead", "nextAttemptAt", "description"] {
        assert_eq!(at.get(member), Some(&Value::Null), "{member}");
    }

    api.sql.batch_execute("DELETE FROM deliveries; UPDATE webhooks SET status = 'paused'").await.expect("ok");
    let found = acme.get(&format!("/v1/acme/events/{}", event.id)).await.expect(200);
    let at = &found["webhooks"][0];
    assert_eq!((&at["status"], &at["delivery"]), (&json!("paused"), &Value::Null));
    assert_eq!(at["result"], "not_subscribed", "it was active then: {at}");
    api.drop_database().await;
}

#[tokio::test]
async fn a_pending_delivery_is_queued_or_retrying() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let id = webhook["id"].as_str().expect("id");
    let older = Event::new().to(id).created(Utc::now() - TimeDelta::minutes(2));
    let event = Event::new().to(id).created(Utc::now() - TimeDelta::minutes(1));
    older.insert(&api.sql).await;
    event.insert(&api.sql).await;
    api.sql.batch_execute(STAMP).await.expect("stamped");
    let path = format!("/v1/acme/events/{}", event.id);
    let found = acme.get(&path).await.expect(200);
    let at = &found["webhooks"][0];
    assert_eq!((&at["result"], &at["ahead"]), (&json!("queued"), &json!(1)), "{at}");
    assert_eq!(at["since"], found["received"]);
    assert!(at["detail"].as_str().expect("a reason").contains("no deliverer is running"), "{at}");

    // It is seen for the whole test, because nothing renews it.
    let running = "INSERT INTO instances (id, service, host, version, last_seen) \
                   VALUES (gen_random_uuid(), 'deliverer', 'h', '0', now() + interval '1 hour')";
    api.sql.batch_execute(running).await.expect("inserted");
    let rest = "INSERT INTO webhook_streaks (webhook_id, failed_in_row, resting_since, resting_until) \
                SELECT id, 0, now(), now() + interval '1 hour' FROM webhooks";
    api.sql.batch_execute(rest).await.expect("resting");
    let at = acme.get(&path).await.expect(200)["webhooks"][0].clone();
    assert!(at["detail"].as_str().expect("a reason").contains("asked to wait until"), "{at}");

    let update = "UPDATE deliveries SET attempts = 1, last_attempt_at = now(), next_attempt_at = now() + interval '5 m', \
                  last_error = 'answered 500'";
    api.sql.batch_execute(update).await.expect("updated");
    let found = acme.get(&path).await.expect(200);
    let at = &found["webhooks"][0];
    assert_eq!((&at["result"], &at["since"]), (&json!("retrying"), &Value::Null), "{at}");
    assert_eq!(at["nextAttemptAt"], at["delivery"]["nextAttemptAt"]);
    assert!(at["detail"].as_str().expect("a reason").contains("answered 500"), "{at}");
    api.drop_database().await;
}

#[tokio::test]
async fn events_that_reached_no_webhook_are_listed_with_their_reason() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let other = api.brand("other", "read", &[]).await;
    let routed = Event::new().to(webhook["id"].as_str().expect("id"));
    routed.insert(&api.sql).await;
    Event::new().data("").insert(&api.sql).await;
    api.sql.batch_execute(STAMP).await.expect("stamped");
    for (brand, identity, reason) in
        [("acme", "m:1", None), ("acme", "m:2", Some("schema_violation")), ("other", "m:3", None)]
    {
        api.sql.execute(UNMATCHED, &[&brand, &identity, &reason]).await.expect("inserted");
    }
    let list = async |query: &str| {
        let list = acme.get(&format!("/v1/acme/events?{query}")).await.expect(200);
        let items = list["items"].as_array().expect("items").clone();
        let mut words: Vec<String> =
            items.iter().map(|item| item["disposition"].as_str().expect("a word").to_owned()).collect();
        words.sort();
        (items, words)
    };
    let (items, words) = list("").await;
    assert_eq!(words, ["no_webhook", "not_enabled", "rejected", "routed"]);
    let rejected = items.iter().find(|item| item["disposition"] == "rejected").expect("listed");
    assert_eq!(rejected["reason"], "schema_violation");
    assert_eq!(rejected["detail"], "The router rejected the event (schema_violation): a test.");
    assert_eq!(list("key=order%207").await.1.len(), 4);
    assert_eq!(list("key=order").await.1.len(), 0);
    for word in ["routed", "no_webhook", "not_enabled", "rejected"] {
        assert_eq!(list(&format!("disposition={word}")).await.1, [word]);
    }
    assert_eq!(list("type=A").await.1, ["not_enabled", "rejected"]);
    let found = acme.get("/v1/acme/events/2").await.expect(200);
    assert_eq!((&found["webhooks"], &found["data"]), (&json!([]), &Value::Null));
    acme.get("/v1/acme/events/3").await.problem(404);
    other.get("/v1/acme/events/2").await.problem(404);
    other.get("/v1/acme/search?q=a").await.problem(404);
    for bad in ["disposition=lost", "key=a&key=b", "limit=0", "status=failed"] {
        acme.get(&format!("/v1/acme/events?{bad}")).await.problem(400);
    }
    api.drop_database().await;
}

/// Its row as an event that was not enabled stays, at the same position of the list.
#[tokio::test]
async fn an_event_that_was_published_again_is_listed_once_however_the_pages_end() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let mut newest_first = Vec::new();
    for minutes in 1..=6 {
        let created = Utc::now() - TimeDelta::minutes(minutes);
        let event = Event::new().to(webhook["id"].as_str().expect("id")).created(created);
        newest_first.push(event.insert(&api.sql).await);
    }
    api.sql.batch_execute(STAMP).await.expect("stamped");
    let again = "INSERT INTO unmatched_events (id, brand_id, created, identity, type, received) \
                 SELECT id, brand_id, created, 'i:' || id, type, created FROM events \
                 WHERE created < now() - interval '90 seconds'; \
                 INSERT INTO event_keys SELECT brand_id, 'i:' || id, 1, id, created FROM events";
    api.sql.batch_execute(again).await.expect("inserted");
    for limit in 1..=7 {
        let listed = acme.list_all("/v1/acme/events", limit).await;
        let ids: Vec<_> = listed.iter().map(|item| item["id"].as_str().expect("an id")).collect();
        assert_eq!(ids, newest_first, "{limit}");
    }
    api.drop_database().await;
}

/// A message without an id gets one in the list of rejected ones, and another one when it is stored.
#[tokio::test]
async fn a_message_that_was_rejected_and_then_stored_is_found_by_both_ids() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let event = Event::new().to(webhook["id"].as_str().expect("id"));
    let stored = event.insert(&api.sql).await;
    api.sql.batch_execute(STAMP).await.expect("stamped");
    let key = "INSERT INTO event_keys SELECT brand_id, 'm:order-7', 1, id, created FROM events";
    api.sql.batch_execute(key).await.expect("inserted");
    api.sql.execute(UNMATCHED, &[&"acme", &"m:order-7", &Some("unknown_type")]).await.expect("inserted");
    let row = api.sql.query_one("SELECT id FROM unmatched_events", &[]).await.expect("a row");
    let rejected = domain::ids::EventId::from_uuid(row.get(0)).to_string();
    for text in [rejected.as_str(), &stored, "order-7"] {
        let of_brand = acme.get(&format!("/v1/acme/events/{text}")).await.expect(200);
        let of_any = api.as_support().get(&format!("/admin/v1/events/{text}")).await.expect(200);
        for found in [of_brand, of_any] {
            assert_eq!((&found["id"], &found["disposition"]), (&json!(stored), &json!("routed")), "{text}");
        }
    }
    api.drop_database().await;
}

#[tokio::test]
async fn an_event_whose_webhooks_were_deleted_says_so() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let id = webhook["id"].as_str().expect("id");
    let event = Event::new().to(id).status("delivered").insert(&api.sql).await;
    api.sql.batch_execute(STAMP).await.expect("stamped");
    let path = format!("/v1/acme/events/{event}");
    assert_eq!(acme.get(&path).await.expect(200)["detail"], Value::Null);
    acme.delete(&format!("/v1/acme/webhooks/{id}")).await.expect(204);
    let found = acme.get(&path).await.expect(200);
    let detail = found["detail"].as_str().expect("a sentence");
    assert!(detail.contains("were deleted since"), "{detail}");
    let found = api.as_support().get(&path).await.expect(200);
    assert_eq!((&found["detail"], &found["webhooks"][0]["result"]), (&Value::Null, &json!("delivered")));
    api.drop_database().await;
}

#[tokio::test]
async fn support_looks_up_events_of_all_brands() {
    let api = TestApi::new().await;
    api.acme().await;
    let other = api.brand("other", "read", &[]).await;
    for (brand, seconds) in [("acme", 2_i32), ("other", 1)] {
        let insert = "INSERT INTO event_keys SELECT $1, 'm:a/b', 1, gen_random_uuid(), now() - make_interval(secs => $2)";
        api.sql.execute(insert, &[&brand, &f64::from(seconds)]).await.expect("inserted");
    }
    let support = api.as_support();
    let found = support.get("/admin/v1/events/a%2Fb").await.expect(200);
    assert_eq!((&found["brandId"], &found["type"]), (&json!("other"), &Value::Null));
    assert_eq!(found["others"][0]["brandId"], "acme");
    support.get("/admin/v1/events/b").await.problem(404);
    other.get("/admin/v1/events/a%2Fb").await.problem(403);
    other.get("/admin/v1/search?q=a").await.problem(403);
    let all = support.get("/admin/v1/search?q=a/b").await.expect(200);
    assert_eq!(all["events"], json!([]), "an event without a row is not listed");
    let all = support.get("/admin/v1/search?q=acm").await.expect(200);
    assert_eq!(all["brands"][0]["brandId"], "acme");
    assert_eq!(all["webhooks"].as_array().map(Vec::len), Some(0));
    let own = other.get("/v1/other/search?q=example").await.expect(200);
    assert_eq!((&own["webhooks"], &own["brands"]), (&json!([]), &json!([])), "not those of another brand");
    for bad in ["", "q=", "q=a&x=1"] {
        support.get(&format!("/admin/v1/search?{bad}")).await.problem(400);
    }
    api.drop_database().await;
}
