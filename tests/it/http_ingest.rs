//! Events over HTTP, from a producer like any other (contract §2).

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::WAIT_TIMEOUT;
use e2e::api::{Answer, Api};
use e2e::brand::{Brand, create_token};
use e2e::event::{Event, SMS};
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::proxy::Proxy;
use e2e::settings::amqp_url;
use http::Method;
use serde_json::{Value, json};

use crate::Stage;
use crate::ingest::{leap_second, precise_time};
use crate::matching::wait_not_enabled;

const EVENTS: &str = "/v1/acme/events";
/// Maximum number of events in one request.
const MAX_EVENTS: usize = 500;

fn sms_json(n: usize) -> Value {
    json!({"type": SMS, "data": n})
}

fn sms_request(number: usize) -> Value {
    json!({"events": (0..number).map(sms_json).collect::<Vec<_>>()})
}

/// Sends a body unchanged, with an `Idempotency-Key` if given.
async fn send_events(api: &Api, body: &str, key: Option<&str>) -> Answer {
    let key = key.map(|key| ("idempotency-key", key));
    api.send_with(Method::POST, EVENTS, Some(body.to_owned()), key.as_slice()).await
}

/// Returns the ids of an answer, in order.
fn event_ids(answer: Answer) -> Vec<String> {
    let json = answer.expect_status(202).json();
    let ids = json["ids"].as_array().unwrap_or_else(|| panic!("no ids in {json}"));
    assert_eq!(json.as_object().map(serde_json::Map::len), Some(1), "{json}");
    ids.iter().map(|id| id.as_str().expect("text").to_owned()).collect()
}

#[tokio::test]
async fn one_event_is_accepted_and_delivered_with_a_drawn_id() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let drawn = event_ids(send_events(&stage.brand.api, &sms_json(1).to_string(), None).await);
    let [id] = &drawn[..] else { panic!("{drawn:?}") };
    assert!(id.parse::<ulid::Ulid>().is_ok(), "{id} is a ULID");
    let request = endpoint.wait_for_event(id).await;
    assert_eq!((&request.json()["data"], request.field("type")), (&json!(1), SMS.to_owned()));
    stage.brand.wait_delivery_status(&webhook, id, "delivered").await;
}

#[tokio::test]
async fn five_hundred_events_are_accepted_and_no_more() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let drawn = event_ids(send_events(&stage.brand.api, &sms_request(MAX_EVENTS).to_string(), None).await);
    let distinct: BTreeSet<_> = drawn.iter().cloned().collect();
    assert_eq!((drawn.len(), distinct.len()), (MAX_EVENTS, MAX_EVENTS));
    stage.brand.wait_listed(&webhook, "status=delivered", &distinct, WAIT_TIMEOUT).await;
    for request in endpoint.requests() {
        let n = usize::try_from(request.json()["data"].as_u64().expect("a number")).expect("a small one");
        assert_eq!(request.event_id(), drawn[n], "the ids are in the order of the events");
    }
    for (number, pointer) in [(MAX_EVENTS + 1, "/events"), (0, "/events")] {
        let answer = send_events(&stage.brand.api, &sms_request(number).to_string(), None).await;
        assert_eq!(answer.error_pointers(), [pointer], "{number} events");
    }
    stage.brand.wait_listed(&webhook, "", &distinct, WAIT_TIMEOUT).await;
}

#[tokio::test]
async fn given_ids_are_kept_and_deduplicated() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let own = Event::sms("acme");
    let body = json!({"events": [
        {"id": own.id(), "brandId": "acme", "type": SMS, "data": "given"}, {"type": SMS, "data": "drawn"},
    ]})
    .to_string();

    let first = event_ids(send_events(&stage.brand.api, &body, None).await);
    let second = event_ids(send_events(&stage.brand.api, &body, None).await);

    assert_eq!((first[0].as_str(), second[0].as_str()), (own.id(), own.id()));
    assert_ne!(first[1], second[1], "without a key, an event without an id is new each time");
    let all = first.into_iter().chain(second).collect();
    stage.brand.wait_listed(&webhook, "status=delivered", &all, WAIT_TIMEOUT).await;
    assert_eq!(endpoint.requests().len(), 3);
}

