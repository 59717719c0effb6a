//! Consumes a queue of events batch by batch, and subscribes again after a subscription ended.
//!
//! A message may kill its consumer: the connection if the client cannot read the message, or the whole process.
//! RabbitMQ then counts a return for every unacknowledged message, and moves messages with too many returns to the
//! quarantine. So that the culprit collects these returns alone, a consumer starts with one message at a time, and
//! continues so until it has passed the returned messages. A consumer that stops handles the messages that it has
//! received.
//!
//! One message at a time is handled by the consumer itself, which so knows what it survived. Batches are read ahead: the
//! routing task ([`super::routing`]) handles them in the order of [`ReadAhead`]. The messages of a queue that is deleted
//! once it is drained are not read ahead.

use std::time::Duration;

use broker::{BrokerError, Consumers, Ending, Message, Prober, Route, Subscription, Topology};
use futures_util::FutureExt;
use runtime::error::Chain;
use runtime::retry::Backoff;
use store::routing::ingest::MAX_BATCH;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error_span, info, warn};

use super::routing::EventRouter;
use crate::intake::Taken;
use crate::read_ahead::{MAX_READ_AHEAD, ReadAhead, Source};

/// Messages that RabbitMQ sends ahead. They are in the queue of [`ReadAhead`], in the batch that is being handled, or
/// wait for their acknowledgement, and the queue must become full beside the others. The link bounds their bytes.
const PREFETCH: u16 = 4000;
/// Messages that RabbitMQ sends ahead of a queue that is drained: two full batches.
const DRAINED_PREFETCH: u16 = 1000;
/// Returns after which a message is handled alone. A lost connection returns every unacknowledged message, but several
/// lost connections in a row are rarer than a message that causes them.
pub(crate) const MIN_SUSPICIOUS_RETURNS: i64 = 3;
/// Unsuspicious messages in a row after which a consumer stops taking one message at a time. A message that was never
/// returned ends that at once.
const MAX_CAREFUL_MESSAGES: u32 = 100;
/// Longest time in which a consumer that stops handles the messages that it has received.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Time without a message after which a consumer stops taking one message at a time.
const CAREFUL_IDLE_TIMEOUT: Duration = Duration::from_millis(500);

const _: () = assert!(PREFETCH as usize >= MAX_READ_AHEAD + 2 * MAX_BATCH);
const _: () = assert!(DRAINED_PREFETCH as usize >= MAX_BATCH);
const _: () = assert!(MIN_SUSPICIOUS_RETURNS < broker::INGEST_DELIVERY_LIMIT);

/// Consumes queues of events. Cheap to clone.
#[derive(Clone)]
pub(crate) struct EventConsumer {
    pub(crate) consumers: Consumers,
    pub(crate) prober: Prober,
    pub(crate) topology: Topology,
    pub(crate) router: EventRouter,
    pub(crate) read_ahead: ReadAhead,
    pub(crate) stop: CancellationToken,
}

/// A queue of events.
#[derive(Debug, Clone)]
pub(crate) struct EventQueue {
    pub(crate) name: String,
    /// The exchange for probes, with the queue's name as the key; `None` if the queue is not probed.
    pub(crate) probe_exchange: Option<String>,
    /// Time without a message after which the queue counts as drained and consuming ends; `None` for never.
    pub(crate) drained_after: Option<Duration>,
    /// Changes when the consumer has to subscribe again.
    pub(crate) renewals: watch::Receiver<u32>,
}

impl EventQueue {
    fn is_read_ahead(&self) -> bool {
        self.drained_after.is_none()
    }
}

/// A subscription, and where its messages go.
struct Intake {
    subscription: Subscription,
    source: Source,
    /// Whether the routing task handles the messages.
    is_read_ahead: bool,
}

/// How many messages the consumer takes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Batches,
    OneByOne,
}

/// Why a subscription ended.
#[derive(Debug, PartialEq, Eq)]
enum EndReason {
    Stopped,
    Drained,
    /// RabbitMQ or a lost connection ended it.
    Lost {
        handled_any: bool,
    },
    PaceChanged(Pace),
    Renewed,
}

impl EventConsumer {
    /// Returns the same consumer over the links of other consumers.
    pub(crate) fn over(&self, consumers: &Consumers) -> Self {
        Self { consumers: consumers.clone(), ..self.clone() }
    }

    /// Consumes a queue until the process stops, or until the queue is drained.
    pub(crate) async fn consume_queue(&self, queue: EventQueue) {
        let span = error_span!("consume", queue = queue.name);
        self.consume_with_retries(queue).instrument(span).await;
    }

    async fn consume_with_retries(&self, mut queue: EventQueue) {
        let mut backoff = Backoff::default();
        let mut pace = Pace::OneByOne;
        while !self.stop.is_cancelled() {
            match self.subscribe_safely(&queue, pace).await {
                Ok(subscription) => {
                    info!(?pace, "taking events");
                    let is_read_ahead = pace == Pace::Batches && queue.is_read_ahead();
                    let mut intake = Intake { subscription, source: Source::new(), is_read_ahead };
                    match self.take_messages(&mut intake, &mut queue, pace).await {
                        EndReason::Stopped | EndReason::Drained => return,
                        EndReason::Renewed => continue,
                        EndReason::PaceChanged(next) => {
                            pace = next;
                            continue;
                        }
                        EndReason::Lost { handled_any } => {
                            warn!(handled_any, "the broker ended the subscription; subscribing again");
                            pace = Pace::OneByOne;
                            if handled_any {
                                backoff = Backoff::default();
                            }
                        }
                    }
                }
                Err(error) => {
                    warn!(error = %Chain(&error), "could not subscribe to a queue of events; retrying");
                    self.declare_missing(&error).await;
                }
            }
            tokio::select! { () = self.stop.cancelled() => {}, () = backoff.wait() => {} }
        }
    }

