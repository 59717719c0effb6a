//! Ending deliveries: the attacker pauses and deletes webhooks behind which thousands of deliveries wait.

use std::time::Duration;

use http::Method;
use serde_json::json;

use crate::arena::Arena;
use crate::attack::{Attack, Tally};
use crate::contest::Contest;
use crate::size;

/// How long the attacker waits between its changes.
const CHANGE_DELAY: Duration = Duration::from_secs(2);
/// How long the deliveries may take to be queued before the attack begins.
const BACKLOG_TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pausing_a_backlog_costs_the_others_nothing() {
    let arena = Arena::start().await;
    let attacker = arena.attacker.clone();
    let webhooks = size::choose(40, 100);
    let events = size::choose(500, 1000);
    // A delivery a second, while the owner takes 400 messages of each webhook.
    let slow = json!({"maxConcurrency": 100, "ratePerSecond": 1});
    let webhooks = attacker.create_webhooks(webhooks, slow, |_| attacker.accepting_url()).await;
    attacker.post_many(events, &Tally::default()).await;
    wait_backlog(&arena, webhooks.len() * events).await;
    let contest = Contest::begin("backlog pause", arena).await;

    let mut attack = Attack::new();
    let tally = attack.tally.clone();
    attack.spawn(async move {
        loop {
            let pause = Some(json!({"enabled": false}));
            attacker.change_all(&webhooks, Method::PATCH, pause, 200).await;
            tally.add("webhooks paused", webhooks.len() as u64);
            tokio::time::sleep(CHANGE_DELAY).await;
            let resume = Some(json!({"enabled": true}));
            attacker.change_all(&webhooks, Method::PATCH, resume, 200).await;
            attacker.post_many(events, &tally).await;
            tokio::time::sleep(CHANGE_DELAY).await;
        }
    });
    contest.finish(attack).await;
}

/// Waits until this number of deliveries is queued.
async fn wait_backlog(arena: &Arena, deliveries: usize) {
    e2e::poll::eventually("the backlog is queued", BACKLOG_TIMEOUT, async || {
        let mut queued = 0.0;
        for router in &arena.platform.routers {
            queued += router.read_metric("postrider_deliveries_queued_total").await;
        }
        if queued >= deliveries as f64 { Ok(()) } else { Err(format!("{queued} of {deliveries}")) }
    })
    .await;
}
