//! From no broker to a ready one, and watching it from then on.

use std::time::{Duration, Instant};

use runtime::error::Chain;
use runtime::ops::Readiness;
use runtime::retry::Backoff;
use tracing::{info, warn};

use crate::error::BrokerError;
use crate::names::Namespace;
use crate::prober::Prober;
use crate::publisher::Route;
use crate::topology::Topology;

/// How often a confirm is asked of the broker.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);
/// How often the topology is declared again: it mends what someone deleted by hand.
const DECLARE_INTERVAL: Duration = Duration::from_secs(30);

/// Waits until RabbitMQ answers and has the topology.
pub async fn prepare(topology: &Topology) {
    let mut backoff = Backoff::default();
    while let Err(error) = topology.declare().await {
        warn!(error = %Chain(&error), "the broker is not ready; trying again");
        backoff.wait().await;
    }
    info!("the broker is ready");
}

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

/// Where [`watch`] sends its probes.
#[derive(Debug, Clone)]
pub struct ProbeRoute {
    /// The exchange; empty for the default one.
    pub exchange: String,
    /// The routing key.
    pub key: String,
}

impl ProbeRoute {
    /// Probes the queue of unrouted deliveries. Its consumer takes a probe for a message that names no
    /// webhook.
    #[must_use]
    pub fn unrouted(names: &Namespace) -> Self {
        Self { exchange: names.unrouted(), key: "probe".to_owned() }
    }

    fn as_route(&self) -> Route<'_> {
        Route { exchange: &self.exchange, key: &self.key }
    }
}

/// Keeps the readiness true to whether RabbitMQ confirms what is published, and the topology whole. Runs
/// for good.
///
/// A broker may open channels and declare queues and store nothing: it is out of memory or disk, or the
/// majority of a cluster is away. `prober` needs a link of its own, because a silent queue that others
/// probe blocks their link for a minute, and the broker would seem to be away.
pub async fn watch(topology: Topology, prober: Prober, probe: ProbeRoute, readiness: Readiness) {
    let mut declared = Instant::now();
    let mut whole = true;
    loop {
        let declare = !whole || declared.elapsed() > DECLARE_INTERVAL;
        if declare {
            declared = Instant::now();
        }
        let found = look(&topology, &prober, &probe, declare).await;
        whole = found.is_ok();
        tell(&readiness, found);
        tokio::time::sleep(WATCH_INTERVAL).await;
    }
}

async fn look(
    topology: &Topology,
    prober: &Prober,
    probe: &ProbeRoute,
    declare: bool,
) -> Result<(), BrokerError> {
    if declare {
        topology.declare().await?;
    }
    prober.probe(probe.as_route()).await
}

fn tell(readiness: &Readiness, found: Result<(), BrokerError>) {
    match found {
        Ok(()) => readiness.set_broker(true),
        Err(error) => readiness.set_broker_away(Chain(&error).to_string()),
    }
}
