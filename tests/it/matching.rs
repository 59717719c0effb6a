//! Which webhooks an event goes to (contract §1, §2, §4).

use e2e::WAIT_TIMEOUT;
use e2e::brand::{Brand, Webhook, put_type};
use e2e::event::{Event, SMS, ids};
use e2e::platform::Platform;
use e2e::receiver::Receiver;
use serde_json::json;

use crate::Stage;

#[tokio::test]
async fn types_groups_and_the_wildcard_match_whole_segments() {
    let platform = Platform::start().await;
    for event_type in ["ORDER.PAID.CARD", "ORDER.PAID.CASH", "ORDER.SENT", "ORDERS.COUNTED"] {
        put_type(&platform.support(), event_type, &json!({"description": "A test type"})).await;
    }
    let brand = Brand::create(&platform.support(), "acme", &["*"]).await;
    let receiver = Receiver::start(&platform.authority).await;
    let subscribed: [(&[&str], &[usize]); 6] = [
        (&["ORDER.PAID.CARD"], &[0]),
        (&["ORDER.PAID"], &[0, 1]),
        (&["ORDER"], &[0, 1, 2]),
        (&["ORDERS.COUNTED", "ORDER.SENT"], &[2, 3]),
        (&["ORDER", "ORDER.PAID", "ORDER.PAID.CARD", "*"], &[0, 1, 2, 3, 4]),
        (&["*"], &[0, 1, 2, 3, 4]),
    ];
    let mut webhooks = Vec::new();
    for (number, (events, _)) in subscribed.iter().enumerate() {
        webhooks.push(brand.create_webhook(receiver.endpoint(&format!("/{number}")).url(), events).await);
    }
    let types = ["ORDER.PAID.CARD", "ORDER.PAID.CASH", "ORDER.SENT", "ORDERS.COUNTED", SMS];
    let events = types.map(|event_type| Event::new("acme", event_type));

    platform.producer().await.publish_all(&events).await;

    // An event is stored for all of its webhooks at once. So once each event is at its own webhooks, none is
    // still on its way to another one.
    let all = ids(&events);
    brand.wait_listed(&webhooks[5], "", &all, WAIT_TIMEOUT).await;
    for ((_, wanted), (number, webhook)) in subscribed.iter().zip(webhooks.iter().enumerate()) {
        let wanted = ids(wanted.iter().map(|index| &events[*index]));
        brand.wait_listed(webhook, "status=delivered", &wanted, WAIT_TIMEOUT).await;
        brand.wait_listed(webhook, "", &wanted, WAIT_TIMEOUT).await;
        let arrived: Vec<_> = receiver.endpoint(&format!("/{number}")).requests();
        assert_eq!(arrived.len(), wanted.len(), "each event once at webhook {number}");
    }
}

#[tokio::test]
async fn types_that_are_not_enabled_are_counted_and_dropped() {
    let platform = Platform::start().await;
    let brand = Brand::create(&platform.support(), "acme", &[]).await;
    let receiver = Receiver::start(&platform.authority).await;
    let endpoint = receiver.endpoint("/hook");
    let webhook = brand.create_webhook(endpoint.url(), &["*"]).await;
    let before = Event::sms("acme");
    let after = Event::sms("acme");
    let off = Event::sms("acme");

    platform.producer().await.publish(&before).await;
    wait_not_enabled(&platform, 1.0).await;
    brand.enable_type(SMS).await;
    platform.producer().await.publish(&after).await;
    endpoint.wait_for_event(after.id()).await;
    brand.disable_type(SMS).await;
    platform.producer().await.publish(&off).await;
    wait_not_enabled(&platform, 2.0).await;

    brand.wait_listed(&webhook, "", &ids([&after]), WAIT_TIMEOUT).await;
    assert_eq!(endpoint.requests().len(), 1);
    assert_eq!(platform.rabbit().await.queue_depth("rejected").await, Some(0), "it is not a rejection");
}

