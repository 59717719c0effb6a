//! Authentication: somebody guesses tokens from the victim's address.

use std::time::Duration;

use e2e::brand::create_token;
use tokio::time::interval;

use crate::arena::Arena;
use crate::attack::Attack;
use crate::contest::Contest;
use crate::victim::create_client;

/// Interval of the guesses, a hundred a second.
const GUESS_INTERVAL: Duration = Duration::from_millis(10);
/// Guesses under way, fewer than a client network may have connections.
const MAX_GUESSES: usize = 20;
/// Valid tokens that are used for the first time during the attack.
const FRESH_TOKENS: usize = 20;
/// Guesses before the first of them is used, more than the API bears from an address that it counts.
const GUESSES_BEFORE: u64 = 250;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_tokens_lock_nobody_out() {
    let arena = Arena::start().await;
    let support = arena.platform.support();
    let mut fresh = Vec::new();
    for _ in 0..FRESH_TOKENS {
        fresh.push(create_token(&support, "victim", "read").await);
    }
    let url = format!("http://{}/v1/victim/webhooks", arena.platform.api_address());
    let mut contest = Contest::begin("wrong tokens", arena).await;

    let client = create_client();
    let mut attack = Attack::new();
    let tally = attack.tally.clone();
    let (guesser, guessed_url) = (client.clone(), url.clone());
    attack.spawn(async move {
        let mut ticks = interval(GUESS_INTERVAL);
        let mut guesses = tokio::task::JoinSet::new();
        loop {
            ticks.tick().await;
            let guess = format!("prt_{}", uuid::Uuid::new_v4().simple());
            let (request, tally) = (guesser.get(&guessed_url).bearer_auth(guess), tally.clone());
            guesses.spawn(async move {
                match request.send().await {
                    Ok(answer) => tally.add(format!("answers {}", answer.status().as_u16()), 1),
                    Err(_) => tally.add("guesses without an answer", 1),
                }
            });
            while guesses.try_join_next().is_some() {}
            if guesses.len() >= MAX_GUESSES {
                guesses.join_next().await;
            }
        }
    });
    contest.measure_beside().await;
    let answered = || attack.tally.read("answers 401") + attack.tally.read("answers 429");
    e2e::poll::eventually("enough guesses", e2e::WAIT_TIMEOUT, async || match answered() {
        GUESSES_BEFORE.. => Ok(()),
        few => Err(few.to_string()),
    })
    .await;
    for token in fresh {
        let answer = client.get(&url).bearer_auth(token).send().await.map(|answer| answer.status());
        if !answer.as_ref().is_ok_and(|status| *status == 200) {
            contest.failures.push(format!("a valid token at its first use: {answer:?}"));
        }
    }
    contest.restart_each().await;
    contest.settle(attack).await;
}
