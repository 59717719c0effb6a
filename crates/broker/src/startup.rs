//! From no broker to a ready one, and watching it from then on.

use std::time::{Duration, Instant};

use runtime::error::Chain;
use runtime::ops::Readiness;
use runtime::retry::Backoff;
use tracing::info;

use crate::error::BrokerError;
use crate::prober::Prober;
use crate::topology::Topology;

/// How often a confirm is asked of the broker.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);
/// How often the topology is declared again: it mends what someone deleted by hand.
const DECLARE_INTERVAL: Duration = Duration::from_secs(30);

/// Waits until RabbitMQ answers and has the topology, and tells `readiness` why it does not until then.
pub async fn make_ready(topology: &Topology, readiness: &Readiness) {
    let mut backoff = Backoff::default();
    loop {
        let declared = topology.declare().await;
        let ready = declared.is_ok();
        tell(readiness, declared);
        if ready {
            info!("the broker is ready");
            return;
        }
        backoff.wait().await;
    }
}

/// Keeps the readiness true to whether RabbitMQ confirms what is published, and the topology whole. Runs
/// for good.
///
/// A broker may open channels and declare queues and store nothing: it is out of memory or disk, or the
/// majority of a cluster is away. `prober` needs a link of its own, because a silent queue that others
/// probe blocks their link for a minute, and the broker would seem to be away.
pub async fn watch(topology: Topology, prober: Prober, readiness: Readiness) {
    let mut declared = Instant::now();
    let mut whole = true;
    loop {
        let declare = !whole || declared.elapsed() > DECLARE_INTERVAL;
        if declare {
            declared = Instant::now();
        }
        let found = look(&topology, &prober, declare).await;
        whole = found.is_ok();
        tell(&readiness, found);
        tokio::time::sleep(WATCH_INTERVAL).await;
    }
}

async fn look(topology: &Topology, prober: &Prober, declare: bool) -> Result<(), BrokerError> {
    if declare {
        topology.declare_again().await?;
    }
    prober.probe_broker().await
}

fn tell(readiness: &Readiness, found: Result<(), BrokerError>) {
    match found {
        Ok(()) => readiness.set_broker(true),
        Err(error) => readiness.set_broker_away(Chain(&error).to_string()),
    }
}
