//! Bounds, cache and sharing of lookups, apart for each share.
//!
//! A share is a tenant. Everything that lookups use is divided by it: the places for lookups in progress, the line in
//! front of them, and the cache. So no share waits for another, unless eight of them are at their bound at once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::query::{Answer, Failure};
use super::{LookupError, metrics};

/// Maximum number of lookups in progress of one share. Names that never resolve take a place for three seconds each, so
/// that a share of a thousand of them asks for some twenty a second; names that resolve within 20 ms get three thousand a
/// second. A lookup has up to six sockets for each name server: three sends for each address family.
pub const MAX_LOOKUPS_PER_SHARE: usize = 64;
/// Maximum number of lookups in progress of the process, of eight shares at their bound. With one name server they
/// have some three thousand sockets.
pub const MAX_LOOKUPS: usize = 512;
/// Maximum number of cached names of one share: a brand has a thousand webhooks at most.
const MAX_CACHED_PER_SHARE: usize = 1024;
/// Maximum number of cached names of the process, some 4 MiB if each has several addresses. Beyond it a name is looked
/// up whenever it is needed.
const MAX_CACHED: usize = 16 * 1024;
/// Longest time to live of addresses. A new address is used after this time, whatever the old one's time to live.
const MAX_CACHE_TTL: Duration = Duration::from_secs(30);

const _: () = assert!(MAX_LOOKUPS_PER_SHARE * 8 <= MAX_LOOKUPS);

/// The addresses of a name, or the reason why it has none.
pub(super) type Found = Result<Arc<[IpAddr]>, LookupError>;
/// A lookup that several callers wait for. It ends when the last of them leaves.
type Flight = Shared<BoxFuture<'static, Found>>;

/// The shares of a process.
#[derive(Debug)]
pub(super) struct Shares {
    shares: Mutex<HashMap<Box<str>, Arc<Share>>>,
    places: Semaphore,
    cached: AtomicUsize,
}

/// One share.
#[derive(Debug)]
pub(super) struct Share {
    places: Semaphore,
    names: Mutex<Names>,
}

#[derive(Debug, Default)]
struct Names {
    cached: HashMap<Box<str>, Cached>,
    in_flight: HashMap<Box<str>, WeakShared<BoxFuture<'static, Found>>>,
}

#[derive(Debug)]
struct Cached {
    found: Found,
    until: Instant,
}

/// The state of a name in a share.
pub(super) enum Known {
    Cached(Found),
    InFlight(Flight),
}

/// The right to ask name servers, counted in the share and in the process.
#[derive(Debug)]
pub(super) struct Place<'a> {
    _of_share: SemaphorePermit<'a>,
    _of_process: SemaphorePermit<'a>,
}

impl Shares {
    pub(super) fn new() -> Self {
        Self { shares: Mutex::default(), places: Semaphore::new(MAX_LOOKUPS), cached: AtomicUsize::new(0) }
    }

    /// Returns the share of this name.
    pub(super) fn share(&self, name: &str) -> Arc<Share> {
        let mut shares = lock(&self.shares);
        if let Some(share) = shares.get(name) {
            return Arc::clone(share);
        }
        let share =
            Arc::new(Share { places: Semaphore::new(MAX_LOOKUPS_PER_SHARE), names: Mutex::default() });
        shares.insert(name.into(), Arc::clone(&share));
        share
    }

    /// Waits in the share's line for a place, until `deadline`.
    pub(super) async fn take_place<'a>(
        &'a self,
        share: &'a Share,
        deadline: Instant,
    ) -> Result<Place<'a>, LookupError> {
        let refuse = |bound: &'static str, number: usize| {
            metrics::count_refused(bound);
            LookupError::NotBegun(number)
        };
        // The share's place comes first, so that the process's line holds no more of a share than its bound.
        let Ok(Ok(of_share)) = timeout_at(deadline, share.places.acquire()).await else {
            return Err(refuse(metrics::BOUND_OF_SHARE, MAX_LOOKUPS_PER_SHARE));
        };
        let Ok(Ok(of_process)) = timeout_at(deadline, self.places.acquire()).await else {
            return Err(refuse(metrics::BOUND_OF_PROCESS, MAX_LOOKUPS));
        };
        Ok(Place { _of_share: of_share, _of_process: of_process })
    }

    /// Ends a lookup: its result is cached, if its time to live allows it.
    pub(super) fn finish(&self, share: &Share, name: &str, result: Result<Answer, Failure>) -> Found {
        let (found, ttl): (Found, Duration) = match result {
            Ok(answer) => (Ok(answer.addresses.into()), answer.ttl.min(MAX_CACHE_TTL)),
            Err(failure) => (Err(failure.error), failure.ttl),
        };
        let mut names = lock(&share.names);
        names.in_flight.remove(name);
        if !ttl.is_zero() && self.make_room(&mut names) {
            let cached = Cached { found: found.clone(), until: Instant::now() + ttl };
            if names.cached.insert(name.into(), cached).is_none() {
                self.cached.fetch_add(1, Ordering::Relaxed);
            }
        }
        found
    }

    /// Returns whether one more name may be cached. It removes the expired names if the share is full.
    fn make_room(&self, names: &mut Names) -> bool {
        if names.cached.len() >= MAX_CACHED_PER_SHARE {
            self.remove_expired_names(names);
        }
        names.cached.len() < MAX_CACHED_PER_SHARE && self.cached.load(Ordering::Relaxed) < MAX_CACHED
    }

    fn remove_expired_names(&self, names: &mut Names) {
        let now = Instant::now();
        let before = names.cached.len();
        names.cached.retain(|_, cached| cached.until > now);
        self.cached.fetch_sub(before - names.cached.len(), Ordering::Relaxed);
    }

    /// Removes expired names, and shares that nobody uses.
    pub(super) fn remove_expired(&self) {
        lock(&self.shares).retain(|_, share| {
            let mut names = lock(&share.names);
            self.remove_expired_names(&mut names);
            // A lookup whose callers all left.
            names.in_flight.retain(|_, flight| flight.upgrade().is_some());
            let is_used = !names.cached.is_empty() || !names.in_flight.is_empty();
            drop(names);
            // Nobody else can reach a share between these lines, because the map is locked.
            is_used || Arc::strong_count(share) > 1
        });
    }
}

