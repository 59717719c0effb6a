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
use crate::rejections::WayOut;

/// How often it is looked for while it is there.
const DRAIN_INTERVAL: Duration = Duration::from_secs(5);
/// How often it is looked for once it is gone: a process of an earlier version may declare it again.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// It counts as empty once nothing came for this long.
const DRAINED_AFTER: Duration = Duration::from_secs(1);

/// Drains and deletes the queue, whenever it is there.
///
/// The intake needs consumers of its own, because this queue is not probed: one that answers nothing blocks their
/// connection.
pub(crate) async fn retire(intake: Intake) {
    while !intake.stop.is_cancelled() {
        let there = match intake.topology.retire_legacy_router().await {
            Ok(there) => there,
            Err(error) => {
                warn!(error = %Chain(&error), "the queue of earlier versions could not be looked for; trying again");
                true
            }
        };
        if there {
            drain(&intake).await;
        }
        let pause = if there { DRAIN_INTERVAL } else { LOOK_INTERVAL };
        tokio::select! { () = intake.stop.cancelled() => {}, () = tokio::time::sleep(pause) => {} }
    }
}

async fn drain(intake: &Intake) {
    let names = intake.topology.names();
    let (_never, renewals) = watch::channel(0);
    let source = Source {
        queue: names.legacy_router(),
        // A router of an earlier version would take a probe for an event.
        probe_exchange: None,
        way_out: WayOut::None,
        drained_after: Some(DRAINED_AFTER),
        renewals,
    };
    intake.consume(source).await;
    match intake.topology.delete_legacy_router().await {
        Ok(true) => info!("the queue of earlier versions was drained and deleted"),
        Ok(false) => {}
        Err(error) => {
            warn!(error = %Chain(&error), "the queue of earlier versions could not be deleted; trying again")
        }
    }
}
