//! The routers' queue: the attacker publishes over AMQP as fast as it can.

use std::time::Duration;

use e2e::event::Event;
use serde_json::json;

use crate::arena::Arena;
use crate::attack::Attack;
use crate::attacker::publish_counted;
use crate::contest::Contest;
use crate::size;

/// Events that the attacker has published when the measurement begins, as a part of all.
const HEAD_START: usize = 3;
/// Producers of the attacker.
const PRODUCERS: usize = 4;
/// How long that part may take.
const FLOOD_TIMEOUT: Duration = Duration::from_secs(120);
/// Events that a producer has in flight.
const IN_FLIGHT: usize = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_events_costs_the_others_nothing() {
    let arena = Arena::start().await;
    let attacker = arena.attacker.clone();
    attacker.create_webhooks(1, json!({"maxConcurrency": 100}), |_| attacker.accepting_url()).await;
    let contest = Contest::begin("flood", arena).await;

    let events = size::choose(80_000, 100_000);
    let mut attack = Attack::new();
    for _ in 0..PRODUCERS {
        let (attacker, tally) = (attacker.clone(), attack.tally.clone());
        let events = events / PRODUCERS;
        attack.spawn(async move {
            let producer = attacker.connect().await;
            for _ in 0..events / IN_FLIGHT {
                let events = Event::sms_batch(&attacker.brand.id, IN_FLIGHT);
                publish_counted(&producer, &events, &tally).await;
            }
        });
    }
    let head_start = (events / HEAD_START) as u64;
    e2e::poll::eventually("a part of the flood is published", FLOOD_TIMEOUT, async || {
        match attack.tally.read("events confirmed") {
            confirmed if confirmed >= head_start => Ok(()),
            few => Err(few.to_string()),
        }
    })
    .await;
    contest.finish(attack).await;
}