/// Waits until the router has counted this number of events as not enabled.
pub(crate) async fn wait_not_enabled(platform: &Platform, number: f64) {
    e2e::poll::eventually("the router counts events that are not enabled", WAIT_TIMEOUT, async || {
        match platform.routers[0].read_metric(r#"postrider_events_total{outcome="not_enabled"}"#).await {
            seen if (seen - number).abs() < 0.5 => Ok(()),
            seen => Err(seen.to_string()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_group_includes_types_that_are_enabled_later() {
    let platform = Platform::start().await;
    for event_type in ["ORDER.PAID", "ORDER.SENT"] {
        put_type(&platform.support(), event_type, &json!({"description": "A test type"})).await;
    }
    let brand = Brand::create(&platform.support(), "acme", &["ORDER.PAID"]).await;
    let receiver = Receiver::start(&platform.authority).await;
    let endpoint = receiver.endpoint("/hook");
    let webhook = brand.create_webhook(endpoint.url(), &["ORDER"]).await;
    let [early, late] = ["ORDER.SENT", "ORDER.SENT"].map(|event_type| Event::new("acme", event_type));

    platform.producer().await.publish(&early).await;
    let paid = Event::new("acme", "ORDER.PAID");
    platform.producer().await.publish(&paid).await;
    endpoint.wait_for_event(paid.id()).await;
    brand.enable_type("ORDER.SENT").await;
    platform.producer().await.publish(&late).await;

    endpoint.wait_for_event(late.id()).await;
    brand.wait_listed(&webhook, "", &ids([&paid, &late]), WAIT_TIMEOUT).await;
}

#[tokio::test]
async fn the_type_in_the_body_overrides_the_routing_key() {
    let stage = Stage::new().await;
    let (endpoint, _) = stage.create_webhook("/hook").await;
    let event = Event::sms("acme");

    let producer = stage.platform.producer().await;
    producer.publish_raw("SOMETHING.ELSE", event.body().as_bytes(), None).await.expect("a confirm");

    endpoint.wait_for_event(event.id()).await;
}

#[tokio::test]
async fn a_webhooks_subscriptions_can_be_changed() {
    let stage = Stage::new().await;
    put_type(&stage.brand.support, "NOTIFICATION.MAIL", &json!({"description": "A mail"})).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let wanted = |webhook: &Webhook, events: &[&str]| (webhook.clone(), json!({ "events": events }));
    let first = Event::sms("acme");
    let second = Event::sms("acme");
    let mail = Event::new("acme", "NOTIFICATION.MAIL");

    stage.publish_event(&first).await;
    endpoint.wait_for_event(first.id()).await;
    let (webhook, change) = wanted(&webhook, &["NOTIFICATION.MAIL"]);
    stage.brand.patch_webhook(&webhook, &change).await;
    stage.publish_event(&second).await;
    stage.publish_event(&mail).await;

    endpoint.wait_for_event(mail.id()).await;
    stage.brand.wait_listed(&webhook, "", &ids([&first, &mail]), WAIT_TIMEOUT).await;
}

#[tokio::test]
async fn a_changed_endpoint_gets_later_events() {
    let stage = Stage::new().await;
    let (old, webhook) = stage.create_webhook("/old").await;
    let new = stage.receiver.endpoint("/new");
    stage.publish_event(&Event::sms("acme")).await;
    old.wait_for_requests(1).await;

    stage.brand.patch_webhook(&webhook, &json!({"endpoint": new.url()})).await;
    // The deliverer may use the old endpoint until it has learned of the change.
    e2e::poll::eventually("an event arrives at the new endpoint", WAIT_TIMEOUT, async || {
        stage.publish_event(&Event::sms("acme")).await;
        if new.requests().is_empty() { Err("none".to_owned()) } else { Ok(()) }
    })
    .await;

    // Events published before this one are stored; an event that is neither pending nor in flight has
    // arrived.
    stage.deliver_one(&webhook).await;
    stage.brand.wait_no_events(&webhook, "status=pending", WAIT_TIMEOUT).await;
    stage.wait_no_request().await;
    let settled = old.requests().len();
    let event = Event::sms("acme");
    stage.publish_event(&event).await;
    new.wait_for_event(event.id()).await;
    assert_eq!(old.requests().len(), settled, "nothing goes to the old endpoint any more");
}
