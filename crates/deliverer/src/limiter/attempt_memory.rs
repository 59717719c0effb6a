//! Bounds the memory of attempts, with a share for each brand.
//!
//! An attempt reserves memory before it begins: for its request in flight, and for event data that it loads from the
//! database. `domain::memory_shares` decides how much a brand may use. A brand at its share waits only for its own
//! attempts. Its webhook with the least use goes first, so that a webhook that hangs leaves room for the
//! others. The wait comes before the attempt, so that it is no part of the endpoint's time.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::delivery::exchange::MAX_EXCHANGE_BYTES;
use domain::ids::{BrandId, WebhookId};
use domain::limits::{MAX_EVENT_BODY_BYTES, MAX_RESPONSE_KEPT_BYTES};
use domain::memory_shares::admits;
use tokio::sync::oneshot;

use crate::telemetry::MemoryGauge;

/// Memory of the attempts of all brands. A single brand gets half of it: 1,365 requests in flight with small bodies, or
/// 299 with the largest ones.
pub(crate) const MAX_ATTEMPT_MEMORY: u64 = 192 * 1024 * 1024;
/// Memory of a request in flight, beside data that was loaded: connection, TLS, buffers and a small body. Measured with
/// 2,000 requests in flight: 67 KiB each.
const REQUEST_BYTES: u64 = 72 * 1024;
/// Memory of an attempt that waits to be recorded: the kept 4 KiB of the response, which take three times as much if they
/// are not UTF-8, the exchange of at most 14 KiB, and texts.
const RECORD_BYTES: u64 = 32 * 1024;

const _: () = assert!(
    (3 * MAX_RESPONSE_KEPT_BYTES + MAX_EXCHANGE_BYTES) as u64 + 4 * 1024 <= RECORD_BYTES,
    "an attempt that waits to be recorded fits its memory"
);

/// The memory of attempts. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct AttemptMemory(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    gauge: MemoryGauge,
}

#[derive(Debug, Default)]
struct State {
    used: u64,
    brands: HashMap<BrandId, Brand>,
    /// The brands with attempts that wait.
    waiting: Vec<BrandId>,
}

#[derive(Debug, Default)]
struct Brand {
    used: u64,
    webhooks: HashMap<WebhookId, Webhook>,
    /// The webhooks with attempts that wait, by the memory that they use.
    waiting: BTreeSet<(u64, WebhookId)>,
}

#[derive(Debug, Default)]
struct Webhook {
    shares: usize,
    used: u64,
    waiters: VecDeque<Waiter>,
}

/// An attempt that waits for memory.
#[derive(Debug)]
struct Waiter {
    bytes: u64,
    share: MemoryShare,
    granted: oneshot::Sender<Reservation>,
}

/// The share of one webhook's attempts. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct MemoryShare(Arc<ShareKey>);

#[derive(Debug)]
struct ShareKey {
    memory: AttemptMemory,
    brand: BrandId,
    webhook: WebhookId,
}

/// Memory that an attempt may use until this is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    share: MemoryShare,
    bytes: u64,
}

/// An attempt's place in the line. Dropping it leaves the line.
struct Waiting<'a> {
    share: &'a MemoryShare,
    granted: oneshot::Receiver<Reservation>,
    is_granted: bool,
}

