//! Get Events lists every event of a webhook, page by page (contract §4).

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::WAIT_TIMEOUT;
use e2e::brand::{Webhook, put_type};
use e2e::event::{Event, SMS, ids, time_ago};
use e2e::platform::Platform;
use e2e::script::Reply;
use serde_json::{Value, json};

use crate::Stage;

const HOUR: Duration = Duration::from_secs(3600);
const OTHER: &str = "NOTIFICATION.MAIL";

/// Publishes twenty-five events and waits until all are delivered. The `n`th is 100 + `n` hours old, and
/// every fifth has another type. They are published out of order; the returned list ends with the oldest.
async fn publish_history(stage: &Stage) -> (Webhook, Vec<Event>) {
    put_type(&stage.brand.support, OTHER, &json!({"description": "A mail"})).await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    let event = |n: u32| {
        let event_type = if n.is_multiple_of(5) { OTHER } else { SMS };
        Event::new("acme", event_type).created(&time_ago(100 * HOUR + n * HOUR))
    };
    let events: Vec<_> = (0..25).map(event).collect();
    let (even, odd): (Vec<_>, Vec<_>) = events.iter().cloned().enumerate().partition(|(n, _)| n % 2 == 0);
    let shuffled: Vec<_> = odd.into_iter().chain(even).map(|(_, event)| event).collect();
    stage.platform.producer().await.publish_all(&shuffled).await;
    stage.brand.wait_listed(&webhook, "status=delivered", &ids(&events), WAIT_TIMEOUT).await;
    (webhook, events)
}

fn item_ids(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["id"].as_str().expect("an id")).collect()
}

#[tokio::test]
async fn events_are_listed_oldest_first_page_by_page_in_either_order() {
    let stage = Stage::new().await;
    let (webhook, events) = publish_history(&stage).await;
    let newest_first: Vec<_> = events.iter().map(Event::id).collect();
    let oldest_first: Vec<_> = newest_first.iter().rev().copied().collect();
    let path = stage.brand.webhooks_path(&format!("/{}/events", webhook.id));

    for limit in [1, 7, 25, 1000] {
        assert_eq!(item_ids(&stage.brand.api.list(&path, limit).await), oldest_first, "pages of {limit}");
        let descending = format!("{path}?order=desc");
        assert_eq!(
            item_ids(&stage.brand.api.list(&descending, limit).await),
            newest_first,
            "pages of {limit}"
        );
    }
    let default = stage.brand.api.get(&path).await.expect_status(200).json();
    assert_eq!(item_ids(default["items"].as_array().expect("items")), oldest_first);
    assert_eq!(default["nextCursor"], json!(null));
}

#[tokio::test]
async fn a_listing_is_narrowed_by_time_type_and_status() {
    let stage = Stage::new().await;
    let (webhook, events) = publish_history(&stage).await;
    let created = |n: usize| events[n].created.clone().expect("a time");
    let listed = async |query: &str| {
        let items = stage.brand.list_events(&webhook, query).await;
        items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect::<BTreeSet<_>>()
    };

    // `from` is inclusive, `to` is exclusive.
    assert_eq!(listed(&format!("from={}&to={}", created(20), created(10))).await, ids(&events[11..=20]));
    assert_eq!(listed(&format!("from={}", created(3))).await, ids(&events[..=3]));
    assert_eq!(listed(&format!("to={}", created(3))).await, ids(&events[4..]));
    let (mails, rest): (Vec<_>, Vec<_>) = events.iter().partition(|event| event.event_type == OTHER);
    assert_eq!(listed(&format!("type={OTHER}")).await, ids(mails));
    assert_eq!(listed("type=NOTIFICATION.SMS").await, ids(rest));
    assert_eq!(listed("type=NOTIFICATION").await, ids(&events));
    assert_eq!(listed("type=*").await, ids(&events));
    assert_eq!(listed("status=delivered").await, ids(&events));
    assert_eq!(listed("status=failed").await, BTreeSet::new());
    let both = format!("from={}&type=NOTIFICATION.SMS&status=delivered", created(5));
    assert_eq!(listed(&both).await, ids(events[..=5].iter().filter(|event| event.event_type == SMS)));
}

