//! Publishes rejected messages to their queue.
//!
//! A rejected message delays its own acknowledgement and nothing else. While the queue of rejected messages takes none,
//! they go to the quarantine, from which they come again. A message that does not fit its brand's share of the queue is
//! counted and dropped.

use std::sync::Arc;
use std::time::Duration;

use broker::rejected_queue::{BRAND_HEADER, REASON_HEADER};
use broker::{BlockedQueues, BrokerError, Namespace, Outgoing, Publisher, QueueHealth, Route, Topology};
use runtime::error::Chain;
use runtime::retry::Backoff;
use store::Store;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, error_span, warn};

use super::rejected_budget::{RejectedBudget, Room};
use crate::intake::{HeldBytes, RejectingBytes, Taken};
use crate::telemetry::{self, Operation};

/// Longest time until a confirm.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);
/// Messages that are published and acknowledged together. A chunk that fails is published again, and no other chunk.
const MAX_CHUNK_MESSAGES: usize = 50;
/// Bytes of a chunk of several messages, so that a slow broker confirms it within [`CONFIRM_TIMEOUT`].
const MAX_CHUNK_BYTES: usize = 4 * 1024 * 1024;

/// Publishes rejected messages to the queue that support reads. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct RejectedPublisher {
    publisher: Publisher,
    topology: Topology,
    rejected: String,
    quarantine: String,
    blocked: Arc<BlockedQueues>,
    budget: RejectedBudget,
    rejecting: RejectingBytes,
    tasks: TaskTracker,
}

/// A message, and its copy with the reason of the rejection.
pub(crate) type RejectedMessage = (Taken, Outgoing);

/// A message that is being rejected.
struct Rejecting {
    message: Taken,
    copy: Outgoing,
    room: Room,
    _held: Option<HeldBytes>,
}

impl RejectedPublisher {
    /// Creates a publisher. `publisher` needs a link of its own, because a queue that does not answer blocks the link.
    pub(crate) fn new(
        publisher: Publisher,
        topology: Topology,
        names: &Namespace,
        budget: RejectedBudget,
    ) -> Self {
        Self {
            publisher,
            topology,
            rejected: names.rejected_queue(),
            quarantine: names.quarantine_queue(),
            blocked: Arc::default(),
            budget,
            rejecting: RejectingBytes::default(),
            tasks: TaskTracker::new(),
        }
    }

    /// Returns the same publisher, which counts the events from backlogs in `rejecting` while it publishes them.
    pub(crate) fn with_rejecting(self, rejecting: RejectingBytes) -> Self {
        Self { rejecting, ..self }
    }

    /// Publishes rejected messages in the background, and acknowledges them once their copies are confirmed. Messages
    /// that do not fit the share of their brand are acknowledged at once.
    pub(crate) fn publish_in_background(&self, rejected: Vec<RejectedMessage>) {
        let rejected: Vec<Rejecting> =
            rejected.into_iter().filter_map(|(message, copy)| self.begin(message, copy)).collect();
        if rejected.is_empty() {
            return;
        }
        let publisher = self.clone();
        let span = error_span!("reject", messages = rejected.len());
        let publishing = async move { publisher.publish_and_acknowledge(rejected).await };
        self.tasks.spawn(publishing.instrument(span));
    }

    /// Takes room for a message, or acknowledges it if there is none.
    fn begin(&self, message: Taken, copy: Outgoing) -> Option<Rejecting> {
        let Some(room) = self.take_room(&copy) else {
            message.ack();
            return None;
        };
        let bytes = copy.body.len() + message.bytes();
        let held = message.backlog_brand().map(|brand_id| self.rejecting.hold(brand_id, bytes));
        Some(Rejecting { message, copy, room, _held: held })
    }

    /// Returns whether the queue of rejected messages is blocked.
    pub(crate) fn is_queue_blocked(&self) -> bool {
        self.blocked.count() > 0
    }

    /// Waits until the background tasks have ended.
    pub(crate) async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Reports the rejections since the last report, when the process stops.
    pub(crate) async fn report(&self, store: &Store) {
        self.budget.report(store).await;
    }

