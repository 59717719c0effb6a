//! When the platform disables a webhook (contract §5): pure figures in, a decision out.

use std::time::Duration;

use chrono::TimeDelta;

use super::status::DisabledReason;
use crate::time::Timestamp;

/// The figures at which a webhook is disabled; each is a setting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HealthRule {
    /// Attempts are counted over this long (`POSTRIDER_HEALTH_WINDOW`).
    pub window: Duration,
    /// Fewer attempts than this prove nothing (`POSTRIDER_HEALTH_MIN_ATTEMPTS`).
    pub min_attempts: u64,
    /// The share of failed ones, 0 to 1, from which it is failing (`POSTRIDER_HEALTH_FAILURE_RATE`).
    pub failure_rate: f64,
    /// Deliveries that failed in a row from which it is unresponsive
    /// (`POSTRIDER_HEALTH_FAILED_DELIVERIES`).
    pub failed_deliveries: u64,
}

impl Default for HealthRule {
    fn default() -> Self {
        Self { window: Duration::from_secs(3600), min_attempts: 50, failure_rate: 0.9, failed_deliveries: 10 }
    }
}

/// What was counted of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HealthFigures {
    /// Attempts that ended in the window.
    pub attempts: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// When the first of these failures ended.
    pub first_failure: Option<Timestamp>,
    /// When the last of them ended.
    pub last_failure: Option<Timestamp>,
    /// Deliveries that ended failed since an attempt succeeded last.
    pub failed_in_row: u64,
}

/// Why a webhook is to be disabled, with the figures in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unhealthy {
    /// The rule that holds.
    pub reason: DisabledReason,
    /// The rule and the figures, for people.
    pub detail: String,
}

impl HealthRule {
    /// How far apart the first and the last failure must lie: five sixths of the window. A shorter
    /// outage is what the retries are for.
    #[must_use]
    pub fn span(&self) -> Duration {
        self.window * 5 / 6
    }

    /// Whether the figures call for disabling.
    #[must_use]
    pub fn judge(&self, figures: &HealthFigures) -> Option<Unhealthy> {
        self.unresponsive(figures).or_else(|| self.failing(figures))
    }

    fn unresponsive(&self, figures: &HealthFigures) -> Option<Unhealthy> {
        (figures.failed_in_row >= self.failed_deliveries).then(|| Unhealthy {
            reason: DisabledReason::Unresponsive,
            detail: format!(
                "{} deliveries in a row failed with no attempt in between that succeeded (the limit is {}).",
                figures.failed_in_row, self.failed_deliveries
            ),
        })
    }

    fn failing(&self, figures: &HealthFigures) -> Option<Unhealthy> {
        let apart = figures.last_failure? - figures.first_failure?;
        let holds = figures.attempts >= self.min_attempts
            && reaches(figures.failures, figures.attempts, self.failure_rate)
            && apart >= TimeDelta::from_std(self.span()).ok()?;
        holds.then(|| Unhealthy {
            reason: DisabledReason::Failing,
            detail: format!(
                "In the last {} {} of {} attempts failed, the first and the last of them {} apart \
                 (the rule: at least {} attempts, {} % of them failed, {} apart).",
                span_text(self.window),
                figures.failures,
                figures.attempts,
                span_text(apart.to_std().unwrap_or_default()),
                self.min_attempts,
                (self.failure_rate * 1000.0).round() / 10.0,
                span_text(self.span()),
            ),
        })
    }
}

/// Whether `part` of `whole` is at least the share `rate`, without rounding against the endpoint:
/// one part in a billion makes up for the rate's binary form.
#[expect(clippy::cast_precision_loss, reason = "counts of an hour are far below 2^52")]
fn reaches(part: u64, whole: u64, rate: f64) -> bool {
    part as f64 + 1e-9 * whole as f64 >= rate * whole as f64
}

fn span_text(span: Duration) -> String {
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
        crate::time::parse("2021-04-08T19:36:02.938Z").expect("valid")
    }

    fn figures(attempts: u64, failures: u64, apart_seconds: i64) -> HealthFigures {
        HealthFigures {
            attempts,
            failures,
            first_failure: Some(start()),
            last_failure: Some(start() + TimeDelta::seconds(apart_seconds)),
            failed_in_row: 0,
        }
    }

    fn reason(figures: HealthFigures) -> Option<DisabledReason> {
        HealthRule::default().judge(&figures).map(|unhealthy| unhealthy.reason)
    }

    #[test]
    fn failing_fires_at_its_figures_and_not_one_before() {
        assert_eq!(reason(figures(50, 45, 3000)), Some(DisabledReason::Failing));
        assert_eq!(reason(figures(49, 49, 3000)), None, "49 attempts");
        assert_eq!(reason(figures(50, 44, 3000)), None, "88 %");
        assert_eq!(reason(figures(100, 89, 3599)), None, "89 %");
        assert_eq!(reason(figures(100, 90, 3000)), Some(DisabledReason::Failing));
        assert_eq!(reason(figures(5000, 5000, 2999)), None, "an outage of less than 50 minutes");
    }

    #[test]
    fn unresponsive_fires_at_the_tenth_failed_delivery() {
        let in_row = |failed_in_row| HealthFigures { failed_in_row, ..HealthFigures::default() };
        assert_eq!(reason(in_row(9)), None);
        assert_eq!(reason(in_row(10)), Some(DisabledReason::Unresponsive));
    }

    #[test]
    fn the_detail_states_rule_and_figures() {
        let unhealthy = HealthRule::default().judge(&figures(60, 57, 3100)).expect("failing");
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
            prop_assert!(rule.judge(&figures(attempts, needed, 3000)).is_some());
            prop_assert!(rule.judge(&figures(attempts, needed - 1, 3000)).is_none());
        }
    }
}
