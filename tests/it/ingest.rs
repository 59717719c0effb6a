//! The router accepts each event once, and rejects invalid ones (contract §2).

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::WAIT_TIMEOUT;
use e2e::brand::put_type;
use e2e::event::{Event, time_ago, time_ahead};
use serde_json::json;

use crate::Stage;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn a_duplicate_id_keeps_the_first_event() {
    let stage = Stage::new().await;
    let other = stage.platform.create_brand("other").await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let elsewhere = stage.receiver.endpoint("/other");
    other.create_webhook(elsewhere.url(), &["NOTIFICATION"]).await;
    let first = Event::sms("acme").data("1");
    let again = Event { data: "2".to_owned(), ..first.clone() };
    let of_other = Event { brand_id: "other".to_owned(), ..first.clone() };
    let last = Event::sms("acme").data("3");

    stage.publish_event(&first).await;
    stage.publish_event(&again).await;
    endpoint.wait_for_event(first.id()).await;
    stage.publish_event(&again).await;
    stage.publish_event(&of_other).await;
    stage.publish_event(&last).await;

    endpoint.wait_for_event(last.id()).await;
    elsewhere.wait_for_event(first.id()).await;
    let ids = BTreeSet::from([first.id().to_owned(), last.id().to_owned()]);
    stage.brand.wait_listed(&webhook, "status=delivered", &ids, WAIT_TIMEOUT).await;
    let requests = endpoint.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests.iter().find(|r| r.event_id() == first.id()).expect("it came").json()["data"], 1);
}

#[tokio::test]
async fn a_duplicate_message_id_is_one_event_with_one_drawn_id() {
    let stage = Stage::new().await;
    let other = stage.platform.create_brand("other").await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let elsewhere = stage.receiver.endpoint("/other");
    other.create_webhook(elsewhere.url(), &["NOTIFICATION"]).await;
    let name = format!("order 7/{}", "é".repeat(119));
    assert_eq!(name.chars().count(), 127);

    for brand in ["acme", "acme", "other"] {
        stage.publish_event(&Event::sms(brand).message_id(&name)).await;
    }
    let last = Event::sms("acme");
    stage.publish_event(&last).await;

    endpoint.wait_for_event(last.id()).await;
    // Order is not promised, so that the previous event may arrive later.
    endpoint.wait_for_requests(2).await;
    let elsewhere = elsewhere.wait_for_requests(1).await[0].event_id();
    let drawn: Vec<_> =
        endpoint.requests().iter().map(|r| r.event_id()).filter(|id| id != last.id()).collect();
    assert_eq!(drawn.len(), 1, "{drawn:?}");
    assert!(drawn[0].parse::<ulid::Ulid>().is_ok(), "{drawn:?} is a ULID");
    assert_ne!(drawn[0], elsewhere, "another brand's message is another event");
    let ids = BTreeSet::from([drawn[0].clone(), last.id().to_owned()]);
    stage.brand.wait_listed(&webhook, "", &ids, WAIT_TIMEOUT).await;
}

/// A recent minute's second 60, which libraries read as different instants, or not at all.
pub(crate) fn leap_second() -> String {
    let ago = time_ago(Duration::from_secs(60));
    format!("{}:60{}", &ago[..16], &ago[19..])
}

