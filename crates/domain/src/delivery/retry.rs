//! The retry schedule, and the delay levels that a delivery passes until its next attempt.
//!
//! RabbitMQ delays a message in a queue whose TTL is the same for all of its messages. So there is one delay queue for
//! each [delay level](DelayLevels), and a longer delay is a sequence of levels.

use std::time::Duration;

use chrono::TimeDelta;

use crate::time::Timestamp;

/// Maximum number of delays of a schedule.
pub const MAX_DELAYS: usize = 50;
/// Maximum length of the retry window, and therefore of each delay.
pub const MAX_RETRY_WINDOW: Duration = Duration::from_secs(24 * 3600);
/// Minimum length of a delay; a shorter one is not worth a trip through the broker.
pub const MIN_RETRY_DELAY: Duration = Duration::from_millis(10);
/// Delay of the level that every schedule has, for delays that an endpoint chose (`Retry-After`).
pub const FINEST_DELAY: Duration = Duration::from_secs(1);
/// Maximum time by which a level may exceed the remaining delay.
///
/// A part of a scheduled delay has passed when its message is published, and it should still take one level.
const MAX_OVERSHOOT: Duration = Duration::from_millis(500);

/// An invalid retry setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    /// The schedule has no delay or too many.
    #[error("give 1 to {MAX_DELAYS} delays")]
    Count,
    /// A delay is too short or too long.
    #[error("each delay must lie between 10ms and 24h")]
    Delay,
    /// The retry window is too short or too long.
    #[error("the retry window must lie between 10ms and 24h")]
    Window,
}

/// The delays between attempts, and the window in which the last attempt must start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule {
    delays: Vec<Duration>,
    window: Duration,
}

impl Default for RetrySchedule {
    /// Returns the contract's schedule: 5 s, 30 s, 2 min, 5 min, 10 min, 20 min, 20 min within an hour.
    fn default() -> Self {
        let delays = [5, 30, 120, 300, 600, 1200, 1200].map(Duration::from_secs).to_vec();
        Self { delays, window: Duration::from_secs(3600) }
    }
}

impl RetrySchedule {
    /// Creates a schedule of these delays in this window.
    ///
    /// # Errors
    /// When the number of delays, a delay or the window is outside its limits.
    pub fn new(delays: Vec<Duration>, window: Duration) -> Result<Self, InvalidSchedule> {
        if delays.is_empty() || delays.len() > MAX_DELAYS {
            return Err(InvalidSchedule::Count);
        }
        if delays.iter().any(|delay| !(MIN_RETRY_DELAY..=MAX_RETRY_WINDOW).contains(delay)) {
            return Err(InvalidSchedule::Delay);
        }
        if !(MIN_RETRY_DELAY..=MAX_RETRY_WINDOW).contains(&window) {
            return Err(InvalidSchedule::Window);
        }
        Ok(Self { delays, window })
    }

    /// Returns when the attempt after the `attempt`th (from 1) may start.
    ///
    /// The delay counts from the end of the failed attempt and is at least as long as the endpoint's `Retry-After`.
    /// Returns `None` when the schedule has no further delay or the attempt would start after the window.
    #[must_use]
    pub fn next_attempt(
        &self,
        attempt: u32,
        first_started: Timestamp,
        ended: Timestamp,
        retry_after_seconds: Option<u64>,
    ) -> Option<Timestamp> {
        let scheduled = *self.delays.get(usize::try_from(attempt.checked_sub(1)?).ok()?)?;
        let asked = Duration::from_secs(retry_after_seconds.unwrap_or(0).min(2 * MAX_RETRY_WINDOW.as_secs()));
        let at = ended + TimeDelta::from_std(scheduled.max(asked)).ok()?;
        self.may_start(first_started, at).then_some(at)
    }

    /// Returns whether the retry window, which begins with the first attempt, still includes `at`.
    #[must_use]
    pub fn may_start(&self, first_started: Timestamp, at: Timestamp) -> bool {
        TimeDelta::from_std(self.window).is_ok_and(|window| at - first_started <= window)
    }

    /// Returns the delay levels that the schedule needs: its own delays and [`FINEST_DELAY`].
    #[must_use]
    pub fn delay_levels(&self) -> DelayLevels {
        let mut delays = self.delays.clone();
        delays.push(FINEST_DELAY);
        delays.sort_unstable();
        delays.dedup();
        DelayLevels { delays }
    }
}

/// The delays for which there is a delay queue.
///
/// All messages of a delay queue have the same delay, because RabbitMQ expires a message only at the head of its queue:
/// a message with a longer delay would block the messages behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelayLevels {
    delays: Vec<Duration>,
}

