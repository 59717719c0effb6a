//! How often a token may be used, and how often an address may guess one.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use store::tokens::Digest;

/// Requests with a wrong token that an address may make in a second, after a burst of
/// [`MAX_FAILURE_BURST`]: plenty for a client that is set up wrong, nothing for one that guesses.
const MAX_FAILURES_PER_SECOND: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Wrong tokens that an address may send at once.
const MAX_FAILURE_BURST: NonZeroU32 = NonZeroU32::new(200).unwrap();
/// How long a token that was valid is still let through from an address that is shut out, so that
/// one client behind a shared address does not shut out the others.
const KNOWN_TOKEN_TTL: Duration = Duration::from_secs(600);
/// Most entries of each table; what does not fit goes without.
const MAX_TABLE_ENTRIES: usize = 100_000;

/// Too many requests; try again after so many whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimited {
    /// At least 1.
    pub retry_after_seconds: u64,
}

/// Lets requests through at the rates that are allowed. Per process: replicas do not add up theirs.
#[derive(Debug)]
pub struct TokenRateLimiter {
    tokens: DefaultKeyedRateLimiter<Digest>,
    failures: DefaultKeyedRateLimiter<IpAddr>,
    blocked_until: ExpiringTable<IpAddr>,
    known_until: ExpiringTable<Digest>,
}

impl TokenRateLimiter {
    /// A limiter that lets each token through `rate` times a second, in bursts of twice as many.
    #[must_use]
    pub fn new(rate: NonZeroU32) -> Self {
        let quota =
            Quota::per_second(rate).allow_burst(rate.saturating_mul(NonZeroU32::MIN.saturating_add(1)));
        Self {
            tokens: RateLimiter::keyed(quota),
            failures: RateLimiter::keyed(
                Quota::per_second(MAX_FAILURES_PER_SECOND).allow_burst(MAX_FAILURE_BURST),
            ),
            blocked_until: ExpiringTable::default(),
            known_until: ExpiringTable::default(),
        }
    }

    /// Whether a request with this token may be looked at, before anyone asks whether it is valid.
    ///
    /// # Errors
    /// When the token is over its rate, or unknown and its address guessed too often.
    pub fn check(&self, peer: Option<IpAddr>, token: &Digest) -> Result<(), RateLimited> {
        let blocked = peer.and_then(|peer| self.blocked_until.time_left(&client_network(peer)));
        if let Some(wait) = blocked.filter(|_| self.known_until.time_left(token).is_none()) {
            return Err(rate_limited(wait));
        }
        check_rate(&self.tokens, token)
    }

    /// Notes that the token was valid.
    pub fn record_success(&self, token: Digest) {
        self.known_until.insert(token, KNOWN_TOKEN_TTL);
    }

    /// Notes that the token was not valid.
    ///
    /// # Errors
    /// When the address guesses too often; it is shut out for as long as the answer says.
    pub fn record_failure(&self, peer: Option<IpAddr>, token: &Digest) -> Result<(), RateLimited> {
        self.known_until.remove(token);
        let Some(peer) = peer.map(client_network) else { return Ok(()) };
        check_rate(&self.failures, &peer).inspect_err(|refused| {
            self.blocked_until.insert(peer, Duration::from_secs(refused.retry_after_seconds));
        })
    }

    /// Forgets what no longer matters; called now and then.
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

/// An IPv6 client has a whole /64 to choose its address from.
fn client_network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// What holds until an instant.
#[derive(Debug)]
struct ExpiringTable<K>(Mutex<HashMap<K, Instant>>);

impl<K> Default for ExpiringTable<K> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Hash + Eq> ExpiringTable<K> {
    fn with_entries<R>(&self, act: impl FnOnce(&mut HashMap<K, Instant>) -> R) -> R {
        // A panic while the lock is held leaves a map that is still whole.
        act(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn insert(&self, key: K, lasting: Duration) {
        let until = Instant::now() + lasting;
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
    fn a_token_has_a_burst_of_twice_its_rate_and_others_have_their_own() {
        let limiter = limiter(1);
        assert_eq!((0..2).filter(|_| limiter.check(PEER, &[1; 32]).is_ok()).count(), 2);
        assert_eq!(limiter.check(PEER, &[1; 32]), Err(RateLimited { retry_after_seconds: 1 }));
        assert_eq!(limiter.check(PEER, &[2; 32]), Ok(()));
    }

    #[test]
    fn who_guesses_is_shut_out_but_not_who_shares_the_address() {
        let limiter = limiter(1_000_000);
        limiter.record_success([9; 32]);
        let refused =
            (0..2 * MAX_FAILURE_BURST.get()).find(|_| limiter.record_failure(PEER, &[1; 32]).is_err());
        assert!(refused.is_some_and(|n| n >= MAX_FAILURE_BURST.get()));
        assert!(limiter.check(PEER, &[2; 32]).is_err(), "a new guess is not even looked up");
        assert_eq!(limiter.check(PEER, &[9; 32]), Ok(()), "a token that was valid");
        assert_eq!(limiter.check(OTHER, &[2; 32]), Ok(()), "another address");
        limiter.remove_expired();
        assert!(limiter.check(PEER, &[2; 32]).is_err(), "a sweep forgives nothing");
    }

    #[test]
    fn waits_are_whole_seconds_and_never_none() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2)] {
            assert_eq!(rate_limited(Duration::from_millis(millis)).retry_after_seconds, seconds);
        }
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        let parse = |text: &str| text.parse::<IpAddr>().expect("address");
        assert_eq!(client_network(parse("2001:db8::1")), client_network(parse("2001:db8::ffff:2")));
        assert_ne!(client_network(parse("2001:db8::1")), client_network(parse("2001:db8:0:1::1")));
        assert_eq!(client_network(parse("::ffff:192.0.2.1")), parse("192.0.2.1"));
    }
}
