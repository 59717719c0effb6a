//! When a failed delivery is tried again, and through which wait queues it gets there.

use std::time::Duration;

use chrono::TimeDelta;

use crate::time::Timestamp;

/// Most waits a schedule may have.
pub const MAX_DELAYS: usize = 50;
/// Longest wait and longest window: a day.
pub const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Shortest wait that is worth a trip through the broker.
pub const SHORTEST_DELAY: Duration = Duration::from_millis(10);
/// The finest step of the ladder of wait queues, for waits that an endpoint chose (`Retry-After`).
pub const FINEST_STEP: Duration = Duration::from_secs(1);
/// The longest time that a wait may end too late for having begun late: less than the finest step.
const LONGEST_SLACK: Duration = Duration::from_millis(500);

/// A retry setting that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    /// No delay or too many.
    #[error("give 1 to {MAX_DELAYS} delays")]
    Count,
    /// A delay that is too short or too long.
    #[error("each delay must lie between 10ms and 24h")]
    Delay,
    /// A window that is too short or too long.
    #[error("the retry window must lie between 10ms and 24h")]
    Window,
}

/// The waits between attempts, and the window in which the last must start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule {
    delays: Vec<Duration>,
    window: Duration,
}

impl Default for RetrySchedule {
    /// The contract's: 5 s, 30 s, 2 min, 5 min, 10 min, 20 min, 20 min within an hour.
    fn default() -> Self {
        let delays = [5, 30, 120, 300, 600, 1200, 1200].map(Duration::from_secs).to_vec();
        Self { delays, window: Duration::from_secs(3600) }
    }
}

impl RetrySchedule {
    /// A schedule of these waits in this window.
    ///
    /// # Errors
    /// When a figure is outside its limits.
    pub fn new(delays: Vec<Duration>, window: Duration) -> Result<Self, InvalidSchedule> {
        if delays.is_empty() || delays.len() > MAX_DELAYS {
            return Err(InvalidSchedule::Count);
        }
        if delays.iter().any(|delay| !(SHORTEST_DELAY..=LONGEST).contains(delay)) {
            return Err(InvalidSchedule::Delay);
        }
        if !(SHORTEST_DELAY..=LONGEST).contains(&window) {
            return Err(InvalidSchedule::Window);
        }
        Ok(Self { delays, window })
    }

    /// When the attempt after the `attempt`th (from 1) may start: its wait counts from the end of
    /// the failed one, and is never shorter than what the endpoint asked for. `None` when there is
    /// no further attempt, or it would start after the window.
    #[must_use]
    pub fn next_attempt(
        &self,
        attempt: u32,
        first_started: Timestamp,
        ended: Timestamp,
        retry_after_seconds: Option<u64>,
    ) -> Option<Timestamp> {
        let scheduled = *self.delays.get(usize::try_from(attempt.checked_sub(1)?).ok()?)?;
        let asked = Duration::from_secs(retry_after_seconds.unwrap_or(0).min(2 * LONGEST.as_secs()));
        let at = ended + TimeDelta::from_std(scheduled.max(asked)).ok()?;
        self.may_start(first_started, at).then_some(at)
    }

    /// Whether an attempt may start at `at`, seen from the delivery's first attempt.
    #[must_use]
    pub fn may_start(&self, first_started: Timestamp, at: Timestamp) -> bool {
        TimeDelta::from_std(self.window).is_ok_and(|window| at - first_started <= window)
    }

    /// The wait queues that the schedule needs, ascending: one for each delay, and the finest step.
    #[must_use]
    pub fn ladder(&self) -> WaitLadder {
        let mut steps = self.delays.clone();
        steps.push(FINEST_STEP);
        steps.sort_unstable();
        steps.dedup();
        WaitLadder { steps }
    }
}

/// The delays for which there is a wait queue. A queue has one delay for all of its messages, since
/// a message with a longer one would block those behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitLadder {
    steps: Vec<Duration>,
}

impl WaitLadder {
    /// The delays, ascending.
    #[must_use]
    pub fn steps(&self) -> &[Duration] {
        &self.steps
    }

