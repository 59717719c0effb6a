//! Deciding a schema: support puts a schema that explodes, and then the worst accepted schema.

use e2e::api::Api;
use e2e::event::Event;
use http::Method;
use serde_json::{Map, Value, json};

use crate::arena::Arena;
use crate::attack::Attack;
use crate::attacker::publish_counted;
use crate::contest::Contest;
use crate::size;

/// The type with the schema.
const DEEP_TYPE: &str = "NOTIFICATION.DEEP";
/// Levels whose decision takes longer than anybody waits: two to the power of 22 leaves.
const EXPLODING_LEVELS: usize = 22;
/// Events that violate the schema, in flight at the producer.
const IN_FLIGHT: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_explodes_costs_the_others_nothing() {
    let arena = Arena::start().await;
    let attacker = arena.attacker.clone();
    attacker.create_webhooks(1, json!({"maxConcurrency": 10}), |_| attacker.accepting_url()).await;
    let support = arena.platform.support();
    // Checked first, because an event for such a schema takes the memory of the whole machine.
    assert_eq!(put_schema(&support, EXPLODING_LEVELS).await, Some(422), "the schema that explodes");
    let contest = Contest::begin("schema", arena).await;

    let mut levels = EXPLODING_LEVELS;
    while ![Some(200), Some(201)].contains(&put_schema(&support, levels).await) {
        levels -= 1;
        assert!(levels > 0, "no schema is accepted");
    }
    let mut attack = Attack::new();
    let tally = attack.tally.clone();
    tally.add("levels accepted", levels as u64);
    attack.spawn(async move {
        let producer = attacker.connect().await;
        for _ in 0..size::choose(2_000, 20_000) / IN_FLIGHT {
            let violation = |_| Event::new(&attacker.brand.id, DEEP_TYPE).data(r#"{"a":1}"#);
            let events: Vec<Event> = (0..IN_FLIGHT).map(violation).collect();
            publish_counted(&producer, &events, &tally).await;
        }
    });
    contest.finish(attack).await;
}

/// Puts a schema with this number of levels, each of which refers twice to the next.
async fn put_schema(support: &Api, levels: usize) -> Option<u16> {
    let path = format!("/admin/v1/event-types/{DEEP_TYPE}");
    let body = json!({"description": "Deep", "schema": nested_schema(levels), "enforceSchema": true});
    support.try_send(Method::PUT, &path, Some(body.to_string())).await.ok().map(|answer| answer.status)
}

/// Returns a schema whose leaf fails for every event, after two to the power of `levels` decisions.
fn nested_schema(levels: usize) -> Value {
    let reference = |level: usize| json!({"$ref": format!("#/$defs/l{level}")});
    let mut definitions = Map::new();
    for level in 0..levels {
        definitions
            .insert(format!("l{level}"), json!({"anyOf": [reference(level + 1), reference(level + 1)]}));
    }
    definitions.insert(format!("l{levels}"), json!({"type": "object", "required": ["never"]}));
    json!({"$ref": "#/$defs/l0", "$defs": definitions})
}
