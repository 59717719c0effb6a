//! One webhook's queue: subscribed, consumed, and subscribed again when that ends. A webhook that
//! hangs fills its own lane and prefetch, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use broker::wire::DeliveryMessage;
use broker::{
    BrokerError, Consumers, Ending, Message, Outgoing, Prober, Publisher, Route, Subscription, Topology,
    prober,
};
use domain::ids::WebhookId;
use domain::webhook::WebhookStatus;
use futures_util::FutureExt;
use runtime::error::Chain;
use runtime::retry::Backoff;
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::delivery::{Handled, Handler, Receipt, repeated};
use crate::limiter::attempt_rate::Tempo;
use crate::limiter::{Lane, Limits};
use crate::{redelivery, repair, telemetry};

/// Deliveries handled at once, and messages handed out, for each request in flight: while some are sent, others
/// are recorded.
const PREFETCH_FACTOR: u16 = 4;
/// How long a message's deliveries wait until they are handled. Waiting for their turn and for another message of
/// the same delivery take as long as `lane::LONGEST_WAIT` each; it must not come to the 30 minutes after which the
/// broker takes a message back.
const LONGEST_FOR_A_PLACE: Duration = Duration::from_secs(300);

/// Where this part of the prefetch is in hand, more messages may wait in the broker: some are acknowledged at any time.
const BACKLOG_SHARE: usize = 2;

/// How long a subscription is kept after its end was decided, so that requests in flight are answered before
/// another replica is handed messages: together they would press the endpoint twice as hard. One that takes
/// longer does not keep the others waiting.
const HAND_OVER: Duration = Duration::from_secs(3);

/// How often a queue is nudged at most, and how long a nudge lives.
pub(crate) const NUDGE_EVERY: Duration = Duration::from_secs(2);

/// What every worker needs.
pub(crate) struct Shared {
    pub(crate) handler: Handler,
    pub(crate) consumers: Consumers,
    pub(crate) prober: Prober,
    /// Publishes to queues that were missing or lost: nothing else waits for its confirms.
    pub(crate) mender: Publisher,
    pub(crate) tempo: Tempo,
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
    /// For the deliveries that are handled at once, which is less than the messages in hand hold.
    places: Arc<Semaphore>,
    /// There from the first message that the broker hands out to the subscription, and until that ends: so
    /// long it hands out none to other replicas.
    active: watch::Sender<Option<CancellationToken>>,
    /// There as long as the queue cannot be subscribed to: then no replica gets messages out of it, and its owner
    /// attempts what is due from the database.
    cut_off: watch::Sender<Option<CancellationToken>>,
    /// Whether this replica is the webhook's owner, and not its standby.
    owner: AtomicBool,
    /// Whether what is to be sent again is being sent.
    catching_up: AtomicBool,
    /// Messages that were handed out and are neither acknowledged nor given back.
    in_hand: AtomicUsize,
    /// Messages that the broker has handed out.
    handed_out: AtomicUsize,
    /// Held while the queue is examined.
    examining: Mutex<()>,
    /// Changes when the subscription is to be begun anew.
    renewals: watch::Sender<Renewal>,
}

/// How often a subscription was begun anew, and how the last one is to end.
#[derive(Debug, Clone, Copy)]
struct Renewal {
    number: u32,
    ending: Ending,
}

impl Worker {
    /// Starts consuming a webhook's queue.
    pub(crate) fn start(shared: Arc<Shared>, webhook: WebhookId, limits: Limits, owner: bool) -> Self {
        let closing = CancellationToken::new();
        let lane = Lane::new(limits, shared.tempo.clone(), closing.clone());
        let work = Arc::new(Work {
            webhook,
            limits,
            lane,
            places: Arc::new(Semaphore::new(prefetch(limits).into())),
            active: watch::Sender::new(None),
            cut_off: watch::Sender::new(None),
            owner: AtomicBool::new(owner),
            catching_up: AtomicBool::new(false),
            in_hand: AtomicUsize::new(0),
            handed_out: AtomicUsize::new(0),
            examining: Mutex::new(()),
            renewals: watch::Sender::new(Renewal { number: 0, ending: Ending::Cancelled }),
        });
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

    /// Whether the broker hands the queue's messages out to it.
    pub(crate) fn is_active(&self) -> bool {
        self.work.active.borrow().is_some()
    }

    /// Whether the owner cannot subscribe to the queue.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.work.owner.load(Ordering::Relaxed) && self.work.cut_off.borrow().is_some()
    }

