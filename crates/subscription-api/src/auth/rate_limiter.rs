//! Rate limits: of each token, and of wrong tokens from each address.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use store::api::tokens::Digest;

/// Wrong tokens that an address may send a second after a burst of [`MAX_FAILURE_BURST`]. A misconfigured client
/// stays below this rate; guessing tokens at this rate is hopeless.
const MAX_FAILURES_PER_SECOND: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Wrong tokens that an address may send at once.
const MAX_FAILURE_BURST: NonZeroU32 = NonZeroU32::new(200).unwrap();
/// Time for which a valid token still passes from a blocked address, so that one client behind a shared address
/// does not block the others.
const KNOWN_TOKEN_TTL: Duration = Duration::from_secs(600);
/// Most entries of each table. Further entries are not recorded, so that the memory stays bounded.
const MAX_TABLE_ENTRIES: usize = 100_000;

/// The refusal of a request over its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimited {
    /// Whole seconds until the next request may pass; at least 1.
    pub retry_after_seconds: u64,
}

/// Limits the requests of each token and the wrong tokens of each address. The limits are per process: replicas
/// do not share their counts.
#[derive(Debug)]
pub struct TokenRateLimiter {
    tokens: DefaultKeyedRateLimiter<Digest>,
    failures: DefaultKeyedRateLimiter<IpAddr>,
    blocked_until: ExpiringTable<IpAddr>,
    known_until: ExpiringTable<Digest>,
}

impl TokenRateLimiter {
    /// A limiter that allows each token `rate` requests a second, in bursts of up to twice the rate.
    #[must_use]
    pub fn new(rate: NonZeroU32) -> Self {
        let burst = rate.saturating_mul(NonZeroU32::MIN.saturating_add(1));
        let failure_quota = Quota::per_second(MAX_FAILURES_PER_SECOND).allow_burst(MAX_FAILURE_BURST);
        Self {
            tokens: RateLimiter::keyed(Quota::per_second(rate).allow_burst(burst)),
            failures: RateLimiter::keyed(failure_quota),
            blocked_until: ExpiringTable::default(),
            known_until: ExpiringTable::default(),
        }
    }

    /// Checks the rate of a token before the token itself is looked up.
    ///
    /// # Errors
    /// When the token is over its rate, or when it is unknown and its address is blocked.
    pub fn check(&self, peer: Option<IpAddr>, token: &Digest) -> Result<(), RateLimited> {
        let blocked = peer.and_then(|peer| self.blocked_until.time_left(&client_network(peer)));
        if let Some(wait) = blocked.filter(|_| self.known_until.time_left(token).is_none()) {
            return Err(rate_limited(wait));
        }
        check_rate(&self.tokens, token)
    }

    /// Records that a token was valid.
    pub fn record_success(&self, token: Digest) {
        self.known_until.insert(token, KNOWN_TOKEN_TTL);
    }

    /// Records that a token was not valid.
    ///
    /// # Errors
    /// When the address sent too many wrong tokens. It is then blocked until the returned time is over.
    pub fn record_failure(&self, peer: Option<IpAddr>, token: &Digest) -> Result<(), RateLimited> {
        self.known_until.remove(token);
        let Some(peer) = peer.map(client_network) else { return Ok(()) };
        check_rate(&self.failures, &peer).inspect_err(|limited| {
            self.blocked_until.insert(peer, Duration::from_secs(limited.retry_after_seconds));
        })
    }

    /// Removes the entries that no longer have an effect. The caller repeats this at an interval.
    pub fn remove_expired(&self) {
        self.tokens.retain_recent();
        self.failures.retain_recent();
        self.blocked_until.remove_expired();
        self.known_until.remove_expired();
    }
}

fn check_rate<K: Hash + Eq + Clone>(
    limiter: &DefaultKeyedRateLimiter<K>,
    key: &K,
) -> Result<(), RateLimited> {
    limiter.check_key(key).map_err(|until| rate_limited(until.wait_time_from(DefaultClock::default().now())))
}

fn rate_limited(wait: Duration) -> RateLimited {
    let whole = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    RateLimited { retry_after_seconds: whole.max(1) }
}

/// Returns the network that counts as one client: an IPv6 client can use every address of its /64.
fn client_network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Keys with the instant at which each expires.
#[derive(Debug)]
struct ExpiringTable<K>(Mutex<HashMap<K, Instant>>);

impl<K> Default for ExpiringTable<K> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Hash + Eq> ExpiringTable<K> {
    fn with_entries<R>(&self, act: impl FnOnce(&mut HashMap<K, Instant>) -> R) -> R {
        // A poisoned lock is safe to use, because no panic can leave the map half changed.
        act(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn insert(&self, key: K, ttl: Duration) {
        let until = Instant::now() + ttl;
        self.with_entries(|table| {
            if table.len() < MAX_TABLE_ENTRIES || table.contains_key(&key) {
                table.insert(key, until);
            }
        });
    }

    fn time_left(&self, key: &K) -> Option<Duration> {
        let until = self.with_entries(|table| table.get(key).copied())?;
        until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    fn remove(&self, key: &K) {
        self.with_entries(|table| table.remove(key));
    }

    fn remove_expired(&self) {
        let now = Instant::now();
        self.with_entries(|table| table.retain(|_, until| *until > now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
    const OTHER: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)));

    fn limiter(rate: u32) -> TokenRateLimiter {
        TokenRateLimiter::new(NonZeroU32::new(rate).expect("not zero"))
    }

    #[test]
    fn each_token_has_its_own_rate_and_a_burst_of_twice_that_rate() {
        let limiter = limiter(1);
        assert_eq!((0..2).filter(|_| limiter.check(PEER, &[1; 32]).is_ok()).count(), 2);
        assert_eq!(limiter.check(PEER, &[1; 32]), Err(RateLimited { retry_after_seconds: 1 }));
        assert_eq!(limiter.check(PEER, &[2; 32]), Ok(()));
    }

    #[test]
    fn an_address_that_guesses_is_blocked_except_for_its_known_tokens() {
        let limiter = limiter(1_000_000);
        limiter.record_success([9; 32]);
        let refused =
            (0..2 * MAX_FAILURE_BURST.get()).find(|_| limiter.record_failure(PEER, &[1; 32]).is_err());
        assert!(refused.is_some_and(|n| n >= MAX_FAILURE_BURST.get()));
        assert!(limiter.check(PEER, &[2; 32]).is_err(), "a new guess is not even looked up");
        assert_eq!(limiter.check(PEER, &[9; 32]), Ok(()), "a token that was valid");
        assert_eq!(limiter.check(OTHER, &[2; 32]), Ok(()), "another address");
        limiter.remove_expired();
        assert!(limiter.check(PEER, &[2; 32]).is_err(), "removing expired entries unblocks nobody");
    }

    #[test]
    fn retry_after_is_at_least_one_whole_second() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2)] {
            assert_eq!(rate_limited(Duration::from_millis(millis)).retry_after_seconds, seconds);
        }
    }

    #[test]
    fn an_ipv6_client_is_identified_by_its_network() {
        let parse = |text: &str| text.parse::<IpAddr>().expect("address");
        assert_eq!(client_network(parse("2001:db8::1")), client_network(parse("2001:db8::ffff:2")));
        assert_ne!(client_network(parse("2001:db8::1")), client_network(parse("2001:db8:0:1::1")));
        assert_eq!(client_network(parse("::ffff:192.0.2.1")), parse("192.0.2.1"));
    }
}
