//! Published and arrived events, each with its time.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use ulid::Ulid;

/// The part of an event's id that is the same during a whole run.
const RUN_BITS: u32 = 48;

/// A successful delivery.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) endpoint: u32,
    pub(crate) event: u32,
    /// Time since the start of the board.
    pub(crate) at: Duration,
}

/// An event that was handed to the broker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Published {
    pub(crate) group: u32,
    pub(crate) at: Duration,
}

/// One run's record.
#[derive(Debug)]
pub(crate) struct Board {
    began: Instant,
    run: u128,
    published: Mutex<Vec<Published>>,
    arrivals: Mutex<Vec<Arrival>>,
    /// First attempts that failed on purpose.
    failed: Mutex<HashSet<(u32, u32)>>,
    confirmed: AtomicU32,
    arrived: AtomicU64,
    /// Free places of a closed loop.
    pub(crate) room: Semaphore,
    /// Arrivals that free one place.
    fan_out: u64,
}

impl Board {
    pub(crate) fn new(fan_out: u32) -> Self {
        Self {
            began: Instant::now(),
            run: uuid::Uuid::new_v4().as_u128() >> (128 - RUN_BITS),
            published: Mutex::default(),
            arrivals: Mutex::default(),
            failed: Mutex::default(),
            confirmed: AtomicU32::new(0),
            arrived: AtomicU64::new(0),
            room: Semaphore::new(0),
            fan_out: u64::from(fan_out),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Records that an event is published now, and draws its id.
    pub(crate) fn record_publish(&self, group: u32) -> String {
        let mut published = lock(&self.published);
        let event = published.len() as u128;
        published.push(Published { group, at: self.now() });
        Ulid::from_parts(unix_millis(), self.run << 32 | event).to_string()
    }

    pub(crate) fn record_confirm(&self) {
        self.confirmed.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the event with this id; `None` when it belongs to another run.
    pub(crate) fn event_of(&self, id: &str) -> Option<u32> {
        let random = id.parse::<Ulid>().ok()?.random();
        (random >> 32 == self.run).then_some(u32::try_from(random & u128::from(u32::MAX)).ok()?)
    }

    /// Records a delivery. A `counted` one frees a place in a closed loop.
    pub(crate) fn record_arrival(&self, endpoint: u32, event: u32, counted: bool) {
        lock(&self.arrivals).push(Arrival { endpoint, event, at: self.now() });
        if counted && (self.arrived.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(self.fan_out) {
            self.room.add_permits(1);
        }
    }

    /// Returns true once for a delivery, so that its first attempt fails.
    pub(crate) fn fail_once(&self, endpoint: u32, event: u32) -> bool {
        lock(&self.failed).insert((endpoint, event))
    }

    /// Starts a closed loop with this number of places, without the places that earlier arrivals freed.
    pub(crate) fn open_loop(&self, places: u32) {
        self.room.forget_permits(self.room.available_permits());
        self.room.add_permits(places as usize);
    }

    pub(crate) fn published_events(&self) -> Vec<Published> {
        lock(&self.published).clone()
    }

    pub(crate) fn count_confirmed(&self) -> u32 {
        self.confirmed.load(Ordering::Relaxed)
    }

    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        lock(&self.arrivals).clone()
    }

    /// Returns the number of arrived deliveries, including repeated ones.
    pub(crate) fn count_arrivals(&self) -> usize {
        lock(&self.arrivals).len()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unix_millis() -> u64 {
    u64::try_from(chrono::Utc::now().timestamp_millis()).unwrap_or(0)
}
