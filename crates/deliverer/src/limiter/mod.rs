//! Limits the requests to one endpoint.
//!
//! An [`EndpointLimiter`] grants a [`Permit`] for each request. It bounds three things: requests in flight, which
//! shrink while the endpoint fails; requests a second, if the webhook has a rate; and the share that redeliveries may
//! take. A retry gets its permit before all first attempts, because it has a window in which it must start. When an
//! endpoint has failed for long, a cool-down follows each failed request, and the next request waits it out. Beside its
//! permit, an attempt needs memory, of which each brand has a share ([`attempt_memory`]).

pub(crate) mod attempt_memory;
pub(crate) mod attempt_rate;

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::delivery::adaptive_concurrency::AdaptiveConcurrency;
use domain::delivery::attempt::Trigger;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use attempt_memory::{MemoryShare, Reservation};
use attempt_rate::AttemptRate;

/// Bursts into which the requests of a second may be divided.
const BURSTS_PER_SECOND: u32 = 10;
/// Longest wait for a permit. RabbitMQ takes a message back after 30 minutes and closes the channel with every consumer
/// on it, so that the message is better returned before.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(600);
/// Longest wait for memory after the permit. An attempt of the same brand ends within seconds, so that the line moves.
const MEMORY_TIMEOUT: Duration = Duration::from_secs(100);
/// Messages in hand, and deliveries handled at once, for each request in flight: while some are sent, others are
/// recorded.
const PREFETCH_FACTOR: u16 = 4;
/// Deliveries of a webhook that are handled at once, at least, if its concurrency allows it: all of a full message.
const MIN_SLOTS: u16 = 8;

/// The limits of a webhook. A change replaces its limiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) max_concurrency: u16,
    pub(crate) rate_per_second: Option<u32>,
    /// Messages that RabbitMQ hands out before the first is acknowledged.
    pub(crate) prefetch: u16,
}

impl Limits {
    /// Creates the limits of a webhook whose brand has few others, so that its prefetch is all that it could use.
    pub(crate) const fn new(max_concurrency: u16, rate_per_second: Option<u32>) -> Self {
        let prefetch = max_concurrency.saturating_mul(PREFETCH_FACTOR);
        Self { max_concurrency, rate_per_second, prefetch }
    }

    /// Returns how many deliveries out of messages are handled at once.
    pub(crate) fn slots(self) -> u16 {
        self.prefetch.max(self.max_concurrency.min(MIN_SLOTS))
    }

    /// Returns the concurrency by which deliveries from the database are paced. Its pages are held in memory, so that it
    /// shrinks with the prefetch.
    pub(crate) fn paced_concurrency(self) -> u16 {
        (self.prefetch / PREFETCH_FACTOR).max(1)
    }
}

/// The limiter of one webhook's endpoint. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct EndpointLimiter {
    permits: Arc<Permits>,
    rate: Option<Arc<DefaultDirectRateLimiter>>,
    /// If set, this view may hold at most this many of the limiter's permits.
    share: Option<Arc<Semaphore>>,
    memory: MemoryShare,
    closing: CancellationToken,
}

/// Which request goes first when several wait for a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Priority {
    /// A first attempt: it has no deadline.
    Normal,
    /// A retry, which has to start within the window of its delivery: it goes before all first attempts.
    Retry,
}

impl From<Trigger> for Priority {
    fn from(trigger: Trigger) -> Self {
        match trigger {
            Trigger::Retry => Self::Retry,
            Trigger::Fresh | Trigger::Redeliver | Trigger::Held | Trigger::Test => Self::Normal,
        }
    }
}

#[derive(Debug)]
struct Permits {
    state: Mutex<State>,
    /// Wakes a first attempt that waits.
    freed: Notify,
    /// Wakes a retry that waits.
    freed_for_retry: Notify,
    attempt_rate: AttemptRate,
}

#[derive(Debug)]
struct State {
    pressure: AdaptiveConcurrency,
    taken: u16,
    retries_waiting: usize,
    /// How many guards keep the limiter paused.
    pauses: u16,
}

/// The right to send one request.
#[derive(Debug)]
pub(crate) struct Permit {
    permits: Arc<Permits>,
    _share: Option<OwnedSemaphorePermit>,
}

/// Keeps the limiter from granting permits until it is dropped.
#[derive(Debug)]
pub(crate) struct PauseGuard(Arc<Permits>);

impl EndpointLimiter {
    pub(crate) fn new(
        limits: Limits,
        attempt_rate: AttemptRate,
        memory: MemoryShare,
        closing: CancellationToken,
    ) -> Self {
        let state = Mutex::new(State {
            pressure: AdaptiveConcurrency::new(limits.max_concurrency),
            taken: 0,
            retries_waiting: 0,
            pauses: 0,
        });
        let permits = Permits { state, freed: Notify::new(), freed_for_retry: Notify::new(), attempt_rate };
        Self {
            permits: Arc::new(permits),
            rate: limits.rate_per_second.and_then(NonZeroU32::new).map(rate_limiter).map(Arc::new),
            share: None,
            memory,
            closing,
        }
    }

    /// Returns a view that may hold at most `max_permits` at once. It closes with the whole, or before.
    pub(crate) fn with_share(&self, max_permits: u16) -> Self {
        let share = Some(Arc::new(Semaphore::new(max_permits.into())));
        Self { share, ..self.child() }
    }

    /// Returns a view that may be closed before the whole is.
    pub(crate) fn child(&self) -> Self {
        Self { closing: self.closing.child_token(), ..self.clone() }
    }