    /// Declares the topology again if a queue does not exist, because someone may have deleted it by hand.
    async fn declare_missing(&self, error: &BrokerError) {
        if error.is_not_found()
            && let Err(error) = self.topology.redeclare_objects().await
        {
            warn!(error = %Chain(&error), "could not declare the missing queue");
        }
    }

    /// Subscribes to a queue after a probe has shown that this is safe.
    async fn subscribe_safely(&self, queue: &EventQueue, pace: Pace) -> Result<Subscription, BrokerError> {
        if let Some(exchange) = &queue.probe_exchange {
            let route = Route { exchange, key: &queue.name };
            self.prober.check_consumable(&self.topology, &queue.name, route).await?;
        }
        let prefetch = match pace {
            Pace::OneByOne => 1,
            Pace::Batches if queue.is_read_ahead() => PREFETCH,
            Pace::Batches => DRAINED_PREFETCH,
        };
        self.consumers.subscribe(&queue.name, prefetch).await
    }

    /// Takes messages until the subscription or the process ends. A process that stops abandons the messages that take
    /// longer than [`STOP_TIMEOUT`]; RabbitMQ delivers them again, because they are not acknowledged.
    async fn take_messages(&self, intake: &mut Intake, queue: &mut EventQueue, pace: Pace) -> EndReason {
        let mut handled_any = false;
        let mut careful_left = MAX_CAREFUL_MESSAGES;
        let drained_after = queue.drained_after;
        loop {
            let batch = tokio::select! {
                () = self.stop.cancelled() => {
                    let finishing = self.finish_subscription(intake, Ending::Cancelled);
                    // RabbitMQ requeues the messages that are left after the timeout.
                    let _ = timeout(STOP_TIMEOUT, finishing).await;
                    return EndReason::Stopped;
                }
                Ok(()) = queue.renewals.changed() => {
                    self.finish_subscription(intake, Ending::Closed).await;
                    return EndReason::Renewed;
                }
                batch = next_batch(&mut intake.subscription, drained_after, pace) => batch,
            };
            let Some(batch) = batch else {
                self.finish_subscription(intake, Ending::Cancelled).await;
                let drained = drained_after.is_some();
                return if drained { EndReason::Drained } else { EndReason::PaceChanged(Pace::Batches) };
            };
            if batch.is_empty() {
                self.read_ahead.forget(&intake.source);
                return EndReason::Lost { handled_any };
            }
            let returned = batch.iter().any(|message| message.redelivered);
            let suspicious = batch.iter().any(|message| message.returns >= MIN_SUSPICIOUS_RETURNS);
            if suspicious && pace == Pace::Batches {
                warn!("messages of this queue were returned several times; taking one message at a time");
                // Messages that are handled first are not returned.
                intake.source.wait_handled().await;
                intake.subscription.end(Ending::Closed).await;
                return EndReason::PaceChanged(Pace::OneByOne);
            }
            self.handle_messages(intake, batch).await;
            handled_any = true;
            // RabbitMQ 3.10 delivers returned messages first.
            careful_left = match (suspicious, returned) {
                (true, _) => MAX_CAREFUL_MESSAGES,
                (false, true) => careful_left.saturating_sub(1),
                (false, false) => 0,
            };
            if pace == Pace::OneByOne && careful_left == 0 {
                self.finish_subscription(intake, Ending::Cancelled).await;
                return EndReason::PaceChanged(Pace::Batches);
            }
        }
    }

    /// Ends a subscription, and handles the messages that arrived before its end. Requeuing them would count as a
    /// return.
    async fn finish_subscription(&self, intake: &mut Intake, ending: Ending) {
        intake.subscription.end(Ending::Cancelled).await;
        while let Some(batch) =
            intake.subscription.next_batch(MAX_BATCH).now_or_never().filter(|batch| !batch.is_empty())
        {
            self.handle_messages(intake, batch).await;
        }
        intake.source.wait_handled().await;
        if ending == Ending::Closed {
            intake.subscription.end(Ending::Closed).await;
        }
    }

    /// Returns whether a message is a probe of ours. A message of that form from the producers' exchange is not a
    /// probe, and is rejected like every message without a body.
    pub(crate) fn is_probe(&self, message: &Message) -> bool {
        message.is_marked_probe
            && message.is_empty()
            && message.exchange != self.topology.names().events_exchange()
    }

    /// Handles messages, or adds them to the messages that were read ahead.
    async fn handle_messages(&self, intake: &Intake, messages: Vec<Message>) {
        let (probes, messages): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|message| self.is_probe(message));
        probes.iter().for_each(Message::ack);
        if !intake.is_read_ahead {
            return self.router.handle_messages(messages).await;
        }
        for message in messages {
            self.read_ahead.add(&intake.source, Taken::new(message)).await;
        }
    }
}

/// Returns the next messages, none of them when the subscription has ended. `None` means that no message came within
/// the idle time of the pace.
async fn next_batch(
    subscription: &mut Subscription,
    drained_after: Option<Duration>,
    pace: Pace,
) -> Option<Vec<Message>> {
    let idle_timeout = match pace {
        Pace::OneByOne => Some(CAREFUL_IDLE_TIMEOUT),
        Pace::Batches => drained_after,
    };
    let max = if pace == Pace::OneByOne { 1 } else { MAX_BATCH };
    let batch = subscription.next_batch(max);
    match idle_timeout {
        Some(idle_timeout) => timeout(idle_timeout, batch).await.ok(),
        None => Some(batch.await),
    }
}