impl AttemptMemory {
    /// Returns the share of a webhook.
    pub(crate) fn share_of(&self, brand: BrandId, webhook: WebhookId) -> MemoryShare {
        let mut state = self.state();
        state.brands.entry(brand.clone()).or_default().webhooks.entry(webhook).or_default().shares += 1;
        drop(state);
        MemoryShare(Arc::new(ShareKey { memory: self.clone(), brand, webhook }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and then grants memory to the attempts that may begin now.
    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state();
        let changed = change(&mut state);
        let granted = state.grant_waiting();
        self.0.gauge.set(state.used);
        drop(state);
        for Waiter { bytes, share, granted } in granted {
            // An attempt that no longer waits drops its reservation, which takes the lock again.
            let _ = granted.send(Reservation { share, bytes });
        }
        changed
    }
}

impl MemoryShare {
    /// Reserves memory for an attempt with `loaded` bytes of data from the database, if it need not wait.
    pub(crate) fn try_reserve(&self, loaded: usize) -> Option<Reservation> {
        let bytes = attempt_bytes(loaded);
        let is_taken = self.0.memory.change(|state| state.try_take(&self.0, bytes));
        is_taken.then(|| Reservation { share: self.clone(), bytes })
    }

    /// Reserves memory for an attempt like [`Self::try_reserve`] in its turn, behind the attempts of its brand that wait.
    pub(crate) async fn wait_for_turn(&self, loaded: usize) -> Reservation {
        let bytes = attempt_bytes(loaded);
        let (granted, receiver) = oneshot::channel();
        let waiter = Waiter { bytes, share: self.clone(), granted };
        self.0.memory.change(|state| state.enter_line(&self.0, waiter));
        self.0.memory.0.gauge.count_wait();
        Waiting { share: self, granted: receiver, is_granted: false }.reservation().await
    }
}

/// Returns the memory of an attempt. A size that is more than data can have comes from a message that is not ours.
fn attempt_bytes(loaded: usize) -> u64 {
    REQUEST_BYTES + u64::try_from(loaded.min(MAX_EVENT_BODY_BYTES)).unwrap_or_default()
}

impl Waiting<'_> {
    async fn reservation(mut self) -> Reservation {
        let granted = (&mut self.granted).await;
        self.is_granted = true;
        granted
            .unwrap_or_else(|_| unreachable!("only an attempt that stops waiting is removed from the line"))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.is_granted {
            // A reservation that was granted meanwhile is dropped with the receiver.
            self.granted.close();
            let key = &self.share.0;
            let gone = key.memory.change(|state| state.remove_closed(key));
            drop(gone);
        }
    }
}

impl Reservation {
    /// Gives up what the request took: from now on the attempt only waits to be recorded.
    pub(crate) fn shrink_to_record(&mut self) {
        let given_up = self.bytes.saturating_sub(RECORD_BYTES);
        self.bytes -= given_up;
        let key = &self.share.0;
        key.memory.change(|state| state.give_back(key, given_up));
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let key = &self.share.0;
        key.memory.change(|state| state.give_back(key, self.bytes));
    }
}

impl Drop for ShareKey {
    fn drop(&mut self) {
        let mut state = self.memory.state();
        let Some(brand) = state.brands.get_mut(&self.brand) else { return };
        if let Some(webhook) = brand.webhooks.get_mut(&self.webhook) {
            webhook.shares -= 1;
            // Reservations and attempts that wait hold a share, so that nothing is used or waits here.
            if webhook.shares == 0 {
                brand.webhooks.remove(&self.webhook);
            }
        }
        if brand.webhooks.is_empty() {
            state.brands.remove(&self.brand);
        }
    }
}

impl State {
    fn brand(&mut self, key: &ShareKey) -> &mut Brand {
        let brand = self.brands.get_mut(&key.brand);
        brand.unwrap_or_else(|| unreachable!("a brand stays as long as one of its shares"))
    }

    /// Takes memory, unless the brand is at its share or has attempts that wait.
    fn try_take(&mut self, key: &ShareKey, bytes: u64) -> bool {
        let used = self.used;
        let brand = self.brand(key);
        let is_admitted = brand.waiting.is_empty() && admits(MAX_ATTEMPT_MEMORY, used, brand.used, bytes);
        if is_admitted {
            brand.add_used(key.webhook, bytes);
            self.used += bytes;
        }
        is_admitted
    }

    fn enter_line(&mut self, key: &ShareKey, waiter: Waiter) {
        let brand = self.brand(key);
        let is_first = brand.waiting.is_empty();
        let webhook = brand.webhook(key.webhook);
        webhook.waiters.push_back(waiter);
        let entry = (webhook.used, key.webhook);
        brand.waiting.insert(entry);
        if is_first {
            self.waiting.push(key.brand.clone());
        }
    }

    fn give_back(&mut self, key: &ShareKey, bytes: u64) {
        self.used -= bytes;
        self.brand(key).give_back(key.webhook, bytes);
    }

