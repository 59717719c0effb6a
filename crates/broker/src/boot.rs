//! From no broker to a ready one, and watching it from then on.

use std::time::{Duration, Instant};

use runtime::error::Chain;
use runtime::ops::Readiness;
use runtime::retry::Backoff;
use tracing::{info, warn};

use crate::topology::Topology;

/// How often the broker is asked whether it is there.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// How often the topology is declared again: it mends what someone deleted by hand.
const DECLARE_EVERY: Duration = Duration::from_secs(30);

/// Waits until RabbitMQ answers and has the topology.
pub async fn prepare(topology: &Topology) {
    let mut backoff = Backoff::default();
    while let Err(error) = topology.declare().await {
        warn!(error = %Chain(&error), "the broker is not ready; trying again");
        backoff.wait().await;
    }
    info!("the broker is ready");
}

/// Keeps the readiness true to whether RabbitMQ answers, and the topology whole. Runs for good.
pub async fn watch(topology: Topology, readiness: Readiness) {
    let mut declared = Instant::now();
    let mut whole = true;
    loop {
        whole = if !whole || declared.elapsed() > DECLARE_EVERY {
            declared = Instant::now();
            topology.declare().await.is_ok()
        } else {
            topology.ping().await.is_ok()
        };
        readiness.set_broker(whole);
        tokio::time::sleep(WATCH_EVERY).await;
    }
}
