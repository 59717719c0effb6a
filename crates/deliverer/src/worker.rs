//! One webhook's queue: subscribed, consumed, and subscribed again when that ends. A webhook that
//! hangs fills its own lane and prefetch, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use broker::{Consumers, Message, Subscription, Topology};
use domain::ids::WebhookId;
use runtime::error::Chain;
use runtime::retry::Backoff;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::handler::{Handled, Handler};
use crate::lane::{Lane, Limits};

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
    pub(crate) limits: Limits,
    closing: CancellationToken,
    active: Arc<AtomicBool>,
}

impl Worker {
    /// Starts consuming a webhook's queue.
    pub(crate) fn start(shared: Arc<Shared>, webhook: WebhookId, limits: Limits) -> Self {
        let (closing, active) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
        let lane = Arc::new(Lane::new(limits, closing.clone()));
        let tracker = shared.tracker.clone();
        tracker.spawn(run(shared, webhook, lane, limits, Arc::clone(&active)));
        Self { limits, closing, active }
    }

    /// Stops receiving. Requests in flight are finished, what was not begun goes back.
    pub(crate) fn close(&self) {
        self.closing.cancel();
    }

    /// Whether the broker has handed it a message since this was asked last.
    pub(crate) fn was_active(&self) -> bool {
        self.active.swap(false, Ordering::Relaxed)
    }
}

async fn run(
    shared: Arc<Shared>,
    webhook: WebhookId,
    lane: Arc<Lane>,
    limits: Limits,
    active: Arc<AtomicBool>,
) {
    let prefetch = limits.max_concurrency.saturating_mul(PREFETCH_FACTOR);
    let queue = shared.handler.names.webhook(webhook);
    let mut backoff = Backoff::default();
    while !lane.is_closing() {
        let subscribed = async {
            shared.topology.declare_webhook(webhook).await?;
            shared.consumers.subscribe(&queue, prefetch).await
        };
        match subscribed.await {
            Ok(mut subscription) => {
                backoff = Backoff::default();
                consume(&shared, webhook, &lane, &mut subscription, &active).await;
            }
            Err(error) => debug!(%webhook, error = %Chain(&error), "cannot subscribe; trying again"),
        }
        tokio::select! { () = lane.closing() => {}, () = backoff.wait() => {} }
    }
}

async fn consume(
    shared: &Arc<Shared>,
    webhook: WebhookId,
    lane: &Arc<Lane>,
    subscription: &mut Subscription,
    active: &AtomicBool,
) {
    loop {
        let message = tokio::select! {
            () = lane.closing() => break subscription.cancel().await,
            message = subscription.next() => message,
        };
        let Some(message) = message else { return };
        active.store(true, Ordering::Relaxed);
        shared.tracker.spawn(process(Arc::clone(shared), webhook, Arc::clone(lane), message));
    }
    // What came before the cancellation was heard goes back at once.
    while let Some(Some(message)) = futures_util::FutureExt::now_or_never(subscription.next()) {
        let _ = message.requeue().await;
    }
}

async fn process(shared: Arc<Shared>, webhook: WebhookId, lane: Arc<Lane>, message: Message) {
    let done = match shared.handler.handle(webhook, &message, &lane).await {
        Handled::Acknowledge => message.ack().await,
        Handled::GiveBack => message.requeue().await,
    };
    if let Err(error) = done {
        // The channel is gone: the broker hands the message out again.
        debug!(%webhook, error = %Chain(&error), "a message could not be acknowledged");
    }
}
