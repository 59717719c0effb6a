//! The rejected queue and the logs: thousands of events that the platform cannot accept.

use e2e::brand::put_type;
use e2e::event::Event;
use serde_json::json;

use crate::arena::Arena;
use crate::attack::Attack;
use crate::attacker::publish_counted;
use crate::contest::Contest;
use crate::size;

/// A type whose schema is enforced.
const STRICT_TYPE: &str = "NOTIFICATION.STRICT";
/// A type that the catalogue does not have.
const UNKNOWN_TYPE: &str = "NOTIFICATION.UNKNOWN";
/// Clients that send unknown types over HTTP.
const CLIENTS: usize = 2;
/// Events of a request, or in flight at the producer.
const EVENTS: usize = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_events_cost_the_others_nothing() {
    let arena = Arena::start().await;
    let attacker = arena.attacker.clone();
    let schema = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
    let strict = json!({"description": "Strict", "schema": schema, "enforceSchema": true});
    put_type(&arena.platform.support(), STRICT_TYPE, &strict).await;
    attacker.create_webhooks(1, json!({"maxConcurrency": 10}), |_| attacker.accepting_url()).await;
    let contest = Contest::begin("rejected", arena).await;

    let mut attack = Attack::new();
    for _ in 0..CLIENTS {
        let (attacker, tally) = (attacker.clone(), attack.tally.clone());
        attack.spawn(async move {
            loop {
                attacker.post_events(UNKNOWN_TYPE, EVENTS, &tally).await;
            }
        });
    }
    let tally = attack.tally.clone();
    attack.spawn(async move {
        let producer = attacker.connect().await;
        for _ in 0..size::choose(10_000, 100_000) / EVENTS {
            let violation = |_| Event::new(&attacker.brand.id, STRICT_TYPE).data(r#"{"n":"text"}"#);
            let events: Vec<Event> = (0..EVENTS).map(violation).collect();
            publish_counted(&producer, &events, &tally).await;
        }
    });
    let tally = attack.tally.clone();
    contest.finish(attack).await;
    assert_eq!(
        tally.read("answers 202"),
        0,
        "the API accepted events that the router has to reject: {tally}"
    );
}
