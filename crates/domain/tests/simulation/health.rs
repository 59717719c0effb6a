//! Webhooks that fall ill and recover: the rule fires at its figures, and at no step before.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::TimeDelta;
use domain::time::Timestamp;
use domain::webhook::DisabledReason;
use domain::webhook::health::{HealthFigures, HealthRule};

use crate::rng::{Dice, for_each_seed};

/// Attempts of one simulation.
const STEPS: usize = 200;

/// A webhook's attempts, kept one by one.
struct Webhook {
    rule: HealthRule,
    rate_percent: u64,
    now: Timestamp,
    /// When each attempt of the window ended, and whether it succeeded.
    window: VecDeque<(Timestamp, bool)>,
    failed_in_row: u64,
}

#[test]
fn a_webhook_is_disabled_at_its_figures_and_not_before() {
    for_each_seed(2_000, |dice| {
        let mut webhook = Webhook::draw(dice);
        let mut share_failing = 0;
        for step in 0..STEPS {
            // Phases: well, ill, and in between.
            if step % 25 == 0 {
                share_failing = *dice.pick(&[0, 5, 50, 85, 90, 95, 100]);
            }
            webhook.attempt(!dice.percent(share_failing), dice);
            if webhook.check() {
                return;
            }
        }
    });
}

impl Webhook {
    fn draw(dice: &mut Dice) -> Self {
        let rate_percent = *dice.pick(&[1, 50, 90, 99, 100]);
        #[expect(clippy::cast_precision_loss, reason = "at most 100")]
        let failure_rate = rate_percent as f64 / 100.0;
        let rule = HealthRule {
            window: Duration::from_secs(dice.number(6..=7200)),
            min_attempts: dice.number(1..=80),
            failure_rate,
            failed_deliveries: dice.number(1..=30),
        };
        let now = domain::time::parse("2021-04-08T19:36:02.938Z").expect("valid");
        Self { rule, rate_percent, now, window: VecDeque::new(), failed_in_row: 0 }
    }

    fn attempt(&mut self, succeeded: bool, dice: &mut Dice) {
        let most = u64::try_from(self.rule.window.as_millis() / 25).expect("fits");
        self.now += TimeDelta::milliseconds(i64::try_from(dice.number(0..=most)).expect("fits"));
        self.window.push_back((self.now, succeeded));
        let began = self.now - TimeDelta::from_std(self.rule.window).expect("fits");
        while self.window.front().is_some_and(|(at, _)| *at < began) {
            self.window.pop_front();
        }
        match succeeded {
            true => self.failed_in_row = 0,
            // Every third failed attempt is a delivery's last.
            false => self.failed_in_row += u64::from(dice.percent(33)),
        }
    }

    /// Checks the judgement; whether the webhook is disabled.
    fn check(&self) -> bool {
        let figures = self.figures();
        let judged = self.rule.judge(&figures);
        assert_eq!(
            judged.as_ref().map(|unhealthy| unhealthy.reason),
            self.expected(),
            "{figures:?} {:?}",
            self.rule
        );
        if let Some(unhealthy) = &judged {
            assert!(unhealthy.detail.len() < 300 && unhealthy.detail.ends_with('.'), "{}", unhealthy.detail);
        }
        // A further success never makes a webhook ill.
        let better = HealthFigures { attempts: figures.attempts + 1, failed_in_row: 0, ..figures };
        let ill_after_success = self.rule.judge(&better).is_some();
        assert!(judged.is_some() || !ill_after_success || figures.attempts + 1 == self.rule.min_attempts);
        judged.is_some()
    }

    fn figures(&self) -> HealthFigures {
        let failures: Vec<Timestamp> = self.window.iter().filter(|(_, ok)| !ok).map(|(at, _)| *at).collect();
        HealthFigures {
            attempts: self.window.len() as u64,
            failures: failures.len() as u64,
            first_failure: failures.first().copied(),
            last_failure: failures.last().copied(),
            failed_in_row: self.failed_in_row,
        }
    }

    /// The contract's rule in whole numbers.
    fn expected(&self) -> Option<DisabledReason> {
        if self.failed_in_row >= self.rule.failed_deliveries {
            return Some(DisabledReason::Unresponsive);
        }
        let mut failed = self.window.iter().filter(|(_, ok)| !ok);
        let (attempts, failures) = (self.window.len() as u64, failed.clone().count() as u64);
        let (first, last) = (failed.clone().next()?.0, failed.next_back()?.0);
        let far_apart = (last - first) * 6 >= TimeDelta::from_std(self.rule.window).ok()? * 5;
        let enough = attempts >= self.rule.min_attempts && failures * 100 >= self.rate_percent * attempts;
        (enough && far_apart).then_some(DisabledReason::Failing)
    }
}
