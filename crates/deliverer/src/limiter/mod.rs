//! Admits requests to one endpoint: so many at once, fewer and slower while it fails, so many a second.

pub(crate) mod attempt_rate;

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::pressure::Pressure;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use crate::limiter::attempt_rate::Tempo;

/// A second's requests may come in this many bursts.
const BURSTS_PER_SECOND: u32 = 10;
/// Longest wait for a turn. The broker takes a message back after 30 minutes and closes the channel
/// over it, with every consumer on it: better given back before.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// How a webhook may be pressed; a change makes a new lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) max_concurrency: u16,
    pub(crate) rate_per_second: Option<u32>,
}

/// The lane of one webhook. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    places: Arc<Places>,
    rate: Option<Arc<DefaultDirectRateLimiter>>,
    /// Of these places no more than so many.
    share: Option<Arc<Semaphore>>,
    closing: CancellationToken,
}

/// Who goes first when several wait for a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// A first attempt: it has no deadline.
    Normal,
    /// A later attempt, which has to start within the window of its delivery: it goes before all first attempts.
    Retry,
}

#[derive(Debug)]
struct Places {
    state: Mutex<State>,
    free: Notify,
    /// The same for retries.
    free_for_retry: Notify,
    tempo: Tempo,
}

#[derive(Debug)]
struct State {
    pressure: Pressure,
    taken: u16,
    /// Retries that wait for a turn.
    retries_waiting: usize,
    /// Who has halted the lane.
    halted: u16,
}

/// The right to send one request.
#[derive(Debug)]
pub(crate) struct Turn {
    places: Arc<Places>,
    _share: Option<OwnedSemaphorePermit>,
}

/// The lane admits nobody as long as this lives.
#[derive(Debug)]
pub(crate) struct Halt(Arc<Places>);

impl Lane {
    pub(crate) fn new(limits: Limits, tempo: Tempo, closing: CancellationToken) -> Self {
        let quota = |rate: NonZeroU32| {
            let burst = NonZeroU32::new(rate.get() / BURSTS_PER_SECOND).unwrap_or(NonZeroU32::MIN);
            RateLimiter::direct(Quota::per_second(rate).allow_burst(burst))
        };
        let state = Mutex::new(State {
            pressure: Pressure::new(limits.max_concurrency),
            taken: 0,
            retries_waiting: 0,
            halted: 0,
        });
        Self {
            places: Arc::new(Places { state, free: Notify::new(), free_for_retry: Notify::new(), tempo }),
            rate: limits.rate_per_second.and_then(NonZeroU32::new).map(quota).map(Arc::new),
            share: None,
            closing,
        }
    }

    /// The same lane for those who may have only so many of its places at once. It closes with the whole,
    /// or before.
    pub(crate) fn shared(&self, most: u16) -> Self {
        let share = Some(Arc::new(Semaphore::new(most.into())));
        Self { share, closing: self.closing.child_token(), ..self.clone() }
    }

    /// The same lane, which may be closed before the whole is.
    pub(crate) fn child(&self) -> Self {
        Self { closing: self.closing.child_token(), ..self.clone() }
    }

    /// Lets go of those who wait, and admits nobody any more.
    pub(crate) fn close(&self) {
        self.closing.cancel();
    }

    /// Waits for a turn; `None` when the lane closes first, or none comes for long.
    pub(crate) async fn turn(&self, urgency: Urgency) -> Option<Turn> {
        let admitted = async {
            let share = match &self.share {
                // Nobody closes it.
                Some(share) => Arc::clone(share).acquire_owned().await.ok(),
                None => None,
            };
            let turn = self.places.take(share, urgency).await;
            turn.rest().await;
            if let Some(rate) = &self.rate {
                rate.until_ready().await;
            }
            turn
        };
        tokio::select! {
            biased;
            () = self.closing.cancelled() => None,
            turn = tokio::time::timeout(LONGEST_WAIT, admitted) => turn.ok(),
        }
    }

    /// Resolves when the lane closes.
    pub(crate) fn closing(&self) -> WaitForCancellationFuture<'_> {
        self.closing.cancelled()
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// Resolves when no request is in flight. While turns are given out it may miss the instant.
    pub(crate) async fn idle(&self) {
        loop {
            let free = self.places.free.notified();
            if self.places.state().taken == 0 {
                return;
            }
            free.await;
        }
    }
}

