//! Events over HTTP, from a producer like any other (contract §2).

use std::collections::BTreeSet;

use e2e::PATIENCE;
use e2e::api::{Answer, Api};
use e2e::brand::create_token;
use e2e::event::{Event, SMS};
use e2e::platform::Platform;
use e2e::proxy::Proxy;
use e2e::settings::amqp_url;
use http::Method;
use serde_json::{Value, json};

use crate::Stage;

const EVENTS: &str = "/v1/acme/events";
/// Maximum number of events in one request.
const MOST: usize = 500;

fn sms(n: usize) -> Value {
    json!({"type": SMS, "data": n})
}

fn many(number: usize) -> Value {
    json!({"events": (0..number).map(sms).collect::<Vec<_>>()})
}

/// Sends a body unchanged, with an `Idempotency-Key` if given.
async fn send(api: &Api, body: &str, key: Option<&str>) -> Answer {
    let key = key.map(|key| ("idempotency-key", key));
    api.send_with(Method::POST, EVENTS, Some(body.to_owned()), key.as_slice()).await
}

/// Returns the ids of an answer, in order.
fn ids(answer: Answer) -> Vec<String> {
    let json = answer.expect(202).json();
    let ids = json["ids"].as_array().unwrap_or_else(|| panic!("no ids in {json}"));
    assert_eq!(json.as_object().map(serde_json::Map::len), Some(1), "{json}");
    ids.iter().map(|id| id.as_str().expect("text").to_owned()).collect()
}

#[tokio::test]
async fn one_event_is_taken_and_delivered_under_a_drawn_id() {
    let stage = Stage::set().await;
    let (endpoint, webhook) = stage.webhook("/hook").await;
    let drawn = ids(send(&stage.brand.api, &sms(1).to_string(), None).await);
    let [id] = &drawn[..] else { panic!("{drawn:?}") };
    assert!(id.parse::<ulid::Ulid>().is_ok(), "{id} is a ULID");
    let request = endpoint.wait_for_event(id).await;
    assert_eq!((&request.json()["data"], request.field("type")), (&json!(1), SMS.to_owned()));
    stage.brand.wait_status(&webhook, id, "delivered").await;
}

#[tokio::test]
async fn five_hundred_are_taken_and_not_one_more() {
    let stage = Stage::set().await;
    let (endpoint, webhook) = stage.webhook("/hook").await;
    let drawn = ids(send(&stage.brand.api, &many(MOST).to_string(), None).await);
    let distinct: BTreeSet<_> = drawn.iter().cloned().collect();
    assert_eq!((drawn.len(), distinct.len()), (MOST, MOST));
    stage.brand.wait_listed(&webhook, "status=delivered", &distinct, PATIENCE).await;
    for request in endpoint.requests() {
        let n = usize::try_from(request.json()["data"].as_u64().expect("a number")).expect("a small one");
        assert_eq!(request.event_id(), drawn[n], "the ids are in the order of the events");
    }
    for (number, pointer) in [(MOST + 1, "/events"), (0, "/events")] {
        let answer = send(&stage.brand.api, &many(number).to_string(), None).await;
        assert_eq!(answer.pointers(), [pointer], "{number} events");
    }
    stage.brand.wait_listed(&webhook, "", &distinct, PATIENCE).await;
}

#[tokio::test]
async fn given_ids_are_kept_and_the_same_id_twice_is_one_event() {
    let stage = Stage::set().await;
    let (endpoint, webhook) = stage.webhook("/hook").await;
    let own = Event::sms("acme");
    let body = json!({"events": [
        {"id": own.id(), "brandId": "acme", "type": SMS, "data": "given"}, {"type": SMS, "data": "drawn"},
    ]})
    .to_string();

    let first = ids(send(&stage.brand.api, &body, None).await);
    let second = ids(send(&stage.brand.api, &body, None).await);

    assert_eq!((first[0].as_str(), second[0].as_str()), (own.id(), own.id()));
    assert_ne!(first[1], second[1], "without a key, an event without an id is new each time");
    let all = first.into_iter().chain(second).collect();
    stage.brand.wait_listed(&webhook, "status=delivered", &all, PATIENCE).await;
    assert_eq!(endpoint.requests().len(), 3);
}

#[tokio::test]
async fn a_request_that_is_sent_again_with_its_key_has_the_same_ids() {
    let stage = Stage::with(Platform::builder().apis(2)).await;
    let other = stage.platform.brand("other").await;
    let (endpoint, webhook) = stage.webhook("/hook").await;
    let body = many(20).to_string();
    let key = Some("order-7");

    let (one, two) = tokio::join!(send(&stage.brand.api, &body, key), send(&stage.brand.api, &body, key));
    let one = ids(one);
    let two = ids(two);
    let three = ids(send(&stage.brand.api, &body, key).await);
    let another = ids(send(&stage.brand.api, &body, Some("order-8")).await);
    let path = "/v1/other/events";
    let body = Some(body);
    let elsewhere = other.api.send_with(Method::POST, path, body, &[("idempotency-key", "order-7")]).await;

    assert_eq!((&one, &one), (&two, &three));
    assert!(another.iter().all(|id| !one.contains(id)), "another key is another request");
    assert!(ids(elsewhere).iter().all(|id| !one.contains(id)), "another brand's key is another");
    let all = one.into_iter().chain(another).collect();
    stage.brand.wait_listed(&webhook, "status=delivered", &all, PATIENCE).await;
    stage.platform.rabbit().await.wait_depth("ingest", 0).await;
    assert_eq!(endpoint.requests().len(), 40, "each is delivered once");
}

