//! The rate of each token, in plain requests.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use store::api::tokens::Digest;

use crate::auth::request_cost::Cost;

/// The refusal of a request over its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateLimited {
    /// Whole seconds until the next request may pass; at least 1.
    pub retry_after_seconds: u64,
}

/// Limits the requests of each valid token. The limits are per process: replicas do not share their counts.
#[derive(Debug)]
pub struct TokenRateLimiter {
    tokens: DefaultKeyedRateLimiter<Digest>,
    burst: NonZeroU32,
}

impl TokenRateLimiter {
    /// A limiter that allows each token `rate` requests a second, in bursts of up to twice the rate.
    #[must_use]
    pub fn new(rate: NonZeroU32) -> Self {
        let burst = rate.saturating_mul(NonZeroU32::MIN.saturating_add(1));
        Self { tokens: RateLimiter::keyed(Quota::per_second(rate).allow_burst(burst)), burst }
    }

    /// Spends the cost of a request of a valid token. A cost above the burst counts as the burst.
    ///
    /// # Errors
    /// When the token is over its rate.
    pub(crate) fn spend(&self, token: &Digest, cost: Cost) -> Result<(), RateLimited> {
        let cost = cost.min(self.burst);
        match self.tokens.check_key_n(token, cost) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(rate_limited(until.wait_time_from(DefaultClock::default().now()))),
            Err(_) => unreachable!("the cost is no higher than the burst"),
        }
    }

    /// Removes the entries that no longer have an effect. The caller repeats this at an interval.
    pub(crate) fn remove_expired(&self) {
        self.tokens.retain_recent();
    }
}

fn rate_limited(wait: Duration) -> RateLimited {
    let whole = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    RateLimited { retry_after_seconds: whole.max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(rate: u32) -> TokenRateLimiter {
        TokenRateLimiter::new(NonZeroU32::new(rate).expect("not zero"))
    }

    fn cost(cost: u32) -> Cost {
        Cost::new(cost).expect("not zero")
    }

    #[test]
    fn each_token_has_its_own_rate_and_a_burst_of_twice_that_rate() {
        let limiter = limiter(1);
        assert_eq!((0..2).filter(|_| limiter.spend(&[1; 32], cost(1)).is_ok()).count(), 2);
        assert_eq!(limiter.spend(&[1; 32], cost(1)), Err(RateLimited { retry_after_seconds: 1 }));
        assert_eq!(limiter.spend(&[2; 32], cost(1)), Ok(()));
    }

    #[test]
    fn a_request_spends_its_cost_and_no_more_than_the_burst() {
        let limiter = limiter(10);
        assert_eq!(limiter.spend(&[1; 32], cost(15)), Ok(()));
        assert_eq!(limiter.spend(&[1; 32], cost(15)), Err(RateLimited { retry_after_seconds: 1 }));
        assert_eq!(limiter.spend(&[2; 32], cost(50)), Ok(()), "a small rate does not forbid it");
        // Which takes two more seconds to earn.
        assert!(limiter.spend(&[2; 32], cost(20)).is_err());
    }

    #[test]
    fn retry_after_is_at_least_one_whole_second() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2)] {
            assert_eq!(rate_limited(Duration::from_millis(millis)).retry_after_seconds, seconds);
        }
    }
}
