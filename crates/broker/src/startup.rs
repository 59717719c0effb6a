//! Waits until RabbitMQ is ready, and monitors it from then on.

use std::time::Duration;

use tokio::time::Instant;

use runtime::error::Chain;
use runtime::readiness::Readiness;
use runtime::retry::until_ok;
use tracing::info;

use crate::error::BrokerError;
use crate::publish::Prober;
use crate::topology::Topology;

/// Time between two probes of RabbitMQ.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);
/// Time between two declarations of the topology, which restore objects that someone deleted by hand.
const DECLARE_INTERVAL: Duration = Duration::from_secs(30);

/// Waits until RabbitMQ has the topology. Until then `readiness` says why not.
pub async fn wait_until_ready(topology: &Topology, readiness: &Readiness) {
    until_ok(|| topology.declare(), |error| report_unreachable(readiness, error)).await;
    readiness.set_broker(true);
    info!("RabbitMQ is ready");
}

/// Keeps `readiness` up to date and the topology complete, forever.
///
/// RabbitMQ may open channels and declare queues and store nothing, because it is out of memory or disk, or because the
/// majority of a cluster is away. So this probes whether RabbitMQ confirms messages. `prober` needs a link of its own,
/// because a probe of a silent queue blocks its link for a minute, and RabbitMQ would seem unreachable.
pub async fn monitor(topology: Topology, prober: Prober, readiness: Readiness) {
    let mut declared_at = Instant::now();
    let mut is_complete = true;
    loop {
        let declare = !is_complete || declared_at.elapsed() > DECLARE_INTERVAL;
        if declare {
            declared_at = Instant::now();
        }
        let checked = check_broker(&topology, &prober, declare).await;
        is_complete = checked.is_ok();
        match checked {
            Ok(()) => readiness.set_broker(true),
            Err(error) => report_unreachable(&readiness, &error),
        }
        tokio::time::sleep(PROBE_INTERVAL).await;
    }
}

async fn check_broker(topology: &Topology, prober: &Prober, declare: bool) -> Result<(), BrokerError> {
    if declare {
        topology.redeclare_objects().await?;
    }
    prober.probe_broker().await
}

fn report_unreachable(readiness: &Readiness, error: &BrokerError) {
    readiness.set_broker_away(Chain(error).to_string());
}
