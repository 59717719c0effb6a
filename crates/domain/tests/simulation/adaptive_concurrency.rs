//! Endpoints that falter: pressure falls at once, comes back step by step, and never leaves its bounds.

use std::time::{Duration, Instant};

use domain::delivery::adaptive_concurrency::{FAILURES_IN_ROW, LONGEST_REST, Pressure};

use crate::rng::for_each_seed;

const STEPS: usize = 300;

#[test]
fn pressure_falls_fast_and_comes_back_step_by_step() {
    for_each_seed(3_000, |dice| {
        let most = u16::try_from(dice.number(0..=100)).expect("small");
        let (mut pressure, most) = (Pressure::new(most), most.max(1));
        let (mut run_of_failures, mut run_of_successes, mut share) = (0, 0, 50);
        let mut clock = Instant::now();
        for step in 0..STEPS {
            if step % 30 == 0 {
                share = *dice.pick(&[0, 10, 50, 90, 100]);
            }
            let rest = pressure.rest(clock, u32::try_from(dice.number(0..=50_000)).expect("small"));
            assert!(rest <= LONGEST_REST && (rest.is_zero() || run_of_failures >= FAILURES_IN_ROW));
            clock += rest + Duration::from_millis(dice.number(0..=20));
            let (before, delivered) = (pressure.in_flight(), dice.percent(share));
            pressure.report(delivered, clock);
            let now = pressure.in_flight();
            assert!((1..=most).contains(&now));
            if delivered {
                (run_of_successes, run_of_failures) = (run_of_successes + 1, 0);
                assert!(now == before + 1 || now == most, "{before} to {now} after a success");
            } else {
                (run_of_failures, run_of_successes) = (run_of_failures + 1, 0);
                assert!(now == 1 || now <= before / 2, "{before} to {now} after a failure");
            }
            assert!(run_of_failures < 7 || now == 1, "{now} after seven failures in a row");
            assert!(run_of_successes < most || now == most, "{now} after {run_of_successes} successes");
        }
    });
}
