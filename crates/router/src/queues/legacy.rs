//! Drains and deletes the queue that routers of earlier versions consumed.
//!
//! The ingest queue replaced it, because a queue's arguments cannot be changed in place. While a process of an earlier
//! version runs, it declares and binds the old queue again every half minute. Events are then in both queues, and are
//! stored once, because each event has an identity.

use std::time::Duration;

use runtime::error::Chain;
use tokio::sync::watch;
use tracing::{info, warn};

use super::consumer::{EventConsumer, EventQueue};
use super::routing::EventRouter;

/// Time between two passes of draining while the queue exists.
const DRAIN_INTERVAL: Duration = Duration::from_secs(5);
/// Time between two lookups after the queue was deleted, because a process of an earlier version may declare it again.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(60);
/// Passes in a row that find the queue empty before it is deleted, because another router may have received its last
/// messages in one of them.
const MIN_EMPTY_PASSES: u32 = 3;
/// Time without a message after which the queue counts as drained.
const DRAINED_TIMEOUT: Duration = Duration::from_secs(1);

/// Drains and deletes the queue whenever it exists, until the process stops.
///
/// `consumer` needs a link of its own, because this queue is not probed: if the queue does not answer, it blocks the
/// link.
pub(crate) async fn retire_legacy_queue(consumer: EventConsumer) {
    let mut empty_passes = 0;
    while !consumer.stop.is_cancelled() {
        let exists = match consumer.topology.unbind_legacy_queue().await {
            Ok(exists) => exists,
            Err(error) => {
                warn!(error = %Chain(&error), "could not look up the queue of earlier versions; retrying");
                true
            }
        };
        empty_passes = if exists { count_empty_passes(&consumer, empty_passes).await } else { 0 };
        let pause = if exists { DRAIN_INTERVAL } else { LOOKUP_INTERVAL };
        tokio::select! { () = consumer.stop.cancelled() => {}, () = tokio::time::sleep(pause) => {} }
    }
}

/// Drains the queue, and deletes it if it was empty in [`MIN_EMPTY_PASSES`] passes. Returns the number of empty passes
/// in a row.
async fn count_empty_passes(consumer: &EventConsumer, before: u32) -> u32 {
    drain_queue(consumer).await;
    match consumer.topology.is_legacy_queue_empty().await {
        Ok(true) if before + 1 < MIN_EMPTY_PASSES => before + 1,
        Ok(true) => {
            match consumer.topology.delete_legacy_queue().await {
                Ok(()) => info!("drained and deleted the queue of earlier versions"),
                Err(error) => {
                    warn!(error = %Chain(&error), "could not delete the queue of earlier versions; retrying");
                }
            }
            0
        }
        Ok(false) => 0,
        Err(error) => {
            warn!(error = %Chain(&error), "could not check whether the queue of earlier versions is empty; retrying");
            0
        }
    }
}

async fn drain_queue(consumer: &EventConsumer) {
    let (_never_renewed, renewals) = watch::channel(0);
    let queue = EventQueue {
        name: consumer.topology.names().legacy_queue(),
        // A router of an earlier version would mistake a probe for an event.
        probe_exchange: None,
        drained_after: Some(DRAINED_TIMEOUT),
        renewals,
    };
    // Rejected messages of this queue are acknowledged before the queue is deleted.
    let rejections = consumer.router.rejections.with_own_tasks();
    let router = EventRouter { rejections, ..consumer.router.clone() };
    let consumer = EventConsumer { router, ..consumer.clone() };
    consumer.consume_queue(queue).await;
    consumer.router.rejections.finish().await;
}
