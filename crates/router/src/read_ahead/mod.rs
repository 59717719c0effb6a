//! The events that the router has read ahead, and the order in which it handles them.
//!
//! Consumers add messages ([`ReadAhead::add`]), and the routing task takes batches in fair turns
//! ([`ReadAhead::take_batch`]), so that no brand waits for the events of another one that came first.

mod known_brands;
mod quota_gate;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::event;
use domain::event::event_type::EventType;
use domain::fair_queue::{Bounds, FairQueue, Lane, Queued};
use domain::ids::BrandId;
use domain::quota::{BrandQuota, PulledBytes, StoppedEvents};
use store::routing::ingest::{MAX_BATCH, MAX_BATCH_DELIVERIES};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

pub(crate) use known_brands::KnownBrands;
use quota_gate::QuotaGate;

use crate::intake::{IncomingMessage, RejectingBytes, Taken};

/// Messages of events read ahead, three full batches.
pub(crate) const MAX_READ_AHEAD: usize = 3 * MAX_BATCH;
/// Bytes of the events read ahead. Less than the consumer's link may receive, so that the queue is full before the link
/// stops reading.
const MAX_READ_AHEAD_BYTES: usize = 24 * 1024 * 1024;
/// Bytes of the events of a batch. PostgreSQL gets them in one statement.
const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;

const CAPACITY: Bounds = Bounds { items: MAX_READ_AHEAD, bytes: MAX_READ_AHEAD_BYTES, cost: usize::MAX };
/// Bounds of a batch. An event costs one beside its deliveries.
const BATCH: Bounds =
    Bounds { items: MAX_BATCH, bytes: MAX_BATCH_BYTES, cost: MAX_BATCH + MAX_BATCH_DELIVERIES };

/// Bounds of the events that are moved with one message.
const MOVED_MESSAGE: Bounds = Bounds { items: 100, bytes: 256 * 1024, cost: usize::MAX };
/// Events from its backlog up to which a brand is given more, so that a batch can be full of them.
const MAX_PULLED_EVENTS: usize = MAX_BATCH;
/// Bytes of these events.
const MAX_BRAND_PULLED_BYTES: usize = 2 * 1024 * 1024;
/// Bounds of the events from a backlog that go back with one message, because other brands need their room. Few, so that
/// they take less room when they come again.
const RETURNED_MESSAGE: Bounds = Bounds { items: 10, bytes: 64 * 1024, cost: usize::MAX };

/// The events that take turns with those of other classes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum EventClass {
    /// Events of a brand.
    Brand(BrandId),
    /// Events of brands that do not exist, or were created a moment ago.
    UnknownBrand,
    /// Messages that are no valid events.
    Invalid,
}

/// A subscription whose messages are read ahead.
#[derive(Debug)]
pub(crate) struct Source {
    number: u64,
    messages: TaskTracker,
}

/// A message that was read ahead.
pub(crate) struct QueuedMessage {
    pub(crate) taken: Taken,
    event_type: Option<EventType>,
    /// The subscription that it came from; `None` for an event from a backlog.
    source: Option<u64>,
    /// Marks the message as handled when it is dropped.
    _unhandled: Option<TaskTrackerToken>,
}

/// A batch, in the order of its turns.
pub(crate) type Batch = Vec<Queued<EventClass, QueuedMessage>>;

/// The events that were read ahead. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ReadAhead {
    shared: Arc<Shared>,
    known_brands: KnownBrands,
    rejecting: RejectingBytes,
    /// Whether quotas are applied.
    has_quotas: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<FairQueue<EventClass, QueuedMessage>>,
    /// Locked after the queue.
    gate: Mutex<QuotaGate>,
    added: Notify,
    /// Signals every consumer that there may be room.
    removed: Notify,
    /// Signals that a consumer found no room.
    full: Notify,
    /// Signals that a batch was taken.
    taken: Notify,
}

impl Source {
    pub(crate) fn new() -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let messages = TaskTracker::new();
        messages.close();
        Self { number: NUMBERS.fetch_add(1, Ordering::Relaxed), messages }
    }

    /// Waits until every message of the subscription is handled or forgotten.
    pub(crate) async fn wait_handled(&self) {
        self.messages.wait().await;
    }
}

impl ReadAhead {
    /// Creates an empty queue. Without `has_quotas` no brand waits for its quotas; nothing is then moved because of them.
    pub(crate) fn new(known_brands: KnownBrands, rejecting: RejectingBytes, has_quotas: bool) -> Self {
        Self { shared: Arc::default(), known_brands, rejecting, has_quotas }
    }