    /// Whether more may wait in the broker than is in hand, so that a message of a retry may be far behind.
    pub(crate) fn is_backlogged(&self) -> bool {
        let in_hand = self.work.in_hand.load(Ordering::Relaxed);
        in_hand * BACKLOG_SHARE >= usize::from(prefetch(self.work.limits))
    }

    /// Sends what the database has to be sent, in the background, if the broker hands the queue's messages
    /// out to it, or cannot hand them out to anybody: the replica that sends fresh events keeps to the webhook's limits with old ones, too.
    pub(crate) fn catch_up(&self, shared: &Arc<Shared>) {
        catch_up(shared, &self.work);
    }

    /// Publishes a message that says nothing to the queue, in the background: whoever gets it is active,
    /// and learns of it.
    pub(crate) fn nudge(&self, shared: &Arc<Shared>) {
        let (shared, webhook) = (Arc::clone(shared), self.work.webhook);
        let tracker = shared.tracker.clone();
        tracker.spawn(async move {
            let exchange = shared.handler.names.deliveries();
            let route = Route { exchange: &exchange, key: &webhook.to_string() };
            let nudge = Outgoing::short_lived(NUDGE_EVERY);
            if let Err(error) = shared.mender.publish_within(prober::PROBE_TIMEOUT, route, &nudge).await {
                debug!(%webhook, error = %Chain(&error), "the queue could not be nudged; trying again");
            }
        });
    }

    /// How many messages the broker has handed out, when none of them is in hand any more, and nothing is
    /// sent again.
    pub(crate) fn rests_after(&self) -> Option<usize> {
        let rests =
            self.work.in_hand.load(Ordering::Relaxed) == 0 && !self.work.catching_up.load(Ordering::Relaxed);
        rests.then(|| self.work.handed_out.load(Ordering::Relaxed))
    }

    /// Looks in the background whether the queue is lost, for what is due does not come. A queue that
    /// was made anew, by whomever, knows nothing of the subscription: it is begun anew, too.
    pub(crate) fn examine(&self, shared: &Arc<Shared>) {
        let (shared, work) = (Arc::clone(shared), Arc::clone(&self.work));
        let tracker = shared.tracker.clone();
        tracker.spawn(async move {
            tokio::select! {
                () = work.lane.closing() => {}
                () = examine(&shared, &work) => work.renew(None, Ending::Closed),
            }
        });
    }

    /// Notes that this replica is the owner now.
    pub(crate) fn promote(&self) {
        self.work.owner.store(true, Ordering::Relaxed);
    }
}

async fn run(shared: Arc<Shared>, work: Arc<Work>) {
    let mut backoff = Backoff::default();
    // Who started it has just seen that it is.
    let mut wanted = true;
    while wanted {
        let since = Instant::now();
        match subscribe(&shared, &work).await {
            Ok(mut subscription) => {
                backoff = Backoff::default();
                work.end_cut_off();
                consume(&shared, &work, &mut subscription, since).await;
            }
            Err(error) => {
                debug!(webhook = %work.webhook, error = %Chain(&error), "cannot subscribe; trying again");
                let lost = error.is_silence() || matches!(error, BrokerError::Nacked);
                if lost && work.owner.load(Ordering::Relaxed) {
                    work.begin_cut_off();
                    examine(&shared, &work).await;
                }
            }
        }
        tokio::select! { () = work.lane.closing() => {}, () = backoff.wait() => {} }
        wanted = !work.lane.is_closing() && is_wanted(&shared, work.webhook).await;
    }
    work.end_cut_off();
}

/// Whether the queue should be there: that of a deleted webhook ends its subscription by going, and
/// is not made again.
async fn is_wanted(shared: &Shared, webhook: WebhookId) -> bool {
    if let Err(error) = shared.handler.directory.refresh().await {
        telemetry::step_failed("refresh", &error);
    }
    shared.handler.directory.get(webhook).is_some_and(|target| target.status != WebhookStatus::Deleted)
}