    /// Takes room for a message in the share of its brand. `None` if there is none; the message counts as dropped.
    pub(crate) fn take_room(&self, message: &Outgoing) -> Option<Room> {
        let header = |wanted| {
            let found = message.headers.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| value.as_str())
        };
        let reason = header(REASON_HEADER).unwrap_or_default();
        let room = self.budget.take(header(BRAND_HEADER), reason, message.body.len());
        if room.is_none() {
            telemetry::rejected_dropped();
        }
        room
    }

    /// Publishes a message to the queue of rejected messages, after [`Self::take_room`].
    ///
    /// # Errors
    /// When RabbitMQ does not confirm it.
    pub(crate) async fn publish(&self, message: &Outgoing) -> Result<(), BrokerError> {
        self.try_publish(&self.rejected, &[message]).await
    }

    /// Returns the same publisher with background tasks of its own, so that [`Self::finish`] waits for these only.
    pub(crate) fn with_own_tasks(&self) -> Self {
        Self { tasks: TaskTracker::new(), ..self.clone() }
    }

    async fn publish_and_acknowledge(&self, mut rejected: Vec<Rejecting>) {
        while !rejected.is_empty() {
            let rest = rejected.split_off(chunk_length(&rejected));
            self.publish_chunk(rejected).await;
            rejected = rest;
        }
    }

    async fn publish_chunk(&self, chunk: Vec<Rejecting>) {
        let mut backoff = Backoff::default();
        // RabbitMQ delivers the messages of a closed channel again.
        while chunk.iter().any(|rejecting| rejecting.message.is_ours()) {
            let copies: Vec<&Outgoing> = chunk.iter().map(|rejecting| &rejecting.copy).collect();
            if self.try_publish_all(&copies).await {
                for rejecting in chunk {
                    rejecting.message.ack();
                    rejecting.room.fill();
                }
                return;
            }
            backoff.wait().await;
        }
    }

    /// Publishes messages to their queue, or to the quarantine while that queue is blocked. Returns whether RabbitMQ
    /// confirmed them.
    async fn try_publish_all(&self, messages: &[&Outgoing]) -> bool {
        if self.blocked.health_of(&self.rejected) != QueueHealth::Blocked {
            let Err(error) = self.try_publish(&self.rejected, messages).await else {
                self.blocked.unblock(&self.rejected);
                return true;
            };
            self.blocked.block(&self.rejected);
            warn!(error = %Chain(&error), "the queue of rejected messages takes none; they go to the quarantine");
        }
        self.try_publish(&self.quarantine, messages).await.is_ok()
    }

    /// Publishes messages to an exchange. If a queue or an exchange is missing, it declares the topology again.
    async fn try_publish(&self, exchange: &str, messages: &[&Outgoing]) -> Result<(), BrokerError> {
        let route = Route { exchange, key: "" };
        let messages: Vec<_> = messages.iter().map(|message| (route, *message)).collect();
        let published = self.publisher.publish_all_mandatory_within(CONFIRM_TIMEOUT, &messages).await;
        if let Err(error) = &published {
            telemetry::operation_failed(Operation::RejectMessage, error);
            if matches!(error, BrokerError::Unroutable(_)) || error.is_not_found() {
                self.topology.redeclare_objects().await?;
            }
        }
        published
    }
}

/// Returns the number of messages in the first chunk, at least one.
fn chunk_length(rejected: &[Rejecting]) -> usize {
    let mut bytes = 0;
    let fits = rejected.iter().take(MAX_CHUNK_MESSAGES).take_while(|rejecting| {
        bytes += rejecting.copy.body.len();
        bytes <= MAX_CHUNK_BYTES
    });
    fits.count().max(1)
}

#[cfg(test)]
mod tests {
    use domain::ids::BrandId;

    use crate::intake::RejectingBytes;
    use crate::read_ahead::{KnownBrands, ReadAhead};

    const MIB: usize = 1024 * 1024;

    #[test]
    fn a_backlog_is_not_pulled_faster_than_its_events_are_rejected() {
        let rejecting = RejectingBytes::default();
        let read_ahead = ReadAhead::new(KnownBrands::default(), rejecting.clone(), true);
        let brand = |number: usize| format!("brand{number}").parse::<BrandId>().expect("a brand");
        let has_room = |number| read_ahead.has_room_for_pulled(&brand(number), read_ahead.measure_pulled());
        let held = rejecting.hold(&brand(0), 2 * MIB);
        assert!(!has_room(0), "its events are being rejected");
        assert!(has_room(1), "another brand does not wait for it");
        let others: Vec<_> = (1..8).map(|number| rejecting.hold(&brand(number), 2 * MIB)).collect();
        assert!(!has_room(9), "the memory of all is bounded");
        drop(others);
        drop(held);
        assert!(has_room(0));
    }
}