    /// Adds a message, once there is room.
    pub(crate) async fn add(&self, source: &Source, taken: Taken) {
        let (class, event_type) = self.classify(&taken);
        let bytes = taken.bytes();
        let unhandled = source.messages.token();
        let item =
            QueuedMessage { taken, event_type, source: Some(source.number), _unhandled: Some(unhandled) };
        let queued = Queued { class, lane: Lane::Direct, item, bytes };
        loop {
            // Register before checking, so that a removal in between is not missed.
            let removed = self.shared.removed.notified();
            {
                let mut queue = self.lock();
                let size = queue.size(Lane::Direct);
                if size.items < CAPACITY.items && size.bytes < CAPACITY.bytes {
                    queue.push(queued);
                    break;
                }
            }
            self.shared.full.notify_one();
            removed.await;
        }
        self.shared.added.notify_one();
    }

    /// Adds the events of a message from the backlog of a brand.
    pub(crate) fn add_pulled(&self, brand_id: &BrandId, events: Vec<Taken>) {
        let queued = |taken: Taken| {
            let event_type = event::peek_brand_and_type(taken.body()).map(|(_, event_type)| event_type);
            let bytes = taken.bytes();
            let item = QueuedMessage { taken, event_type, source: None, _unhandled: None };
            Queued { class: EventClass::Brand(brand_id.clone()), lane: Lane::Backlog, item, bytes }
        };
        // The bodies are parsed before the lock is taken, because everyone waits for it.
        let events: Vec<_> = events.into_iter().map(queued).collect();
        let mut queue = self.lock();
        events.into_iter().for_each(|queued| queue.push(queued));
        drop(queue);
        self.shared.added.notify_one();
    }

    /// Measures the events from backlogs that are in memory.
    pub(crate) fn measure_pulled(&self) -> PulledBytes {
        let queue = self.lock();
        measure_pulled(&queue, &self.gate())
    }

    /// Returns whether a brand may have more events from its backlog in memory. `pulled` was measured a moment ago.
    pub(crate) fn has_room_for_pulled(&self, brand_id: &BrandId, pulled: PulledBytes) -> bool {
        let queue = self.lock();
        let own = queue.lane_size(&EventClass::Brand(brand_id.clone()), Lane::Backlog);
        let gate = self.gate();
        let is_limited = gate.limits(brand_id);
        // A message at a time, because each has to be acknowledged in time.
        if is_limited && (own.items > 0 || gate.time_until_free(brand_id).is_some()) {
            return false;
        }
        let (own_rejecting, rejecting) = self.rejecting.count(brand_id);
        let limited = if is_limited { pulled.limited + rejecting } else { pulled.limited };
        let pulled = PulledBytes { limited, all: pulled.all + rejecting };
        own.items < MAX_PULLED_EVENTS
            && own.bytes + own_rejecting < MAX_BRAND_PULLED_BYTES
            && pulled.has_room(is_limited)
    }

    /// Returns whether a quota stops a brand.
    pub(crate) fn is_stopped(&self, brand_id: &BrandId) -> bool {
        self.gate().time_until_free(brand_id).is_some()
    }

    /// Lets a brand go on in spite of its quotas while its events cannot be moved into its backlog.
    pub(crate) fn set_exempt(&self, brand_id: &BrandId, is_exempt: bool) {
        self.gate().set_exempt(brand_id, is_exempt);
        if is_exempt {
            self.shared.added.notify_one();
        }
    }

    /// Takes events of the brand that exceeds its share by most, for one message of its backlog; `None` if no brand
    /// that `can_move` exceeds its share.
    pub(crate) fn take_surplus(&self, can_move: impl Fn(&BrandId) -> bool) -> Option<(BrandId, Batch)> {
        let can_move = |class: &EventClass| matches!(class, EventClass::Brand(brand) if can_move(brand));
        let (class, surplus) = self.lock().take_surplus(CAPACITY, MOVED_MESSAGE, can_move)?;
        self.shared.removed.notify_waiters();
        let EventClass::Brand(brand_id) = class else { return None };
        Some((brand_id, surplus))
    }

    /// Takes events of a brand over its quota that would wait for long, for one message of its backlog; `None` if there is
    /// no such brand that `can_move`. Of an exempt brand it takes events that need not move, to try whether they can.
    pub(crate) fn take_stopped(&self, can_move: impl Fn(&BrandId) -> bool) -> Option<(BrandId, Batch)> {
        let mut queue = self.lock();
        let (stopped, exempt, pulled) = {
            let gate = self.gate();
            (gate.list_stopped(), gate.list_exempt(), measure_pulled(&queue, &gate))
        };
        let exempt = exempt.into_iter().map(|brand_id| (brand_id, None));
        let stopped = stopped.into_iter().map(|(brand_id, wait)| (brand_id, Some(wait)));
        for (brand_id, wait) in exempt.chain(stopped).filter(|(brand_id, _)| can_move(brand_id)) {
            let class = EventClass::Brand(brand_id.clone());
            let Some((lane, message)) = choose_stopped(&queue, &class, wait, pulled) else { continue };
            let messages = queue.take_class(&class, lane, message);
            drop(queue);
            self.shared.removed.notify_waiters();
            return Some((brand_id, messages));
        }
        None
    }

