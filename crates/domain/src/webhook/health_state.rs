//! The state of a webhook's health, as lists, the overview and the console show it (contract §4.1).
//!
//! The state is derived from facts that PostgreSQL counts, so that every process shows the same one. It also tells when the
//! platform will disable the webhook if it goes on like this ([`HealthRule`]).

use std::time::Duration;

use chrono::TimeDelta;

use super::health::HealthRule;
use super::status::WebhookStatus;
use crate::time::Timestamp;
use crate::vocabulary::vocabulary;

/// Length of the time whose attempts decide whether a webhook is failing, unless a slice is longer (contract §4.1).
const RECENT_WINDOW: Duration = Duration::from_secs(15 * 60);
/// Time without an attempt after which a webhook is idle (contract §4.1).
pub const IDLE_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Number of consecutive failed deliveries from which a webhook is failing (contract §4.1).
pub const FAILING_DELIVERIES: u64 = 3;

vocabulary! {
    /// The state of a webhook's health.
    HealthState {
        /// Most recent attempts succeed.
        Healthy = "healthy",
        /// At least half of the recent attempts failed, or of the latest ones if none are recent; or the last three
        /// deliveries failed.
        Failing = "failing",
        /// The endpoint asked for a pause with `Retry-After`.
        Resting = "resting",
        /// Nothing was attempted in the last 24 hours.
        Idle = "idle",
        /// The brand paused the webhook.
        Paused = "paused",
        /// The platform or support disabled the webhook.
        Disabled = "disabled",
    }
}

impl HealthState {
    /// Returns the place of the state in lists with the worst first, from 0.
    #[must_use]
    pub const fn severity(self) -> u8 {
        match self {
            Self::Failing => 0,
            Self::Disabled => 1,
            Self::Resting => 2,
            Self::Healthy | Self::Idle => 3,
            Self::Paused => 4,
        }
    }
}

/// The numbers of one time slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActivitySlice {
    /// When the slice begins.
    pub start: Timestamp,
    /// Number of attempts that ended in it.
    pub attempts: u64,
    /// Number of these that failed.
    pub failures: u64,
    /// When the first of these failures ended.
    pub first_failure: Option<Timestamp>,
    /// When the last of these failures ended.
    pub last_failure: Option<Timestamp>,
}

impl ActivitySlice {
    fn mostly_fails(&self) -> bool {
        is_half(self.failures, self.attempts)
    }
}

/// A pause that the endpoint asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// When the endpoint asked for it.
    pub since: Timestamp,
    /// When it ends.
    pub until: Timestamp,
}

/// The facts from which the state of a webhook follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthFacts {
    /// The status.
    pub status: WebhookStatus,
    /// Since when the webhook has this status, as far as it is known.
    pub status_since: Option<Timestamp>,
    /// Number of attempts that ended in the [`recent_window`].
    pub recent_attempts: u64,
    /// Number of these attempts that failed.
    pub recent_failures: u64,
    /// Number of attempts in the latest slice that has any. Zero if some are recent.
    pub latest_attempts: u64,
    /// Number of these attempts that failed.
    pub latest_failures: u64,
    /// Number of deliveries that failed since the last successful attempt.
    pub failed_in_row: u64,
    /// The pause that the endpoint asked for last.
    pub rest: Option<Rest>,
    /// When the last attempt ended, to the slice; `None` if that was a day ago or more.
    pub last_attempt: Option<Timestamp>,
    /// Since when most attempts fail, of the last 24 hours.
    pub failing_since: Option<Timestamp>,
    /// Number of deliveries that were delivered in the health window.
    pub delivered: u64,
    /// Number of deliveries that failed in the health window.
    pub failed: u64,
    /// The slices of the health window with attempts, the oldest first. Empty if no attempt failed.
    pub slices: Vec<ActivitySlice>,
}

/// The health of a webhook.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Health {
    /// The state.
    pub state: HealthState,
    /// Since when, as far as it is known.
    pub since: Option<Timestamp>,
    /// Share of the deliveries that ended in the health window which were delivered, 0 to 1. `None` if none ended.
    pub success_rate: Option<f64>,
    /// When the platform will disable the webhook if it goes on like this.
    pub disables_at: Option<Timestamp>,
}

