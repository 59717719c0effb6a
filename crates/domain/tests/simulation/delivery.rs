//! Whole lives of deliveries: attempts, delays through the delay queues, messages that arrive late or twice.

use std::time::Duration;

use chrono::TimeDelta;
use domain::delivery::attempt::{Facts, Outcome};
use domain::delivery::retry::{DelayLevels, FINEST_DELAY, RetrySchedule};
use domain::delivery::{DeliveryStatus, Next, Verdict, judge_attempt};
use domain::time::Timestamp;
use domain::webhook::DisabledReason;

use crate::rng::{Rng, for_each_seed};

/// Maximum number of delay queues that a `Retry-After` leads through, for any schedule.
const MAX_HOPS: usize = 3700;

/// A delivery and its clock.
struct Life<'a> {
    schedule: &'a RetrySchedule,
    delays: &'a [Duration],
    window: Duration,
    first_started: Timestamp,
    now: Timestamp,
    attempt: u32,
}

#[test]
fn every_delivery_ends_within_its_window_and_by_the_rules() {
    for_each_seed(5_000, |rng| {
        let delays: Vec<Duration> = (0..rng.count(1..=9)).map(|_| draw_delay(rng)).collect();
        let window = Duration::from_millis(rng.number(10..=7_200_000));
        let schedule = RetrySchedule::new(delays.clone(), window).expect("within limits");
        let start = domain::time::parse_timestamp("2021-04-08T19:36:02.938Z").expect("valid");
        let mut life = Life {
            schedule: &schedule,
            delays: &delays,
            window,
            first_started: start,
            now: start,
            attempt: 1,
        };
        while life.continues(rng) {}
    });
}

fn draw_delay(rng: &mut Rng) -> Duration {
    let max_millis = *rng.pick(&[1_000, 30_000, 1_200_000, 3_600_000]);
    Duration::from_millis(rng.number(10..=max_millis))
}

impl Life<'_> {
    /// Simulates an attempt and the delay after it, and returns whether there is a next attempt.
    fn continues(&mut self, rng: &mut Rng) -> bool {
        assert!(self.now - self.first_started <= delta(self.window), "an attempt after the window");
        assert!(self.attempt as usize <= self.delays.len() + 1, "an attempt too many");
        let facts = draw_facts(rng);
        let ended = self.now + TimeDelta::milliseconds(i64::try_from(rng.number(0..=20_000)).expect("fits"));
        let verdict = judge_attempt(self.schedule, self.attempt, self.first_started, ended, &facts);
        // A repeated message gets the same verdict.
        assert_eq!(verdict, judge_attempt(self.schedule, self.attempt, self.first_started, ended, &facts));
        self.check_verdict(&verdict, &facts, ended);
        let Some(at) = verdict.next_attempt_at() else { return false };
        let arrived = pass_delay_queues(&self.schedule.delay_levels(), ended, at);
        // The broker may be so late that the window is over when the message arrives.
        let late = if rng.percent(10) { rng.number(0..=600_000) } else { rng.number(0..=50) };
        self.now = arrived + TimeDelta::milliseconds(i64::try_from(late).expect("fits"));
        self.attempt += 1;
        self.schedule.may_start(self.first_started, self.now)
    }

    /// Compares the verdict with a second implementation of the contract.
    fn check_verdict(&self, verdict: &Verdict, facts: &Facts, ended: Timestamp) {
        let expected = match (facts.outcome, facts.status_code) {
            (Outcome::Delivered, _) => Next::End(DeliveryStatus::Delivered),
            (_, Some(410)) => Next::End(DeliveryStatus::Failed),
            _ => self.expected_retry(facts, ended).map_or(Next::End(DeliveryStatus::Failed), Next::RetryAt),
        };
        assert_eq!(verdict.next, expected);
        let gone = facts.status_code == Some(410);
        assert_eq!(verdict.disable, gone.then_some(DisabledReason::Gone));
        assert_eq!(verdict.status() == DeliveryStatus::Pending, verdict.next_attempt_at().is_some());
    }

    fn expected_retry(&self, facts: &Facts, ended: Timestamp) -> Option<Timestamp> {
        let scheduled = self.delays.get(self.attempt as usize - 1)?;
        let asked = Duration::from_secs(facts.retry_after_seconds.unwrap_or(0).min(1_000_000));
        let at = ended + delta((*scheduled).max(asked));
        (at <= self.first_started + delta(self.window)).then_some(at)
    }
}

/// Draws the facts of an attempt, which fails often, so that deliveries have many attempts.
fn draw_facts(rng: &mut Rng) -> Facts {
    match rng.number(0..=99) {
        0..15 => Facts::from_status(200),
        15..18 => Facts::from_status(410),
        18..40 => Facts {
            retry_after_seconds: Some(*rng.pick(&[0, 1, 7, 61, 3599, 3600, 3601, 86_400, u64::MAX])),
            ..Facts::from_status(*rng.pick(&[429, 503]))
        },
        40..70 => Facts::from_status(u16::try_from(rng.number(300..=599)).expect("a status")),
        _ => {
            let failed =
                Outcome::ALL.iter().filter(|o| !matches!(o, Outcome::Delivered | Outcome::HttpStatus));
            let failed: Vec<Outcome> = failed.copied().collect();
            Facts::without_status(*rng.pick(&failed), "it did not work".to_owned())
        }
    }
}

/// Passes delay queues until `until` and returns the arrival.
///
/// The arrival is never early, and late by less than the finest delay.
fn pass_delay_queues(levels: &DelayLevels, from: Timestamp, until: Timestamp) -> Timestamp {
    let mut now = from;
    let mut hops = 0;
    while now < until {
        let level = levels.level_for((until - now).to_std().expect("ahead"));
        assert!(levels.delays().contains(&level), "there is no such delay queue");
        now += delta(level);
        hops += 1;
        assert!(hops <= MAX_HOPS, "too many delay queues");
    }
    assert!(now - until < delta(FINEST_DELAY), "{} late", now - until);
    now
}

fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).expect("fits")
}
