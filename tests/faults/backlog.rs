//! More deliveries wait for an endpoint than it can take before a retry is due.

use std::time::Duration;

use e2e::event::{Event, time_ago};
use e2e::ledger::{Kind, Ledger, Place};
use e2e::poll::eventually;
use tokio::time::Instant;

use crate::progress::Progress;
use crate::world::World;

/// Deliveries that wait, which take 30 s at the pace of the slow endpoint.
const WAITING_DELIVERIES: usize = 600;
/// Minimum of unattempted deliveries at the moment when all failed ones are retried. The last few do not
/// count, because a deliverer has some in hand in no particular order.
const MIN_UNATTEMPTED: usize = 60;
/// Deliveries that fail before the endpoint recovers.
const FAILING: usize = 30;
/// Bounds each step, including the whole backlog.
const BACKLOG_TIMEOUT: Duration = Duration::from_secs(60);

/// Makes an endpoint fail for a while with a backlog behind it. A delivery that failed once is due soon, so
/// that its next attempt comes before the first attempts of the last deliveries.
pub(crate) async fn run_with_backlog(world: &World) -> Progress {
    let (place, kind) = world.slow.expect("a webhook for this fault");
    // All of it is queued before the first failure; otherwise some of it would join the queue behind the
    // retries.
    let events = queue_backlog(world, place, kind).await;
    let unseen = |ledger: &Ledger| ledger.describe_unseen(&events).len();
    let left = unseen(&world.ledger);
    world.ledger.set_failing(place, true);
    let some_failed = |ledger: &Ledger| unseen(ledger) + FAILING <= left;
    world.ledger.wait_until(BACKLOG_TIMEOUT, some_failed).await.expect("the slow endpoint gets a request");
    world.ledger.set_failing(place, false);
    let failed = world.ledger.refused_events(&events);
    let began = Instant::now();
    let retried = |ledger: &Ledger| ledger.describe_seen_less_than(2, &failed, None).is_empty();
    // Either way this ends before the timeout, unless the endpoint gets no more requests.
    let _ = world.ledger.wait_until(BACKLOG_TIMEOUT, |ledger| retried(ledger) || unseen(ledger) == 0).await;
    let unattempted = unseen(&world.ledger);
    let is_retried_first = retried(&world.ledger) && unattempted >= MIN_UNATTEMPTED;
    eprintln!("{} of {left} deliveries failed; {unattempted} left when they were retried", failed.len());
    Progress { took: is_retried_first.then(|| began.elapsed()), limit: BACKLOG_TIMEOUT }
}

/// Publishes the backlog, and waits until all of it is queued.
async fn queue_backlog(world: &World, place: Place, kind: Kind) -> Vec<Event> {
    let from = time_ago(Duration::ZERO);
    let events = world.publish_burst(kind, WAITING_DELIVERIES).await;
    let webhook = &world.ledger.subscribers()[place].webhook.id;
    let path = format!("/v1/{}/webhooks/{webhook}/events?from={from}", world.brands[0].id);
    let support = world.support();
    eventually("the backlog is queued", BACKLOG_TIMEOUT, async || {
        let listed = support.list(&path, 1_000).await.len();
        if listed >= WAITING_DELIVERIES { Ok(()) } else { Err(format!("{listed} are listed")) }
    })
    .await;
    events
}
