//! Probes that show whether a queue stores messages.
//!
//! A quorum queue that RabbitMQ has lost takes messages and subscriptions and does not answer. The first of them blocks
//! its channel, and soon its connection, for more than a minute; so each probe has a channel of its own, on a link
//! where nothing else waits. A queue without a running member refuses messages at once, and RabbitMQ closes the
//! connection of a client that subscribes to it.

use std::time::Duration;

use lapin::options::BasicPublishOptions;

use super::outgoing::{Outgoing, Route};
use crate::connection::{ChannelPool, Link};
use crate::error::BrokerError;
use crate::names::Namespace;
use crate::topology::Topology;

/// Longest time until the confirm of a probe.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
/// Probes in flight at once. Blocked channels stay open for a while, and a connection has 2,047 of them.
const MAX_PROBES: usize = 100;

/// Probes queues over a link of its own. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Prober {
    channels: ChannelPool,
    /// Exchanges of two queues that are probed when another queue does not answer. There are two because either may be
    /// lost, too.
    witnesses: [String; 2],
    /// Whether probes stay until they are consumed.
    is_kept: bool,
}

/// The result of probing a queue.
#[derive(Debug)]
pub enum ProbeResult {
    /// The queue stores messages.
    Stores,
    /// The queue does not answer, while RabbitMQ stores messages in other queues.
    Silent(BrokerError),
    /// The queue refuses messages, while RabbitMQ stores messages in other queues. The queue has no running member, or
    /// a policy of the operator limits its length.
    Refuses,
    /// RabbitMQ stores no message in any queue, so the probe says nothing about this queue.
    BrokerUnreachable(BrokerError),
}

impl ProbeResult {
    /// Returns whether the queue itself blocks messages.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        matches!(self, Self::Silent(_) | Self::Refuses)
    }
}

impl Prober {
    /// Creates a prober over a link of its own.
    #[must_use]
    pub fn new(link: Link, names: &Namespace) -> Self {
        let channels = ChannelPool::new(link, MAX_PROBES).with_confirms();
        Self { channels, witnesses: [names.probe_queue(), names.unrouted_queue()], is_kept: false }
    }

    /// Returns a prober for queues that dead-letter expired messages. Its probes stay until they are consumed.
    #[must_use]
    pub fn with_kept_probes(&self) -> Self {
        Self { is_kept: true, ..self.clone() }
    }

    /// Publishes a probe ([`Message::is_marked_probe`](crate::Message)), and waits for its confirm.
    ///
    /// # Errors
    /// When RabbitMQ does not confirm it, see [`BrokerError::is_silence`].
    async fn confirm_probe(&self, route: Route<'_>) -> Result<(), BrokerError> {
        self.send_probe(route, &if self.is_kept { Outgoing::kept_probe() } else { Outgoing::probe() }).await
    }

    /// Sends a probe, and another one over a new channel if it is refused: a channel may refuse messages because it keeps a
    /// leader of the queue that is gone ([`Publisher`](super::Publisher)).
    async fn send_probe(&self, route: Route<'_>, probe: &Outgoing) -> Result<(), BrokerError> {
        let first = self.send_once(route, probe).await;
        if !matches!(first, Err(BrokerError::Nacked)) {
            return first;
        }
        self.channels.drop_idle();
        self.send_once(route, probe).await
    }

    async fn send_once(&self, route: Route<'_>, probe: &Outgoing) -> Result<(), BrokerError> {
        let probing = self.channels.run(PROBE_TIMEOUT, "confirm a probe", async |channel| {
            let (exchange, key) = (route.exchange.into(), route.key.into());
            let options = BasicPublishOptions::default();
            let publishing = channel.basic_publish(exchange, key, options, &probe.body, probe.properties());
            if publishing.await?.await?.is_ack() { Ok(()) } else { Err(BrokerError::Nacked) }
        });
        probing.await
    }

    /// Waits until RabbitMQ confirms a message in one of two queues.
    ///
    /// # Errors
    /// The error of the first queue, when RabbitMQ confirms neither.
    pub async fn probe_broker(&self) -> Result<(), BrokerError> {
        let [first, second] = &self.witnesses;
        let probe = Outgoing::probe();
        let Err(error) = self.send_probe(witness_route(first), &probe).await else { return Ok(()) };
        self.send_probe(witness_route(second), &probe).await.map_err(|_| error)
    }

    /// Checks that a subscription to a queue is safe. A silent queue would block the channel with its other consumers,
    /// and RabbitMQ closes the connection of a client that subscribes to a queue without a running member. A queue that
    /// refuses messages because of its length has messages, and its consumer empties it.
    ///
    /// # Errors
    /// When a subscription is not safe, or when RabbitMQ stores nothing in any queue.
    pub async fn check_consumable(
        &self,
        topology: &Topology,
        queue: &str,
        route: Route<'_>,
    ) -> Result<(), BrokerError> {
        match self.probe_queue(route).await {
            ProbeResult::Stores => Ok(()),
            ProbeResult::Refuses => {
                let state = topology.queue_state(queue).await?;
                state.filter(|state| state.messages > 0).map(drop).ok_or(BrokerError::Nacked)
            }
            ProbeResult::Silent(error) | ProbeResult::BrokerUnreachable(error) => Err(error),
        }
    }

    /// Probes a queue, and two other queues if it does not confirm.
    pub async fn probe_queue(&self, queue: Route<'_>) -> ProbeResult {
        let Err(error) = self.confirm_probe(queue).await else { return ProbeResult::Stores };
        let refuses = matches!(error, BrokerError::Nacked);
        if !refuses && !error.is_silence() {
            return ProbeResult::BrokerUnreachable(error);
        }
        match self.probe_broker().await {
            Ok(()) if refuses => ProbeResult::Refuses,
            Ok(()) => ProbeResult::Silent(error),
            Err(unreachable) => ProbeResult::BrokerUnreachable(unreachable),
        }
    }
}

/// The route of a probe to an exchange. The key names no webhook, so a consumer that gets the probe drops it.
fn witness_route(exchange: &str) -> Route<'_> {
    Route { exchange, key: "probe" }
}