impl Places {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take(self: &Arc<Self>, share: Option<OwnedSemaphorePermit>, urgency: Urgency) -> Turn {
        let _waiting = (urgency == Urgency::Retry).then(|| RetryWaiting::new(self));
        let notify = match urgency {
            Urgency::Normal => &self.free,
            Urgency::Retry => &self.free_for_retry,
        };
        loop {
            // Register for the notification before checking, so that a place that becomes free in between is not missed.
            let free = notify.notified();
            if self.try_take(urgency) {
                return Turn { places: Arc::clone(self), _share: share };
            }
            free.await;
        }
    }

    fn try_take(&self, urgency: Urgency) -> bool {
        let mut state = self.state();
        let first = urgency == Urgency::Retry || state.retries_waiting == 0;
        let admitted = first && state.halted == 0 && state.taken < state.pressure.in_flight();
        state.taken += u16::from(admitted);
        let more = state.taken < state.pressure.in_flight();
        drop(state);
        // A task that is woken passes it on, so that a free place is not lost on a task that left.
        if more && (admitted || !first) {
            self.wake_one();
        }
        admitted
    }

    /// Wakes a task that waits for a turn, a retry if there is one.
    fn wake_one(&self) {
        let retry = self.state().retries_waiting > 0;
        if retry {
            self.free_for_retry.notify_one();
        } else {
            self.free.notify_one();
        }
    }
}

/// A retry that waits for a turn, as long as this lives.
struct RetryWaiting<'a>(&'a Places);

impl<'a> RetryWaiting<'a> {
    fn new(places: &'a Places) -> Self {
        places.state().retries_waiting += 1;
        Self(places)
    }
}

impl Drop for RetryWaiting<'_> {
    fn drop(&mut self) {
        self.0.state().retries_waiting -= 1;
        // The wake-up may have been meant for this one, or first attempts may have been waiting for it.
        self.0.wake_one();
    }
}

impl Turn {
    /// Waits as long as an endpoint that does nothing but fail is left alone.
    async fn rest(&self) {
        let now = Instant::now();
        let rest = self.places.state().pressure.rest(now.into_std(), self.places.tempo.per_second());
        if !rest.is_zero() {
            tokio::time::sleep_until(now + rest).await;
        }
    }

    /// Ends the turn with how the request went.
    pub(crate) fn end(self, delivered: bool) {
        self.places.tempo.count();
        self.places.state().pressure.report(delivered, Instant::now().into_std());
    }

    /// Ends the turn after a request that is to be the last for now.
    pub(crate) fn halt(self) -> Halt {
        self.places.state().halted += 1;
        Halt(Arc::clone(&self.places))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.places.state().taken -= 1;
        self.places.wake_one();
    }
}