    /// Removes a webhook's attempts that no longer wait.
    fn remove_closed(&mut self, key: &ShareKey) -> Vec<Waiter> {
        let brand = self.brand(key);
        let webhook = brand.webhook(key.webhook);
        let (gone, left): (Vec<_>, VecDeque<_>) = partition_closed(std::mem::take(&mut webhook.waiters));
        webhook.waiters = left;
        if webhook.waiters.is_empty() {
            let entry = (webhook.used, key.webhook);
            brand.waiting.remove(&entry);
        }
        if brand.waiting.is_empty() {
            self.waiting.retain(|id| *id != key.brand);
        }
        gone
    }

    /// Takes memory for attempts that wait, until none of them may begin. Returns them.
    fn grant_waiting(&mut self) -> Vec<Waiter> {
        let mut granted = Vec::new();
        while let Some(at) = self.next_admitted() {
            let Some(brand) = self.brands.get_mut(&self.waiting[at]) else { break };
            let Some(waiter) = brand.take_first() else { break };
            brand.add_used(waiter.share.0.webhook, waiter.bytes);
            self.used += waiter.bytes;
            if brand.waiting.is_empty() {
                self.waiting.swap_remove(at);
            }
            granted.push(waiter);
        }
        granted
    }

    /// Returns the place of the brand with the least use whose first attempt may begin.
    fn next_admitted(&self) -> Option<usize> {
        let admitted = self.waiting.iter().enumerate().filter_map(|(at, id)| {
            let brand = self.brands.get(id)?;
            let bytes = brand.first_bytes()?;
            admits(MAX_ATTEMPT_MEMORY, self.used, brand.used, bytes).then_some((brand.used, at))
        });
        admitted.min().map(|(_, at)| at)
    }
}

impl Brand {
    fn webhook(&mut self, id: WebhookId) -> &mut Webhook {
        let webhook = self.webhooks.get_mut(&id);
        webhook.unwrap_or_else(|| unreachable!("a webhook stays as long as one of its shares"))
    }

    fn add_used(&mut self, id: WebhookId, bytes: u64) {
        self.used += bytes;
        self.change_used(id, |used| used + bytes);
    }

    fn give_back(&mut self, id: WebhookId, bytes: u64) {
        self.used -= bytes;
        self.change_used(id, |used| used - bytes);
    }

    /// Changes what a webhook uses, and its place in the line.
    fn change_used(&mut self, id: WebhookId, change: impl FnOnce(u64) -> u64) {
        let webhook = self.webhook(id);
        let before = webhook.used;
        webhook.used = change(before);
        let after = webhook.used;
        if self.waiting.remove(&(before, id)) {
            self.waiting.insert((after, id));
        }
    }

    fn first_bytes(&self) -> Option<u64> {
        let (_, id) = self.waiting.first()?;
        self.webhooks.get(id)?.waiters.front().map(|waiter| waiter.bytes)
    }

