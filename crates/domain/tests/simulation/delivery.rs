//! Whole lives of deliveries: attempts, waits through the ladder of wait queues, messages that come
//! late or twice.

use std::time::Duration;

use chrono::TimeDelta;
use domain::delivery::attempt::{Facts, Outcome};
use domain::delivery::retry::{FINEST_STEP, RetrySchedule, WaitLadder};
use domain::delivery::{DeliveryStatus, Next, Verdict, after_attempt};
use domain::time::Timestamp;
use domain::webhook::DisabledReason;

use crate::rng::{Dice, for_each_seed};

/// Waits of a `Retry-After` are walked in at most so many queues, whatever the schedule.
const MOST_HOPS: usize = 3700;

/// A delivery and the clock around it.
struct Life<'a> {
    schedule: &'a RetrySchedule,
    delays: &'a [Duration],
    window: Duration,
    first_started: Timestamp,
    now: Timestamp,
    attempt: u32,
}

#[test]
fn every_life_ends_within_its_window_and_by_its_rules() {
    for_each_seed(5_000, |dice| {
        let delays: Vec<Duration> = (0..dice.count(1..=9)).map(|_| delay(dice)).collect();
        let window = Duration::from_millis(dice.number(10..=7_200_000));
        let schedule = RetrySchedule::new(delays.clone(), window).expect("within limits");
        let start = domain::time::parse("2021-04-08T19:36:02.938Z").expect("valid");
        let mut life = Life {
            schedule: &schedule,
            delays: &delays,
            window,
            first_started: start,
            now: start,
            attempt: 1,
        };
        while life.goes_on(dice) {}
    });
}

fn delay(dice: &mut Dice) -> Duration {
    let most = *dice.pick(&[1_000, 30_000, 1_200_000, 3_600_000]);
    Duration::from_millis(dice.number(10..=most))
}

impl Life<'_> {
    /// One attempt and the wait after it; whether there is a next attempt.
    fn goes_on(&mut self, dice: &mut Dice) -> bool {
        assert!(self.now - self.first_started <= delta(self.window), "an attempt after the window");
        assert!(self.attempt as usize <= self.delays.len() + 1, "an attempt too many");
        let facts = facts(dice);
        let ended = self.now + TimeDelta::milliseconds(i64::try_from(dice.number(0..=20_000)).expect("fits"));
        let verdict = after_attempt(self.schedule, self.attempt, self.first_started, ended, &facts);
        // A message that comes twice is judged alike.
        assert_eq!(verdict, after_attempt(self.schedule, self.attempt, self.first_started, ended, &facts));
        self.check(&verdict, &facts, ended);
        let Some(at) = verdict.next_attempt_at() else { return false };
        let arrived = wait(&self.schedule.ladder(), ended, at);
        // The broker may be late, by so much that the window is over when the message comes.
        let late = if dice.percent(10) { dice.number(0..=600_000) } else { dice.number(0..=50) };
        self.now = arrived + TimeDelta::milliseconds(i64::try_from(late).expect("fits"));
        self.attempt += 1;
        self.schedule.may_start(self.first_started, self.now)
    }

    /// The verdict against the contract, told anew.
    fn check(&self, verdict: &Verdict, facts: &Facts, ended: Timestamp) {
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

/// How an attempt ends: often badly, so that lives are long.
fn facts(dice: &mut Dice) -> Facts {
    match dice.number(0..=99) {
        0..15 => Facts::from_status(200),
        15..18 => Facts::from_status(410),
        18..40 => Facts {
            retry_after_seconds: Some(*dice.pick(&[0, 1, 7, 61, 3599, 3600, 3601, 86_400, u64::MAX])),
            ..Facts::from_status(*dice.pick(&[429, 503]))
        },
        40..70 => Facts::from_status(u16::try_from(dice.number(300..=599)).expect("a status")),
        _ => {
            let failed =
                Outcome::ALL.iter().filter(|o| !matches!(o, Outcome::Delivered | Outcome::HttpStatus));
            let failed: Vec<Outcome> = failed.copied().collect();
            Facts::failed(*dice.pick(&failed), "it did not work".to_owned())
        }
    }
}

/// Walks the ladder until the instant; when that is. It is never early, and late by less than the
/// finest step.
fn wait(ladder: &WaitLadder, from: Timestamp, until: Timestamp) -> Timestamp {
    let (mut now, mut hops) = (from, 0);
    while now < until {
        let step = ladder.step_for((until - now).to_std().expect("ahead"));
        assert!(ladder.steps().contains(&step), "a queue that nobody declared");
        now += delta(step);
        hops += 1;
        assert!(hops <= MOST_HOPS, "going round and round");
    }
    assert!(now - until < delta(FINEST_STEP), "{} late", now - until);
    now
}

fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).expect("fits")
}