#[tokio::test]
async fn data_arrives_byte_for_byte() {
    let stage = Stage::set().await;
    let (endpoint, _) = stage.webhook("/hook").await;
    let data = [
        "12345678901234567890",
        "1.10",
        r#"{ "z" : 1.0e5, "a":-0, "a":2 }"#,
        r#""\u00fc\/ Grüße 😀""#,
        "null",
        "[1, 2]",
    ];
    let events: Vec<_> = data.iter().map(|data| format!(r#"{{"type":"{SMS}","data":{data}}}"#)).collect();
    let mut drawn =
        ids(send(&stage.brand.api, &format!(r#"{{"events":[{}]}}"#, events.join(",")), None).await);
    drawn.extend(ids(send(&stage.brand.api, &events[1], None).await));
    for (id, data) in drawn.iter().zip(data.iter().chain([&data[1]])) {
        let request = endpoint.wait_for_event(id).await;
        assert!(request.text().ends_with(&format!(r#""data":{data}}}"#)), "{}", request.text());
    }
}

#[tokio::test]
async fn a_bad_event_is_a_422_that_names_it_and_none_of_its_request_is_taken() {
    let stage = Stage::set().await;
    let (endpoint, webhook) = stage.webhook("/hook").await;
    let ulid = Event::sms("acme").id().to_owned();
    let bad = [
        (json!({}), vec!["/data", "/type"]),
        (json!({"type": SMS}), vec!["/data"]),
        (json!({"type": "sms", "data": 1}), vec!["/type"]),
        (json!({"type": SMS, "data": 1, "brandId": "other"}), vec!["/brandId"]),
        (json!({"type": SMS, "data": 1, "id": "42"}), vec!["/id"]),
        (json!({"type": SMS, "data": 1, "created": "yesterday"}), vec!["/created"]),
        (json!({"type": SMS, "data": 1, "extra": ulid}), vec!["/extra"]),
    ];
    for (event, pointers) in bad {
        let answer = send(&stage.brand.api, &event.to_string(), None).await;
        assert_eq!(answer.pointers(), pointers, "{event}");
        let body = json!({"events": [sms(1), event]}).to_string();
        let seen = send(&stage.brand.api, &body, None).await.pointers();
        let pointers: Vec<_> = pointers.iter().map(|pointer| format!("/events/1{pointer}")).collect();
        assert_eq!(seen, pointers, "{body}");
    }
    let _ = send(&stage.brand.api, "{\"type\":", None).await.problem(400);
    let last = stage.one_more(&webhook).await;
    assert_eq!(endpoint.requests().len(), 1);
    stage.brand.wait_listed(&webhook, "", &[last.id().to_owned()].into(), PATIENCE).await;
}

#[tokio::test]
async fn an_event_that_is_too_large_is_refused() {
    let stage = Stage::set().await;
    let large = |bytes: usize| json!({"type": SMS, "data": "x".repeat(bytes)}).to_string();
    let answer = send(&stage.brand.api, &large(256 * 1024), None).await;
    assert!([413, 422].contains(&answer.status), "{} {}", answer.status, answer.text);
    let _ = send(&stage.brand.api, &large(1024 * 1024), None).await.problem(413);
    let (endpoint, _) = stage.webhook("/hook").await;
    let drawn = ids(send(&stage.brand.api, &large(255 * 1024), None).await);
    endpoint.wait_for_event(&drawn[0]).await;
    assert_eq!(stage.platform.rabbit().await.depth("rejected").await, Some(0));
}

#[tokio::test]
async fn it_takes_a_token_of_the_brand_that_may_write() {
    let stage = Stage::set().await;
    let other = stage.platform.brand("other").await;
    let read = create_token(&stage.brand.support, "acme", "read").await;
    for (token, status) in
        [(None, 401), (Some("wrong"), 401), (Some(read.as_str()), 403), (Some(other.api.token()), 404)]
    {
        let _ = send(&stage.brand.api.with_token(token), &sms(1).to_string(), None).await.problem(status);
    }
}

/// The API promises nothing that the broker has not confirmed, and the key makes a retry safe.
#[tokio::test]
async fn while_the_broker_is_away_it_is_refused_and_can_be_sent_again() {
    let (mut proxy, url) = Proxy::before(&amqp_url()).await;
    let stage = Stage::with(Platform::builder().set("AMQP_URL", &url)).await;
    let (endpoint, webhook) = stage.webhook("/hook").await;
    let body = many(10).to_string();
    let key = Some("again");
    proxy.cut();
    stage.platform.apis[0].wait_readyz(503).await;
    let _ = send(&stage.brand.api, &body, key).await.problem(503);

    proxy.heal().await;
    let taken = e2e::poll::eventually("it is accepted", PATIENCE, async || {
        let answer = send(&stage.brand.api, &body, key).await;
        if answer.status == 202 { Ok(ids(answer)) } else { Err(answer.text) }
    })
    .await;

    assert_eq!(ids(send(&stage.brand.api, &body, key).await), taken);
    let taken = taken.into_iter().collect();
    stage.brand.wait_listed(&webhook, "status=delivered", &taken, PATIENCE).await;
    assert_eq!(endpoint.requests().len(), 10);
}