    /// Replaces the quotas of the brands with a limited rate.
    pub(crate) fn set_quotas(&self, limited: HashMap<BrandId, BrandQuota>) {
        if self.has_quotas {
            self.gate().set_quotas(limited);
        }
    }

    /// Sets the number of routers, which share the rates.
    pub(crate) fn set_routers(&self, routers: usize) {
        self.gate().set_routers(u32::try_from(routers).unwrap_or(u32::MAX));
    }

    /// Returns the time until the first brand that had to wait in the last batch may go on.
    pub(crate) fn stopped_for(&self) -> Option<Duration> {
        self.gate().stopped_for()
    }

    /// Waits until there is no room for a message, or until events may have to be moved because of a quota.
    pub(crate) async fn wait_full(&self) {
        self.shared.full.notified().await;
    }

    /// Waits until a batch was taken.
    pub(crate) async fn wait_taken(&self) {
        self.shared.taken.notified().await;
    }

    /// Returns the number of events from shared queues and from backlogs.
    pub(crate) fn count_events(&self) -> [usize; 2] {
        let queue = self.lock();
        [queue.size(Lane::Direct).items, queue.size(Lane::Backlog).items]
    }

    /// Takes the next batch; it is empty if nothing was read ahead, or if all of it waits for quotas. `recipients` returns an upper bound of the deliveries
    /// of an event.
    pub(crate) fn take_batch(&self, recipients: impl Fn(&BrandId, &EventType) -> usize) -> Batch {
        let cost = |class: &EventClass, message: &QueuedMessage| match (class, &message.event_type) {
            (EventClass::Brand(brand_id), Some(event_type)) => 1 + recipients(brand_id, event_type),
            _ => 1,
        };
        let mut queue = self.lock();
        let mut gate = self.gate();
        gate.begin_batch();
        let batch = queue.take_batch(BATCH, &mut *gate, cost);
        let is_any_movable = gate.met_movable();
        drop((queue, gate));
        if is_any_movable {
            self.shared.full.notify_one();
        }
        self.shared.removed.notify_waiters();
        self.shared.taken.notify_one();
        batch
    }

    /// Puts messages back that were taken and not handled.
    pub(crate) fn put_back(&self, messages: Batch) {
        self.lock().put_back(messages);
        self.shared.added.notify_one();
    }

    /// Puts messages back that [`Self::take_surplus`] and [`Self::take_stopped`] took, in the order in which they were
    /// taken.
    pub(crate) fn put_back_newest(&self, taken: Vec<Batch>) {
        self.lock().put_back_newest(taken);
        self.shared.added.notify_one();
    }

    /// Waits until a message may have been added.
    pub(crate) async fn wait_added(&self) {
        self.shared.added.notified().await;
    }

    /// Drops the messages of a subscription that was lost, because RabbitMQ delivers them again.
    pub(crate) fn forget(&self, source: &Source) {
        self.lock().retain(|message| message.source != Some(source.number));
        self.shared.removed.notify_waiters();
    }

    fn classify(&self, taken: &Taken) -> (EventClass, Option<EventType>) {
        let peeked = event::peek_brand_and_type(taken.body()).filter(|_| taken.unreadable().is_none());
        match peeked {
            Some((brand_id, event_type)) if self.known_brands.contains(&brand_id) => {
                (EventClass::Brand(brand_id), Some(event_type))
            }
            Some(_) => (EventClass::UnknownBrand, None),
            None => (EventClass::Invalid, None),
        }
    }

    fn gate(&self) -> MutexGuard<'_, QuotaGate> {
        self.shared.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, FairQueue<EventClass, QueuedMessage>> {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn measure_pulled(queue: &FairQueue<EventClass, QueuedMessage>, gate: &QuotaGate) -> PulledBytes {
    let bytes =
        |brand_id: &BrandId| queue.lane_size(&EventClass::Brand(brand_id.clone()), Lane::Backlog).bytes;
    PulledBytes { limited: gate.limited().map(bytes).sum(), all: queue.size(Lane::Backlog).bytes }
}

/// Chooses the lane from which events of a brand over its quota are moved, and the bounds of the message. `wait` is the
/// time until the next event may be routed; `None` for an exempt brand.
fn choose_stopped(
    queue: &FairQueue<EventClass, QueuedMessage>,
    class: &EventClass,
    wait: Option<Duration>,
    pulled: PulledBytes,
) -> Option<(Lane, Bounds)> {
    let is_crowded = pulled.is_crowded();
    let direct = queue.lane_size(class, Lane::Direct).items;
    let Some(wait) = wait else { return (direct > 0).then_some((Lane::Direct, MOVED_MESSAGE)) };
    if StoppedEvents::Direct.must_move(wait, direct) {
        return Some((Lane::Direct, MOVED_MESSAGE));
    }
    let message = if is_crowded { RETURNED_MESSAGE } else { MOVED_MESSAGE };
    let events = queue.lane_size(class, Lane::Backlog).items;
    StoppedEvents::Pulled { is_crowded }.must_move(wait, events).then_some((Lane::Backlog, message))
}
