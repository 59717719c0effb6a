//! Replicas share the work and take over from one another (contract §7).

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::PATIENCE;
use e2e::event::{Event, SMS};
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::script::Reply;
use serde_json::json;

use crate::Stage;

const WEBHOOKS: u8 = 16;
/// Two missed heartbeats and the time to notice them.
const TAKEOVER: Duration = Duration::from_secs(60);

/// Creates a stage with two deliverers and webhooks at `/0`, `/1` and so on.
async fn two_deliverers(retries: &str) -> Stage {
    let stage = Stage::with(Platform::builder().deliverers(2).retries(retries)).await;
    for number in 0..WEBHOOKS {
        stage.webhook(&format!("/{number}")).await;
    }
    stage
}

/// Publishes some events and waits until each webhook has them.
async fn round(stage: &Stage, number: usize, within: Duration) {
    let events = Event::many("acme", number);
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
async fn shared(stage: &Stage, webhooks: u8) {
    let webhooks = f64::from(webhooks);
    eventually("each deliverer owns its share", TAKEOVER, async || {
        let mut owned = Vec::new();
        let mut owned_by = 0.0;
        for deliverer in &stage.platform.deliverers {
            owned.push(deliverer.metric("postrider_deliverer_webhooks_owned").await);
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
async fn one_two_and_four_deliverers_have_equal_shares_of_forty_webhooks() {
    const MANY: u8 = 40;
    let mut stage = Stage::set().await;
    for number in 0..MANY {
        stage.webhook(&format!("/{number}")).await;
    }
    for deliverers in [1, 2, 4] {
        while stage.platform.deliverers.len() < deliverers {
            let deliverer = stage.platform.add_deliverer();
            deliverer.start();
            deliverer.wait_ready().await;
        }
        shared(&stage, MANY).await;
        round(&stage, 2, PATIENCE).await;
    }
}

#[tokio::test]
async fn two_deliverers_share_the_webhooks_and_one_takes_over_from_a_killed_one() {
    let mut stage = two_deliverers("1s,1s").await;
    shared(&stage, WEBHOOKS).await;
    round(&stage, 5, PATIENCE).await;

    stage.platform.deliverers[0].kill();
    round(&stage, 5, TAKEOVER).await;
    stage.platform.deliverers[0].start();
    stage.platform.deliverers[0].wait_ready().await;
    shared(&stage, WEBHOOKS).await;
    stage.platform.deliverers[1].kill();
    round(&stage, 5, TAKEOVER).await;
}

#[tokio::test]
async fn a_deliverer_that_is_stopped_hands_its_webhooks_over_at_once() {
    let mut stage = two_deliverers("1s").await;
    shared(&stage, WEBHOOKS).await;
    let (status, _) = stage.platform.deliverers[0].terminate().await;
    assert_eq!(status.code(), Some(0));
    round(&stage, 3, Duration::from_secs(15)).await;
}

#[tokio::test]
async fn the_webhooks_of_a_frozen_deliverer_move() {
    let stage = two_deliverers("1s").await;
    shared(&stage, WEBHOOKS).await;
    stage.platform.deliverers[0].freeze();
    round(&stage, 3, TAKEOVER).await;
    stage.platform.deliverers[0].thaw();
    round(&stage, 3, TAKEOVER).await;
}

#[tokio::test]
async fn two_deliverers_together_keep_to_the_concurrency_of_a_webhook() {
    let stage = Stage::with(Platform::builder().deliverers(2)).await;
    // The deliverers may not know each other yet, so that the webhook moves meanwhile.
    let endpoint = stage.receiver.endpoint("/hook");
    endpoint.always(Reply::ok().after(Duration::from_millis(30)));
    let webhook = json!({"endpoint": endpoint.url(), "events": [SMS], "maxConcurrency": 1});
    stage.brand.webhook_of(&webhook).await;
    stage.platform.producer().await.publish_all(&Event::many("acme", 40)).await;
    endpoint.wait_for(40).await;
    assert_eq!(endpoint.most_in_flight(), 1);
}

#[tokio::test]
async fn two_routers_take_each_event_once() {
    let stage = Stage::with(Platform::builder().routers(2)).await;
    let (endpoint, webhook) = stage.webhook("/hook").await;
    let mut events = Event::many("acme", 150);
    // Each event is published twice, at about the same time.
    events.extend(events.clone());
    stage.platform.producer().await.publish_all(&events).await;
    let ids = events.iter().map(|event| event.id().to_owned()).collect();
    stage.brand.wait_listed(&webhook, "status=delivered", &ids, PATIENCE).await;
    stage.platform.rabbit().await.wait_depth("ingest", 0).await;
    assert_eq!(endpoint.requests().len(), 150);
}
