//! The health rule: when the platform disables a webhook (contract §5).
//!
//! The rule decides from statistics that PostgreSQL counts, so that every replica comes to the same decision.

use std::time::Duration;

use chrono::TimeDelta;

use super::status::DisabledReason;
use crate::time::Timestamp;

/// Maximum length of the health window.
pub const MAX_HEALTH_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// The thresholds at which a webhook is disabled; each is a setting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HealthRule {
    /// Length of the window in which attempts are counted (`POSTRIDER_HEALTH_WINDOW`).
    pub window: Duration,
    /// Minimum number of attempts, because fewer prove nothing (`POSTRIDER_HEALTH_MIN_ATTEMPTS`).
    pub min_attempts: u64,
    /// Share of failed attempts, 0 to 1, from which a webhook is failing (`POSTRIDER_HEALTH_FAILURE_RATE`).
    pub failure_rate: f64,
    /// Number of consecutive failed deliveries from which a webhook is unresponsive
    /// (`POSTRIDER_HEALTH_FAILED_DELIVERIES`).
    pub failed_deliveries: u64,
}

impl Default for HealthRule {
    fn default() -> Self {
        Self { window: Duration::from_secs(3600), min_attempts: 50, failure_rate: 0.9, failed_deliveries: 10 }
    }
}

/// The statistics of one webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HealthStats {
    /// Number of attempts that ended in the window.
    pub attempts: u64,
    /// Number of attempts that ended in the window and failed.
    pub failures: u64,
    /// When the first of these failures ended.
    pub first_failure: Option<Timestamp>,
    /// When the last of these failures ended.
    pub last_failure: Option<Timestamp>,
    /// Number of deliveries that failed since the last successful attempt.
    pub failed_in_row: u64,
}

/// The reason to disable a webhook, with the statistics in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unhealthy {
    /// The reason that the API shows.
    pub reason: DisabledReason,
    /// The rule and the statistics in words.
    pub detail: String,
}

impl HealthRule {
    /// Returns how far apart the first and the last failure must lie: five sixths of the window.
    ///
    /// Otherwise a short outage, which the retries bridge, would disable the webhook.
    #[must_use]
    pub fn min_failure_span(&self) -> Duration {
        self.window * 5 / 6
    }

    /// Returns why the webhook must be disabled, or `None` if it is healthy.
    #[must_use]
    pub fn judge(&self, stats: &HealthStats) -> Option<Unhealthy> {
        self.check_unresponsive(stats).or_else(|| self.check_failing(stats))
    }

    fn check_unresponsive(&self, stats: &HealthStats) -> Option<Unhealthy> {
        (stats.failed_in_row >= self.failed_deliveries).then(|| Unhealthy {
            reason: DisabledReason::Unresponsive,
            detail: format!(
                "{} deliveries in a row failed with no attempt in between that succeeded (the limit is {}).",
                stats.failed_in_row, self.failed_deliveries
            ),
        })
    }

    fn check_failing(&self, stats: &HealthStats) -> Option<Unhealthy> {
        let apart = stats.last_failure? - stats.first_failure?;
        let holds = stats.attempts >= self.min_attempts
            && reaches_rate(stats.failures, stats.attempts, self.failure_rate)
            && apart >= TimeDelta::from_std(self.min_failure_span()).ok()?;
        holds.then(|| Unhealthy {
            reason: DisabledReason::Failing,
            detail: format!(
                "In the last {} {} of {} attempts failed, the first and the last of them {} apart \
                 (the rule: at least {} attempts, {} % of them failed, {} apart).",
                format_span(self.window),
                stats.failures,
                stats.attempts,
                format_span(apart.to_std().unwrap_or_default()),
                self.min_attempts,
                (self.failure_rate * 1000.0).round() / 10.0,
                format_span(self.min_failure_span()),
            ),
        })
    }
}

/// Returns whether `part` of `whole` is at least the share `rate`.
///
/// One part in a billion is added, because otherwise the binary form of the rate could round the comparison.
#[expect(clippy::cast_precision_loss, reason = "the number of attempts in a window is far below 2^52")]
fn reaches_rate(part: u64, whole: u64, rate: f64) -> bool {
    part as f64 + 1e-9 * whole as f64 >= rate * whole as f64
}

fn format_span(span: Duration) -> String {
    match span.as_secs() {
        seconds if seconds >= 60 && seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds if seconds >= 60 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{:.1} s", span.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn start() -> Timestamp {
        crate::time::parse_timestamp("2021-04-08T19:36:02.938Z").expect("valid")
    }

    fn stats(attempts: u64, failures: u64, apart_seconds: i64) -> HealthStats {
        HealthStats {
            attempts,
            failures,
            first_failure: Some(start()),
            last_failure: Some(start() + TimeDelta::seconds(apart_seconds)),
            failed_in_row: 0,
        }
    }

    fn reason(stats: HealthStats) -> Option<DisabledReason> {
        HealthRule::default().judge(&stats).map(|unhealthy| unhealthy.reason)
    }

    #[test]
    fn a_webhook_is_failing_exactly_at_its_thresholds() {
        assert_eq!(reason(stats(50, 45, 3000)), Some(DisabledReason::Failing));
        assert_eq!(reason(stats(49, 49, 3000)), None, "49 attempts");
        assert_eq!(reason(stats(50, 44, 3000)), None, "88 %");
        assert_eq!(reason(stats(100, 89, 3599)), None, "89 %");
        assert_eq!(reason(stats(100, 90, 3000)), Some(DisabledReason::Failing));
        assert_eq!(reason(stats(5000, 5000, 2999)), None, "an outage of less than 50 minutes");
    }

    #[test]
    fn a_webhook_is_unresponsive_at_the_tenth_failed_delivery() {
        let in_row = |failed_in_row| HealthStats { failed_in_row, ..HealthStats::default() };
        assert_eq!(reason(in_row(9)), None);
        assert_eq!(reason(in_row(10)), Some(DisabledReason::Unresponsive));
    }

    #[test]
    fn the_detail_states_the_rule_and_the_statistics() {
        let unhealthy = HealthRule::default().judge(&stats(60, 57, 3100)).expect("failing");
        assert_eq!(
            unhealthy.detail,
            "In the last 60 min 57 of 60 attempts failed, the first and the last of them 51 min 40 s apart \
             (the rule: at least 50 attempts, 90 % of them failed, 50 min apart)."
        );
    }

    proptest! {
        #[test]
        fn the_rate_is_exact_for_every_whole_percent(percent in 1u32..=100, attempts in 50u64..100_000) {
            let rule = HealthRule { failure_rate: f64::from(percent) / 100.0, ..HealthRule::default() };
            let needed = (u64::from(percent) * attempts).div_ceil(100);
            prop_assert!(rule.judge(&stats(attempts, needed, 3000)).is_some());
            prop_assert!(rule.judge(&stats(attempts, needed - 1, 3000)).is_none());
        }
    }
}
