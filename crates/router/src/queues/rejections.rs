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

/// How long a confirm of refused messages may take.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);

/// Puts refused messages where support sees them. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Rejections {
    publisher: Publisher,
    topology: Topology,
    rejected: String,
    quarantine: String,
    blocked: Arc<BlockedQueues>,
    tracker: TaskTracker,
}

/// A refused message, and the form in which support sees it.
pub(crate) type Refused = (Message, Outgoing);

impl Rejections {
    /// Publishes over a publisher of its own: a queue that answers nothing blocks the connection.
    pub(crate) fn new(publisher: Publisher, topology: Topology, names: &Namespace) -> Self {
        let (blocked, tracker) = (Arc::default(), TaskTracker::new());
        let (rejected, quarantine) = (names.rejected(), names.quarantine());
        Self { publisher, topology, rejected, quarantine, blocked, tracker }
    }

    /// Publishes refused messages in the background, and acknowledges each once it is confirmed.
    pub(crate) fn reject(&self, refused: Vec<Refused>) {
        if refused.is_empty() {
            return;
        }
        let rejections = self.clone();
        self.tracker.spawn(async move { rejections.settle(refused).await });
    }

    /// Whether the queue of refused messages took none a moment ago.
    pub(crate) fn are_blocked(&self) -> bool {
        self.blocked.count() > 0
    }

    /// Waits until nothing is being published any more.
    pub(crate) async fn finish(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Publishes one message to where it belongs.
    ///
    /// # Errors
    /// When that is not confirmed.
    pub(crate) async fn publish(&self, message: &Outgoing) -> Result<(), BrokerError> {
        self.try_publish(&self.rejected, &[message]).await
    }

    /// The same with tasks of its own to wait for.
    pub(crate) fn apart(&self) -> Self {
        Self { tracker: TaskTracker::new(), ..self.clone() }
    }

    async fn settle(&self, refused: Vec<Refused>) {
        let messages: Vec<&Outgoing> = refused.iter().map(|(_, outgoing)| outgoing).collect();
        let mut backoff = Backoff::default();
        // What the broker took back comes again.
        while refused.iter().any(|(message, _)| message.is_held()) {
            if self.try_all(&messages).await {
                return refused.iter().for_each(|(message, _)| message.ack());
            }
            backoff.wait().await;
        }
    }

    /// Whether all were published, to where they belong or to the quarantine.
    async fn try_all(&self, messages: &[&Outgoing]) -> bool {
        if self.blocked.treatment(&self.rejected) != Treatment::PassBy {
            let Err(error) = self.try_publish(&self.rejected, messages).await else {
                self.blocked.unblock(&self.rejected);
                return true;
            };
            self.blocked.block(&self.rejected);
            warn!(error = %Chain(&error), "the queue of refused messages takes none; they go to the quarantine");
        }
        self.try_publish(&self.quarantine, messages).await.is_ok()
    }

    /// A message that finds no queue has the topology declared again, because nothing is dropped silently.
    async fn try_publish(&self, exchange: &str, messages: &[&Outgoing]) -> Result<(), BrokerError> {
        let route = Route { exchange, key: "" };
        let messages: Vec<_> = messages.iter().map(|message| (route, *message)).collect();
        let published = self.publisher.publish_all_mandatory_within(CONFIRM_TIMEOUT, &messages).await;
        if let Err(error) = &published {
            events::step_failed("reject", error);
            if matches!(error, BrokerError::Unroutable(_)) || error.is_not_found() {
                self.topology.declare_again().await?;
            }
        }
        published
    }
}