    /// Releases all requests that wait, and grants no further permit.
    pub(crate) fn close(&self) {
        self.closing.cancel();
    }

    /// Waits for a permit. Returns `None` if the limiter closes first, or after [`PERMIT_TIMEOUT`].
    pub(crate) async fn acquire(&self, priority: Priority) -> Option<Permit> {
        tokio::select! {
            biased;
            () = self.closing.cancelled() => None,
            permit = tokio::time::timeout(PERMIT_TIMEOUT, self.wait_for_permit(priority)) => permit.ok(),
        }
    }

    /// Waits for the memory of an attempt that loads `loaded` bytes of data. Returns `None` if the limiter closes first,
    /// or after [`MEMORY_TIMEOUT`]. The caller has a permit, so that only its own webhook waits behind it.
    pub(crate) async fn reserve_memory(&self, loaded: usize) -> Option<Reservation> {
        if let Some(reserved) = self.memory.try_reserve(loaded) {
            return Some(reserved);
        }
        tokio::select! {
            biased;
            () = self.closing.cancelled() => None,
            reserved = tokio::time::timeout(MEMORY_TIMEOUT, self.memory.wait_for_turn(loaded)) => reserved.ok(),
        }
    }

    async fn wait_for_permit(&self, priority: Priority) -> Permit {
        let share = match &self.share {
            // Nobody closes the semaphore.
            Some(share) => Arc::clone(share).acquire_owned().await.ok(),
            None => None,
        };
        let permit = self.permits.take(share, priority).await;
        permit.cool_down().await;
        if let Some(rate) = &self.rate {
            rate.until_ready().await;
        }
        permit
    }

    /// Resolves when the limiter closes.
    pub(crate) fn closing(&self) -> WaitForCancellationFuture<'_> {
        self.closing.cancelled()
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// Resolves when no request is in flight. It may miss the instant while permits are granted.
    pub(crate) async fn wait_until_idle(&self) {
        loop {
            let freed = self.permits.freed.notified();
            if self.permits.state().taken == 0 {
                return;
            }
            freed.await;
        }
    }
}

fn rate_limiter(per_second: NonZeroU32) -> DefaultDirectRateLimiter {
    let burst = NonZeroU32::new(per_second.get() / BURSTS_PER_SECOND).unwrap_or(NonZeroU32::MIN);
    RateLimiter::direct(Quota::per_second(per_second).allow_burst(burst))
}

impl Permits {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take(self: &Arc<Self>, share: Option<OwnedSemaphorePermit>, priority: Priority) -> Permit {
        let _waiting = (priority == Priority::Retry).then(|| WaitingRetry::new(self));
        let notify = match priority {
            Priority::Normal => &self.freed,
            Priority::Retry => &self.freed_for_retry,
        };
        loop {
            // Register for the notification before checking, so that a permit that is freed in between is not missed.
            let freed = notify.notified();
            if self.try_take(priority) {
                return Permit { permits: Arc::clone(self), _share: share };
            }
            freed.await;
        }
    }

    fn try_take(&self, priority: Priority) -> bool {
        let mut state = self.state();
        let is_first = priority == Priority::Retry || state.retries_waiting == 0;
        let is_admitted = is_first && state.pauses == 0 && state.taken < state.pressure.limit();
        state.taken += u16::from(is_admitted);
        let has_more = state.taken < state.pressure.limit();
        drop(state);
        // `notify_one` may wake a task that was cancelled. So each task that is woken wakes the next one if permits are
        // left; otherwise they would stay unused.
        if has_more && (is_admitted || !is_first) {
            self.wake_one();
        }
        is_admitted
    }

    /// Wakes a task that waits for a permit, a retry if there is one.
    fn wake_one(&self) {
        let has_retry = self.state().retries_waiting > 0;
        if has_retry {
            self.freed_for_retry.notify_one();
        } else {
            self.freed.notify_one();
        }
    }
}

/// Counts a retry as waiting until it is dropped.
struct WaitingRetry<'a>(&'a Permits);

impl<'a> WaitingRetry<'a> {
    fn new(permits: &'a Permits) -> Self {
        permits.state().retries_waiting += 1;
        Self(permits)
    }
}

impl Drop for WaitingRetry<'_> {
    fn drop(&mut self) {
        self.0.state().retries_waiting -= 1;
        // The wake-up may have been meant for this retry, or first attempts may have waited for it.
        self.0.wake_one();
    }
}

impl Permit {
    /// Waits out the cool-down of an endpoint that has failed for long.
    async fn cool_down(&self) {
        let now = Instant::now();
        let attempts_per_second = self.permits.attempt_rate.per_second();
        let cool_down = self.permits.state().pressure.cooldown(now.into_std(), attempts_per_second);
        if !cool_down.is_zero() {
            tokio::time::sleep_until(now + cool_down).await;
        }
    }

    /// Returns the permit after a request, and records whether the endpoint accepted it.
    pub(crate) fn finish(self, delivered: bool) {
        self.permits.attempt_rate.record_attempt();
        self.permits.state().pressure.record(delivered, Instant::now().into_std());
    }

    /// Returns the permit, and pauses the limiter: the request was the last one for now.
    pub(crate) fn pause(self) -> PauseGuard {
        self.permits.state().pauses += 1;
        PauseGuard(Arc::clone(&self.permits))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.state().taken -= 1;
        self.permits.wake_one();
    }
}

impl Drop for PauseGuard {
    fn drop(&mut self) {
        self.0.state().pauses -= 1;
        self.0.wake_one();
    }
}

#[cfg(test)]
mod tests;
