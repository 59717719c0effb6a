//! Replicas share the work and take over from one another (contract §7).

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::WAIT_TIMEOUT;
use e2e::event::{Event, SMS};
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::script::Reply;
use serde_json::json;

use crate::Stage;

const WEBHOOKS: u8 = 16;
/// Two missed heartbeats and the time to notice them.
const TAKEOVER_TIMEOUT: Duration = Duration::from_secs(60);

/// Creates a stage with two deliverers and webhooks at `/0`, `/1` and so on.
async fn start_two_deliverers(retries: &str) -> Stage {
    let stage = Stage::with_builder(Platform::builder().deliverers(2).retries(retries)).await;
    for number in 0..WEBHOOKS {
        stage.create_webhook(&format!("/{number}")).await;
    }
    stage
}

/// Publishes some events and waits until each webhook has them.
async fn publish_round(stage: &Stage, number: usize, within: Duration) {
    let events = Event::sms_batch("acme", number);
    stage.platform.producer().await.publish_all(&events).await;
    let ids: BTreeSet<_> = events.iter().map(|event| event.id().to_owned()).collect();
    for webhook in 0..WEBHOOKS {
        let endpoint = stage.receiver.endpoint(&format!("/{webhook}"));
        let what = format!("{number} events at webhook {webhook}");
        endpoint
            .wait_until(&what, within, |all| {
                let seen: BTreeSet<_> = all.iter().map(|request| request.event_id()).collect();
                ids.is_subset(&seen)
            })
            .await;
    }
}

/// Waits until all webhooks are owned and each deliverer has its share of them within 15 percent.
async fn wait_shared(stage: &Stage, webhooks: u8) {
    let webhooks = f64::from(webhooks);
    eventually("each deliverer owns its share", TAKEOVER_TIMEOUT, async || {
        let mut owned = Vec::new();
        let mut owned_by = 0.0;
        for deliverer in &stage.platform.deliverers {
            owned.push(deliverer.read_metric("postrider_deliverer_webhooks_owned").await);
            owned_by += 1.0;
        }
        let all: f64 = owned.iter().sum();
        let even = |share: &f64| (share * owned_by - webhooks).abs() <= 0.15 * webhooks;
        let even = (all - webhooks).abs() < 0.5 && owned.iter().all(even);
        if even { Ok(()) } else { Err(format!("{owned:?}")) }
    })
    .await;
}

#[tokio::test]
async fn deliverers_have_equal_shares_of_the_webhooks() {
    const MANY: u8 = 40;
    let mut stage = Stage::new().await;
    for number in 0..MANY {
        stage.create_webhook(&format!("/{number}")).await;
    }
    for deliverers in [1, 2, 4] {
        while stage.platform.deliverers.len() < deliverers {
            let deliverer = stage.platform.add_deliverer();
            deliverer.start();
            deliverer.wait_ready().await;
        }
        wait_shared(&stage, MANY).await;
        publish_round(&stage, 2, WAIT_TIMEOUT).await;
    }
}

#[tokio::test]
async fn a_deliverer_takes_over_from_a_killed_one() {
    let mut stage = start_two_deliverers("1s,1s").await;
    wait_shared(&stage, WEBHOOKS).await;
    publish_round(&stage, 5, WAIT_TIMEOUT).await;

    stage.platform.deliverers[0].kill();
    publish_round(&stage, 5, TAKEOVER_TIMEOUT).await;
    stage.platform.deliverers[0].start();
    stage.platform.deliverers[0].wait_ready().await;
    wait_shared(&stage, WEBHOOKS).await;
    stage.platform.deliverers[1].kill();
    publish_round(&stage, 5, TAKEOVER_TIMEOUT).await;
}

#[tokio::test]
async fn a_stopped_deliverer_hands_over_its_webhooks_at_once() {
    let mut stage = start_two_deliverers("1s").await;
    wait_shared(&stage, WEBHOOKS).await;
    let (status, _) = stage.platform.deliverers[0].terminate().await;
    assert_eq!(status.code(), Some(0));
    publish_round(&stage, 3, Duration::from_secs(15)).await;
}

#[tokio::test]
async fn a_deliverer_takes_over_from_a_frozen_one() {
    let stage = start_two_deliverers("1s").await;
    wait_shared(&stage, WEBHOOKS).await;
    stage.platform.deliverers[0].freeze();
    publish_round(&stage, 3, TAKEOVER_TIMEOUT).await;
    stage.platform.deliverers[0].unfreeze();
    publish_round(&stage, 3, TAKEOVER_TIMEOUT).await;
}

#[tokio::test]
async fn two_deliverers_together_keep_a_webhooks_concurrency() {
    let stage = Stage::with_builder(Platform::builder().deliverers(2)).await;
    // The deliverers may not know each other yet, so that the webhook moves meanwhile.
    let endpoint = stage.receiver.endpoint("/hook");
    endpoint.always(Reply::ok().after(Duration::from_millis(30)));
    let webhook = json!({"endpoint": endpoint.url(), "events": [SMS], "maxConcurrency": 1});
    stage.brand.create_webhook_with(&webhook).await;
    stage.platform.producer().await.publish_all(&Event::sms_batch("acme", 40)).await;
    endpoint.wait_for_requests(40).await;
    assert_eq!(endpoint.max_in_flight(), 1);
}

#[tokio::test]
async fn two_routers_route_each_event_once() {
    let stage = Stage::with_builder(Platform::builder().routers(2)).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let mut events = Event::sms_batch("acme", 150);
    // Each event is published twice, at about the same time.
    events.extend(events.clone());
    stage.platform.producer().await.publish_all(&events).await;
    let ids = events.iter().map(|event| event.id().to_owned()).collect();
    stage.brand.wait_listed(&webhook, "status=delivered", &ids, WAIT_TIMEOUT).await;
    stage.platform.rabbit().await.wait_queue_depth("ingest", 0).await;
    assert_eq!(endpoint.requests().len(), 150);
}
