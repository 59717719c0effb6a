//! Endpoints that fail from time to time: the limit falls fast, recovers step by step, and stays within its bounds.

#![expect(
    clippy::disallowed_methods,
    reason = "the domain has no tokio, and the simulation only adds to one instant"
)]

use std::time::{Duration, Instant};

use domain::delivery::adaptive_concurrency::{AdaptiveConcurrency, FAILURES_BEFORE_COOLDOWN, MAX_COOLDOWN};

use crate::rng::for_each_seed;

const STEPS: usize = 300;

#[test]
fn the_limit_falls_fast_and_recovers_step_by_step() {
    for_each_seed(3_000, |rng| {
        let max = u16::try_from(rng.number(0..=100)).expect("small");
        let mut concurrency = AdaptiveConcurrency::new(max);
        let max = max.max(1);
        let mut run_of_failures = 0;
        let mut run_of_successes = 0;
        let mut share = 50;
        let mut clock = Instant::now();
        for step in 0..STEPS {
            if step % 30 == 0 {
                share = *rng.pick(&[0, 10, 50, 90, 100]);
            }
            let cooldown = concurrency.cooldown(clock, u32::try_from(rng.number(0..=50_000)).expect("small"));
            assert!(cooldown <= MAX_COOLDOWN);
            assert!(cooldown.is_zero() || run_of_failures >= FAILURES_BEFORE_COOLDOWN);
            clock += cooldown + Duration::from_millis(rng.number(0..=20));
            let before = concurrency.limit();
            let delivered = rng.percent(share);
            concurrency.record(delivered, clock);
            let now = concurrency.limit();
            assert!((1..=max).contains(&now));
            if delivered {
                run_of_successes += 1;
                run_of_failures = 0;
                assert!(now == before + 1 || now == max, "{before} to {now} after a success");
            } else {
                run_of_failures += 1;
                run_of_successes = 0;
                assert!(now == 1 || now <= before / 2, "{before} to {now} after a failure");
            }
            assert!(run_of_failures < 7 || now == 1, "{now} after seven failures in a row");
            assert!(run_of_successes < max || now == max, "{now} after {run_of_successes} successes");
        }
    });
}