#[tokio::test]
async fn a_request_retried_with_its_key_gets_the_same_ids() {
    let stage = Stage::with_builder(Platform::builder().apis(2)).await;
    let other = stage.platform.create_brand("other").await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let body = sms_request(20).to_string();
    let key = Some("order-7");

    let (one, two) =
        tokio::join!(send_events(&stage.brand.api, &body, key), send_events(&stage.brand.api, &body, key));
    let one = event_ids(one);
    let two = event_ids(two);
    let three = event_ids(send_events(&stage.brand.api, &body, key).await);
    let another = event_ids(send_events(&stage.brand.api, &body, Some("order-8")).await);
    let path = "/v1/other/events";
    let body = Some(body);
    let elsewhere = other.api.send_with(Method::POST, path, body, &[("idempotency-key", "order-7")]).await;

    assert_eq!((&one, &one), (&two, &three));
    assert!(another.iter().all(|id| !one.contains(id)), "another key is another request");
    assert!(event_ids(elsewhere).iter().all(|id| !one.contains(id)), "another brand's key is another");
    let all = one.into_iter().chain(another).collect();
    stage.brand.wait_listed(&webhook, "status=delivered", &all, WAIT_TIMEOUT).await;
    stage.platform.rabbit().await.wait_queue_depth("ingest", 0).await;
    assert_eq!(endpoint.requests().len(), 40, "each is delivered once");
}

