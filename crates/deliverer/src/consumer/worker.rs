//! Serves one webhook: subscribes to its queue, consumes it, and subscribes again when that ends.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use broker::{BrokerError, Ending, Message, Subscription};
use domain::ids::WebhookId;
use domain::redelivery_pacing::ServedWebhook;
use futures_util::FutureExt;
use runtime::error::Chain;
use runtime::retry::Backoff;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug};

use crate::consumer::load::{MessageLoad, SingleFlight};
use crate::consumer::message::{Intake, MessageHandler, requeue_message};
use crate::consumer::state::{SharedState, SubscriptionChange, SubscriptionEpoch};
use crate::consumer::subscriber::Subscriber;
use crate::limiter::attempt_memory::AttemptMemory;
use crate::limiter::attempt_rate::AttemptRate;
use crate::limiter::{EndpointLimiter, Limits};
use crate::redelivery::Redeliverer;
use crate::repair::lost_queue::QueueRepair;
use crate::telemetry::{self, Operation};
use crate::webhook_cache::{WebhookCache, WebhookConfig};

/// How long a subscription is kept after its end was decided. Requests in flight are answered meanwhile; otherwise two
/// replicas together would send the endpoint twice as much. A longer request does not keep the other replica waiting.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// The collaborators of all workers. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct WorkerServices {
    pub(crate) subscriber: Arc<Subscriber>,
    pub(crate) messages: Arc<MessageHandler>,
    pub(crate) redeliverer: Arc<Redeliverer>,
    pub(crate) repair: Arc<QueueRepair>,
    pub(crate) webhooks: Arc<WebhookCache>,
    pub(crate) attempt_rate: AttemptRate,
    pub(crate) attempt_memory: AttemptMemory,
    pub(crate) tracker: TaskTracker,
}

/// A running worker. Dropping it does not stop it; [`Worker::close`] does.
#[derive(Debug)]
pub(crate) struct Worker {
    webhook: WebhookId,
    limits: Limits,
    is_owner: AtomicBool,
    intake: Arc<Intake>,
    closing: CancellationToken,
    redelivering: SingleFlight,
    examining: SingleFlight,
    services: WorkerServices,
}

impl Worker {
    /// Starts to consume a webhook's queue.
    pub(crate) fn start(
        services: &WorkerServices,
        config: &WebhookConfig,
        limits: Limits,
        is_owner: bool,
    ) -> Arc<Self> {
        let webhook = config.id;
        let closing = CancellationToken::new();
        let memory = services.attempt_memory.share_of(config.brand_id.clone(), webhook);
        let attempt_rate = services.attempt_rate.clone();
        let intake = Arc::new(Intake {
            webhook,
            limiter: EndpointLimiter::new(limits, attempt_rate, memory, closing.clone()),
            slots: Arc::new(Semaphore::new(limits.slots().into())),
            state: SharedState::default(),
            load: Arc::new(MessageLoad::new(limits.prefetch)),
        });
        let worker = Arc::new(Self {
            webhook,
            limits,
            is_owner: AtomicBool::new(is_owner),
            intake,
            closing,
            redelivering: SingleFlight::default(),
            examining: SingleFlight::default(),
            services: services.clone(),
        });
        worker.spawn(Arc::clone(&worker).run());
        worker
    }

    /// Stops receiving. Requests in flight are finished; deliveries that were not begun are requeued.
    pub(crate) fn close(&self) {
        self.closing.cancel();
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    pub(crate) fn is_active(&self) -> bool {
        self.intake.state.is_active()
    }

    /// Makes this replica the webhook's owner.
    pub(crate) fn promote_to_owner(&self) {
        self.is_owner.store(true, Ordering::Relaxed);
    }

    /// Returns how this replica sees the webhook.
    pub(crate) fn view(&self, is_owner: bool) -> ServedWebhook {
        ServedWebhook {
            is_owner,
            is_active: self.intake.state.is_active(),
            is_cut_off: self.intake.state.is_cut_off(),
            is_backlogged: self.intake.load.is_backlogged(),
        }
    }

    /// Returns how many messages were received so far, if the worker is idle.
    pub(crate) fn idle_after(&self) -> Option<usize> {
        self.intake.load.idle_after().filter(|_| !self.redelivering.is_running())
    }

    /// Sends the webhook's deliveries from the database, in the background, if this replica is their sender. They
    /// then count against the same limits as fresh deliveries.
    pub(crate) fn start_redelivery(self: &Arc<Self>) {
        let Some(ended) = self.intake.state.sends_until() else { return };
        let Some(guard) = self.redelivering.try_begin() else { return };
        let worker = Arc::clone(self);
        self.spawn(async move {
            let _running = guard;
            let concurrency = worker.limits.paced_concurrency();
            let redeliverer = &worker.services.redeliverer;
            redeliverer.send_all(worker.webhook, &worker.intake.limiter, &ended, concurrency).await;
        });
    }

    /// Publishes an empty message to the queue, in the background: the replica that receives it learns that it is the
    /// active consumer.
    pub(crate) fn nudge(self: &Arc<Self>) {
        let worker = Arc::clone(self);
        self.spawn(async move {
            if let Err(error) = worker.services.subscriber.nudge(worker.webhook).await {
                debug!(error = %Chain(&error), "cannot nudge the queue; trying again");
            }
        });
    }

    /// Examines the queue in the background, because deliveries are due that do not come. A queue that was recreated,
    /// by whichever process, does not know the subscription; so the worker subscribes again.
    pub(crate) fn start_examination(self: &Arc<Self>) {
        let worker = Arc::clone(self);
        self.spawn(async move {
            tokio::select! {
                () = worker.intake.limiter.closing() => {}
                () = worker.examine_queue() => {
                    worker.intake.state.apply(&SubscriptionChange::Draining { epoch: None, ending: Ending::Closed });
                }
            }
        });
    }

    /// Spawns a task whose log lines name the webhook.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.services.tracker.spawn(task.instrument(telemetry::webhook_span(self.webhook)));
    }

