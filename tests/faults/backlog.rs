//! More deliveries wait for an endpoint than it can take in the time of a retry.

use std::time::Duration;

use e2e::ledger::Ledger;

use crate::fault::Meanwhile;
use crate::world::World;

/// Deliveries that wait: at the pace of the slow endpoint they take 25 s.
const WAITING: usize = 500;
/// Deliveries that fail before the endpoint is well again.
const FAILED: usize = 30;
/// How long that, and all of the backlog, may take.
const BACKLOG_TIMEOUT: Duration = Duration::from_secs(60);

/// Lets an endpoint fail for a while with a backlog behind it. A delivery that failed once is due
/// soon, so that its next attempt comes before the first attempt of the last one.
pub(crate) async fn outlasts_retries(world: &World) -> Meanwhile {
    let (place, kind) = world.slow.expect("a webhook for this fault");
    world.ledger.fail(place, true);
    let events = world.burst(kind, WAITING).await;
    let unseen = |ledger: &Ledger| ledger.unseen(&events).len();
    let some = world.ledger.wait(BACKLOG_TIMEOUT, |ledger| unseen(ledger) <= WAITING - FAILED).await;
    some.expect("the slow endpoint is asked");
    world.ledger.fail(place, false);
    let attempted = |event: &&e2e::event::Event| world.ledger.unseen(std::slice::from_ref(*event)).is_empty();
    let failed: Vec<_> = events.iter().filter(attempted).cloned().collect();
    let retried = |ledger: &Ledger| ledger.seen_less_than(2, &failed, None).is_empty();
    let began = tokio::time::Instant::now();
    let ended = |ledger: &Ledger| retried(ledger) || unseen(ledger) == 0;
    let _ = world.ledger.wait(BACKLOG_TIMEOUT, ended).await;
    let first = retried(&world.ledger);
    eprintln!(
        "{} failed once; {} of {WAITING} were never attempted when all of them were retried: {first}",
        failed.len(),
        unseen(&world.ledger)
    );
    Meanwhile { took: first.then(|| began.elapsed()), limit: BACKLOG_TIMEOUT }
}
