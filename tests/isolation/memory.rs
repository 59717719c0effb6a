//! Memory: large events for endpoints that hang, and messages of 15 MB that are only refused.

use e2e::event::SMS;
use serde_json::json;

use crate::arena::Arena;
use crate::attack::Attack;
use crate::attacker::publish_counted;
use crate::contest::Contest;
use crate::size;

/// Bytes of an event's data, just below the limit of an event.
const EVENT_BYTES: usize = 250_000;
/// Bytes of an oversized message, just below RabbitMQ's limit.
const OVERSIZED_BYTES: usize = 15_000_000;
/// Large events in flight at the producer.
const IN_FLIGHT: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_events_of_a_brand_stay_within_the_memory_bound() {
    let arena = Arena::start().await;
    let attacker = arena.attacker.clone();
    attacker
        .create_webhooks(size::choose(8, 20), json!({"maxConcurrency": 100}), |_| attacker.hanging_url())
        .await;
    let contest = Contest::begin("memory", arena).await;

    let mut attack = Attack::new();
    let (publisher, tally) = (attacker.clone(), attack.tally.clone());
    attack.spawn(async move {
        let producer = publisher.connect().await;
        for _ in 0..size::choose(400, 1000) / IN_FLIGHT {
            let events: Vec<_> = (0..IN_FLIGHT).map(|_| publisher.large_event(EVENT_BYTES)).collect();
            publish_counted(&producer, &events, &tally).await;
        }
        let oversized = "x".repeat(OVERSIZED_BYTES);
        for _ in 0..size::choose(20, 60) {
            let confirmed = producer.publish_raw(SMS, oversized.as_bytes(), None).await.is_ok();
            tally.add(if confirmed { "oversized confirmed" } else { "oversized without a confirm" }, 1);
        }
    });
    contest.finish(attack).await;
    assert!(attacker.count_requests() > 0, "no large event was sent");
}
