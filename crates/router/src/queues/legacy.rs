//! The queue from which the routers of earlier versions took events. It is drained beside the queue that took its place, and
//! deleted, without anybody having to do anything: a queue's arguments cannot be changed in place.
//!
//! As long as a process of an earlier version runs, it declares and binds that queue again every half minute. Events are then
//! in both queues, and are stored once, because each has an identity.

use std::time::Duration;

use runtime::error::Chain;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::intake::{Intake, Source};

/// How often it is looked for while it is there.
const DRAIN_INTERVAL: Duration = Duration::from_secs(5);
/// How often it is looked for once it is gone: a process of an earlier version may declare it again.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// The queue is deleted after it was empty in so many rounds: another router may have messages of it in hand in one.
const EMPTY_ROUNDS: u32 = 3;
/// It counts as empty once nothing came for this long.
const DRAINED_AFTER: Duration = Duration::from_secs(1);

/// Drains and deletes the queue, whenever it is there.
///
/// The intake needs consumers of its own, because this queue is not probed: one that answers nothing blocks their
/// connection.
pub(crate) async fn retire(intake: Intake) {
    let mut empty = 0;
    while !intake.stop.is_cancelled() {
        let there = match intake.topology.retire_legacy_router().await {
            Ok(there) => there,
            Err(error) => {
                warn!(error = %Chain(&error), "the queue of earlier versions could not be looked for; trying again");
                true
            }
        };
        empty = if there { empty_rounds(&intake, empty).await } else { 0 };
        let pause = if there { DRAIN_INTERVAL } else { LOOK_INTERVAL };
        tokio::select! { () = intake.stop.cancelled() => {}, () = tokio::time::sleep(pause) => {} }
    }
}

/// Drains the queue, and deletes it when it was empty in several rounds. In how many rounds it was, up to this one.
async fn empty_rounds(intake: &Intake, before: u32) -> u32 {
    drain(intake).await;
    match intake.topology.is_legacy_router_empty().await {
        Ok(true) if before + 1 < EMPTY_ROUNDS => before + 1,
        Ok(true) => {
            match intake.topology.delete_legacy_router().await {
                Ok(()) => info!("the queue of earlier versions was drained and deleted"),
                Err(error) => {
                    warn!(error = %Chain(&error), "the queue of earlier versions could not be deleted; trying again");
                }
            }
            0
        }
        Ok(false) => 0,
        Err(error) => {
            warn!(error = %Chain(&error), "the queue of earlier versions does not answer; trying again");
            0
        }
    }
}

async fn drain(intake: &Intake) {
    let names = intake.topology.names();
    let (_never, renewals) = watch::channel(0);
    let source = Source {
        queue: names.legacy_router(),
        // A router of an earlier version would take a probe for an event.
        probe_exchange: None,
        drained_after: Some(DRAINED_AFTER),
        renewals,
    };
    // What is refused here is acknowledged before the queue may go.
    let apart = Intake { rejections: intake.rejections.apart(), ..intake.clone() };
    apart.consume(source).await;
    apart.rejections.finish().await;
}
