//! Asks queues whether they store what comes.
//!
//! A quorum queue that the broker has lost takes messages and subscriptions and answers nothing. The
//! first of them blocks its channel, and soon its connection, for more than a minute; so each probe
//! has a channel of its own, on a link where nothing else waits.

use std::time::Duration;

use lapin::options::BasicPublishOptions;

use crate::channels::Channels;
use crate::error::BrokerError;
use crate::link::Link;
use crate::publisher::{Outgoing, Route};

/// Bound for the confirm of a probe.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Probes at once: blocked channels stay for a while, and a connection has 2,047.
const AT_ONCE: usize = 100;

/// Probes queues over a link of its own. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Prober(Channels);

impl Prober {
    /// A prober over a link of its own.
    #[must_use]
    pub fn new(link: Link) -> Self {
        Self(Channels::new(link, AT_ONCE).confirming())
    }

    /// Waits for the confirm of a message that nobody gets.
    ///
    /// # Errors
    /// When it is not confirmed: see [`BrokerError::is_silence`].
    pub async fn probe(&self, route: Route<'_>) -> Result<(), BrokerError> {
        let probe = Outgoing::probe();
        let probing = self.0.run(PATIENCE, "confirm a probe", async |channel| {
            let (exchange, key) = (route.exchange.into(), route.key.into());
            let options = BasicPublishOptions::default();
            channel.basic_publish(exchange, key, options, &probe.body, probe.properties()).await?.await
        });
        if probing.await?.is_ack() { Ok(()) } else { Err(BrokerError::Nacked) }
    }

    /// Whether a queue is silent: it confirms nothing, while another one, of the same kind, does.
    ///
    /// # Errors
    /// When it is silent: how that showed. A broker that takes no messages at all says nothing about
    /// the queue.
    pub async fn hear(&self, queue: Route<'_>, other: Route<'_>) -> Result<(), BrokerError> {
        let Err(error) = self.probe(queue).await else { return Ok(()) };
        if error.is_silence() && self.probe(other).await.is_ok() { Err(error) } else { Ok(()) }
    }
}