    async fn run(self: Arc<Self>) {
        let mut backoff = Backoff::default();
        let mut number = 0;
        // The caller has just checked that the webhook exists, so that the first pass does not.
        let mut is_wanted = true;
        while is_wanted {
            number += 1;
            let epoch = SubscriptionEpoch::new(number);
            match self.services.subscriber.subscribe(self.webhook, self.limits.prefetch).await {
                Ok(mut subscription) => {
                    backoff = Backoff::default();
                    self.consume(&mut subscription, epoch).await;
                }
                Err(error) => {
                    debug!(error = %Chain(&error), "cannot subscribe; trying again");
                    self.note_lost_queue(&error).await;
                }
            }
            tokio::select! { () = self.intake.limiter.closing() => {}, () = backoff.wait() => {} }
            is_wanted = !self.intake.limiter.is_closing() && self.is_wanted().await;
        }
        self.intake.state.apply(&SubscriptionChange::Closed);
    }

    /// Examines a queue that cannot be subscribed to because it is lost, if this replica is the owner.
    async fn note_lost_queue(&self, error: &BrokerError) {
        let is_lost = error.is_silence() || matches!(error, BrokerError::Nacked);
        if is_lost && self.is_owner.load(Ordering::Relaxed) {
            self.intake.state.apply(&SubscriptionChange::QueueLost);
            self.examine_queue().await;
        }
    }

    /// Whether the queue should exist. The queue of a deleted webhook ends its subscription when it is deleted, and is
    /// not declared again.
    async fn is_wanted(&self) -> bool {
        if let Err(error) = self.services.webhooks.refresh().await {
            telemetry::report_retry(Operation::RefreshWebhooks, &error);
        }
        self.services.webhooks.find_config(self.webhook).is_some_and(|webhook| !webhook.is_deleted())
    }

    /// Repairs the queue if it is lost. One examination runs at a time.
    async fn examine_queue(&self) {
        let Some(_examining) = self.examining.try_begin() else { return };
        if let Err(error) = self.services.repair.examine(self.webhook).await {
            telemetry::report_retry(Operation::RepairQueue, &error);
        }
    }

    /// Consumes a subscription until it ends, or has to end.
    async fn consume(self: &Arc<Self>, subscription: &mut Subscription, epoch: SubscriptionEpoch) {
        let _subscribed = telemetry::count_subscription();
        self.intake.state.apply(&SubscriptionChange::Subscribed(epoch.clone()));
        if let Some(ending) = self.receive_messages(subscription, &epoch).await {
            self.drain(subscription, ending).await;
        }
        self.intake.state.apply(&SubscriptionChange::Ended);
    }

    /// Receives messages. Returns how the subscription has to end, or `None` if RabbitMQ ended it.
    async fn receive_messages(
        self: &Arc<Self>,
        subscription: &mut Subscription,
        epoch: &SubscriptionEpoch,
    ) -> Option<Ending> {
        let mut has_to_end = pin!(self.intake.state.wait_for_ending());
        let mut is_active = false;
        loop {
            let message = tokio::select! {
                () = self.intake.limiter.closing() => return Some(Ending::Cancelled),
                ending = &mut has_to_end => return Some(ending),
                message = subscription.next() => message?,
            };
            if !is_active {
                is_active = true;
                self.intake.state.apply(&SubscriptionChange::MessageReceived);
            }
            self.begin_message(message, epoch.clone());
        }
    }

    fn begin_message(self: &Arc<Self>, message: Message, epoch: SubscriptionEpoch) {
        if message.is_empty() {
            self.start_redelivery();
        }
        let in_hand = self.intake.load.begin_message();
        let messages = Arc::clone(&self.services.messages);
        self.services.tracker.spawn(messages.process(Arc::clone(&self.intake), message, epoch, in_hand));
    }

    /// Ends a subscription: its requests finish, and the messages that came meanwhile are requeued.
    async fn drain(&self, subscription: &mut Subscription, ending: Ending) {
        self.intake.state.apply(&SubscriptionChange::Draining { epoch: None, ending });
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, self.intake.limiter.wait_until_idle()).await;
        subscription.end(ending).await;
        while let Some(Some(message)) = subscription.next().now_or_never() {
            requeue_message(self.webhook, &message).await;
        }
    }
}
