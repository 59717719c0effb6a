//! Rejected messages, and support's actions on them (contract §2, §4).

use e2e::PATIENCE;
use e2e::brand::put_type;
use e2e::event::{Event, ids};
use e2e::support::{REJECTED, wait_rejected};
use serde_json::{Value, json};

use crate::Stage;

const LATER: &str = "NOTIFICATION.LATER";

async fn republish(stage: &Stage, body: Value) -> u64 {
    let answer = stage.brand.support.post(&format!("{REJECTED}/republish"), &body).await.expect(202).json();
    answer["republished"].as_u64().unwrap_or_else(|| panic!("no number in {answer}"))
}

/// Returns the listed reasons, sorted.
fn reasons(items: &[Value]) -> Vec<&str> {
    let mut reasons: Vec<_> = items.iter().map(|item| item["reason"].as_str().expect("a reason")).collect();
    reasons.sort_unstable();
    reasons
}

#[tokio::test]
async fn what_was_refused_is_listed_whole_with_its_reason_and_stays() {
    let stage = Stage::set().await;
    let producer = stage.platform.producer().await;
    let unknown = Event::new("acme", LATER).message_id("order-7");
    producer.publish(&unknown).await;
    producer.raw("SOME.KEY", b"not JSON", None).await.expect("a confirm");
    producer.raw("SOME.KEY", b"{\"id\":\"\xff\"}", None).await.expect("a confirm");

    for _ in 0..2 {
        let items = wait_rejected(&stage.brand.support, 3).await;
        assert_eq!(reasons(&items), ["invalid_json", "invalid_json", "unknown_type"]);
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
    stage.platform.rabbit().await.wait_depth("rejected", 3).await;
}

#[tokio::test]
async fn a_message_whose_cause_was_mended_arrives_after_it_is_republished() {
    let stage = Stage::set().await;
    let (endpoint, webhook) = stage.webhook("/hook").await;
    let events: Vec<_> = (0..5).map(|_| Event::new("acme", LATER)).collect();
    stage.platform.producer().await.publish_all(&events).await;
    stage.platform.producer().await.raw("SOME.KEY", b"not JSON", None).await.expect("a confirm");
    wait_rejected(&stage.brand.support, 6).await;

    put_type(&stage.brand.support, LATER, &json!({"description": "Known at last"})).await;
    // The router may learn of the type a moment later, and puts the messages that it still rejects back into
    // the queue.
    assert_eq!(republish(&stage, json!({})).await, 6);
    e2e::poll::eventually("all have arrived", PATIENCE, async || {
        let arrived = endpoint.counts().len();
        if arrived == 5 {
            return Ok(());
        }
        republish(&stage, json!({})).await;
        Err(arrived.to_string())
    })
    .await;

    stage.brand.wait_listed(&webhook, "status=delivered", &ids(&events), PATIENCE).await;
    let rest = wait_rejected(&stage.brand.support, 1).await;
    assert_eq!(reasons(&rest), ["invalid_json"], "invalid messages are rejected again");
    assert_eq!(rest[0]["body"], "not JSON");
    assert_eq!(endpoint.requests().len(), 5);
}

#[tokio::test]
async fn as_many_are_republished_as_asked_and_all_can_be_deleted() {
    let stage = Stage::set().await;
    let producer = stage.platform.producer().await;
    for n in 0..7 {
        producer.raw("SOME.KEY", format!("no JSON: {n}").as_bytes(), None).await.expect("a confirm");
    }
    wait_rejected(&stage.brand.support, 7).await;
    assert_eq!(republish(&stage, json!({"limit": 3})).await, 3);
    let items = wait_rejected(&stage.brand.support, 7).await;
    let mut bodies: Vec<_> = items.iter().map(|item| item["body"].to_string()).collect();
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 7, "all are back");
    let page = stage.brand.support.get(&format!("{REJECTED}?limit=2")).await.expect(200).json();
    assert_eq!((page["items"].as_array().map(Vec::len), &page["total"]), (Some(2), &json!(7)), "{page}");

    let republish_path = format!("{REJECTED}/republish");
    for (body, pointer) in [(json!({"limit": 0}), "/limit"), (json!({"most": 1}), "/most")] {
        let refused = stage.brand.support.post(&republish_path, &body).await;
        assert_eq!(refused.pointers(), [pointer], "{body}");
    }
    let _ = stage.brand.api.post(&republish_path, &json!({})).await.problem(403);
    let _ = stage.brand.api.delete(REJECTED).await.problem(403);

    let _ = stage.brand.support.delete(REJECTED).await.expect(204);
    assert_eq!(wait_rejected(&stage.brand.support, 0).await, [] as [Value; 0]);
    assert_eq!(republish(&stage, json!({})).await, 0);
}
