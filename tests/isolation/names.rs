//! Names: the name server of the attacker's endpoints never answers.

use std::sync::Arc;
use std::time::Duration;

use e2e::event::SMS;
use e2e::platform::Platform;
use e2e::settings::{amqp_url, database_url};
use http::Method;
use serde_json::json;

use crate::arena::Arena;
use crate::attack::Attack;
use crate::attacker::send_counted;
use crate::contest::Contest;
use crate::name_server::NameServer;
use crate::size;
use crate::victim::Reach;

/// A name of the test certificate.
const VICTIM_NAME: &str = "hooks.test";
/// Events of a request; each needs a look-up for every webhook.
const EVENTS: usize = 10;
/// Interval of the requests.
const ATTACK_INTERVAL: Duration = Duration::from_secs(2);
/// Changes of endpoints under way; each makes the API look a name up.
const PARALLEL_CHANGES: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_never_resolve_cost_the_others_nothing() {
    let name_server = Arc::new(NameServer::start(VICTIM_NAME).await);
    let builder = Platform::builder()
        .set("POSTRIDER_DNS_SERVERS", &name_server.address().to_string())
        // The servers have names, too.
        .broker(&amqp_url().replace("127.0.0.1", "localhost"))
        .postgres(&database_url().replace("127.0.0.1", "localhost"));
    let arena = Arena::start_with(builder, Reach::ByName(VICTIM_NAME)).await;
    let attacker = arena.attacker.clone();
    let url = |n: usize| format!("https://a{n}.slow.test/hook");
    let webhooks = Arc::new(attacker.create_webhooks(size::choose(200, 500), json!({}), url).await);
    let contest = Contest::begin("names", arena).await;

    name_server.fall_silent();
    let mut attack = Attack::new();
    let tally = attack.tally.clone();
    let publisher = attacker.clone();
    attack.spawn(async move {
        loop {
            publisher.post_events(SMS, EVENTS, &tally).await;
            tokio::time::sleep(ATTACK_INTERVAL).await;
        }
    });
    for task in 0..PARALLEL_CHANGES {
        let (attacker, webhooks, tally) = (attacker.clone(), webhooks.clone(), attack.tally.clone());
        attack.spawn(async move {
            for n in (task..).step_by(PARALLEL_CHANGES) {
                let path = attacker.brand.webhook_path(&webhooks[n % webhooks.len()], "");
                let change = json!({"endpoint": format!("https://b{n}.slow.test/hook")}).to_string();
                send_counted(&attacker.brand.api, Method::PATCH, &path, Some(change), &tally).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    }
    let tally = attack.tally.clone();
    let server = name_server.clone();
    attack.spawn(async move {
        let mut counted = 0;
        loop {
            let questions = server.count_unanswered();
            tally.add("unanswered questions", (questions - counted) as u64);
            counted = questions;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    contest.finish(attack).await;
    let questions = name_server.count_unanswered();
    assert!(questions > webhooks.len() / 10, "the attack asked only {questions} questions");
}
