//! One queue of events: subscribed, consumed batch by batch, and subscribed again when that ends.
//!
//! A message may kill its consumer: the connection, when the client cannot read it, or the whole process. RabbitMQ then
//! counts a return for all messages in hand, and moves those with too many returns to the quarantine. So that the
//! culprit collects these returns alone, a consumer begins with one message in hand at a time, and goes on so until it is
//! past those that were returned; a consumer that stops handles what it has in hand.

use std::sync::Arc;
use std::time::Duration;

use broker::{BrokerError, Consumers, Ending, Message, Prober, Route, Subscription, Topology};
use futures_util::FutureExt;
use runtime::error::Chain;
use runtime::retry::Backoff;
use store::ingest::MAX_BATCH;
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::handler::Handler;
use crate::rejections::Rejections;

/// Messages that the broker hands out ahead: two full batches.
const PREFETCH: u16 = 1000;
/// A message that was returned this often is handled alone. A lost connection returns all in hand; several in a row
/// are rarer than a message that causes them.
const SUSPICIOUS_RETURNS: i64 = 3;
/// A consumer that begins goes on one by one until it met a message that was never returned, or so many in a row that
/// were returned less often.
const CAREFUL_MESSAGES: u32 = 100;
/// How long a consumer that stops may take for the messages that it has in hand.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a consumer that handles messages one by one waits for the next one until it goes on as usual.
const CAREFUL_IDLE_TIMEOUT: Duration = Duration::from_millis(500);

const _: () = assert!(PREFETCH as usize >= MAX_BATCH);
const _: () = assert!(SUSPICIOUS_RETURNS < broker::topology::INGEST_DELIVERY_LIMIT);

/// All that consuming needs, whichever queue it is. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Intake {
    pub(crate) consumers: Consumers,
    pub(crate) prober: Prober,
    pub(crate) topology: Topology,
    /// One batch at a time, whichever queue it comes from: the index is brought up to date for each.
    pub(crate) handler: Arc<Mutex<Handler>>,
    pub(crate) rejections: Rejections,
    pub(crate) stop: CancellationToken,
}

/// A queue of events.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) queue: String,
    /// The exchange over which it is probed, with its name as the key, if it can be.
    pub(crate) probe_exchange: Option<String>,
    /// Ends once the queue had nothing for this long.
    pub(crate) drained_after: Option<Duration>,
    /// Changes when the subscription is to be begun anew.
    pub(crate) renewals: watch::Receiver<u32>,
}

/// How many messages are in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Batches,
    OneByOne,
}

/// How consuming ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Stopped,
    Drained,
    /// The broker or the connection ended it.
    Lost {
        progress: bool,
    },
    /// The pace changes.
    Change(Pace),
    Renewed,
}

impl Intake {
    /// Consumes a queue until the process stops, or until it is drained.
    pub(crate) async fn consume(&self, mut source: Source) {
        let mut backoff = Backoff::default();
        let mut pace = Pace::OneByOne;
        while !self.stop.is_cancelled() {
            match self.subscribe(&source, pace).await {
                Ok(mut subscription) => {
                    info!(queue = source.queue, ?pace, "taking events");
                    let ended = self.drain(&mut subscription, &mut source, pace).await;
                    match ended {
                        Ended::Stopped | Ended::Drained => return,
                        Ended::Renewed => continue,
                        Ended::Change(next) => {
                            pace = next;
                            continue;
                        }
                        Ended::Lost { progress } => {
                            warn!(queue = source.queue, progress, "the broker ended the subscription");
                            pace = Pace::OneByOne;
                            if progress {
                                backoff = Backoff::default();
                            }
                        }
                    }
                }
                Err(error) => {
                    warn!(queue = source.queue, error = %Chain(&error), "cannot take events; trying again");
                    self.declare_missing(&error).await;
                }
            }
            tokio::select! { () = self.stop.cancelled() => {}, () = backoff.wait() => {} }
        }
    }

    /// Declares queues again of which one was deleted by hand.
    async fn declare_missing(&self, error: &BrokerError) {
        if error.is_not_found()
            && let Err(error) = self.topology.declare_again().await
        {
            warn!(error = %Chain(&error), "the queues could not be declared");
        }
    }

