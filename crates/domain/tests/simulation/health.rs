//! Webhooks whose endpoints fail and recover: the health rule applies exactly at its thresholds.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::TimeDelta;
use domain::time::Timestamp;
use domain::webhook::DisabledReason;
use domain::webhook::health::{HealthRule, HealthStats};

use crate::rng::{Rng, for_each_seed};

/// Attempts of one simulation.
const STEPS: usize = 200;

/// A webhook that keeps each attempt.
struct Webhook {
    rule: HealthRule,
    rate_percent: u64,
    now: Timestamp,
    /// When each attempt of the window ended, and whether it succeeded.
    window: VecDeque<(Timestamp, bool)>,
    failed_in_row: u64,
}

#[test]
fn a_webhook_is_disabled_exactly_at_the_thresholds() {
    for_each_seed(2_000, |rng| {
        let mut webhook = Webhook::generate(rng);
        let mut share_failing = 0;
        for step in 0..STEPS {
            // Every 25 attempts the endpoint changes how often it fails.
            if step % 25 == 0 {
                share_failing = *rng.pick(&[0, 5, 50, 85, 90, 95, 100]);
            }
            webhook.attempt(!rng.percent(share_failing), rng);
            if webhook.check_decision() {
                return;
            }
        }
    });
}

impl Webhook {
    fn generate(rng: &mut Rng) -> Self {
        let rate_percent = *rng.pick(&[1, 50, 90, 99, 100]);
        #[expect(clippy::cast_precision_loss, reason = "at most 100")]
        let failure_rate = rate_percent as f64 / 100.0;
        let rule = HealthRule {
            window: Duration::from_secs(rng.number(6..=7200)),
            min_attempts: rng.number(1..=80),
            failure_rate,
            failed_deliveries: rng.number(1..=30),
        };
        let now = domain::time::parse_timestamp("2021-04-08T19:36:02.938Z").expect("valid");
        Self { rule, rate_percent, now, window: VecDeque::new(), failed_in_row: 0 }
    }

    fn attempt(&mut self, succeeded: bool, rng: &mut Rng) {
        let max_millis = u64::try_from(self.rule.window.as_millis() / 25).expect("fits");
        self.now += TimeDelta::milliseconds(i64::try_from(rng.number(0..=max_millis)).expect("fits"));
        self.window.push_back((self.now, succeeded));
        let began = self.now - TimeDelta::from_std(self.rule.window).expect("fits");
        while self.window.front().is_some_and(|(at, _)| *at < began) {
            self.window.pop_front();
        }
        match succeeded {
            true => self.failed_in_row = 0,
            // About a third of the failed attempts are the last of their delivery.
            false => self.failed_in_row += u64::from(rng.percent(33)),
        }
    }

    /// Checks the decision and returns whether the webhook is disabled.
    fn check_decision(&self) -> bool {
        let stats = self.stats();
        let judged = self.rule.judge(&stats);
        assert_eq!(
            judged.as_ref().map(|unhealthy| unhealthy.reason),
            self.expected(),
            "{stats:?} {:?}",
            self.rule
        );
        if let Some(unhealthy) = &judged {
            assert!(unhealthy.detail.len() < 300 && unhealthy.detail.ends_with('.'), "{}", unhealthy.detail);
        }
        // A further success never makes a webhook unhealthy.
        let better = HealthStats { attempts: stats.attempts + 1, failed_in_row: 0, ..stats };
        let unhealthy_after_success = self.rule.judge(&better).is_some();
        assert!(judged.is_some() || !unhealthy_after_success || stats.attempts + 1 == self.rule.min_attempts);
        judged.is_some()
    }

    fn stats(&self) -> HealthStats {
        let failures: Vec<Timestamp> = self.window.iter().filter(|(_, ok)| !ok).map(|(at, _)| *at).collect();
        HealthStats {
            attempts: self.window.len() as u64,
            failures: failures.len() as u64,
            first_failure: failures.first().copied(),
            last_failure: failures.last().copied(),
            failed_in_row: self.failed_in_row,
        }
    }

    /// Computes the decision of the contract in whole numbers.
    fn expected(&self) -> Option<DisabledReason> {
        if self.failed_in_row >= self.rule.failed_deliveries {
            return Some(DisabledReason::Unresponsive);
        }
        let mut failed = self.window.iter().filter(|(_, ok)| !ok);
        let attempts = self.window.len() as u64;
        let failures = failed.clone().count() as u64;
        let first = failed.clone().next()?.0;
        let last = failed.next_back()?.0;
        let far_apart = (last - first) * 6 >= TimeDelta::from_std(self.rule.window).ok()? * 5;
        let enough = attempts >= self.rule.min_attempts && failures * 100 >= self.rate_percent * attempts;
        (enough && far_apart).then_some(DisabledReason::Failing)
    }
}