async fn subscribe(shared: &Shared, work: &Work) -> Result<Subscription, BrokerError> {
    shared.topology.ensure_webhook(work.webhook).await?;
    let queue = shared.handler.names.webhook(work.webhook);
    let (exchange, key) = (shared.handler.names.deliveries(), work.webhook.to_string());
    let route = Route { exchange: &exchange, key: &key };
    shared.prober.check_consumable(&shared.topology, &queue, route).await?;
    shared.consumers.subscribe(&queue, prefetch(work.limits)).await
}

fn prefetch(limits: Limits) -> u16 {
    limits.max_concurrency.saturating_mul(PREFETCH_FACTOR)
}

/// Makes the queue anew when it is lost; one such examination at a time.
async fn examine(shared: &Shared, work: &Work) {
    let Ok(_examining) = work.examining.try_lock() else { return };
    if let Err(error) = repair::lost_queue::examine(shared, work.webhook).await {
        telemetry::step_failed("heal", error.as_ref());
    }
}

async fn consume(shared: &Arc<Shared>, work: &Arc<Work>, subscription: &mut Subscription, since: Instant) {
    let _subscribed = telemetry::subscribed();
    let mut renewals = work.renewals.subscribe();
    let activity = Activity::none_yet(work);
    let renewal = renewals.borrow_and_update().number;
    let received = Received { since, renewal, lasts: activity.lasts.clone() };
    let ending = loop {
        let message = tokio::select! {
            () = work.lane.closing() => break Ending::Cancelled,
            _ = renewals.changed() => break renewals.borrow().ending,
            message = subscription.next() => message,
        };
        let Some(message) = message else { return };
        activity.note();
        if message.is_probe() {
            catch_up(shared, work);
        }
        work.handed_out.fetch_add(1, Ordering::Relaxed);
        work.in_hand.fetch_add(1, Ordering::Relaxed);
        shared.tracker.spawn(process(Arc::clone(shared), Arc::clone(work), message, received.clone()));
    };
    work.let_finish().await;
    subscription.end(ending).await;
    // What came before the cancellation was heard goes back at once.
    while let Some(Some(message)) = subscription.next().now_or_never() {
        give_back(work.webhook, &message).await;
    }
}

fn catch_up(shared: &Arc<Shared>, work: &Arc<Work>) {
    let active = work.active.borrow().clone();
    let Some(active) = active.or_else(|| work.cut_off.borrow().clone()) else { return };
    if work.catching_up.swap(true, Ordering::Relaxed) {
        return;
    }
    let (shared, work) = (Arc::clone(shared), Arc::clone(work));
    let tracker = shared.tracker.clone();
    tracker.spawn(async move {
        let most = work.limits.max_concurrency;
        redelivery::send(&shared, work.webhook, &work.lane, &active, most).await;
        work.catching_up.store(false, Ordering::Relaxed);
    });
}

/// Whether the broker hands messages out to one subscription. With it, it ends.
struct Activity<'a> {
    work: &'a Work,
    lasts: CancellationToken,
}

impl<'a> Activity<'a> {
    fn none_yet(work: &'a Work) -> Self {
        Self { work, lasts: CancellationToken::new() }
    }

    /// A message was handed out.
    fn note(&self) {
        self.work.active.send_if_modified(|active| {
            let first = active.is_none();
            active.get_or_insert_with(|| self.lasts.clone());
            first
        });
    }
}

impl Drop for Activity<'_> {
    fn drop(&mut self) {
        self.lasts.cancel();
        self.work.active.send_replace(None);
    }
}

/// Under which subscription a message was received.
#[derive(Debug, Clone)]
struct Received {
    /// When it began.
    since: Instant,
    /// Which one it is.
    renewal: u32,
    /// Cancelled when it ends.
    lasts: CancellationToken,
}

async fn process(shared: Arc<Shared>, work: Arc<Work>, mut message: Message, received: Received) {
    let webhook = work.webhook;
    let _in_hand = InHand(&work.in_hand);
    let deliveries = shared.handler.read(&mut message).await;
    let number = deliveries.len();
    let Received { since, lasts, renewal } = received;
    let redelivered = message.redelivered;
    let receipt = Receipt { uncertain: redelivered, redelivered, since, lasts: lasts.clone() };
    let left = handle_all(&shared, &work, deliveries, receipt).await;
    if left.doubted {
        work.renew(Some(renewal), Ending::Cancelled);
    } else if !left.deliveries.is_empty() && work.lane.is_closing() {
        // As long as the subscription lasts, the broker would hand it out here again.
        lasts.cancelled().await;
    }
    let dealt_with = match left.deliveries.len() {
        0 => true,
        // What was dealt with would come again with the rest, and what follows from it be queued twice.
        some => some < number && message.is_held() && queue_again(&shared, webhook, left.deliveries).await,
    };
    match dealt_with {
        true => message.ack(),
        // If it is still ours it comes again, marked, so that the database is asked.
        false => give_back(webhook, &message).await,
    }
}

