//! Which webhooks an event goes to (contract §1, §2, §4).

use e2e::PATIENCE;
use e2e::brand::{Brand, Webhook, put_type};
use e2e::event::{Event, SMS, ids};
use e2e::platform::Platform;
use e2e::receiver::Receiver;
use serde_json::json;

use crate::Stage;

#[tokio::test]
async fn types_groups_and_everything_match_whole_segments() {
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
        webhooks.push(brand.webhook(receiver.endpoint(&format!("/{number}")).url(), events).await);
    }
    let types = ["ORDER.PAID.CARD", "ORDER.PAID.CASH", "ORDER.SENT", "ORDERS.COUNTED", SMS];
    let events = types.map(|event_type| Event::new("acme", event_type));

    platform.producer().await.publish_all(&events).await;

    // An event is stored for all of its webhooks at once. So once each event is at its own webhooks, none is
    // still on its way to another one.
    let all = ids(&events);
    brand.wait_listed(&webhooks[5], "", &all, PATIENCE).await;
    for ((_, wanted), (number, webhook)) in subscribed.iter().zip(webhooks.iter().enumerate()) {
        let wanted = ids(wanted.iter().map(|index| &events[*index]));
        brand.wait_listed(webhook, "status=delivered", &wanted, PATIENCE).await;
        brand.wait_listed(webhook, "", &wanted, PATIENCE).await;
        let arrived: Vec<_> = receiver.endpoint(&format!("/{number}")).requests();
        assert_eq!(arrived.len(), wanted.len(), "each event once at webhook {number}");
    }
}

#[tokio::test]
async fn nothing_is_enabled_by_default_and_what_is_not_is_counted_and_dropped() {
    let platform = Platform::start().await;
    let brand = Brand::create(&platform.support(), "acme", &[]).await;
    let receiver = Receiver::start(&platform.authority).await;
    let endpoint = receiver.endpoint("/hook");
    let webhook = brand.webhook(endpoint.url(), &["*"]).await;
    let before = Event::sms("acme");
    let after = Event::sms("acme");
    let off = Event::sms("acme");

    platform.producer().await.publish(&before).await;
    counted(&platform, 1.0).await;
    brand.enable(SMS).await;
    platform.producer().await.publish(&after).await;
    endpoint.wait_for_event(after.id()).await;
    brand.disable(SMS).await;
    platform.producer().await.publish(&off).await;
    counted(&platform, 2.0).await;

    brand.wait_listed(&webhook, "", &ids([&after]), PATIENCE).await;
    assert_eq!(endpoint.requests().len(), 1);
    assert_eq!(platform.rabbit().await.depth("rejected").await, Some(0), "it is not a rejection");
}

/// Waits until the router has counted this number of events as not enabled.
async fn counted(platform: &Platform, number: f64) {
    e2e::poll::eventually("the router counts events that are not enabled", PATIENCE, async || match platform
        .routers[0]
        .metric(r#"postrider_events_total{outcome="not_enabled"}"#)
        .await
    {
        seen if (seen - number).abs() < 0.5 => Ok(()),
        seen => Err(seen.to_string()),
    })
    .await;
}

#[tokio::test]
async fn a_type_that_is_enabled_later_counts_for_a_group_from_then_on() {
    let platform = Platform::start().await;
    for event_type in ["ORDER.PAID", "ORDER.SENT"] {
        put_type(&platform.support(), event_type, &json!({"description": "A test type"})).await;
    }
    let brand = Brand::create(&platform.support(), "acme", &["ORDER.PAID"]).await;
    let receiver = Receiver::start(&platform.authority).await;
    let endpoint = receiver.endpoint("/hook");
    let webhook = brand.webhook(endpoint.url(), &["ORDER"]).await;
    let [early, late] = ["ORDER.SENT", "ORDER.SENT"].map(|event_type| Event::new("acme", event_type));

    platform.producer().await.publish(&early).await;
    let paid = Event::new("acme", "ORDER.PAID");
    platform.producer().await.publish(&paid).await;
    endpoint.wait_for_event(paid.id()).await;
    brand.enable("ORDER.SENT").await;
    platform.producer().await.publish(&late).await;

    endpoint.wait_for_event(late.id()).await;
    brand.wait_listed(&webhook, "", &ids([&paid, &late]), PATIENCE).await;
}

#[tokio::test]
async fn the_type_in_the_body_counts_whatever_the_routing_key() {
    let stage = Stage::set().await;
    let (endpoint, _) = stage.webhook("/hook").await;
    let event = Event::sms("acme");

    let producer = stage.platform.producer().await;
    producer.raw("SOMETHING.ELSE", event.body().as_bytes(), None).await.expect("a confirm");

    endpoint.wait_for_event(event.id()).await;
}

#[tokio::test]
async fn what_a_webhook_subscribes_to_can_be_changed() {
    let stage = Stage::set().await;
    put_type(&stage.brand.support, "NOTIFICATION.MAIL", &json!({"description": "A mail"})).await;
    let (endpoint, webhook) = stage.webhook("/hook").await;
    let wanted = |webhook: &Webhook, events: &[&str]| (webhook.clone(), json!({ "events": events }));
    let first = Event::sms("acme");
    let second = Event::sms("acme");
    let mail = Event::new("acme", "NOTIFICATION.MAIL");

    stage.publish(&first).await;
    endpoint.wait_for_event(first.id()).await;
    let (webhook, change) = wanted(&webhook, &["NOTIFICATION.MAIL"]);
    stage.brand.patch(&webhook, &change).await;
    stage.publish(&second).await;
    stage.publish(&mail).await;

    endpoint.wait_for_event(mail.id()).await;
    stage.brand.wait_listed(&webhook, "", &ids([&first, &mail]), PATIENCE).await;
}

#[tokio::test]
async fn an_endpoint_that_is_changed_gets_what_comes_after() {
    let stage = Stage::set().await;
    let (old, webhook) = stage.webhook("/old").await;
    let new = stage.receiver.endpoint("/new");
    stage.publish(&Event::sms("acme")).await;
    old.wait_for(1).await;

    stage.brand.patch(&webhook, &json!({"endpoint": new.url()})).await;
    // The deliverer may use the old endpoint until it has learned of the change.
    e2e::poll::eventually("an event arrives at the new endpoint", PATIENCE, async || {
        stage.publish(&Event::sms("acme")).await;
        if new.requests().is_empty() { Err("none".to_owned()) } else { Ok(()) }
    })
    .await;

    // Events published before this one are stored; an event that is neither pending nor in flight has
    // arrived.
    stage.one_more(&webhook).await;
    stage.brand.wait_none(&webhook, "status=pending", PATIENCE).await;
    stage.wait_no_request().await;
    let settled = old.requests().len();
    let event = Event::sms("acme");
    stage.publish(&event).await;
    new.wait_for_event(event.id()).await;
    assert_eq!(old.requests().len(), settled, "nothing goes to the old endpoint any more");
}