    async fn subscribe(&self, source: &Source, pace: Pace) -> Result<Subscription, BrokerError> {
        if let Some(exchange) = &source.probe_exchange {
            let route = Route { exchange, key: &source.queue };
            self.prober.check_consumable(&self.topology, &source.queue, route).await?;
        }
        let prefetch = if pace == Pace::OneByOne { 1 } else { PREFETCH };
        self.consumers.subscribe(&source.queue, prefetch).await
    }

    /// Handles batches until the subscription or the process ends. A process that stops abandons what takes longer than
    /// [`STOP_TIMEOUT`]: it was not acknowledged, and comes again.
    async fn drain(&self, subscription: &mut Subscription, source: &mut Source, pace: Pace) -> Ended {
        let mut progress = false;
        let mut careful = CAREFUL_MESSAGES;
        let drained_after = source.drained_after;
        loop {
            let batch = tokio::select! {
                () = self.stop.cancelled() => {
                    let leaving = self.leave(subscription, Ending::Cancelled);
                    // What takes longer goes back.
                    let _ = timeout(STOP_TIMEOUT, leaving).await;
                    return Ended::Stopped;
                }
                Ok(()) = source.renewals.changed() => {
                    self.leave(subscription, Ending::Closed).await;
                    return Ended::Renewed;
                }
                batch = next_batch(subscription, drained_after, pace) => batch,
            };
            let Some(batch) = batch else {
                self.leave(subscription, Ending::Cancelled).await;
                let drained = drained_after.is_some();
                return if drained { Ended::Drained } else { Ended::Change(Pace::Batches) };
            };
            if batch.is_empty() {
                return Ended::Lost { progress };
            }
            let returned = batch.iter().any(|message| message.redelivered);
            let suspicious = batch.iter().any(|message| message.returns >= SUSPICIOUS_RETURNS);
            if suspicious && pace == Pace::Batches {
                warn!(queue = source.queue, "messages were returned several times; taking one at a time");
                subscription.end(Ending::Closed).await;
                return Ended::Change(Pace::OneByOne);
            }
            self.handle(batch).await;
            progress = true;
            // On RabbitMQ 3.10 those that were returned come first.
            careful = match (suspicious, returned) {
                (true, _) => CAREFUL_MESSAGES,
                (false, true) => careful.saturating_sub(1),
                (false, false) => 0,
            };
            if pace == Pace::OneByOne && careful == 0 {
                self.leave(subscription, Ending::Cancelled).await;
                return Ended::Change(Pace::Batches);
            }
        }
    }

    /// Ends a subscription, and handles the messages that came before the broker heard of it: to give them back would
    /// count as a return.
    async fn leave(&self, subscription: &mut Subscription, ending: Ending) {
        subscription.end(Ending::Cancelled).await;
        while let Some(batch) =
            subscription.next_batch(MAX_BATCH).now_or_never().filter(|batch| !batch.is_empty())
        {
            self.handle(batch).await;
        }
        if ending == Ending::Closed {
            subscription.end(Ending::Closed).await;
        }
    }

    /// Whether a message is a probe of ours. One of that form that came through the producers' exchange is not, and is
    /// refused like every message without a body.
    pub(crate) fn is_probe(&self, message: &Message) -> bool {
        message.is_marked_probe && message.is_probe() && message.exchange != self.topology.names().events()
    }

    /// Handles a batch, and acknowledges each of its messages once nothing can lose it any more.
    pub(crate) async fn handle(&self, batch: Vec<Message>) {
        let (probes, batch): (Vec<_>, Vec<_>) = batch.into_iter().partition(|message| self.is_probe(message));
        probes.iter().for_each(Message::ack);
        let mut outgoing = self.handler.lock().await.handle(&batch).await;
        let mut refused = Vec::new();
        for message in batch {
            match outgoing.remove(&message.tag()) {
                Some(outgoing) => refused.push((message, outgoing)),
                None => message.ack(),
            }
        }
        self.rejections.reject(refused);
    }
}

/// The next messages; empty when the subscription has ended, `None` when none came for long where that counts.
async fn next_batch(
    subscription: &mut Subscription,
    drained_after: Option<Duration>,
    pace: Pace,
) -> Option<Vec<Message>> {
    let idle = match pace {
        Pace::OneByOne => Some(CAREFUL_IDLE_TIMEOUT),
        Pace::Batches => drained_after,
    };
    let most = if pace == Pace::OneByOne { 1 } else { MAX_BATCH };
    let batch = subscription.next_batch(most);
    match idle {
        Some(idle) => timeout(idle, batch).await.ok(),
        None => Some(batch.await),
    }
}
