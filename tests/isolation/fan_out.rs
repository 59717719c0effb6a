//! Storing and queueing: ten requests for hundreds of webhooks are a million deliveries.
use serde_json::json;

use crate::arena::Arena;
use crate::attack::Attack;
use crate::contest::Contest;
use crate::size;

/// Events of a request.
const EVENTS: usize = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_fan_out_costs_the_others_nothing() {
    let arena = Arena::start().await;
    let attacker = arena.attacker.clone();
    attacker
        .create_webhooks(size::choose(100, 300), json!({"maxConcurrency": 10}), |_| attacker.accepting_url())
        .await;
    let contest = Contest::begin("fan-out", arena).await;

    let mut attack = Attack::new();
    let (publisher, tally) = (attacker.clone(), attack.tally.clone());
    attack.spawn(async move { publisher.post_many(size::choose(4, 10) * EVENTS, &tally).await });
    let tally = attack.tally.clone();
    contest.finish(attack).await;
    assert!(tally.read("answers 202") > 0, "the attack was refused: {tally}");
    eprintln!("{} requests reached the attacker", attacker.count_requests());
}