impl DelayLevels {
    /// Returns the delays in ascending order.
    #[must_use]
    pub fn delays(&self) -> &[Duration] {
        &self.delays
    }

    /// Returns the level to use next for a delivery whose next attempt starts after `remaining`.
    ///
    /// It is the longest level that fits, so that a scheduled delay takes one queue and any other delay a few. If none
    /// fits, it is the shortest level. A level may exceed the remaining delay a little, because a part of the delay has
    /// passed when the attempt is recorded.
    #[must_use]
    pub fn level_for(&self, remaining: Duration) -> Duration {
        let fits = |level: &&Duration| **level - allowed_overshoot(**level) <= remaining;
        self.delays.iter().rev().find(fits).copied().unwrap_or(self.delays[0])
    }
}

/// Returns by how much a level may exceed the remaining delay.
fn allowed_overshoot(level: Duration) -> Duration {
    MAX_OVERSHOOT.min(level / 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn start() -> Timestamp {
        crate::time::parse_timestamp("2021-04-08T19:36:02.938Z").expect("valid")
    }

    fn attempt_starts(schedule: &RetrySchedule, each_takes: TimeDelta) -> Vec<i64> {
        let mut at = start();
        let mut attempt = 1;
        let mut starts = vec![0];
        while let Some(next) = schedule.next_attempt(attempt, start(), at + each_takes, None) {
            starts.push((next - start()).num_seconds());
            at = next;
            attempt += 1;
        }
        starts
    }

    #[test]
    fn the_default_schedule_is_the_one_of_the_contract() {
        let quick = attempt_starts(&RetrySchedule::default(), TimeDelta::zero());
        assert_eq!(quick, [0, 5, 35, 155, 455, 1055, 2255, 3455]);
    }

    #[test]
    fn the_last_attempt_starts_within_the_hour_even_if_each_attempt_times_out() {
        let slow = attempt_starts(&RetrySchedule::default(), TimeDelta::seconds(15));
        assert_eq!(slow.len(), 8);
        assert!(*slow.last().expect("eight") <= 3600);
    }

    #[test]
    fn retry_after_extends_a_delay_or_ends_the_delivery_but_never_shortens_a_delay() {
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
    fn a_scheduled_delay_takes_one_level() {
        let levels = RetrySchedule::default().delay_levels();
        let seconds: Vec<_> = levels.delays().iter().map(Duration::as_secs).collect();
        assert_eq!(seconds, [1, 5, 30, 120, 300, 600, 1200]);
        assert!(levels.delays().iter().all(|delay| levels.level_for(*delay) == *delay));
        // A part of the delay passed while the attempt was recorded.
        assert!(
            levels
                .delays()
                .iter()
                .all(|delay| levels.level_for(*delay - allowed_overshoot(*delay)) == *delay)
        );
        assert!(
            levels
                .delays()
                .iter()
                .skip(1)
                .all(|delay| levels.level_for(*delay - 2 * allowed_overshoot(*delay)) < *delay)
        );
        assert_eq!(levels.level_for(Duration::from_millis(3)), FINEST_DELAY);
    }

    proptest! {
        #[test]
        fn levels_never_overshoot_by_more_than_the_finest_delay(delay_ms in 1u64..3_600_000) {
            let levels = RetrySchedule::default().delay_levels();
            let target = Duration::from_millis(delay_ms);
            let mut waited = Duration::ZERO;
            let mut hops = 0;
            while waited < target {
                waited += levels.level_for(target - waited);
                hops += 1;
            }
            prop_assert!(waited - target < FINEST_DELAY);
            prop_assert!(hops <= 20);
        }

        #[test]
        fn no_attempt_starts_after_the_window(delays_ms in prop::collection::vec(10u64..900_000, 1..12), took_ms in 0i64..20_000, after in prop::option::of(0u64..5000)) {
            let window = Duration::from_secs(3600);
            let delays: Vec<_> = delays_ms.into_iter().map(Duration::from_millis).collect();
            let schedule = RetrySchedule::new(delays.clone(), window).expect("within limits");
            let mut at = start();
            let mut attempt = 1u32;
            while let Some(next) = schedule.next_attempt(attempt, start(), at + TimeDelta::milliseconds(took_ms), after) {
                prop_assert!(next - start() <= TimeDelta::from_std(window).expect("fits"));
                prop_assert!(next > at);
                at = next;
                attempt += 1;
            }
            prop_assert!(attempt as usize <= delays.len() + 1);
        }
    }
}