/// Queues deliveries that were not begun behind what else is in the queue; whether the broker has them.
async fn queue_again(shared: &Shared, webhook: WebhookId, deliveries: Vec<DeliveryMessage>) -> bool {
    let (exchange, key) = (shared.handler.names.deliveries(), webhook.to_string());
    let route = Route { exchange: &exchange, key: &key };
    // The queue may be lost: those who wait for other confirms do not wait for its.
    let queued = shared.mender.publish_within(prober::PROBE_TIMEOUT, route, &repeated(deliveries)).await;
    if let Err(error) = &queued {
        debug!(%webhook, error = %Chain(error), "the rest of a message could not be queued; all of it comes again");
    }
    queued.is_ok()
}

/// What a message held and was not dealt with.
#[derive(Default)]
struct Left {
    deliveries: Vec<DeliveryMessage>,
    /// Whether another replica may have them.
    doubted: bool,
}

impl Left {
    fn note(&mut self, handled: &Handled, delivery: DeliveryMessage) {
        self.doubted |= *handled == Handled::Doubted;
        if matches!(handled, Handled::GiveBack | Handled::Doubted) {
            self.deliveries.push(delivery);
        }
    }
}

/// Handles what a message holds, as many at once as there are places.
async fn handle_all(
    shared: &Arc<Shared>,
    work: &Arc<Work>,
    deliveries: Vec<DeliveryMessage>,
    receipt: Receipt,
) -> Left {
    let (mut left, mut handling) = (Left::default(), JoinSet::new());
    // The broker takes the message back in the end.
    let until = tokio::time::Instant::now() + LONGEST_FOR_A_PLACE;
    for delivery in deliveries {
        let place = Arc::clone(&work.places).acquire_owned();
        let place = tokio::select! {
            biased;
            () = work.lane.closing() => None,
            place = tokio::time::timeout_at(until, place) => place.ok().and_then(Result::ok),
        };
        let Some(place) = place else {
            left.deliveries.push(delivery);
            continue;
        };
        let (shared, work, receipt) = (Arc::clone(shared), Arc::clone(work), receipt.of(&delivery));
        handling.spawn(async move {
            let _place = place;
            let handled = shared.handler.deliver(work.webhook, &delivery, receipt, &work.lane).await;
            (handled, delivery)
        });
    }
    while let Some(handled) = handling.join_next().await {
        match handled {
            Ok((handled, delivery)) => left.note(&handled, delivery),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
    left
}

async fn give_back(webhook: WebhookId, message: &Message) {
    if let Err(error) = message.requeue().await {
        // The channel is gone: the broker hands the message out again.
        debug!(%webhook, error = %Chain(&error), "a message could not be given back");
    }
}

impl Work {
    /// Waits until no request is in flight, for so long at most.
    async fn let_finish(&self) {
        let _ = tokio::time::timeout(HAND_OVER, self.lane.idle()).await;
    }

    fn begin_cut_off(&self) {
        self.cut_off.send_if_modified(|cut_off| {
            let begins = cut_off.is_none();
            cut_off.get_or_insert_with(CancellationToken::new);
            begins
        });
    }

    fn end_cut_off(&self) {
        if let Some(cut_off) = self.cut_off.send_replace(None) {
            cut_off.cancel();
        }
    }

    /// Has the subscription begun anew; when one is named, unless that has ended already.
    fn renew(&self, named: Option<u32>, ending: Ending) {
        self.renewals.send_if_modified(|current| {
            let begins = named.is_none_or(|number| number == current.number);
            if begins {
                *current = Renewal { number: current.number + 1, ending };
            }
            begins
        });
    }
}

/// A message in hand, until it is dropped.
struct InHand<'a>(&'a AtomicUsize);

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