impl HealthFacts {
    /// Returns the state at `now`.
    ///
    /// A webhook without an attempt for a day is idle, however its last deliveries ended, because nothing is known of its
    /// endpoint. A pause that the endpoint asked for goes before the failures that come with it.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> HealthState {
        let is_idle = self.last_attempt.is_none_or(|at| now - at >= delta(IDLE_AFTER));
        match self.status {
            WebhookStatus::Paused | WebhookStatus::Deleted => HealthState::Paused,
            WebhookStatus::Disabled => HealthState::Disabled,
            WebhookStatus::Active if self.rest.is_some_and(|rest| rest.until > now) => HealthState::Resting,
            WebhookStatus::Active if is_idle => HealthState::Idle,
            WebhookStatus::Active if self.is_failing() => HealthState::Failing,
            WebhookStatus::Active => HealthState::Healthy,
        }
    }

    /// Returns whether the attempts of the webhook fail, whatever else determines its state.
    ///
    /// The delay before a retry may be longer than the recent window. The latest attempts decide meanwhile, because
    /// otherwise an endpoint that is down would count as healthy between two retries.
    #[must_use]
    pub const fn is_failing(&self) -> bool {
        let fails = if self.recent_attempts > 0 {
            is_half(self.recent_failures, self.recent_attempts)
        } else {
            is_half(self.latest_failures, self.latest_attempts)
        };
        fails || self.failed_in_row >= FAILING_DELIVERIES
    }

    fn since(&self, state: HealthState, now: Timestamp) -> Option<Timestamp> {
        match state {
            HealthState::Failing => self.failing_since.or_else(|| self.last_failure()),
            HealthState::Resting => self.rest.map(|rest| rest.since),
            // Earlier attempts are not looked for, so that only a recent change tells since when nothing was attempted.
            HealthState::Idle => self.status_since.filter(|at| now - *at < delta(IDLE_AFTER)),
            HealthState::Paused | HealthState::Disabled => self.status_since,
            // Older failures are not looked for, so that it may be healthy for longer than anybody knows.
            HealthState::Healthy => {
                self.slices.iter().filter(|slice| slice.mostly_fails()).filter_map(|s| s.last_failure).max()
            }
        }
    }

    fn last_failure(&self) -> Option<Timestamp> {
        self.slices.iter().filter_map(|slice| slice.last_failure).max()
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of a window are far below 2^52")]
    fn success_rate(&self) -> Option<f64> {
        let ended = self.delivered + self.failed;
        (ended > 0).then(|| self.delivered as f64 / ended as f64)
    }
}

impl HealthRule {
    /// Returns the health of a webhook at `now`.
    #[must_use]
    pub fn assess(&self, facts: &HealthFacts, now: Timestamp) -> Health {
        let state = facts.state(now);
        Health {
            state,
            since: facts.since(state, now),
            success_rate: facts.success_rate(),
            disables_at: (facts.status == WebhookStatus::Active)
                .then(|| self.disables_at(facts, now))
                .flatten(),
        }
    }

    /// Returns when the rule will hold if attempts go on and fail as they did lately.
    fn disables_at(&self, facts: &HealthFacts, now: Timestamp) -> Option<Timestamp> {
        let failing = self.failing_at(facts, now);
        let unresponsive = self.unresponsive_at(facts, now);
        [failing, unresponsive].into_iter().flatten().min()
    }

    /// Returns when [`HealthRule::failed_deliveries`] deliveries will have failed in a row.
    fn unresponsive_at(&self, facts: &HealthFacts, now: Timestamp) -> Option<Timestamp> {
        if facts.failed_in_row == 0 {
            return None;
        }
        let missing = self.failed_deliveries.saturating_sub(facts.failed_in_row);
        if missing == 0 {
            return Some(now);
        }
        // Without a delivery that failed in the window there is no pace that could go on.
        let per_failure = self.window.checked_div(u32::try_from(facts.failed).unwrap_or(u32::MAX))?;
        let delay = per_failure.checked_mul(u32::try_from(missing).unwrap_or(u32::MAX))?;
        now.checked_add_signed(TimeDelta::from_std(delay).ok()?)
    }

