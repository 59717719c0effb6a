//! "Where is my event?" has the right answer in each case (contract §4).

use std::collections::BTreeSet;

use e2e::WAIT_TIMEOUT;
use e2e::api::Api;
use e2e::brand::{Brand, Webhook, put_type};
use e2e::event::{Event, SMS};
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::script::Reply;
use serde_json::{Value, json};

use crate::Stage;

/// A type that is in the catalogue and not enabled for any brand.
const OTHER: &str = "ORDER.PAID";

async fn look_up(brand: &Brand, id: &str) -> Value {
    brand.api.get(&format!("/v1/{}/events/{id}", brand.id)).await.expect_status(200).json()
}

/// Waits until an event is found, and returns the answer.
async fn wait_found(brand: &Brand, id: &str) -> Value {
    eventually(&format!("event {id} is found"), WAIT_TIMEOUT, async || {
        let answer = brand.api.get(&format!("/v1/{}/events/{id}", brand.id)).await;
        if answer.status == 404 { Err(answer.text) } else { Ok(answer.expect_status(200).json()) }
    })
    .await
}

/// Returns what became of an event at a webhook.
fn at_webhook<'a>(lookup: &'a Value, webhook: &Webhook) -> &'a Value {
    find_webhook(lookup, webhook).unwrap_or_else(|| panic!("webhook {} is not in {lookup}", webhook.id))
}

/// Returns the same; `None` if the webhook is not in the answer, as for an event that was rejected.
fn find_webhook<'a>(lookup: &'a Value, webhook: &Webhook) -> Option<&'a Value> {
    lookup["webhooks"].as_array()?.iter().find(|other| other["webhookId"] == webhook.id.as_str())
}

/// Waits until an event has this result at a webhook with this part of a reason, and returns the webhook's answer.
async fn wait_result(brand: &Brand, id: &str, webhook: &Webhook, result: &str, reason: &str) -> Value {
    wait_found(brand, id).await;
    eventually(&format!("event {id} is {result}: {reason}"), WAIT_TIMEOUT, async || {
        let lookup = look_up(brand, id).await;
        let has_reason = |found: &&Value| {
            found["result"] == result && found["detail"].as_str().unwrap_or_default().contains(reason)
        };
        find_webhook(&lookup, webhook).filter(has_reason).cloned().ok_or_else(|| lookup.to_string())
    })
    .await
}

