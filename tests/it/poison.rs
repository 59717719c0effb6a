//! No message stops the routing of others, whatever it contains (contract §2).

use e2e::WAIT_TIMEOUT;
use e2e::brand::{Brand, Webhook, put_type};
use e2e::event::{Event, SMS};
use e2e::poll::eventually;
use e2e::raw_amqp::MAX_FRAME_BYTES;
use e2e::raw_producer::{RawMessage, RawProducer, encode_header, encode_long, nested_arrays, nested_tables};
use e2e::support::{republish_rejected, wait_rejected};
use http::Method;
use serde_json::{Value, json};

use crate::Stage;

/// A type whose data maps strings to strings.
const MAP: &str = "NOTIFICATION.MAP";
/// Maximum length of `x-reject-detail` (contract §2).
const MAX_DETAIL: usize = 1024;

/// Two brands with a webhook each, and a producer that can send any bytes.
struct Scene {
    stage: Stage,
    own: Webhook,
    other: (Brand, Webhook),
    producer: RawProducer,
}

impl Scene {
    async fn new() -> Self {
        let stage = Stage::new().await;
        let (_, own) = stage.create_webhook("/own").await;
        let brand = stage.platform.create_brand("other").await;
        let endpoint = stage.receiver.endpoint("/other");
        let webhook = brand.create_webhook(endpoint.url(), &["NOTIFICATION"]).await;
        let schema = json!({"additionalProperties": {"type": "string"}});
        let map = json!({"description": "A map of texts", "schema": schema, "enforceSchema": true});
        put_type(&stage.brand.support, MAP, &map).await;
        let producer = RawProducer::connect(stage.platform.amqp_url(), &stage.platform.namespace).await;
        Self { stage, own, other: (brand, webhook), producer }
    }

    /// An event of each brand.
    async fn publish_good(&self) -> [Event; 2] {
        let events = [Event::sms("acme"), Event::sms("other")];
        self.stage.platform.producer().await.publish_all(&events).await;
        events
    }

    async fn wait_delivered(&self, [own, other]: &[Event; 2]) {
        self.stage.brand.wait_delivery_status(&self.own, own.id(), "delivered").await;
        self.other.0.wait_delivery_status(&self.other.1, other.id(), "delivered").await;
    }

    /// Publishes the message between good events, which all arrive, and finds it whole among the rejected
    /// messages.
    async fn assert_rejected(&mut self, case: &str, message: &RawMessage, reason: &str, detail: &str) {
        eprintln!("{case}");
        let body = message.body().to_vec();
        let before = self.publish_good().await;
        self.producer.publish(message).await;
        let after = self.publish_good().await;
        for events in [&before, &after] {
            self.wait_delivered(events).await;
        }
        self.wait_rejected(case, reason, detail, |refused| refused == body).await;
    }

    async fn wait_rejected(&self, case: &str, reason: &str, detail: &str, is_it: impl Fn(&[u8]) -> bool) {
        let rejected = self.stage.platform.rabbit().await.take_message("rejected").await;
        assert!(is_it(&rejected.body), "{case}: another body of {} bytes", rejected.body.len());
        assert_eq!(rejected.header("x-reject-reason"), reason, "{case}");
        let actual = rejected.header("x-reject-detail");
        assert!(actual.contains(detail) && actual.len() <= MAX_DETAIL, "{case}: {actual}");
    }

    /// Asserts that the router kept its subscription and its process.
    fn assert_undisturbed(&mut self) {
        let router = &mut self.stage.platform.routers[0];
        assert!(router.is_running());
        assert!(!router.read_log().contains("the broker ended the subscription"), "{}", router.log_tail());
    }
}

/// Returns a good event, as the base of a bad message.
fn good_message() -> RawMessage {
    RawMessage::new(SMS.as_bytes(), Event::sms("acme").body().as_bytes())
}

#[tokio::test]
async fn text_that_is_not_utf8_is_rejected_and_stops_nothing() {
    let mut scene = Scene::new().await;
    let key = RawMessage::new(b"\x80", Event::sms("acme").body().as_bytes());
    scene.assert_rejected("routing key", &key, "unreadable", "the routing key is not UTF-8").await;
    for name in [
        "message_id",
        "content_type",
        "content_encoding",
        "correlation_id",
        "reply_to",
        "type",
        "app_id",
        "cluster_id",
    ] {
        let message = good_message().text(name, b"caf\xe9");
        let detail = format!("the property {name} is not UTF-8");
        scene.assert_rejected(name, &message, "unreadable", &detail).await;
    }
    let inner = [&b"F"[..], &encode_long(&encode_header(b"\xff", b"V"))].concat();
    for (case, headers) in
        [("header", encode_header(b"\x80", b"V")), ("header in a header", encode_header(b"x", &inner))]
    {
        let detail = "the name of a header is not UTF-8";
        scene.assert_rejected(case, &good_message().headers(&headers), "unreadable", detail).await;
    }
    scene.assert_undisturbed();
}

/// Two unreadable names may have the same replacement text; if it counted as a name, two events would become
/// one.
#[tokio::test]
async fn unreadable_message_ids_are_not_duplicates() {
    let mut scene = Scene::new().await;
    for id in [b"\x80", b"\x81"] {
        let nameless = Event { id: None, ..Event::sms("acme") };
        let message = RawMessage::new(SMS.as_bytes(), nameless.body().as_bytes());
        scene.producer.publish(&message.text("message_id", id)).await;
    }
    let support = scene.stage.brand.support.clone();
    for item in wait_rejected(&support, 2).await {
        assert_eq!((&item["reason"], &item["messageId"]), (&json!("unreadable"), &Value::Null), "{item}");
    }
    republish_rejected(&support, json!({})).await;
    eventually("both are rejected because they have no id", WAIT_TIMEOUT, async || {
        let items = wait_rejected(&support, 2).await;
        let nameless = items.iter().all(|item| item["reason"] == "missing_id");
        if nameless { Ok(()) } else { Err(format!("{items:?}")) }
    })
    .await;
    scene.assert_undisturbed();
}