    /// Takes the first attempt of the webhook that uses the least out of the line.
    fn take_first(&mut self) -> Option<Waiter> {
        let entry = *self.waiting.first()?;
        let webhook = self.webhook(entry.1);
        let waiter = webhook.waiters.pop_front();
        if webhook.waiters.is_empty() {
            self.waiting.remove(&entry);
        }
        waiter
    }
}

fn partition_closed(waiters: VecDeque<Waiter>) -> (Vec<Waiter>, VecDeque<Waiter>) {
    let mut gone = Vec::new();
    let mut left = VecDeque::with_capacity(waiters.len());
    for waiter in waiters {
        if waiter.granted.is_closed() {
            gone.push(waiter);
        } else {
            left.push_back(waiter);
        }
    }
    (gone, left)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use uuid::Uuid;

    use super::*;

    /// Requests that one brand may have in flight.
    const MAX_REQUESTS: usize = 1365;

    /// A share of memory that nothing else uses.
    pub(crate) fn unshared() -> MemoryShare {
        share(&AttemptMemory::default(), "acme", 7)
    }

    fn share(memory: &AttemptMemory, brand: &str, webhook: u128) -> MemoryShare {
        memory.share_of(brand.parse().expect("a brand"), WebhookId(Uuid::from_u128(webhook)))
    }

    /// Reserves until an attempt would have to wait.
    fn fill(share: &MemoryShare, loaded: usize) -> Vec<Reservation> {
        std::iter::from_fn(|| share.try_reserve(loaded)).collect()
    }

    async fn reserve(share: &MemoryShare, loaded: usize) -> Reservation {
        match share.try_reserve(loaded) {
            Some(reservation) => reservation,
            None => share.wait_for_turn(loaded).await,
        }
    }

    fn is_empty(memory: &AttemptMemory) -> bool {
        let state = memory.state();
        state.used == 0 && state.brands.is_empty() && state.waiting.is_empty()
    }

    #[tokio::test]
    async fn a_brand_at_its_share_waits_for_itself_and_another_brand_does_not() {
        let memory = AttemptMemory::default();
        let noisy = share(&memory, "noisy", 1);
        let mut held = fill(&noisy, 0);
        assert_eq!(held.len(), MAX_REQUESTS);
        let mut waiting = Box::pin(reserve(&noisy, 0));
        assert!((&mut waiting).now_or_never().is_none());
        let other = fill(&share(&memory, "other", 2), 0);
        assert!(other.len() > MAX_REQUESTS / 3, "{}", other.len());
        assert!((&mut waiting).now_or_never().is_none());
        // The other brand's use counts, so that the first is above its share until more of it ends.
        drop(other);
        held.pop();
        let granted = waiting.await;
        drop((granted, held, noisy));
        assert!(is_empty(&memory));
    }

    #[tokio::test]
    async fn loaded_data_counts_until_the_request_is_over() {
        let memory = AttemptMemory::default();
        let webhook = share(&memory, "acme", 1);
        let mut held = fill(&webhook, MAX_EVENT_BODY_BYTES);
        assert_eq!(held.len(), 299);
        for reservation in &mut held {
            reservation.shrink_to_record();
        }
        assert_eq!(memory.state().used, 299 * RECORD_BYTES);
        // A size from a message is no more than data can have.
        let reservation = webhook.try_reserve(usize::MAX).expect("room");
        assert_eq!(reservation.bytes, REQUEST_BYTES + 256 * 1024);
    }

    #[tokio::test]
    async fn the_webhook_that_uses_the_least_goes_first() {
        let memory = AttemptMemory::default();
        let hanging = share(&memory, "acme", 1);
        let mut held = fill(&hanging, 0);
        let mut more = pin!(reserve(&hanging, 0));
        assert!((&mut more).now_or_never().is_none());
        let quick = share(&memory, "acme", 2);
        let mut first = pin!(reserve(&quick, 0));
        assert!((&mut first).now_or_never().is_none(), "the brand is at its share");
        held.pop();
        assert!((&mut more).now_or_never().is_none(), "the other webhook goes first");
        assert!(first.now_or_never().is_some());
        assert!(more.now_or_never().is_some(), "the quick one gave its memory back");
    }

    #[tokio::test]
    async fn an_attempt_that_stops_waiting_holds_nobody_up() {
        let memory = AttemptMemory::default();
        let webhook = share(&memory, "acme", 1);
        let held = fill(&webhook, 0);
        {
            let mut large = pin!(reserve(&webhook, MAX_EVENT_BODY_BYTES));
            let mut small = pin!(reserve(&webhook, 0));
            assert!((&mut large).now_or_never().is_none() && (&mut small).now_or_never().is_none());
        }
        assert!(memory.state().waiting.is_empty());
        // Granted, and dropped before it was received.
        let mut waiting = Box::pin(reserve(&webhook, 0));
        assert!((&mut waiting).now_or_never().is_none());
        drop(held);
        drop(waiting);
        assert_eq!(memory.state().used, 0);
    }

    #[tokio::test]
    async fn many_tasks_of_many_webhooks_all_get_their_turn() {
        let memory = AttemptMemory::default();
        let shares: Vec<_> = (0..50).map(|n| share(&memory, ["a", "b", "c"][n % 3], n as u128)).collect();
        let attempt = async |share: &MemoryShare, n: usize| {
            let mut reservation = reserve(share, n * 1000).await;
            tokio::task::yield_now().await;
            assert!(memory.state().used <= MAX_ATTEMPT_MEMORY);
            reservation.shrink_to_record();
            tokio::task::yield_now().await;
        };
        join_all((0..20_000).map(|n| attempt(&shares[n % shares.len()], n % 262))).await;
        drop(shares);
        assert!(is_empty(&memory));
    }
}