async fn list_ids(api: &Api, path: &str) -> Vec<String> {
    let items = api.list(path, 2).await;
    items.iter().map(|event| event["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn each_end_of_a_delivery_has_its_reason() {
    let builder =
        Platform::builder().one_attempt().without_health_rule().set("POSTRIDER_REQUEST_TIMEOUT", "5s");
    let stage = Stage::with_builder(builder).await;
    let (_, good) = stage.create_webhook("/good").await;
    let (bad_endpoint, bad) = stage.create_webhook("/bad").await;
    bad_endpoint.always(Reply::status(500));
    let (_, disabled) = stage.create_webhook("/disabled").await;
    e2e::support::disable_webhook(&stage.brand.support, &disabled, "a test").await;
    let hanging_endpoint = stage.receiver.endpoint("/hanging");
    hanging_endpoint.always(Reply::Hang);
    let description =
        json!({"endpoint": hanging_endpoint.url(), "events": ["NOTIFICATION"], "maxConcurrency": 1});
    let hanging = stage.brand.create_webhook_with(&description).await;

    stage.publish_many(7).await;
    hanging_endpoint.wait_for_requests(1).await;
    // The first ones arrive in any order; this one is behind them.
    let event = stage.publish_many(1).await.remove(0);
    let last = event.id();

    let delivered = wait_result(&stage.brand, last, &good, "delivered", "after 1 attempt.").await;
    assert_eq!(delivered["delivery"]["status"], "delivered");
    let failed = wait_result(&stage.brand, last, &bad, "failed", "500").await;
    assert_eq!(failed["since"], Value::Null);
    let held = wait_result(&stage.brand, last, &disabled, "held", "support disabled the webhook").await;
    assert_eq!((&held["status"], &held["delivery"]["status"]), (&json!("disabled"), &json!("held")));

    let queued = wait_result(&stage.brand, last, &hanging, "queued", "the endpoint does not answer").await;
    assert!(queued["ahead"].as_i64().is_some_and(|ahead| ahead > 0), "{queued}");
    let lookup = look_up(&stage.brand, last).await;
    assert_eq!(queued["since"], lookup["received"], "queued since it was received");
    assert_eq!((&lookup["disposition"], &lookup["detail"]), (&json!("routed"), &Value::Null));
    assert_eq!(lookup["data"]["locale"], "en-US");
    assert_eq!(lookup["webhooks"].as_array().map(Vec::len), Some(4));

    stage.brand.patch_webhook(&hanging, &json!({"enabled": false})).await;
    wait_result(&stage.brand, last, &hanging, "discarded", "paused or deleted the webhook").await;
    stage.brand.delete_webhook(&good).await;
    let of_brand = look_up(&stage.brand, last).await;
    assert_eq!(
        of_brand["webhooks"].as_array().map(Vec::len),
        Some(3),
        "a deleted webhook is gone for the brand"
    );
    let path = format!("/admin/v1/events/{last}");
    let of_support = stage.brand.support.get(&path).await.expect_status(200).json();
    let deleted = at_webhook(&of_support, &good);
    assert_eq!((&deleted["status"], &deleted["result"]), (&json!("deleted"), &json!("delivered")));
}

#[tokio::test]
async fn each_missing_delivery_has_its_reason_also_after_the_webhook_changed() {
    let stage = Stage::with_builder(Platform::builder().retries("10m")).await;
    let early = Event::sms("acme").key("order 1");
    stage.publish_event(&early).await;
    let none = wait_found(&stage.brand, early.id()).await;
    assert_eq!((&none["disposition"], &none["data"]), (&json!("no_webhook"), &Value::Null));
    assert!(none["detail"].as_str().expect("a reason").contains(SMS), "{none}");

    put_type(&stage.platform.support(), OTHER, &json!({"description": "A test type"})).await;
    let (failing_endpoint, failing) = stage.create_webhook("/failing").await;
    failing_endpoint.always(Reply::status(503));
    let (_, paused) = stage.create_webhook("/paused").await;
    stage.brand.patch_webhook(&paused, &json!({"enabled": false})).await;
    stage.brand.enable_type(OTHER).await;
    let other_endpoint = stage.receiver.endpoint("/other");
    let other = stage.brand.create_webhook(other_endpoint.url(), &[OTHER]).await;
    let event = Event::sms("acme");
    stage.publish_event(&event).await;

    let retrying = wait_result(&stage.brand, event.id(), &failing, "retrying", "503").await;
    assert!(retrying["nextAttemptAt"].is_string() && retrying["since"].is_null(), "{retrying}");
    wait_result(&stage.brand, event.id(), &paused, "paused", "was paused when the event was routed").await;
    wait_result(&stage.brand, event.id(), &other, "not_subscribed", "not to NOTIFICATION.SMS.RECEIPT").await;
    for webhook in [&failing, &paused, &other] {
        let found = wait_result(&stage.brand, early.id(), webhook, "created_later", "after the event").await;
        assert!(found["delivery"].is_null());
    }

    // Later changes of the webhooks do not change the results.
    stage.brand.patch_webhook(&paused, &json!({"enabled": true})).await;
    stage.brand.patch_webhook(&other, &json!({"events": ["*"]})).await;
    wait_result(&stage.brand, event.id(), &paused, "paused", "It is active now").await;
    wait_result(&stage.brand, event.id(), &other, "not_subscribed", "It subscribes to it now").await;
    let lookup = look_up(&stage.brand, early.id()).await;
    assert_eq!(lookup["key"], "order 1");
}

#[tokio::test]
async fn events_that_were_dropped_or_rejected_have_their_reason_and_may_be_published_again() {
    let stage = Stage::new().await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    put_type(&stage.platform.support(), OTHER, &json!({"description": "A test type"})).await;
    let dropped = Event::new("acme", OTHER).key("order 2");
    let unknown_type = Event::new("acme", "NO.SUCH.TYPE");
    let too_old = Event::sms("acme").created("2020-01-01T00:00:00Z");
    let long_key = Event::sms("acme").key(&"k".repeat(129));
    for event in [&dropped, &unknown_type, &too_old, &long_key] {
        stage.publish_event(event).await;
    }

    let found = wait_found(&stage.brand, dropped.id()).await;
    assert_eq!((&found["disposition"], &found["key"]), (&json!("not_enabled"), &json!("order 2")));
    assert!(found["detail"].as_str().expect("a reason").contains(OTHER), "{found}");
    assert_eq!(found["webhooks"], json!([]));
    for (event, reason) in
        [(&unknown_type, "unknown_type"), (&too_old, "created_out_of_range"), (&long_key, "invalid_key")]
    {
        let found = wait_found(&stage.brand, event.id()).await;
        assert_eq!((&found["disposition"], &found["reason"]), (&json!("rejected"), &json!(reason)));
        assert!(found["detail"].as_str().expect("a reason").contains(reason), "{found}");
        assert_eq!((&found["data"], &found["duplicates"]), (&Value::Null, &json!(0)));
    }

    // The identity is not taken, so that the corrected event is routed.
    let corrected = Event { created: None, ..too_old.clone() };
    stage.publish_event(&corrected).await;
    wait_result(&stage.brand, corrected.id(), &webhook, "delivered", "").await;
    let listed = list_ids(&stage.brand.api, "/v1/acme/events").await;
    assert_eq!(listed.iter().filter(|id| *id == corrected.id()).count(), 1, "{listed:?}");
    stage.publish_event(&unknown_type).await;
    eventually("the repeated rejection is counted", WAIT_TIMEOUT, async || {
        let lookup = look_up(&stage.brand, unknown_type.id()).await;
        if lookup["duplicates"] == 1 { Ok(()) } else { Err(lookup.to_string()) }
    })
    .await;
    for (query, expected) in [
        ("disposition=not_enabled", BTreeSet::from([dropped.id()])),
        ("disposition=rejected", BTreeSet::from([unknown_type.id(), long_key.id()])),
        ("disposition=routed", BTreeSet::from([corrected.id()])),
        ("type=ORDER", BTreeSet::from([dropped.id()])),
    ] {
        let listed = list_ids(&stage.brand.api, &format!("/v1/acme/events?{query}")).await;
        assert_eq!(listed.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected, "{query}");
    }
}

#[tokio::test]
async fn events_are_found_by_message_id_and_key_and_only_by_their_brand() {
    let stage = Stage::new().await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    let other = stage.platform.create_brand("other").await;
    let event = Event::sms("acme").message_id("invoice-7").key("order 4711");
    stage.publish_event(&event).await;
    let found = wait_found(&stage.brand, "invoice-7").await;
    let id = found["id"].as_str().expect("an id");
    wait_result(&stage.brand, id, &webhook, "delivered", "").await;
    let of_support = stage.brand.support.get("/admin/v1/events/invoice-7").await.expect_status(200).json();
    assert_eq!((&of_support["id"], &of_support["brandId"]), (&found["id"], &json!("acme")));
    assert_eq!(of_support["others"], json!([]));

    // The key is not sent to endpoints.
    let request = stage.receiver.endpoint("/hook").wait_for_requests(1).await.remove(0);
    assert!(!String::from_utf8_lossy(&request.body).contains("4711"));

    stage.publish_event(&event).await;
    stage.publish_event(&event).await;
    eventually("the duplicates are counted", WAIT_TIMEOUT, async || {
        let lookup = look_up(&stage.brand, "invoice-7").await;
        if lookup["duplicates"] == 2 { Ok(()) } else { Err(lookup.to_string()) }
    })
    .await;

    let _ = other.api.get(&format!("/v1/other/events/{id}")).await.expect_problem(404);
    let _ = other.api.get("/v1/other/events/invoice-7").await.expect_problem(404);
    let _ = other.api.get(&format!("/v1/acme/events/{id}")).await.expect_problem(404);
    let _ = stage.brand.support.get("/admin/v1/events/nothing").await.expect_problem(404);
    let of_other = Event { brand_id: "other".to_owned(), ..event.clone() };
    stage.publish_event(&of_other).await;
    wait_found(&other, "invoice-7").await;
    let of_support = stage.brand.support.get("/admin/v1/events/invoice-7").await.expect_status(200).json();
    assert_eq!(of_support["brandId"], "other", "the newest");
    assert_eq!(of_support["others"], json!([{"brandId": "acme", "id": id}]));

    check_search(&stage.brand, id, &webhook).await;
}

/// Searches for an event with the key `order 4711` and the `message_id` `invoice-7`.
async fn check_search(brand: &Brand, id: &str, webhook: &Webhook) {
    for (text, of_all) in [("order%204711", 2), ("invoice-7", 2), (id, 1)] {
        let found = brand.api.get(&format!("/v1/acme/search?q={text}")).await.expect_status(200).json();
        let events = found["events"].as_array().expect("events");
        assert_eq!(events.iter().map(|event| &event["id"]).collect::<Vec<_>>(), [id], "{found}");
        let found = brand.support.get(&format!("/admin/v1/search?q={text}")).await.expect_status(200).json();
        assert_eq!(found["events"].as_array().map(Vec::len), Some(of_all), "{text}: {found}");
        assert!(found["events"][0]["brandId"].is_string(), "{found}");
    }
    let search = async |text: &str| {
        brand.support.get(&format!("/admin/v1/search?q={text}")).await.expect_status(200).json()
    };
    assert_eq!(search("ACME").await["brands"][0]["brandId"], "acme");
    assert_eq!(search(&webhook.id).await["webhooks"][0]["id"], webhook.id.as_str());
    assert_eq!(search("hook").await["webhooks"][0]["brandId"], "acme");
    assert_eq!(search("sms.receipt").await["eventTypes"][0]["type"], SMS);
    let key = brand.api.get("/v1/acme/events?key=order%204711").await.expect_status(200).json();
    assert_eq!(key["items"][0]["id"], id);
}

#[tokio::test]
async fn the_list_of_a_brand_is_stable_while_events_arrive() {
    let stage = Stage::new().await;
    let events = stage.publish_many(9).await;
    for event in &events {
        wait_found(&stage.brand, event.id()).await;
    }
    let first = stage.brand.api.get("/v1/acme/events?limit=4").await.expect_status(200).json();
    let mut listed: Vec<String> = Vec::new();
    let collect = |page: &Value, listed: &mut Vec<String>| {
        let items = page["items"].as_array().expect("items");
        listed.extend(items.iter().map(|event| event["id"].as_str().expect("an id").to_owned()));
    };
    collect(&first, &mut listed);
    // The clock of a router may be ahead of the database's until it asks for the time again.
    let database = e2e::database::connect(&stage.platform.database_url()).await.expect("the database");
    let is_past = "SELECT max(received) < now() FROM events";
    while !database.query_one(is_past, &[]).await.expect("compared").get::<_, bool>(0) {}
    let newer = stage.publish_many(3).await;
    for event in &newer {
        wait_found(&stage.brand, event.id()).await;
    }
    let mut cursor = first["nextCursor"].as_str().expect("more").to_owned();
    loop {
        let page = stage.brand.api.get(&format!("/v1/acme/events?limit=4&cursor={cursor}")).await;
        let page = page.expect_status(200).json();
        collect(&page, &mut listed);
        match page["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    let unique: BTreeSet<&str> = listed.iter().map(String::as_str).collect();
    assert_eq!(unique, events.iter().map(Event::id).collect(), "each event once, and none that came later");
    assert_eq!(listed.len(), events.len());
    let all = list_ids(&stage.brand.api, "/v1/acme/events").await;
    assert_eq!(all.len(), 12);
}

#[tokio::test]
async fn an_event_over_http_may_have_a_key() {
    let stage = Stage::new().await;
    let event = json!({"type": SMS, "key": "order \"5\"", "data": {"phoneNumber": "1", "message": "x"}});
    let answer = stage.brand.api.post("/v1/acme/events", &event).await.expect_status(202).json();
    let id = answer["ids"][0].as_str().expect("an id");
    assert_eq!(wait_found(&stage.brand, id).await["key"], "order \"5\"");
    for key in [json!("k".repeat(129)), json!(7)] {
        let mut bad = event.clone();
        bad["key"] = key;
        assert_eq!(stage.brand.api.post("/v1/acme/events", &bad).await.error_pointers(), ["/key"]);
    }
}