#[tokio::test]
async fn data_arrives_byte_for_byte() {
    let stage = Stage::new().await;
    let (endpoint, _) = stage.create_webhook("/hook").await;
    let data = [
        "12345678901234567890",
        "1.10",
        r#"{ "z" : 1.0e5, "a":-0, "a":2 }"#,
        r#""\u00fc\/ Grüße 😀""#,
        "null",
        "[1, 2]",
    ];
    let events: Vec<_> = data.iter().map(|data| format!(r#"{{"type":"{SMS}","data":{data}}}"#)).collect();
    let mut drawn = event_ids(
        send_events(&stage.brand.api, &format!(r#"{{"events":[{}]}}"#, events.join(",")), None).await,
    );
    drawn.extend(event_ids(send_events(&stage.brand.api, &events[1], None).await));
    for (id, data) in drawn.iter().zip(data.iter().chain([&data[1]])) {
        let request = endpoint.wait_for_event(id).await;
        assert!(request.text().ends_with(&format!(r#""data":{data}}}"#)), "{}", request.text());
    }
}

#[tokio::test]
async fn an_invalid_event_is_a_422_and_rejects_the_whole_request() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let ulid = Event::sms("acme").id().to_owned();
    let bad = [
        (json!({}), vec!["/data", "/type"]),
        (json!({"type": SMS}), vec!["/data"]),
        (json!({"type": "sms", "data": 1}), vec!["/type"]),
        (json!({"type": SMS, "data": 1, "brandId": "other"}), vec!["/brandId"]),
        (json!({"type": SMS, "data": 1, "id": "42"}), vec!["/id"]),
        (json!({"type": SMS, "data": 1, "created": "yesterday"}), vec!["/created"]),
        (json!({"type": SMS, "data": 1, "created": leap_second()}), vec!["/created"]),
        (json!({"type": SMS, "data": 1, "extra": ulid}), vec!["/extra"]),
    ];
    for (event, pointers) in bad {
        let answer = send_events(&stage.brand.api, &event.to_string(), None).await;
        assert_eq!(answer.error_pointers(), pointers, "{event}");
        let body = json!({"events": [sms_json(1), event]}).to_string();
        let seen = send_events(&stage.brand.api, &body, None).await.error_pointers();
        let pointers: Vec<_> = pointers.iter().map(|pointer| format!("/events/1{pointer}")).collect();
        assert_eq!(seen, pointers, "{body}");
    }
    let _ = send_events(&stage.brand.api, "{\"type\":", None).await.expect_problem(400);
    let last = stage.deliver_one(&webhook).await;
    assert_eq!(endpoint.requests().len(), 1);
    stage.brand.wait_listed(&webhook, "", &[last.id().to_owned()].into(), WAIT_TIMEOUT).await;
}

#[tokio::test]
async fn an_event_that_is_too_large_is_rejected() {
    let stage = Stage::new().await;
    let large = |bytes: usize| json!({"type": SMS, "data": "x".repeat(bytes)}).to_string();
    let answer = send_events(&stage.brand.api, &large(256 * 1024), None).await;
    assert!([413, 422].contains(&answer.status), "{} {}", answer.status, answer.text);
    let _ = send_events(&stage.brand.api, &large(1024 * 1024), None).await.expect_problem(413);
    let (endpoint, _) = stage.create_webhook("/hook").await;
    let drawn = event_ids(send_events(&stage.brand.api, &large(255 * 1024), None).await);
    endpoint.wait_for_event(&drawn[0]).await;
    assert_eq!(stage.platform.rabbit().await.queue_depth("rejected").await, Some(0));
}

#[tokio::test]
async fn publishing_requires_a_write_token_of_the_brand() {
    let stage = Stage::new().await;
    let other = stage.platform.create_brand("other").await;
    let read = create_token(&stage.brand.support, "acme", "read").await;
    for (token, status) in
        [(None, 401), (Some("wrong"), 401), (Some(read.as_str()), 403), (Some(other.api.token()), 404)]
    {
        let _ = send_events(&stage.brand.api.with_token(token), &sms_json(1).to_string(), None)
            .await
            .expect_problem(status);
    }
}

/// The API promises nothing that the broker has not confirmed, and the key makes a retry safe.
#[tokio::test]
async fn an_unreachable_broker_is_an_error_that_can_be_retried() {
    let (mut proxy, url) = Proxy::in_front_of(&amqp_url()).await;
    let stage = Stage::with_builder(Platform::builder().set("AMQP_URL", &url)).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let body = sms_request(10).to_string();
    let key = Some("again");
    proxy.cut();
    stage.platform.apis[0].wait_readyz(503).await;
    let _ = send_events(&stage.brand.api, &body, key).await.expect_problem(503);

    proxy.restore().await;
    let taken = eventually("it is accepted", WAIT_TIMEOUT, async || {
        let answer = send_events(&stage.brand.api, &body, key).await;
        if answer.status == 202 { Ok(event_ids(answer)) } else { Err(answer.text) }
    })
    .await;

    assert_eq!(event_ids(send_events(&stage.brand.api, &body, key).await), taken);
    let taken = taken.into_iter().collect();
    stage.brand.wait_listed(&webhook, "status=delivered", &taken, WAIT_TIMEOUT).await;
    assert_eq!(endpoint.requests().len(), 10);
}

/// The router would reject these events; the API says so before it publishes them.
#[tokio::test]
async fn an_event_that_would_be_rejected_is_a_422_and_keeps_its_key_free() {
    let stage = Stage::new().await;
    let (endpoint, _) = stage.create_webhook("/hook").await;
    let strict = json!({"description": "x", "schema": {"properties": {"n": {"type": "number"}}}, "enforceSchema": true});
    let path = "/admin/v1/event-types/NOTIFICATION.STRICT";
    let _ = stage.brand.support.put(path, &strict).await.expect_status(201);
    let unknown = json!({"type": "NO.SUCH", "data": 1});
    let built_in = json!({"type": "WEBHOOK.DISABLED", "data": {"webhookId": "forged"}});
    let violation = json!({"type": "NOTIFICATION.STRICT", "data": {"n": "one"}});
    let key = Some("free");
    let of_2020 = json!({"type": SMS, "data": 1, "created": "2020-01-01T00:00:00Z"});
    let leap = json!({"type": SMS, "data": 1, "created": leap_second()});
    let large = json!({"type": SMS, "data": "x".repeat(256 * 1024)});
    let foreign = json!({"type": SMS, "data": 1, "brandId": "other"});
    let refusals = [
        (&unknown, "/type"),
        (&built_in, "/type"),
        (&violation, "/data/n"),
        (&of_2020, "/created"),
        (&leap, "/created"),
        (&large, "/data"),
        (&foreign, "/brandId"),
    ];
    let _ = send_events(&stage.brand.api, "{\"type\":", key).await.expect_problem(400);
    for (event, pointer) in refusals {
        let answer = send_events(&stage.brand.api, &event.to_string(), key).await;
        assert_eq!(answer.error_pointers(), [pointer], "{}", &event.to_string()[..50]);
        let body = json!({"events": [sms_json(1), event]}).to_string();
        let answer = send_events(&stage.brand.api, &body, key).await;
        assert_eq!(answer.error_pointers(), [format!("/events/1{pointer}")], "{pointer}");
    }
    let valid = json!({"type": "NOTIFICATION.STRICT", "data": {"n": 1}}).to_string();
    let ids = event_ids(send_events(&stage.brand.api, &valid, key).await);
    endpoint.wait_for_event(&ids[0]).await;
    assert_eq!(event_ids(send_events(&stage.brand.api, &valid, key).await), ids);
    assert_eq!(stage.platform.rabbit().await.queue_depth("rejected").await, Some(0));
}

#[tokio::test]
async fn digits_beyond_milliseconds_are_truncated_as_over_amqp() {
    let stage = Stage::new().await;
    let (endpoint, _) = stage.create_webhook("/hook").await;
    let (second, precise) = precise_time();
    let event = json!({"type": SMS, "data": 1, "created": precise}).to_string();
    let ids = event_ids(send_events(&stage.brand.api, &event, None).await);
    let request = endpoint.wait_for_event(&ids[0]).await;
    assert_eq!(request.field("created"), format!("{second}.999Z"));
}

/// A type that is not enabled is a brand's normal state, over HTTP as over AMQP.
#[tokio::test]
async fn an_event_of_a_type_that_is_not_enabled_is_accepted_and_dropped() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    stage.brand.disable_type("NOTIFICATION").await;
    assert_eq!(event_ids(send_events(&stage.brand.api, &sms_request(3).to_string(), None).await).len(), 3);
    wait_not_enabled(&stage.platform, 3.0).await;
    assert_eq!(endpoint.requests().len(), 0);
    assert_eq!(stage.brand.list_events(&webhook, "").await, Vec::<Value>::new());
}

pub(crate) async fn set_quotas(brand: &Brand, quotas: &Value) {
    let path = format!("/admin/v1/brands/{}", brand.id);
    let _ = brand.support.patch(&path, &json!({"quotas": quotas})).await.expect_status(200);
}

/// Publishes this body until it is refused. Returns the seconds to wait.
async fn publish_until_refused(api: &Api, body: &Value, quota: &str) -> u64 {
    // Without a pause, so that a slow machine uses it up, too.
    let refused = async {
        loop {
            let answer = send_events(api, &body.to_string(), None).await;
            if answer.status != 202 {
                return answer;
            }
        }
    };
    let answer = tokio::time::timeout(WAIT_TIMEOUT, refused).await.expect("the quota is used up");
    let seconds = answer.headers["retry-after"].to_str().expect("text").parse().expect("whole seconds");
    let problem = answer.expect_problem(429);
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(quota)), "{problem}");
    seconds
}

/// Publishes this body until a changed quota lets it pass.
async fn publish_until_accepted(api: &Api, body: &Value, key: Option<&str>) -> Vec<String> {
    eventually("it is accepted", WAIT_TIMEOUT, async || {
        let answer = send_events(api, &body.to_string(), key).await;
        if answer.status == 202 { Ok(event_ids(answer)) } else { Err(answer.text) }
    })
    .await
}

#[tokio::test]
async fn a_brand_over_its_quota_is_refused_until_retry_after_is_over() {
    let stage = Stage::new().await;
    let other = stage.platform.create_brand("other").await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    set_quotas(&stage.brand, &json!({"eventsPerSecond": 1})).await;
    let api = &stage.brand.api;
    let seconds = publish_until_refused(api, &sms_json(1), "eventsPerSecond").await;
    assert_eq!(seconds, 1);
    for _ in 0..5 {
        let answer = other.api.post("/v1/other/events", &sms_json(1)).await;
        assert_eq!(answer.status, 202, "another brand is not affected: {}", answer.text);
    }
    // Time itself is under test: the wait that the answer named is enough.
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let _ = event_ids(send_events(api, &sms_json(2).to_string(), None).await);
    }
    publish_until_refused(api, &sms_json(1), "eventsPerSecond").await;
    set_quotas(&stage.brand, &json!({"eventsPerSecond": null})).await;
    let ids = publish_until_accepted(api, &sms_request(2), None).await;
    stage.brand.wait_delivery_status(&webhook, &ids[1], "delivered").await;
}

#[tokio::test]
async fn a_refusal_for_a_quota_does_not_use_up_the_key() {
    let stage = Stage::new().await;
    let api = &stage.brand.api;
    set_quotas(&stage.brand, &json!({"eventsPerSecond": 1})).await;
    // Many events, so that the quota stays used up until it is changed.
    publish_until_refused(api, &sms_request(MAX_EVENTS), "eventsPerSecond").await;
    let _ = send_events(api, &sms_json(1).to_string(), Some("key")).await.expect_problem(429);
    set_quotas(&stage.brand, &Value::Null).await;
    let ids = publish_until_accepted(api, &sms_request(2), Some("key")).await;
    assert_eq!(ids.len(), 2, "another body has the key");
}

#[tokio::test]
async fn a_large_request_passes_and_later_requests_pay_for_it() {
    let stage = Stage::new().await;
    set_quotas(&stage.brand, &json!({"eventsPerSecond": 10})).await;
    let seconds = publish_until_refused(&stage.brand.api, &sms_request(MAX_EVENTS), "eventsPerSecond").await;
    assert!((2..=50).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn bytes_and_deliveries_have_quotas_of_their_own() {
    let stage = Stage::new().await;
    let api = &stage.brand.api;
    set_quotas(&stage.brand, &json!({"bytesPerSecond": 1024})).await;
    let large = json!({"type": SMS, "data": "x".repeat(64 * 1024)});
    let seconds = publish_until_refused(api, &large, "bytesPerSecond").await;
    assert!((2..=65).contains(&seconds), "{seconds}");
    set_quotas(&stage.brand, &json!({"bytesPerSecond": null, "deliveriesPerSecond": 1})).await;
    publish_until_accepted(api, &sms_json(1), None).await;
    for _ in 0..5 {
        let answer = send_events(api, &sms_json(1).to_string(), None).await;
        assert_eq!(answer.status, 202, "without a webhook there is no delivery: {}", answer.text);
    }
    for path in ["/one", "/two", "/three"] {
        let _ = stage.create_webhook(path).await;
    }
    let seconds = publish_until_refused(api, &sms_request(20), "deliveriesPerSecond").await;
    assert!((2..=60).contains(&seconds), "three deliveries for each of twenty events: {seconds}");
}

#[tokio::test]
async fn a_retry_of_a_published_request_counts_for_no_quota() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let api = &stage.brand.api;
    set_quotas(&stage.brand, &json!({"eventsPerSecond": 250})).await;
    publish_until_refused(api, &sms_request(MAX_EVENTS), "eventsPerSecond").await;
    let body = sms_request(MAX_EVENTS);
    let first = publish_until_accepted(api, &body, Some("once")).await;
    // The first request has used up the quota, for which its retry does not wait.
    let retried = event_ids(send_events(api, &body.to_string(), Some("once")).await);
    assert_eq!(first, retried);
    let last = publish_until_accepted(api, &sms_json(1), None).await;
    stage.brand.wait_delivery_status(&webhook, &last[0], "delivered").await;
    // Some may have gone through the backlog of the brand.
    for event in [&first[0], &first[MAX_EVENTS - 1]] {
        stage.brand.wait_delivery_status(&webhook, event, "delivered").await;
    }
    let requests = endpoint.requests();
    assert_eq!(requests.iter().filter(|request| request.event_id() == first[0]).count(), 1);
}
