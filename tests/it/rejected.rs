//! Rejected messages, and support's actions on them (contract §2, §4).

use e2e::WAIT_TIMEOUT;
use e2e::brand::put_type;
use e2e::event::{Event, ids};
use e2e::support::{REJECTED, delete_rejected, republish_rejected, run_rejected_job, wait_rejected};
use http::Method;
use serde_json::{Value, json};

use crate::Stage;

const LATER: &str = "NOTIFICATION.LATER";

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
    assert_eq!(republish_rejected(&stage.brand.support, json!({})).await, 6);
    e2e::poll::eventually("all have arrived", WAIT_TIMEOUT, async || {
        let arrived = endpoint.count_by_event().len();
        if arrived == 5 {
            return Ok(());
        }
        republish_rejected(&stage.brand.support, json!({})).await;
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
    assert_eq!(republish_rejected(&stage.brand.support, json!({"limit": 3})).await, 3);
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

    assert_eq!(delete_rejected(&stage.brand.support, "").await, 7);
    assert_eq!(wait_rejected(&stage.brand.support, 0).await, [] as [Value; 0]);
    assert_eq!(republish_rejected(&stage.brand.support, json!({})).await, 0);
}

async fn read_summary(stage: &Stage) -> Value {
    stage.brand.support.get(&format!("{REJECTED}/summary")).await.expect_status(200).json()
}

/// Publishes `per_brand` events of an unknown type for two brands, and the same number of messages without a brand.
async fn reject_of_brands(stage: &Stage, per_brand: usize) {
    let producer = stage.platform.producer().await;
    e2e::brand::Brand::create(&stage.brand.support, "other", &[]).await;
    for brand in ["acme", "other"] {
        let events: Vec<_> = (0..per_brand).map(|_| Event::new(brand, LATER)).collect();
        producer.publish_all(&events).await;
    }
    for n in 0..per_brand {
        producer.publish_raw("SOME.KEY", format!("no JSON: {n}").as_bytes(), None).await.expect("a confirm");
    }
    wait_rejected(&stage.brand.support, 3 * per_brand).await;
}

#[tokio::test]
async fn rejected_messages_are_counted_listed_and_deleted_by_brand_and_reason() {
    let stage = Stage::new().await;
    let support = &stage.brand.support;
    reject_of_brands(&stage, 4).await;
    let summary = read_summary(&stage).await;
    let groups: Vec<_> = summary["items"]
        .as_array()
        .expect("groups")
        .iter()
        .map(|group| ["brandId", "reason", "type", "messages"].map(|member| group[member].clone()))
        .collect();
    let expected = [
        [json!(null), json!("invalid_json"), json!(null), json!(4)],
        [json!("acme"), json!("unknown_type"), json!(LATER), json!(4)],
        [json!("other"), json!("unknown_type"), json!(LATER), json!(4)],
    ];
    assert_eq!(groups, expected, "{summary}");
    for group in summary["items"].as_array().expect("groups") {
        let [first, last] = ["first", "last"].map(|member| group[member].as_str().expect("a time"));
        assert!(first <= last && last.len() == 24, "{group}");
    }
    assert_eq!((&summary["total"], &summary["complete"]), (&json!(12), &json!(true)), "{summary}");

    let list =
        async |query: &str| support.get(&format!("{REJECTED}?{query}")).await.expect_status(200).json();
    let of_acme = list("brandId=acme").await;
    let items = of_acme["items"].as_array().expect("items");
    assert!(items.len() == 4 && items.iter().all(|item| item["brandId"] == "acme"), "{of_acme}");
    assert_eq!((&of_acme["total"], &of_acme["complete"]), (&json!(12), &json!(true)));
    let both = list("brandId=acme&reason=invalid_json").await;
    assert_eq!(both["items"], json!([]), "{both}");
    for query in ["brandId=no%20brand", "reason=Not-a-reason", "brand=acme"] {
        let _ = support.get(&format!("{REJECTED}?{query}")).await.expect_problem(400);
    }

    assert_eq!(delete_rejected(support, &format!("brandId=acme&type={LATER}.OTHER")).await, 0);
    assert_eq!(delete_rejected(support, &format!("brandId=acme&type={LATER}")).await, 4);
    assert_eq!(delete_rejected(support, "reason=invalid_json").await, 4);
    let rest = wait_rejected(support, 4).await;
    assert!(rest.iter().all(|item| item["brandId"] == "other"), "the others return unharmed: {rest:?}");
    assert_eq!(listed_reasons(&rest), ["unknown_type"; 4]);
}

#[tokio::test]
async fn republishing_by_brand_leaves_the_messages_of_others() {
    let stage = Stage::new().await;
    let support = &stage.brand.support;
    let (endpoint, _webhook) = stage.create_webhook("/hook").await;
    reject_of_brands(&stage, 3).await;
    put_type(support, LATER, &json!({"description": "Known at last"})).await;
    e2e::poll::eventually("the events of the brand arrive", WAIT_TIMEOUT, async || {
        let body = json!({"brandId": "acme", "reason": "unknown_type"});
        republish_rejected(&stage.brand.support, body).await;
        let arrived = endpoint.count_by_event().len();
        if arrived == 3 { Ok(()) } else { Err(arrived.to_string()) }
    })
    .await;
    let rest = wait_rejected(support, 6).await;
    assert!(rest.iter().all(|item| item["brandId"] != "acme"), "{rest:?}");
    let entries = e2e::support::list_audit(support).await;
    let actions: Vec<_> = entries.iter().filter_map(|entry| entry["action"].as_str()).collect();
    assert!(actions.contains(&"rejected.republish"), "{actions:?}");
    let entry = entries.iter().find(|entry| entry["action"] == "rejected.republish").expect("an entry");
    assert_eq!((&entry["brandId"], &entry["after"]["reason"]), (&json!("acme"), &json!("unknown_type")));
    assert_eq!(
        (&entry["outcome"], &entry["after"]["state"]),
        (&json!("done"), &json!("finished")),
        "{entry}"
    );
    let refused =
        support.post(&format!("{REJECTED}/republish"), &json!({"brandId": "a b", "reason": 1})).await;
    assert_eq!(refused.error_pointers(), ["/brandId", "/reason"]);
}

#[tokio::test]
async fn a_job_is_narrowed_wherever_its_filter_is_given() {
    let stage = Stage::new().await;
    let support = &stage.brand.support;
    reject_of_brands(&stage, 2).await;
    let republish = format!("{REJECTED}/republish");
    let run = async |method: Method, path: &str, body: Option<Value>| {
        let job = run_rejected_job(support, method, path, body).await;
        assert_eq!(job["state"], "finished", "{job}");
        job["done"].clone()
    };
    assert_eq!(run(Method::POST, &format!("{republish}?brandId=acme"), None).await, 2);
    wait_rejected(support, 6).await;
    assert_eq!(run(Method::POST, &format!("{republish}?brandId=acme"), Some(json!({"limit": 1}))).await, 1);
    wait_rejected(support, 6).await;
    assert_eq!(run(Method::DELETE, REJECTED, Some(json!({"reason": "invalid_json"}))).await, 2);
    assert_eq!(wait_rejected(support, 4).await.len(), 4, "the others stay");

    let twice = format!("{republish}?brandId=acme");
    let refused = support.post(&twice, &json!({"brandId": "acme"})).await;
    assert_eq!(refused.error_pointers(), ["/brandId"]);
    let _ = support.post(&format!("{republish}?brand=acme"), &json!({})).await.expect_problem(400);
    let refused = support.send(Method::DELETE, REJECTED, Some(json!({"limit": 1}).to_string())).await;
    assert_eq!(refused.error_pointers(), ["/limit"], "all messages would be deleted");
    assert_eq!(wait_rejected(support, 4).await.len(), 4);
}

#[tokio::test]
async fn a_rejected_message_names_its_brand_and_expires_and_the_log_has_no_part_of_it() {
    let stage = Stage::new().await;
    let schema = json!({"type": "object", "properties": {"card": {"type": "integer"}}});
    let definition = json!({"description": "Typed", "schema": schema, "enforceSchema": true});
    put_type(&stage.brand.support, LATER, &definition).await;
    stage.brand.enable_type(LATER).await;
    let event = Event::new("acme", LATER).data(r#"{"card":"4111 1111 1111 1111"}"#);
    stage.platform.producer().await.publish(&event).await;
    let message = stage.platform.rabbit().await.take_message("rejected").await;
    assert_eq!(message.header("x-brand-id"), "acme");
    assert_eq!(message.header("x-reject-reason"), "schema_violation");
    assert!(message.header("x-reject-detail").contains("/card"));
    assert_eq!(message.body, event.body().into_bytes());
    let expiration = message.properties.expiration().as_ref().map(ToString::to_string);
    assert_eq!(expiration.as_deref(), Some("604800000"));
    e2e::poll::eventually("the rejection is logged as a count", WAIT_TIMEOUT, async || {
        let log = stage.platform.routers[0].read_log();
        assert!(!log.contains("4111"), "{log}");
        let line = log.lines().find(|line| line.contains("messages rejected")).map(str::to_owned);
        let line = line.ok_or("no line yet")?;
        if line.contains("schema_violation") && line.contains("acme") { Ok(()) } else { Err(line) }
    })
    .await;
}

#[tokio::test]
async fn a_brand_beyond_its_share_loses_its_own_rejected_messages_alone() {
    let stage = Stage::new().await;
    let database = e2e::database::connect(&stage.platform.database_url()).await.expect("the database");
    let full = "INSERT INTO rejected_usage (day, brand_id, messages, bytes)
                VALUES ((now() AT TIME ZONE 'UTC')::date, 'acme', 1, 64 * 1024 * 1024)";
    database.execute(full, &[]).await.expect("a full share");
    e2e::brand::Brand::create(&stage.brand.support, "other", &[]).await;
    let producer = stage.platform.producer().await;
    e2e::poll::eventually("a message is dropped", WAIT_TIMEOUT, async || {
        producer.publish(&Event::new("acme", LATER)).await;
        let dropped = stage.platform.routers[0].read_metric("postrider_rejected_dropped_total").await;
        if dropped > 0.0 { Ok(()) } else { Err("none dropped".to_owned()) }
    })
    .await;
    delete_rejected(&stage.brand.support, "brandId=acme").await;
    producer.publish(&Event::new("other", LATER)).await;
    let rest = wait_rejected(&stage.brand.support, 1).await;
    assert_eq!(rest[0]["brandId"], "other", "{rest:?}");
    e2e::poll::eventually("the summary counts the dropped messages", WAIT_TIMEOUT, async || {
        let summary = read_summary(&stage).await;
        if summary["dropped"][0]["brandId"] == "acme" { Ok(()) } else { Err(summary.to_string()) }
    })
    .await;
    // Emptying the queue frees the share.
    delete_rejected(&stage.brand.support, "").await;
    e2e::poll::eventually("the brand has room again", WAIT_TIMEOUT, async || {
        producer.publish(&Event::new("acme", LATER)).await;
        let summary = read_summary(&stage).await;
        if summary["items"][0]["brandId"] == "acme" { Ok(()) } else { Err(summary.to_string()) }
    })
    .await;
}

/// Two replicas read the queue at the same time. A walk that hid messages from another would change its total.
#[tokio::test]
async fn requests_of_all_replicas_take_turns_and_see_all_messages() {
    let stage = Stage::with_builder(e2e::platform::Platform::builder().apis(2)).await;
    reject_of_brands(&stage, 30).await;
    // Whoever waits too long for its turn is asked to come again.
    let list = async |api: usize, query: &str| {
        e2e::poll::eventually("it has its turn", WAIT_TIMEOUT, async || {
            let answer = stage.platform.support_of(api).get(&format!("{REJECTED}{query}")).await;
            if answer.status == 503 { Err(answer.text) } else { Ok(answer.expect_status(200).json()) }
        })
        .await
    };
    for _ in 0..5 {
        let reading = (0..2).flat_map(|api| {
            [list(api, "?brandId=other&limit=1000"), list(api, "?reason=invalid_json"), list(api, "/summary")]
        });
        for answer in futures_util::future::join_all(reading).await {
            assert_eq!((&answer["total"], &answer["complete"]), (&json!(90), &json!(true)), "{answer}");
        }
    }
    // A client that does not wait for its response leaves nothing behind.
    let left = tokio::time::timeout(std::time::Duration::from_millis(5), list(0, "?reason=poison"));
    let _ = left.await;
    let answer = list(1, "?brandId=acme&limit=1000").await;
    assert_eq!((&answer["total"], &answer["complete"]), (&json!(90), &json!(true)), "{answer}");
    let deleting = async |api: usize, brand: &str| {
        delete_rejected(&stage.platform.support_of(api), &format!("brandId={brand}")).await
    };
    let deleted = tokio::join!(deleting(0, "acme"), deleting(1, "other"));
    assert_eq!(deleted, (30, 30));
    assert_eq!(delete_rejected(&stage.platform.support_of(1), "").await, 30);
    assert_eq!(wait_rejected(&stage.brand.support, 0).await, [] as [Value; 0]);
}

/// The router charges messages of unknown brands to one place, and deleting returns their room there.
#[tokio::test]
async fn room_of_unknown_brands_is_returned_to_the_place_that_they_share() {
    let stage = Stage::new().await;
    let producer = stage.platform.producer().await;
    let database = e2e::database::connect(&stage.platform.database_url()).await.expect("the database");
    for n in 0..5 {
        producer.publish(&Event::new(&format!("ghost{n}"), LATER)).await;
        let incomplete = format!(r#"{{"brandId":"ghost{n}","data":1}}"#);
        producer.publish_raw("SOME.KEY", incomplete.as_bytes(), None).await.expect("a confirm");
    }
    producer.publish(&Event::new("acme", LATER)).await;
    wait_rejected(&stage.brand.support, 11).await;
    let usage = async || {
        let sql =
            "SELECT brand_id, sum(messages)::bigint FROM rejected_usage GROUP BY brand_id ORDER BY brand_id";
        let rows = database.query(sql, &[]).await.expect("the usage");
        rows.iter().map(|row| (row.get(0), row.get(1))).collect::<Vec<(String, i64)>>()
    };
    let wait_usage = async |expected: [i64; 2]| {
        e2e::poll::eventually("the usage is counted", WAIT_TIMEOUT, async || {
            let found = usage().await;
            let wanted = [(String::new(), expected[0]), ("acme".to_owned(), expected[1])];
            if found == wanted { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    };
    wait_usage([10, 1]).await;
    for (query, left) in
        [("brandId=ghost1", [8, 1]), ("brandId=acme", [8, 0]), ("reason=unknown_brand", [4, 0])]
    {
        delete_rejected(&stage.brand.support, query).await;
        wait_usage(left).await;
    }
}
