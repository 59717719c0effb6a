//! One webhook's queue: subscribed, consumed, and subscribed again when that ends. A webhook that
//! hangs fills its own lane and prefetch, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use broker::{BrokerError, Consumers, Message, Subscription, Topology};
use domain::ids::WebhookId;
use domain::webhook::WebhookStatus;
use futures_util::FutureExt;
use runtime::error::Chain;
use runtime::retry::Backoff;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::handler::{Handled, Handler};
use crate::lane::{Lane, Limits};
use crate::{events, heal};

/// Messages handed out for each request in flight: while some are sent, others are recorded.
const PREFETCH_FACTOR: u16 = 4;

/// What every worker needs.
pub(crate) struct Shared {
    pub(crate) handler: Handler,
    pub(crate) consumers: Consumers,
    pub(crate) topology: Topology,
    pub(crate) tracker: TaskTracker,
}

/// A running worker. Dropping it does not stop it; [`Self::close`] does.
#[derive(Debug)]
pub(crate) struct Worker {
    work: Arc<Work>,
    closing: CancellationToken,
}

/// One webhook's work, as its task sees it.
#[derive(Debug)]
struct Work {
    webhook: WebhookId,
    limits: Limits,
    lane: Lane,
    /// Whether the broker has handed out a message since this was asked last.
    active: AtomicBool,
    /// Whether this replica is the webhook's owner, and not its standby.
    owner: AtomicBool,
}

impl Worker {
    /// Starts consuming a webhook's queue.
    pub(crate) fn start(shared: Arc<Shared>, webhook: WebhookId, limits: Limits, owner: bool) -> Self {
        let closing = CancellationToken::new();
        let lane = Lane::new(limits, closing.clone());
        let (active, owner) = (AtomicBool::new(false), AtomicBool::new(owner));
        let work = Arc::new(Work { webhook, limits, lane, active, owner });
        let tracker = shared.tracker.clone();
        tracker.spawn(run(shared, Arc::clone(&work)));
        Self { work, closing }
    }

    /// Stops receiving. Requests in flight are finished, what was not begun goes back.
    pub(crate) fn close(&self) {
        self.closing.cancel();
    }

    /// How hard it may press.
    pub(crate) fn limits(&self) -> Limits {
        self.work.limits
    }

    /// Whether the broker has handed it a message since this was asked last.
    pub(crate) fn was_active(&self) -> bool {
        self.work.active.swap(false, Ordering::Relaxed)
    }

    /// Notes that this replica is the owner now.
    pub(crate) fn promote(&self) {
        self.work.owner.store(true, Ordering::Relaxed);
    }
}

async fn run(shared: Arc<Shared>, work: Arc<Work>) {
    let mut backoff = Backoff::default();
    let mut silent = None;
    while !work.lane.is_closing() && is_wanted(&shared, work.webhook).await {
        match subscribe(&shared, &work).await {
            Ok(mut subscription) => {
                (backoff, silent) = (Backoff::default(), None);
                consume(&shared, &work, &mut subscription).await;
            }
            Err(error) => {
                debug!(webhook = %work.webhook, error = %Chain(&error), "cannot subscribe; trying again");
                silent = note_silence(&shared, &work, &error, silent).await;
            }
        }
        tokio::select! { () = work.lane.closing() => {}, () = backoff.wait() => {} }
    }
}

/// Whether the queue should be there: that of a deleted webhook ends its subscription by going, and
/// is not made again.
async fn is_wanted(shared: &Shared, webhook: WebhookId) -> bool {
    if let Err(error) = shared.handler.directory.refresh().await {
        events::step_failed("refresh", &error);
    }
    shared.handler.directory.get(webhook).is_some_and(|target| target.status != WebhookStatus::Deleted)
}

async fn subscribe(shared: &Shared, work: &Work) -> Result<Subscription, BrokerError> {
    shared.topology.declare_webhook(work.webhook).await?;
    let prefetch = work.limits.max_concurrency.saturating_mul(PREFETCH_FACTOR);
    shared.consumers.subscribe(&shared.handler.names.webhook(work.webhook), prefetch).await
}

/// Since when the queue is silent; the owner makes one anew that was so for long, while the broker
/// stores messages in others.
async fn note_silence(
    shared: &Shared,
    work: &Work,
    error: &BrokerError,
    silent: Option<Instant>,
) -> Option<Instant> {
    if !error.is_silence() {
        return silent;
    }
    let since = silent.unwrap_or_else(Instant::now);
    let lost = since.elapsed() >= heal::SILENT_FOR && work.owner.load(Ordering::Relaxed);
    if !lost || !heal::broker_stores(shared).await {
        return Some(since);
    }
    match heal::make_anew(shared, work.webhook).await {
        Ok(()) => None,
        Err(error) => {
            events::step_failed("heal", error.as_ref());
            Some(since)
        }
    }
}

async fn consume(shared: &Arc<Shared>, work: &Arc<Work>, subscription: &mut Subscription) {
    loop {
        let message = tokio::select! {
            () = work.lane.closing() => break subscription.cancel().await,
            message = subscription.next() => message,
        };
        let Some(message) = message else { return };
        work.active.store(true, Ordering::Relaxed);
        shared.tracker.spawn(process(Arc::clone(shared), Arc::clone(work), message));
    }
    // What came before the cancellation was heard goes back at once.
    while let Some(Some(message)) = subscription.next().now_or_never() {
        let _ = message.requeue().await;
    }
}

async fn process(shared: Arc<Shared>, work: Arc<Work>, message: Message) {
    let webhook = work.webhook;
    let done = match shared.handler.handle(webhook, &message, &work.lane).await {
        Handled::Acknowledge => message.ack().await,
        Handled::GiveBack => message.requeue().await,
    };
    if let Err(error) = done {
        // The channel is gone: the broker hands the message out again.
        debug!(%webhook, error = %Chain(&error), "a message could not be acknowledged");
    }
}