#[tokio::test]
async fn an_item_has_the_envelope_and_its_delivery() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    endpoint.always(Reply::status(201));
    let created = time_ago(HOUR);
    let event = Event::sms("acme").created(&created).data(r#"{"b":1.10,"a":2}"#);
    stage.publish_event(&event).await;
    let item = stage.brand.wait_delivery_status(&webhook, event.id(), "delivered").await;

    let keys: BTreeSet<_> = item.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(keys, BTreeSet::from(["id", "brandId", "webhookId", "created", "type", "data", "delivery"]));
    assert_eq!(item["id"], event.id());
    assert_eq!(item["brandId"], "acme");
    assert_eq!(item["webhookId"], webhook.id);
    assert_eq!(item["created"], created);
    assert_eq!(item["type"], SMS);
    let delivery = item["delivery"].as_object().expect("an object");
    let keys: BTreeSet<_> = delivery.keys().map(String::as_str).collect();
    assert_eq!(keys, BTreeSet::from(["status", "attempts", "lastAttemptAt", "nextAttemptAt", "lastError"]));
    assert_eq!(stage.brand.list_events(&webhook, "").await, [item], "the list shows the same");

    let attempts = stage.brand.list_attempts(&webhook, event.id()).await;
    let keys: BTreeSet<_> = attempts[0].as_object().expect("an object").keys().map(String::as_str).collect();
    let wanted =
        ["attemptId", "startedAt", "durationMs", "outcome", "statusCode", "error", "responseBody", "trigger"];
    assert_eq!(keys, BTreeSet::from(wanted));
}

#[tokio::test]
async fn every_status_can_be_filtered() {
    let stage =
        Stage::with_builder(Platform::builder().retries("10m").set("POSTRIDER_RETRY_WINDOW", "1h")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let replies = [
        Reply::ok(),
        Reply::status(500),
        Reply::status(429).header("retry-after", "7200"),
        Reply::status(410),
    ];
    endpoint.answer(replies);
    let events = Event::sms_batch("acme", 4);
    for (event, first) in events.iter().zip(["delivered", "pending", "failed", "failed"]) {
        stage.publish_event(event).await;
        stage.brand.wait_delivery_status(&webhook, event.id(), first).await;
        if first == "pending" {
            stage.brand.wait_attempts(&webhook, event.id(), 1).await;
            let query = "status=pending";
            stage.brand.wait_listed(&webhook, query, &ids([event]), WAIT_TIMEOUT).await;
        }
    }

    for (status, wanted) in [("delivered", &[0][..]), ("failed", &[2, 3]), ("held", &[1]), ("pending", &[])] {
        let wanted = ids(wanted.iter().map(|n| &events[*n]));
        stage.brand.wait_listed(&webhook, &format!("status={status}"), &wanted, WAIT_TIMEOUT).await;
    }
    stage.brand.wait_listed(&webhook, "", &ids(&events), WAIT_TIMEOUT).await;
}

#[tokio::test]
async fn a_cursor_is_stable_while_new_events_arrive() {
    let stage = Stage::new().await;
    let (webhook, events) = publish_history(&stage).await;
    let path = stage.brand.webhooks_path(&format!("/{}/events?order=desc&limit=10", webhook.id));
    let first = stage.brand.api.get(&path).await.expect_status(200).json();
    let cursor = first["nextCursor"].as_str().expect("a next page").to_owned();

    let newer = Event::sms("acme");
    stage.publish_event(&newer).await;
    stage.brand.wait_delivery_status(&webhook, newer.id(), "delivered").await;

    let second = stage.brand.api.get(&format!("{path}&cursor={cursor}")).await.expect_status(200).json();
    let wanted: Vec<_> = events[10..20].iter().map(Event::id).collect();
    assert_eq!(item_ids(second["items"].as_array().expect("items")), wanted);
}

#[tokio::test]
async fn an_invalid_query_is_a_400_and_a_missing_resource_a_404() {
    let stage = Stage::new().await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    let path = stage.brand.webhooks_path(&format!("/{}/events", webhook.id));
    let bad = [
        "limit=0",
        "limit=1001",
        "limit=x",
        "cursor=nonsense",
        "order=up",
        "status=odd",
        "from=yesterday",
        "to=1",
    ];
    for query in bad {
        let _ = stage.brand.api.get(&format!("{path}?{query}")).await.expect_problem(400);
    }
    let nobody = Event::sms("acme");
    let _ = stage.brand.api.get(&format!("{path}/{}", nobody.id())).await.expect_problem(404);
    let _ = stage.brand.api.get(&format!("{path}/{}/attempts", nobody.id())).await.expect_problem(404);
    let unknown = stage.brand.webhooks_path(&format!("/{}/events", uuid::Uuid::new_v4()));
    let _ = stage.brand.api.get(&unknown).await.expect_problem(404);
}
