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
/// [`GUESS_BURST`]: plenty for a client that is set up wrong, nothing for one that guesses.
const GUESS_RATE: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Wrong tokens that an address may send at once.
const GUESS_BURST: NonZeroU32 = NonZeroU32::new(200).unwrap();
/// How long a token that was valid is still let through from an address that is shut out, so that
/// one client behind a shared address does not shut out the others.
const KNOWN_FOR: Duration = Duration::from_secs(600);
/// Most entries of each table; what does not fit goes without.
const TABLE: usize = 100_000;

/// Too many requests; try again after so many whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany {
    /// At least 1.
    pub retry_after_seconds: u64,
}

/// Lets requests through at the rates that are allowed. Per process: replicas do not add up theirs.
#[derive(Debug)]
pub struct Gate {
    tokens: DefaultKeyedRateLimiter<Digest>,
    guesses: DefaultKeyedRateLimiter<IpAddr>,
    shut_out_until: Table<IpAddr>,
    known_until: Table<Digest>,
}

impl Gate {
    /// A gate that lets each token through `rate` times a second, in bursts of twice as many.
    #[must_use]
    pub fn new(rate: NonZeroU32) -> Self {
        let quota =
            Quota::per_second(rate).allow_burst(rate.saturating_mul(NonZeroU32::MIN.saturating_add(1)));
        Self {
            tokens: RateLimiter::keyed(quota),
            guesses: RateLimiter::keyed(Quota::per_second(GUESS_RATE).allow_burst(GUESS_BURST)),
            shut_out_until: Table::default(),
            known_until: Table::default(),
        }
    }

    /// Whether a request with this token may be looked at, before anyone asks whether it is valid.
    ///
    /// # Errors
    /// When the token is over its rate, or unknown and its address guessed too often.
    pub fn admit(&self, peer: Option<IpAddr>, token: &Digest) -> Result<(), TooMany> {
        let shut_out = peer.and_then(|peer| self.shut_out_until.left(&network(peer)));
        if let Some(wait) = shut_out.filter(|_| self.known_until.left(token).is_none()) {
            return Err(too_many(wait));
        }
        check(&self.tokens, token)
    }

    /// Notes that the token was valid.
    pub fn was_valid(&self, token: Digest) {
        self.known_until.put(token, KNOWN_FOR);
    }

    /// Notes that the token was not valid.
    ///
    /// # Errors
    /// When the address guesses too often; it is shut out for as long as the answer says.
    pub fn was_wrong(&self, peer: Option<IpAddr>, token: &Digest) -> Result<(), TooMany> {
        self.known_until.forget(token);
        let Some(peer) = peer.map(network) else { return Ok(()) };
        check(&self.guesses, &peer).inspect_err(|refused| {
            self.shut_out_until.put(peer, Duration::from_secs(refused.retry_after_seconds));
        })
    }

    /// Forgets what no longer matters; called now and then.
    pub fn sweep(&self) {
        self.tokens.retain_recent();
        self.guesses.retain_recent();
        self.shut_out_until.sweep();
        self.known_until.sweep();
    }
}

fn check<K: Hash + Eq + Clone>(limiter: &DefaultKeyedRateLimiter<K>, key: &K) -> Result<(), TooMany> {
    limiter.check_key(key).map_err(|until| too_many(until.wait_time_from(DefaultClock::default().now())))
}

fn too_many(wait: Duration) -> TooMany {
    let whole = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    TooMany { retry_after_seconds: whole.max(1) }
}

/// An IPv6 client has a whole /64 to choose its address from.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// What holds until an instant.
#[derive(Debug)]
struct Table<K>(Mutex<HashMap<K, Instant>>);

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Hash + Eq> Table<K> {
    fn with<R>(&self, act: impl FnOnce(&mut HashMap<K, Instant>) -> R) -> R {
        // A panic while the lock is held leaves a map that is still whole.
        act(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn put(&self, key: K, lasting: Duration) {
        let until = Instant::now() + lasting;
        self.with(|table| {
            if table.len() < TABLE || table.contains_key(&key) {
                table.insert(key, until);
            }
        });
    }

    fn left(&self, key: &K) -> Option<Duration> {
        let until = self.with(|table| table.get(key).copied())?;
        until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    fn forget(&self, key: &K) {
        self.with(|table| table.remove(key));
    }

    fn sweep(&self) {
        let now = Instant::now();
        self.with(|table| table.retain(|_, until| *until > now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
    const OTHER: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)));

    fn gate(rate: u32) -> Gate {
        Gate::new(NonZeroU32::new(rate).expect("not zero"))
    }

    #[test]
    fn a_token_has_a_burst_of_twice_its_rate_and_others_have_their_own() {
        let gate = gate(1);
        assert_eq!((0..2).filter(|_| gate.admit(PEER, &[1; 32]).is_ok()).count(), 2);
        assert_eq!(gate.admit(PEER, &[1; 32]), Err(TooMany { retry_after_seconds: 1 }));
        assert_eq!(gate.admit(PEER, &[2; 32]), Ok(()));
    }

    #[test]
    fn who_guesses_is_shut_out_but_not_who_shares_the_address() {
        let gate = gate(1_000_000);
        gate.was_valid([9; 32]);
        let refused = (0..2 * GUESS_BURST.get()).find(|_| gate.was_wrong(PEER, &[1; 32]).is_err());
        assert!(refused.is_some_and(|n| n >= GUESS_BURST.get()));
        assert!(gate.admit(PEER, &[2; 32]).is_err(), "a new guess is not even looked up");
        assert_eq!(gate.admit(PEER, &[9; 32]), Ok(()), "a token that was valid");
        assert_eq!(gate.admit(OTHER, &[2; 32]), Ok(()), "another address");
        gate.sweep();
        assert!(gate.admit(PEER, &[2; 32]).is_err(), "a sweep forgives nothing");
    }

    #[test]
    fn waits_are_whole_seconds_and_never_none() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2)] {
            assert_eq!(too_many(Duration::from_millis(millis)).retry_after_seconds, seconds);
        }
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        let parse = |text: &str| text.parse::<IpAddr>().expect("address");
        assert_eq!(network(parse("2001:db8::1")), network(parse("2001:db8::ffff:2")));
        assert_ne!(network(parse("2001:db8::1")), network(parse("2001:db8:0:1::1")));
        assert_eq!(network(parse("::ffff:192.0.2.1")), parse("192.0.2.1"));
    }
}
