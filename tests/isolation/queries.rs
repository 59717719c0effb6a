//! The database behind the API: queries that cost much, from forty clients at once.

use std::time::Duration;

use e2e::database::connect;
use e2e::event::{time_ago, time_ahead};
use e2e::filled::Filled;
use http::Method;
use serde_json::json;

use crate::arena::Arena;
use crate::attack::Attack;
use crate::attacker::send_counted;
use crate::contest::Contest;
use crate::size;

/// Clients of the attacker, each with a request under way.
const CLIENTS: usize = 40;
/// The range of all deliveries.
const RANGE: Duration = Duration::from_secs(8 * 24 * 3600);
const HOUR: Duration = Duration::from_secs(3600);
/// Redeliveries of the whole range that may be accepted, because only one at a time may be open.
const MAX_REDELIVERIES: u64 = 5;
/// How long a client waits after an answer, so that refusals do not make the attack a mere flood.
const REQUEST_DELAY: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expensive_queries_cost_the_others_nothing() {
    let arena = Arena::start().await;
    let attacker = arena.attacker.clone();
    let webhook = attacker
        .create_webhooks(1, json!({"maxConcurrency": 10}), |_| attacker.accepting_url())
        .await
        .remove(0);
    let client = connect(&arena.platform.database_url()).await.expect("the database");
    let deliveries = i64::try_from(size::choose(100_000, 500_000)).expect("a few");
    Filled::fill(&client, &attacker.brand.id, &webhook.id, deliveries).await;
    let contest = Contest::begin("expensive queries", arena).await;

    let mut attack = Attack::new();
    for number in 0..CLIENTS {
        let (attacker, tally) = (attacker.clone(), attack.tally.clone());
        let redeliver = attacker.brand.webhook_path(&webhook, "/redeliver");
        let search = attacker.brand.webhook_path(&webhook, "/events?type=WEBHOOK&limit=1000");
        attack.spawn(async move {
            loop {
                let range =
                    json!({"from": time_ago(RANGE), "to": time_ahead(HOUR), "status": "all"}).to_string();
                let (method, path, body) = match number % 2 {
                    0 => (Method::POST, &redeliver, Some(range)),
                    _ => (Method::GET, &search, None),
                };
                send_counted(&attacker.brand.api, method, path, body, &tally).await;
                tokio::time::sleep(REQUEST_DELAY).await;
            }
        });
    }
    let tally = attack.tally.clone();
    contest.finish(attack).await;
    assert!(
        tally.read("answers 202") <= MAX_REDELIVERIES,
        "all deliveries are owed again and again: {tally}"
    );
}