    /// The queue to wait in next when `remaining` is still to wait: the longest that fits, so that
    /// a scheduled wait takes one queue, and any other a few; a rest shorter than every step takes
    /// the shortest. By the time that an attempt is recorded a little of its wait is over already.
    #[must_use]
    pub fn step_for(&self, remaining: Duration) -> Duration {
        let fits = |step: &&Duration| **step - slack(**step) <= remaining;
        self.steps.iter().rev().find(fits).copied().unwrap_or(self.steps[0])
    }
}

/// By how much a step may be longer than the wait that it is taken for.
fn slack(step: Duration) -> Duration {
    LONGEST_SLACK.min(step / 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn start() -> Timestamp {
        crate::time::parse("2021-04-08T19:36:02.938Z").expect("valid")
    }

    fn run(schedule: &RetrySchedule, each_takes: TimeDelta) -> Vec<i64> {
        let (mut at, mut attempt, mut starts) = (start(), 1, vec![0]);
        while let Some(next) = schedule.next_attempt(attempt, start(), at + each_takes, None) {
            starts.push((next - start()).num_seconds());
            (at, attempt) = (next, attempt + 1);
        }
        starts
    }

    #[test]
    fn the_default_schedule_is_the_contracts() {
        let quick = run(&RetrySchedule::default(), TimeDelta::zero());
        assert_eq!(quick, [0, 5, 35, 155, 455, 1055, 2255, 3455]);
    }

    #[test]
    fn the_last_attempt_lies_inside_the_hour_even_when_each_times_out() {
        let slow = run(&RetrySchedule::default(), TimeDelta::seconds(15));
        assert_eq!(slow.len(), 8);
        assert!(*slow.last().expect("eight") <= 3600);
    }

    #[test]
    fn retry_after_waits_longer_or_ends_the_delivery_but_never_shortens() {
        let schedule = RetrySchedule::default();
        let next = |after| {
            schedule.next_attempt(1, start(), start(), Some(after)).map(|at| (at - start()).num_seconds())
        };
        assert_eq!(next(0), Some(5));
        assert_eq!(next(77), Some(77));
        assert_eq!(next(3600), Some(3600));
        assert_eq!(next(3601), None);
        assert_eq!(next(u64::MAX), None);
    }

    #[test]
    fn the_ladder_takes_a_scheduled_wait_in_one_step() {
        let ladder = RetrySchedule::default().ladder();
        let seconds: Vec<_> = ladder.steps().iter().map(Duration::as_secs).collect();
        assert_eq!(seconds, [1, 5, 30, 120, 300, 600, 1200]);
        assert!(ladder.steps().iter().all(|step| ladder.step_for(*step) == *step));
        // Recording the attempt before took some of it.
        assert!(ladder.steps().iter().all(|step| ladder.step_for(*step - slack(*step)) == *step));
        assert!(ladder.steps().iter().skip(1).all(|step| ladder.step_for(*step - 2 * slack(*step)) < *step));
        assert_eq!(ladder.step_for(Duration::from_millis(3)), FINEST_STEP);
    }

    proptest! {
        #[test]
        fn the_ladder_never_overshoots_by_more_than_its_finest_step(wait_ms in 1u64..3_600_000) {
            let ladder = RetrySchedule::default().ladder();
            let (mut waited, mut hops, target) = (Duration::ZERO, 0, Duration::from_millis(wait_ms));
            while waited < target {
                waited += ladder.step_for(target - waited);
                hops += 1;
            }
            prop_assert!(waited - target < FINEST_STEP);
            prop_assert!(hops <= 20);
        }

        #[test]
        fn no_attempt_starts_after_the_window(delays_ms in prop::collection::vec(10u64..900_000, 1..12), took_ms in 0i64..20_000, after in prop::option::of(0u64..5000)) {
            let window = Duration::from_secs(3600);
            let delays: Vec<_> = delays_ms.into_iter().map(Duration::from_millis).collect();
            let schedule = RetrySchedule::new(delays.clone(), window).expect("within limits");
            let (mut at, mut attempt) = (start(), 1u32);
            while let Some(next) = schedule.next_attempt(attempt, start(), at + TimeDelta::milliseconds(took_ms), after) {
                prop_assert!(next - start() <= TimeDelta::from_std(window).expect("fits"));
                prop_assert!(next > at);
                (at, attempt) = (next, attempt + 1);
            }
            prop_assert!(attempt as usize <= delays.len() + 1);
        }
    }
}
