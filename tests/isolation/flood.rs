//! The routers' queue: the attacker publishes over AMQP as fast as it can.

use e2e::event::Event;

use crate::arena::Arena;
use crate::attack::Attack;
use crate::attacker::publish_counted;
use crate::contest::Contest;
use crate::size;

/// Producers of the attacker.
const PRODUCERS: usize = 4;
/// Events that a producer has in flight.
const IN_FLIGHT: usize = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_events_costs_the_others_nothing() {
    let arena = Arena::start().await;
    let attacker = arena.attacker.clone();
    attacker.create_webhooks(1, 100, |_| attacker.accepting_url()).await;
    let contest = Contest::begin("flood", arena).await;

    let mut attack = Attack::new();
    for _ in 0..PRODUCERS {
        let (attacker, tally) = (attacker.clone(), attack.tally.clone());
        let events = size::choose(80_000, 100_000) / PRODUCERS;
        attack.spawn(async move {
            let producer = attacker.connect().await;
            for _ in 0..events / IN_FLIGHT {
                let events = Event::sms_batch(&attacker.brand.id, IN_FLIGHT);
                publish_counted(&producer, &events, &tally).await;
            }
        });
    }
    contest.finish(attack).await;
}
