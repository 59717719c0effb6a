//! Asks queues whether they store messages.
//!
//! A quorum queue that the broker has lost takes messages and subscriptions and answers nothing. The
//! first of them blocks its channel, and soon its connection, for more than a minute; so each probe
//! has a channel of its own, on a link where nothing else waits. A queue none of whose members is up
//! refuses messages at once, and RabbitMQ closes the connection of a client that subscribes to it.

use std::time::Duration;

use lapin::options::BasicPublishOptions;

use crate::channels::Channels;
use crate::error::BrokerError;
use crate::link::Link;
use crate::names::Namespace;
use crate::publisher::{Outgoing, Route};
use crate::topology::Topology;

/// Bound for the confirm of a probe.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
/// Probes at once: blocked channels stay for a while, and a connection has 2,047.
const MAX_PROBES: usize = 100;

/// Probes queues over a link of its own. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Prober {
    channels: Channels,
    /// Exchanges whose queues are asked when another one does not answer: each of them may be lost, too.
    witnesses: [String; 2],
    /// Whether probes stay until they are consumed.
    kept: bool,
}

/// The answer of a queue to a probe.
#[derive(Debug)]
pub enum Hearing {
    /// The queue stores messages.
    Stores,
    /// The queue answers nothing, while the broker stores messages in others.
    Silent(BrokerError),
    /// The queue refuses messages, while the broker stores messages in others: it has no member that is up, or an
    /// operator's policy limits its length.
    Refuses,
    /// The broker stores no message anywhere, which tells nothing about the queue.
    BrokerAway(BrokerError),
}

impl Hearing {
    /// Whether the queue itself stands in the way of messages.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        matches!(self, Self::Silent(_) | Self::Refuses)
    }
}

impl Prober {
    /// A prober over a link of its own.
    #[must_use]
    pub fn new(link: Link, names: &Namespace) -> Self {
        let channels = Channels::new(link, MAX_PROBES).confirming();
        Self { channels, witnesses: [names.probe(), names.unrouted()], kept: false }
    }

    /// A prober for queues that dead-letter what expires: its probes stay until they are consumed.
    #[must_use]
    pub fn keeping(&self) -> Self {
        Self { kept: true, ..self.clone() }
    }

    /// Waits for the confirm of a message that says nothing ([`Message::is_marked_probe`](crate::Message)).
    ///
    /// # Errors
    /// When it is not confirmed: see [`BrokerError::is_silence`].
    pub async fn probe(&self, route: Route<'_>) -> Result<(), BrokerError> {
        self.send(route, &if self.kept { Outgoing::kept_probe() } else { Outgoing::probe() }).await
    }

    async fn send(&self, route: Route<'_>, probe: &Outgoing) -> Result<(), BrokerError> {
        let probing = self.channels.run(PROBE_TIMEOUT, "confirm a probe", async |channel| {
            let (exchange, key) = (route.exchange.into(), route.key.into());
            let options = BasicPublishOptions::default();
            channel.basic_publish(exchange, key, options, &probe.body, probe.properties()).await?.await
        });
        if probing.await?.is_ack() { Ok(()) } else { Err(BrokerError::Nacked) }
    }

    /// Waits until the broker confirms a message in a queue of ours, whichever.
    ///
    /// # Errors
    /// When it does not: the first queue's error.
    pub async fn probe_broker(&self) -> Result<(), BrokerError> {
        let [first, second] = &self.witnesses;
        let probe = Outgoing::probe();
        let Err(error) = self.send(witness(first), &probe).await else { return Ok(()) };
        self.send(witness(second), &probe).await.map_err(|_| error)
    }

    /// Makes sure that a queue can be subscribed to. One that answers nothing would block the channel, with the other
    /// consumers on it; RabbitMQ closes the whole connection over one that has no member. A queue that refuses
    /// messages because of its length has some, and is emptied by its consumer.
    ///
    /// # Errors
    /// When it cannot, or when the broker stores nothing anywhere.
    pub async fn check_consumable(
        &self,
        topology: &Topology,
        queue: &str,
        route: Route<'_>,
    ) -> Result<(), BrokerError> {
        match self.hear(route).await {
            Hearing::Stores => Ok(()),
            Hearing::Refuses => {
                let state = topology.look(queue).await?;
                state.filter(|state| state.messages > 0).map(drop).ok_or(BrokerError::Nacked)
            }
            Hearing::Silent(error) | Hearing::BrokerAway(error) => Err(error),
        }
    }

    /// Asks a queue whether it stores messages, and others when it does not.
    pub async fn hear(&self, queue: Route<'_>) -> Hearing {
        let Err(error) = self.probe(queue).await else { return Hearing::Stores };
        let refuses = matches!(error, BrokerError::Nacked);
        if !refuses && !error.is_silence() {
            return Hearing::BrokerAway(error);
        }
        match self.probe_broker().await {
            Ok(()) if refuses => Hearing::Refuses,
            Ok(()) => Hearing::Silent(error),
            Err(away) => Hearing::BrokerAway(away),
        }
    }
}

/// The key names no webhook: should the probe come through, its consumer drops it.
fn witness(exchange: &str) -> Route<'_> {
    Route { exchange, key: "probe" }
}
