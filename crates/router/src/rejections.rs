//! Refused messages on their way into the queue of refused messages. They hold up their own acknowledgement and
//! nothing else: a queue that does not take them is left to the quarantine, from which they come again.

use std::sync::Arc;
use std::time::Duration;

use broker::{
    BlockedQueues, BrokerError, Message, Namespace, Outgoing, Publisher, Route, Topology, Treatment,
};
use runtime::error::Chain;
use runtime::retry::Backoff;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::events;

/// Attempts to publish refused messages before the broker moves them aside.
const MAX_ATTEMPTS: u32 = 3;
/// How long a confirm of refused messages may take.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);

/// Puts refused messages where support sees them. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Rejections {
    publisher: Publisher,
    topology: Topology,
    exchange: String,
    blocked: Arc<BlockedQueues>,
    tracker: TaskTracker,
}

/// What becomes of a refused message that cannot be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WayOut {
    /// Its queue dead-letters to the quarantine.
    Quarantine,
    /// Its queue would drop it: it is published however long that takes.
    None,
}

/// A refused message, and the form in which support sees it.
pub(crate) type Refused = (Message, Outgoing);

impl Rejections {
    /// Publishes over a publisher of its own: a queue that answers nothing blocks the connection.
    pub(crate) fn new(publisher: Publisher, topology: Topology, names: &Namespace) -> Self {
        let (blocked, tracker) = (Arc::default(), TaskTracker::new());
        Self { publisher, topology, exchange: names.rejected(), blocked, tracker }
    }

    /// Publishes refused messages in the background, and acknowledges each once it is confirmed.
    pub(crate) fn reject(&self, refused: Vec<Refused>, way_out: WayOut) {
        if refused.is_empty() {
            return;
        }
        let rejections = self.clone();
        self.tracker.spawn(async move { rejections.settle(refused, way_out).await });
    }

    /// Waits until nothing is being published any more.
    pub(crate) async fn finish(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Publishes one message until that is confirmed.
    ///
    /// # Errors
    /// When it fails [`MAX_ATTEMPTS`] times in a row.
    pub(crate) async fn publish(&self, message: &Outgoing) -> Result<(), BrokerError> {
        let mut backoff = Backoff::default();
        let mut attempts = 0;
        loop {
            let Err(error) = self.try_publish(&[message]).await else { return Ok(()) };
            attempts += 1;
            if attempts == MAX_ATTEMPTS {
                return Err(error);
            }
            backoff.wait().await;
        }
    }

    async fn settle(&self, refused: Vec<Refused>, way_out: WayOut) {
        let messages: Vec<&Outgoing> = refused.iter().map(|(_, outgoing)| outgoing).collect();
        if self.publish_all(&messages, way_out).await {
            refused.iter().for_each(|(message, _)| message.ack());
            return;
        }
        for (message, _) in &refused {
            if let Err(error) = message.dead_letter().await {
                warn!(error = %Chain(&error), "a refused message could not be moved aside; it comes again");
            }
        }
    }

    /// Whether all were published.
    async fn publish_all(&self, messages: &[&Outgoing], way_out: WayOut) -> bool {
        let mut backoff = Backoff::default();
        let mut attempts = 0;
        while way_out == WayOut::None || self.blocked.treatment(&self.exchange) != Treatment::PassBy {
            let Err(error) = self.try_publish(messages).await else {
                self.blocked.unblock(&self.exchange);
                return true;
            };
            attempts += 1;
            if attempts >= MAX_ATTEMPTS && way_out == WayOut::Quarantine {
                self.blocked.block(&self.exchange);
                warn!(error = %Chain(&error), "the queue of refused messages takes none; they go to the quarantine");
                break;
            }
            backoff.wait().await;
        }
        false
    }

    /// A message that finds no queue has the topology declared again, because nothing is dropped silently.
    async fn try_publish(&self, messages: &[&Outgoing]) -> Result<(), BrokerError> {
        let route = Route { exchange: &self.exchange, key: "" };
        let messages: Vec<_> = messages.iter().map(|message| (route, *message)).collect();
        let published = self.publisher.publish_all_mandatory_within(CONFIRM_TIMEOUT, &messages).await;
        events::rejected_queue_blocked(published.is_err());
        if let Err(error) = &published {
            events::step_failed("reject", error);
            if matches!(error, BrokerError::Unroutable(_)) || error.is_not_found() {
                self.topology.declare_again().await?;
            }
        }
        published
    }
}