    /// Returns when the share of failed attempts will hold: looks ahead slice by slice for a whole window, after which
    /// nothing changes any more.
    fn failing_at(&self, facts: &HealthFacts, now: Timestamp) -> Option<Timestamp> {
        let pace = Pace::measure(facts, self.window, now)?;
        let step = self.window / LOOK_AHEAD_STEPS;
        (0..=LOOK_AHEAD_STEPS).map(|steps| step * steps).find_map(|ahead| {
            let at = now.checked_add_signed(delta(ahead))?;
            self.will_fail(facts, &pace, now, at).then_some(at)
        })
    }

    /// Returns whether the window that ends at `at` holds what disables a webhook.
    #[expect(clippy::cast_precision_loss, reason = "counts of a window are far below 2^52")]
    fn will_fail(&self, facts: &HealthFacts, pace: &Pace, now: Timestamp, at: Timestamp) -> bool {
        let counted = || facts.slices.iter().filter(|slice| slice.start > at - delta(self.window));
        let ahead = (at - now).to_std().unwrap_or_default().as_secs_f64();
        let sum = |count: fn(&ActivitySlice) -> u64| counted().map(count).sum::<u64>() as f64;
        let attempts = sum(|slice| slice.attempts) + pace.attempts_per_second * ahead;
        let failures = sum(|slice| slice.failures) + pace.failures_per_second * ahead;
        let first = counted().filter_map(|slice| slice.first_failure).min().unwrap_or(now);
        let last = if at > now { Some(at) } else { counted().filter_map(|slice| slice.last_failure).max() };
        let apart = last.map_or(TimeDelta::zero(), |last| last - first);
        // The thresholds are whole numbers, and a part of an attempt is none.
        (attempts + EPSILON).floor() >= self.min_attempts as f64
            && failures + EPSILON * attempts >= self.failure_rate * attempts
            && apart >= delta(self.min_failure_span())
    }
}

/// Returns the length of the time whose attempts decide whether a webhook is failing: 15 minutes, or one slice of the
/// health window if that is longer.
#[must_use]
pub fn recent_window(health_window: Duration) -> Duration {
    RECENT_WINDOW.max(health_window / LOOK_AHEAD_STEPS)
}

/// Slices that are looked ahead, as many as a window has.
const LOOK_AHEAD_STEPS: u32 = 60;
/// Room for the rounding of sums.
const EPSILON: f64 = 1e-9;

/// How often attempts end and fail.
struct Pace {
    attempts_per_second: f64,
    failures_per_second: f64,
}

impl Pace {
    /// Measures the pace since most attempts fail, of the [`recent_window`] at most. `None` without a failure.
    #[expect(clippy::cast_precision_loss, reason = "counts of a window are far below 2^52")]
    fn measure(facts: &HealthFacts, window: Duration, now: Timestamp) -> Option<Self> {
        let slice = delta(window / LOOK_AHEAD_STEPS);
        let recent = now - delta(recent_window(window).min(window));
        let from = facts.failing_since.map_or(recent, |since| since.max(recent));
        let counted = || facts.slices.iter().filter(|own| own.start + slice > from);
        let failures: u64 = counted().map(|own| own.failures).sum();
        let attempts: u64 = counted().map(|own| own.attempts).sum();
        let seconds = (now - from).max(slice).to_std().ok()?.as_secs_f64();
        (failures > 0 && seconds > 0.0).then(|| Self {
            attempts_per_second: attempts as f64 / seconds,
            failures_per_second: failures as f64 / seconds,
        })
    }
}

/// Returns whether `part` is at least half of `whole`, which is not zero.
const fn is_half(part: u64, whole: u64) -> bool {
    whole > 0 && part.saturating_mul(2) >= whole
}

fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests;