/// Returns the body, the `message_id` and the reason of each invalid message.
fn invalid_messages() -> Vec<(Vec<u8>, Option<String>, &'static str)> {
    let ulid = Event::sms("acme").id().to_owned();
    let message = |fields: &str| format!("{{{fields}}}").into_bytes();
    let sms = r#""type":"NOTIFICATION.SMS.RECEIPT""#;
    let body = |fields: &str| message(&format!(r#""id":"{ulid}",{fields}"#));
    let at = |created: String| body(&format!(r#""brandId":"acme",{sms},"data":1,"created":"{created}""#));
    let named = |id: &str| (message(&format!(r#""brandId":"acme",{sms},"data":1"#)), Some(id.to_owned()));
    let (no_name, empty_name) = named("");
    let (long_named, long_name) = named(&"m".repeat(129));
    vec![
        // It is the first, because it becomes valid half a minute later.
        (at(time_ahead(Duration::from_secs(330))), None, "created_out_of_range"),
        (b"not JSON".to_vec(), None, "invalid_json"),
        (b"[1,2]".to_vec(), Some("m1".to_owned()), "invalid_json"),
        (b"{\"id\":\"\xff\"}".to_vec(), None, "invalid_json"),
        (Vec::new(), Some("m2".to_owned()), "invalid_json"),
        (body(&format!(r#"{sms},"data":1"#)), None, "missing_field"),
        (body(r#""brandId":"acme","data":1"#), None, "missing_field"),
        (body(&format!(r#""brandId":"acme",{sms}"#)), None, "missing_field"),
        (message(&format!(r#""brandId":"acme",{sms},"data":1"#)), None, "missing_id"),
        (message(&format!(r#""id":"42","brandId":"acme",{sms},"data":1"#)), None, "invalid_id"),
        (no_name, empty_name, "invalid_message_id"),
        (long_named, long_name, "invalid_message_id"),
        (body(&format!(r#""brandId":"a c m e",{sms},"data":1"#)), None, "invalid_brand_id"),
        (body(r#""brandId":"acme","type":"notification.sms","data":1"#), None, "invalid_type"),
        (at("yesterday".to_owned()), None, "invalid_created"),
        (at(leap_second()), None, "invalid_created"),
        (at(time_ago(7 * DAY + Duration::from_secs(60))), None, "created_out_of_range"),
        (body(&format!(r#""brandId":"nobody",{sms},"data":1"#)), None, "unknown_brand"),
        (body(r#""brandId":"acme","type":"NOTIFICATION.UNKNOWN","data":1"#), None, "unknown_type"),
        (body(&format!(r#""brandId":"acme",{sms},"data":"{}""#, "x".repeat(256 * 1024))), None, "too_large"),
    ]
}

#[tokio::test]
async fn invalid_messages_are_rejected_whole_with_a_reason() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let producer = stage.platform.producer().await;
    let rabbit = stage.platform.rabbit().await;

    let mut wrong = Vec::new();
    for (body, message_id, reason) in invalid_messages() {
        let shown = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        producer.publish_raw("SOME.KEY", &body, message_id.as_deref()).await.expect("a confirm");
        let taken = rabbit.take_message("rejected").await;
        let seen = taken.header("x-reject-reason");
        if seen != reason {
            wrong.push(format!("{shown}: {seen} instead of {reason}"));
        }
        assert!(!taken.header("x-reject-detail").is_empty(), "{shown}");
        assert!(taken.body == body, "the whole body of {shown}");
        let name = taken.properties.message_id().as_ref().map(ToString::to_string);
        assert_eq!(name, message_id, "the message_id of {shown}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");

    let good = Event::sms("acme");
    stage.publish_event(&good).await;
    endpoint.wait_for_event(good.id()).await;
    stage.brand.wait_listed(&webhook, "", &BTreeSet::from([good.id().to_owned()]), WAIT_TIMEOUT).await;
}

#[tokio::test]
async fn data_that_fails_an_enforced_schema_is_rejected() {
    let stage = Stage::new().await;
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let strict = json!({"description": "Strict", "schema": schema, "enforceSchema": true});
    put_type(&stage.brand.support, "NOTIFICATION.STRICT", &strict).await;
    let (endpoint, _) = stage.create_webhook("/hook").await;

    let bad = Event::new("acme", "NOTIFICATION.STRICT").data(r#"{"n":"1"}"#);
    stage.publish_event(&bad).await;
    let taken = stage.platform.rabbit().await.take_message("rejected").await;
    assert_eq!(taken.header("x-reject-reason"), "schema_violation");
    assert_eq!(taken.body, bad.body().as_bytes());
    let good = Event::new("acme", "NOTIFICATION.STRICT").data(r#"{"n":1}"#);
    stage.publish_event(&good).await;
    endpoint.wait_for_event(good.id()).await;
}

/// A recent second, and an instant at its end with more digits than a millisecond has.
pub(crate) fn precise_time() -> (String, String) {
    let second = time_ago(Duration::from_secs(60))[..19].to_owned();
    let precise = format!("{second}.999999999Z");
    (second, precise)
}

/// Objects that fit a schema, and that most JSON libraries cannot hold.
pub(crate) fn unusual_objects() -> Vec<String> {
    let deep = |levels: usize| format!("{}{}", r#"{"a":["#.repeat(levels), "]}".repeat(levels));
    vec![
        r#"{"n":1e400}"#.to_owned(),
        format!(r#"{{"n":{}}}"#, "9".repeat(309)),
        r#"{"text":"\ud800","\udfff":"x\udc00"}"#.to_owned(),
        deep(64),
        deep(10_000),
    ]
}

#[tokio::test]
async fn data_that_fits_its_schema_is_not_refused_for_its_numbers_surrogates_or_depth() {
    let stage = Stage::new().await;
    let object = json!({"description": "Any object", "schema": {"type": "object"}, "enforceSchema": true});
    put_type(&stage.brand.support, "NOTIFICATION.OBJECT", &object).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let over_amqp =
        unusual_objects().into_iter().map(|data| Event::new("acme", "NOTIFICATION.OBJECT").data(&data));
    let over_amqp: Vec<Event> = over_amqp.collect();

    stage.platform.producer().await.publish_all(&over_amqp).await;
    let objects: Vec<String> = unusual_objects()
        .iter()
        .map(|data| format!(r#"{{"type":"NOTIFICATION.OBJECT","data":{data}}}"#))
        .collect();
    let body = format!(r#"{{"events":[{}]}}"#, objects.join(","));
    let path = format!("/v1/{}/events", stage.brand.id);
    let sent = stage.brand.api.send(http::Method::POST, &path, Some(body)).await.expect_status(202).json();

    let drawn = sent["ids"].as_array().expect("ids").iter().filter_map(|id| id.as_str());
    let all = over_amqp.iter().map(Event::id).chain(drawn).zip(unusual_objects().into_iter().cycle());
    for (id, data) in all {
        let request = endpoint.wait_for_event(id).await;
        assert!(request.text().ends_with(&format!(r#""data":{data}}}"#)), "{}", &request.text()[..300]);
        request.verify(&webhook.secret).expect("a signature that verifies");
    }
    let wrong = Event::new("acme", "NOTIFICATION.OBJECT").data("[1e400]");
    stage.publish_event(&wrong).await;
    let taken = stage.platform.rabbit().await.take_message("rejected").await;
    assert_eq!(taken.header("x-reject-reason"), "schema_violation");
}

#[tokio::test]
async fn times_within_retention_and_five_minutes_ahead_are_accepted() {
    let stage = Stage::new().await;
    let (endpoint, _) = stage.create_webhook("/hook").await;
    let old = Event::sms("acme").created(&time_ago(7 * DAY - Duration::from_secs(60)));
    let ahead = Event::sms("acme").created(&time_ahead(Duration::from_secs(270)));

    for event in [&old, &ahead] {
        stage.publish_event(event).await;
        let request = endpoint.wait_for_event(event.id()).await;
        assert_eq!(Some(request.field("created")), event.created);
    }
    let (second, precise) = precise_time();
    let event = Event::sms("acme").created(&precise);
    stage.publish_event(&event).await;
    let request = endpoint.wait_for_event(event.id()).await;
    assert_eq!(request.field("created"), format!("{second}.999Z"), "further digits are truncated");
}

#[tokio::test]
async fn an_invalid_message_does_not_delay_valid_ones() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let events = Event::sms_batch("acme", 40);
    let producer = stage.platform.producer().await;

    for event in &events {
        producer.publish_raw("SOME.KEY", b"{", None).await.expect("a confirm");
        producer.publish(event).await;
    }

    endpoint.wait_for_requests(40).await;
    stage.platform.rabbit().await.wait_queue_depth("rejected", 40).await;
    let ids = events.iter().map(|event| event.id().to_owned()).collect();
    stage.brand.wait_listed(&webhook, "status=delivered", &ids, WAIT_TIMEOUT).await;
}