impl Drop for Halt {
    fn drop(&mut self) {
        self.0.state().halted -= 1;
        self.0.wake_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::pressure::FAILURES_IN_ROW;
    use futures_util::FutureExt;

    fn lane(max_concurrency: u16) -> Lane {
        Lane::new(
            Limits { max_concurrency, rate_per_second: None },
            Tempo::default(),
            CancellationToken::new(),
        )
    }

    fn now(lane: &Lane) -> Option<Turn> {
        lane.turn(Urgency::Normal).now_or_never().flatten()
    }

    #[tokio::test]
    async fn no_more_turns_than_places_and_fewer_after_failures() {
        let lane = lane(4);
        let turns: Vec<Turn> = (0..4).filter_map(|_| now(&lane)).collect();
        assert!(turns.len() == 4 && now(&lane).is_none());
        turns.into_iter().for_each(|turn| turn.end(false));
        let one = now(&lane).expect("one is left");
        assert!(now(&lane).is_none());
        one.end(true);
        let two: Vec<Turn> = (0..3).filter_map(|_| now(&lane)).collect();
        assert_eq!(two.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_does_nothing_but_fail_rests_the_longer_the_more_is_made() {
        let (limits, tempo) = (Limits { max_concurrency: 4, rate_per_second: None }, Tempo::default());
        let lane = Lane::new(limits, tempo.clone(), CancellationToken::new());
        for _ in 0..FAILURES_IN_ROW {
            now(&lane).expect("a turn at once").end(false);
        }
        for (per_second, rest) in [(0, 0), (5_000, 20), (1_000_000, 100)] {
            tempo.set(per_second);
            let began = Instant::now();
            lane.turn(Urgency::Normal).await.expect("a turn").end(false);
            let rested = began.elapsed();
            assert!((rest..=rest + 1).contains(&rested.as_millis()), "{rested:?} beside {per_second}");
        }
        lane.turn(Urgency::Normal).await.expect("a turn").end(true);
        assert!(now(&lane).is_some());
    }

    #[tokio::test]
    async fn a_share_leaves_the_others_their_places() {
        let lane = lane(4);
        let share = lane.shared(2);
        let some: Vec<Turn> = (0..3).filter_map(|_| now(&share)).collect();
        assert_eq!(some.len(), 2);
        let others: Vec<Turn> = (0..3).filter_map(|_| now(&lane)).collect();
        assert_eq!(others.len(), 2);
        drop(some);
        assert!(now(&share).is_some());
    }

    #[tokio::test]
    async fn a_halted_lane_admits_nobody_until_it_is_released() {
        let lane = lane(4);
        let (one, _other) = (now(&lane).expect("a turn"), now(&lane).expect("a turn"));
        let halt = one.halt();
        assert!(now(&lane).is_none());
        let (turn, ()) = tokio::join!(lane.turn(Urgency::Normal), async { drop(halt) });
        assert!(turn.is_some());
    }

    #[tokio::test]
    async fn retries_go_before_first_attempts_and_these_go_on_when_no_retry_waits() {
        let lane = lane(1);
        let held = now(&lane).expect("a turn");
        let order = std::sync::Mutex::new(Vec::new());
        let waits = async |urgency, name: &'static str| {
            let turn = lane.turn(urgency).await.expect("a turn");
            order.lock().expect("no panic").push(name);
            turn.end(true);
        };
        let gone = lane.turn(Urgency::Retry).now_or_never();
        assert!(gone.is_none(), "it waited, and left");
        tokio::join!(
            waits(Urgency::Normal, "first attempt"),
            waits(Urgency::Retry, "retry"),
            waits(Urgency::Normal, "first attempt"),
            waits(Urgency::Retry, "retry"),
            async { drop(held) },
        );
        assert_eq!(
            order.into_inner().expect("no panic"),
            ["retry", "retry", "first attempt", "first attempt"]
        );
    }

    #[tokio::test]
    async fn all_who_wait_get_their_turn_in_the_end() {
        let lane = Arc::new(lane(3));
        let waiting: Vec<_> = (0..100)
            .map(|n| {
                let lane = Arc::clone(&lane);
                tokio::spawn(async move {
                    let urgency = if n % 2 == 0 { Urgency::Retry } else { Urgency::Normal };
                    let turn = lane.turn(urgency).await.expect("a turn");
                    tokio::task::yield_now().await;
                    turn.end(n % 3 == 0);
                })
            })
            .collect();
        for task in waiting {
            task.await.expect("ended");
        }
    }

    #[tokio::test]
    async fn a_lane_that_closes_lets_go_of_those_who_wait() {
        let closing = CancellationToken::new();
        let lane = Lane::new(
            Limits { max_concurrency: 1, rate_per_second: None },
            Tempo::default(),
            closing.clone(),
        );
        let _held = lane.turn(Urgency::Normal).await.expect("the only one");
        let (waited, ()) = tokio::join!(lane.turn(Urgency::Normal), async { closing.cancel() });
        assert!(waited.is_none());
    }

    #[tokio::test]
    async fn a_closing_lane_is_idle_after_its_last_turn() {
        let closing = CancellationToken::new();
        let lane = Lane::new(
            Limits { max_concurrency: 2, rate_per_second: None },
            Tempo::default(),
            closing.clone(),
        );
        let (one, other) = (now(&lane).expect("a turn"), now(&lane).expect("a turn"));
        let (waited, (), ()) = tokio::join!(lane.turn(Urgency::Normal), lane.idle(), async {
            closing.cancel();
            drop(one);
            assert!(lane.idle().now_or_never().is_none());
            other.end(true);
        });
        assert!(waited.is_none());
        assert!(lane.idle().now_or_never().is_some());
    }
}