impl Share {
    /// Returns the cached result of a name, or a lookup of it. If there is neither, it begins a lookup.
    ///
    /// Callers of one share join a lookup that is in progress.
    pub(super) fn find_or_begin(
        &self,
        name: &str,
        begin: impl FnOnce() -> BoxFuture<'static, Found>,
    ) -> Known {
        let mut names = lock(&self.names);
        if let Some(cached) = names.cached.get(name)
            && cached.until > Instant::now()
        {
            return Known::Cached(cached.found.clone());
        }
        if let Some(flight) = names.in_flight.get(name).and_then(WeakShared::upgrade) {
            return Known::InFlight(flight);
        }
        let flight = begin().shared();
        if let Some(weak) = flight.downgrade() {
            names.in_flight.insert(name.into(), weak);
        }
        Known::InFlight(flight)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn answer(ttl: Duration) -> Result<Answer, Failure> {
        Ok(Answer { addresses: vec![ADDRESS], ttl })
    }

    fn is_cached(share: &Share, name: &str) -> bool {
        matches!(share.find_or_begin(name, || Box::pin(std::future::pending())), Known::Cached(_))
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_cached_for_its_time_to_live_and_half_a_minute_at_most() {
        let shares = Shares::new();
        let share = shares.share("a");
        for (name, ttl) in [("none", 0), ("short", 5), ("long", 3600)] {
            assert!(shares.finish(&share, name, answer(Duration::from_secs(ttl))).is_ok());
        }
        let _ = shares.finish(&share, "failed", Err(LookupError::NoSuchName.into()));
        let _ = shares.finish(&share, "ours", Err(LookupError::NoServer.into()));
        let cached = || ["none", "short", "long", "failed", "ours"].map(|name| is_cached(&share, name));
        assert_eq!(cached(), [false, true, true, true, false]);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(cached(), [false, false, true, false, false]);
        tokio::time::advance(MAX_CACHE_TTL).await;
        assert_eq!(cached(), [false; 5]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_cache_of_a_share_is_bounded_and_takes_nothing_from_others() {
        let shares = Shares::new();
        let share = shares.share("greedy");
        for number in 0..2 * MAX_CACHED_PER_SHARE {
            let _ = shares.finish(&share, &number.to_string(), answer(MAX_CACHE_TTL));
        }
        assert_eq!(lock(&share.names).cached.len(), MAX_CACHED_PER_SHARE);
        let other = shares.share("other");
        let _ = shares.finish(&other, "name", answer(MAX_CACHE_TTL));
        assert!(is_cached(&other, "name") && !is_cached(&share, "name"));
        tokio::time::advance(MAX_CACHE_TTL).await;
        let _ = shares.finish(&share, "new", answer(MAX_CACHE_TTL));
        assert!(is_cached(&share, "new"), "expired names make room");
        drop((share, other));
        tokio::time::advance(MAX_CACHE_TTL).await;
        shares.remove_expired();
        assert!(lock(&shares.shares).is_empty());
        assert_eq!(shares.cached.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_at_its_bound_waits_in_its_own_line_until_its_deadline() {
        let shares = Shares::new();
        let full = shares.share("full");
        let mut places = Vec::new();
        for _ in 0..MAX_LOOKUPS_PER_SHARE {
            places.push(shares.take_place(&full, Instant::now()).await.expect("a place"));
        }
        let deadline = Instant::now() + Duration::from_secs(1);
        let refused = shares.take_place(&full, deadline).await.expect_err("no place");
        assert_eq!(refused, LookupError::NotBegun(MAX_LOOKUPS_PER_SHARE));
        assert_eq!(Instant::now(), deadline);
        let other = shares.share("other");
        assert!(shares.take_place(&other, Instant::now()).await.is_ok(), "it waits for nobody");
        places.pop();
        assert!(shares.take_place(&full, Instant::now()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn callers_of_one_name_share_a_lookup_and_another_share_has_its_own() {
        let shares = Shares::new();
        let begun = Arc::new(AtomicUsize::new(0));
        let look_up = |share: &str| {
            let begun = Arc::clone(&begun);
            let known = shares.share(share).find_or_begin("name", move || {
                begun.fetch_add(1, Ordering::Relaxed);
                Box::pin(std::future::pending())
            });
            let Known::InFlight(flight) = known else { panic!("nothing is cached") };
            flight
        };
        let flights = [look_up("a"), look_up("a"), look_up("b")];
        assert_eq!(begun.load(Ordering::Relaxed), 2);
        drop(flights);
        let _again = look_up("a");
        assert_eq!(begun.load(Ordering::Relaxed), 3, "a lookup ends when its last caller leaves");
    }
}