#[tokio::test]
async fn deeply_nested_headers_are_rejected_and_stop_nothing() {
    let mut scene = Scene::new().await;
    for (case, value) in [
        ("an array of 1,200 levels", nested_arrays(1_200)),
        ("a table of 15,000 levels", nested_tables(15_000)),
        ("an array of 24,000 levels", nested_arrays(24_000)),
        ("an array of 33 levels", nested_arrays(33)),
        ("a table of 33 levels", nested_tables(33)),
    ] {
        let message = good_message().headers(&encode_header(b"n", &value));
        scene.assert_rejected(case, &message, "unreadable", "headers are nested deeper than 32 levels").await;
    }
    scene.assert_undisturbed();
}

/// Each value takes fifty times the memory that it took on the wire.
#[tokio::test]
async fn headers_with_too_many_values_are_rejected_and_stop_nothing() {
    let mut scene = Scene::new().await;
    let many = [&b"A"[..], &encode_long(&vec![b'V'; 100_000])].concat();
    let message = good_message().headers(&encode_header(b"n", &many));
    let detail = "have more than 4096 values";
    scene.assert_rejected("an array of 100,000 values", &message, "unreadable", detail).await;
    scene.assert_undisturbed();
}

#[tokio::test]
async fn other_properties_and_headers_are_accepted() {
    let mut scene = Scene::new().await;
    let values: [&[u8]; 18] = [
        b"t\x02",
        b"b\xff",
        b"B\xff",
        b"s\x80\0",
        b"u\x80\0",
        b"I\x80\0\0\0",
        b"i\x80\0\0\0",
        b"l\x80\0\0\0\0\0\0\0",
        b"L\x80\0\0\0\0\0\0\0",
        b"f\x7f\x7f\xff\xff",
        b"d\x7f\xef\xff\xff\xff\xff\xff\xff",
        b"D\xff\xff\xff\xff\xff",
        b"S\0\0\0\x02\xff\xfe",
        b"x\0\0\0\x02\xff\xfe",
        b"A\0\0\0\0",
        b"F\0\0\0\0",
        b"T\xff\xff\xff\xff\xff\xff\xff\xff",
        b"V",
    ];
    let every_type: Vec<u8> =
        values.iter().enumerate().flat_map(|(n, v)| encode_header(&[b'a' + n as u8], v)).collect();
    for (case, headers) in [
        ("every type", every_type),
        ("one name twice", [encode_header(b"a", b"V"), encode_header(b"a", b"t\x01")].concat()),
        ("32 arrays", encode_header(b"n", &nested_arrays(32))),
        ("32 tables", encode_header(b"n", &nested_tables(32))),
        ("the longest name", encode_header(&[b'n'; 255], b"V")),
    ] {
        eprintln!("{case}");
        let event = Event::sms("acme");
        let message = RawMessage::new(SMS.as_bytes(), event.body().as_bytes()).headers(&headers);
        // The replacement character is a character like any other when a producer sends it.
        scene.producer.publish(&message.text("message_id", "caf\u{fffd}?".as_bytes())).await;
        scene.stage.brand.wait_delivery_status(&scene.own, event.id(), "delivered").await;
    }
    scene.assert_undisturbed();
}

#[tokio::test]
async fn a_long_key_in_the_data_gets_a_short_detail() {
    let mut scene = Scene::new().await;
    let key = "k".repeat(200_000);
    let data = format!("{{\"{key}\":1}}");

    let culprit = Event::new("acme", MAP).data(&data);
    let message = RawMessage::new(MAP.as_bytes(), culprit.body().as_bytes());
    scene.assert_rejected("over AMQP", &message, "schema_violation", "kkk…: 1 is not of type").await;

    let before = scene.publish_good().await;
    let body = format!(r#"{{"type":"{MAP}","data":{data}}}"#);
    let api = &scene.stage.brand.api;
    let problem = api.send(Method::POST, "/v1/acme/events", Some(body)).await.expect_problem(422).to_string();
    assert!(problem.contains("/data/kkk") && problem.contains("1 is not of type"), "{problem}");
    assert!(problem.len() < 1024, "{} bytes", problem.len());
    let after = scene.publish_good().await;
    for events in [&before, &after] {
        scene.wait_delivered(events).await;
    }
    scene.assert_undisturbed();
}

/// RabbitMQ adds a header to a redelivered message, even if the frame becomes too large.
#[tokio::test]
async fn headers_that_fill_a_frame_stop_nothing() {
    let mut scene = Scene::new().await;
    let event = Event::sms("acme");
    let of = |length: usize| {
        let value = [&b"S"[..], &encode_long(&vec![b'x'; length])].concat();
        RawMessage::new(SMS.as_bytes(), event.body().as_bytes()).headers(&encode_header(b"x", &value))
    };
    let message = of(MAX_FRAME_BYTES - of(0).header_frame_bytes());
    assert_eq!(message.header_frame_bytes(), MAX_FRAME_BYTES);
    scene.stage.platform.routers[0].terminate().await;
    scene.producer.publish(&message).await;
    scene.stage.platform.rabbit().await.requeue_next("ingest").await;
    let router = &mut scene.stage.platform.routers[0];
    router.start();
    router.wait_ready().await;
    let after = scene.publish_good().await;
    scene.wait_delivered(&after).await;
    scene.stage.brand.wait_delivery_status(&scene.own, event.id(), "delivered").await;
    scene.assert_undisturbed();
}
