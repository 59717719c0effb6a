//! Rejected messages, and support's actions on them (contract §2, §4).

use e2e::WAIT_TIMEOUT;
use e2e::brand::put_type;
use e2e::event::{Event, ids};
use e2e::support::{REJECTED, wait_rejected};
use serde_json::{Value, json};

use crate::Stage;

const LATER: &str = "NOTIFICATION.LATER";

async fn republish_rejected(stage: &Stage, body: Value) -> u64 {
    let answer =
        stage.brand.support.post(&format!("{REJECTED}/republish"), &body).await.expect_status(202).json();
    answer["republished"].as_u64().unwrap_or_else(|| panic!("no number in {answer}"))
}

/// Returns the listed reasons, sorted.
fn listed_reasons(items: &[Value]) -> Vec<&str> {
    let mut reasons: Vec<_> = items.iter().map(|item| item["reason"].as_str().expect("a reason")).collect();
    reasons.sort_unstable();
    reasons
}

#[tokio::test]
async fn rejected_messages_are_listed_whole_with_a_reason_and_stay() {
    let stage = Stage::new().await;
    let producer = stage.platform.producer().await;
    let unknown = Event::new("acme", LATER).message_id("order-7");
    producer.publish(&unknown).await;
    producer.publish_raw("SOME.KEY", b"not JSON", None).await.expect("a confirm");
    producer.publish_raw("SOME.KEY", b"{\"id\":\"\xff\"}", None).await.expect("a confirm");

    for _ in 0..2 {
        let items = wait_rejected(&stage.brand.support, 3).await;
        assert_eq!(listed_reasons(&items), ["invalid_json", "invalid_json", "unknown_type"]);
        let named = items.iter().find(|item| item["reason"] == "unknown_type").expect("it is there");
        assert_eq!(named["messageId"], "order-7", "{named}");
        assert_eq!(named["body"], unknown.body(), "{named}");
        assert_eq!(named["bytes"], unknown.body().len(), "{named}");
        assert!(named["detail"].as_str().is_some_and(|detail| detail.contains(LATER)), "{named}");
        let bytes = items.iter().find(|item| item["bytes"] == 10).expect("the message that is not text");
        assert_eq!((&bytes["bodyEncoding"], &bytes["body"]), (&json!("base64"), &json!("eyJpZCI6Iv8ifQ==")));
        assert_ne!(named["bodyEncoding"], bytes["bodyEncoding"]);
    }
    // Listing removes nothing. The broker counts the returned messages a moment later.
    stage.platform.rabbit().await.wait_queue_depth("rejected", 3).await;
}

#[tokio::test]
async fn a_republished_message_arrives_once_its_cause_is_fixed() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let events: Vec<_> = (0..5).map(|_| Event::new("acme", LATER)).collect();
    stage.platform.producer().await.publish_all(&events).await;
    stage.platform.producer().await.publish_raw("SOME.KEY", b"not JSON", None).await.expect("a confirm");
    wait_rejected(&stage.brand.support, 6).await;

    put_type(&stage.brand.support, LATER, &json!({"description": "Known at last"})).await;
    // The router may learn of the type a moment later, and puts the messages that it still rejects back into
    // the queue.
    assert_eq!(republish_rejected(&stage, json!({})).await, 6);
    e2e::poll::eventually("all have arrived", WAIT_TIMEOUT, async || {
        let arrived = endpoint.count_by_event().len();
        if arrived == 5 {
            return Ok(());
        }
        republish_rejected(&stage, json!({})).await;
        Err(arrived.to_string())
    })
    .await;

    stage.brand.wait_listed(&webhook, "status=delivered", &ids(&events), WAIT_TIMEOUT).await;
    let rest = wait_rejected(&stage.brand.support, 1).await;
    assert_eq!(listed_reasons(&rest), ["invalid_json"], "invalid messages are rejected again");
    assert_eq!(rest[0]["body"], "not JSON");
    assert_eq!(endpoint.requests().len(), 5);
}

#[tokio::test]
async fn republishing_respects_its_limit_and_all_can_be_deleted() {
    let stage = Stage::new().await;
    let producer = stage.platform.producer().await;
    for n in 0..7 {
        producer.publish_raw("SOME.KEY", format!("no JSON: {n}").as_bytes(), None).await.expect("a confirm");
    }
    wait_rejected(&stage.brand.support, 7).await;
    assert_eq!(republish_rejected(&stage, json!({"limit": 3})).await, 3);
    let items = wait_rejected(&stage.brand.support, 7).await;
    let mut bodies: Vec<_> = items.iter().map(|item| item["body"].to_string()).collect();
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 7, "all are back");
    let page = stage.brand.support.get(&format!("{REJECTED}?limit=2")).await.expect_status(200).json();
    assert_eq!((page["items"].as_array().map(Vec::len), &page["total"]), (Some(2), &json!(7)), "{page}");

    let republish_path = format!("{REJECTED}/republish");
    for (body, pointer) in [(json!({"limit": 0}), "/limit"), (json!({"most": 1}), "/most")] {
        let refused = stage.brand.support.post(&republish_path, &body).await;
        assert_eq!(refused.error_pointers(), [pointer], "{body}");
    }
    let _ = stage.brand.api.post(&republish_path, &json!({})).await.expect_problem(403);
    let _ = stage.brand.api.delete(REJECTED).await.expect_problem(403);

    let _ = stage.brand.support.delete(REJECTED).await.expect_status(204);
    assert_eq!(wait_rejected(&stage.brand.support, 0).await, [] as [Value; 0]);
    assert_eq!(republish_rejected(&stage, json!({})).await, 0);
}
