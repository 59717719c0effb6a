//! `postrider listen`: events at a developer's machine that the internet does not reach.

use e2e::local_server::LocalServer;
use e2e::poll::eventually;
use e2e::receiver::Received;
use e2e::{WAIT_TIMEOUT, event::Event};
use serde_json::json;

use crate::Stage;
use crate::cli::cli;

/// The envelope's keys, in their order (contract §3).
const KEYS: [&str; 7] = ["id", "brandId", "webhookId", "attemptId", "created", "type", "data"];

fn assert_as_from_the_platform(request: &Received, event: &Event) {
    assert_eq!(request.header("webhook-id"), event.id());
    assert_eq!(request.header("content-type"), "application/json");
    let places: Vec<_> = KEYS.iter().map(|key| request.text().find(&format!("\"{key}\":"))).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{}", request.text());
    assert!(request.text().ends_with(&format!("\"data\":{}}}", event.data)), "{}", request.text());
}

#[tokio::test]
async fn new_events_of_a_webhook_arrive_signed_with_its_secret() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let old = stage.deliver_one(&webhook).await;
    let mut server = LocalServer::start().await;
    let brand = cli(&stage, &stage.brand.api);
    let mut listening = brand.start(&["listen", "--webhook", &webhook.id, "--forward-to", &server.url]);
    // Before it listens nothing is forwarded, so the test publishes events until one arrives.
    let event = Event::sms("acme").data(r#"{"z":12345678901234567890,"a":1.10}"#);
    let mut first = None;
    while first.is_none() {
        stage.publish_event(&Event::sms("acme")).await;
        let wait = std::time::Duration::from_secs(2);
        first = tokio::time::timeout(wait, listening.next_line()).await.ok();
    }
    stage.publish_event(&event).await;
    let request = loop {
        let request = server.next_request().await;
        request.verify(&webhook.secret).expect("a signature of the webhook's secret");
        assert_ne!(request.event_id(), old.id(), "earlier events are not forwarded");
        if request.event_id() == event.id() {
            break request;
        }
    };
    assert_as_from_the_platform(&request, &event);
    // The platform's own delivery also arrived.
    let own = endpoint.wait_for_event(event.id()).await;
    assert_ne!(own.field("attemptId"), request.field("attemptId"));
    let again = ["listen", "--webhook", &webhook.id, "--event", old.id(), "--forward-to", &server.url];
    assert_eq!(brand.json(&again).await["statusCode"], 200);
    while server.next_request().await.event_id() != old.id() {}
    assert!(listening.interrupt().await, "a successful exit");
}

#[tokio::test]
async fn without_a_webhook_a_temporary_one_is_created() {
    let stage = Stage::new().await;
    let mut server = LocalServer::start().await;
    let brand = cli(&stage, &stage.brand.api);
    let mut listening = brand.start(&["listen", "--events", "NOTIFICATION.SMS", "--forward-to", &server.url]);
    let made = eventually("a webhook is created", WAIT_TIMEOUT, async || {
        let listed = brand.json(&["webhooks", "list"]).await;
        if listed[0].is_object() { Ok(listed[0].clone()) } else { Err(listed.to_string()) }
    })
    .await;
    assert_eq!(made["events"], json!(["NOTIFICATION.SMS"]));
    let mut forwarded = None;
    while forwarded.is_none() {
        stage.publish_event(&Event::sms("acme")).await;
        let wait = std::time::Duration::from_secs(2);
        forwarded = tokio::time::timeout(wait, listening.next_line()).await.ok();
    }
    assert_eq!(forwarded.expect("a line")["statusCode"], 200);
    let id = made["id"].as_str().expect("an id");
    let secret = stage
        .brand
        .api
        .get(&stage.brand.webhooks_path(&format!("/{id}/secret")))
        .await
        .expect_status(200)
        .json();
    server.next_request().await.verify(secret["secret"].as_str().expect("a secret")).expect("a signature");
    assert!(listening.interrupt().await, "a successful exit");
    assert_eq!(brand.json(&["webhooks", "list"]).await, json!([]), "it is deleted again");
}
