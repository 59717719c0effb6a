//! What follows an attempt.

use super::attempt::{Facts, Outcome};
use super::retry::RetrySchedule;
use super::status::DeliveryStatus;
use crate::time::Timestamp;
use crate::webhook::DisabledReason;

/// What the platform does after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing more: the delivery ends with this status.
    End(DeliveryStatus),
    /// Wait, and attempt again at this instant.
    RetryAt(Timestamp),
}

/// All that follows from an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// What becomes of the delivery.
    pub next: Next,
    /// Whether the webhook is to be disabled at once, and why.
    pub disable: Option<DisabledReason>,
}

impl Verdict {
    /// The status that is recorded with the attempt.
    #[must_use]
    pub fn status(&self) -> DeliveryStatus {
        match self.next {
            Next::End(status) => status,
            Next::RetryAt(_) => DeliveryStatus::Pending,
        }
    }

    /// When the next attempt may start, if there is one.
    #[must_use]
    pub fn next_attempt_at(&self) -> Option<Timestamp> {
        match self.next {
            Next::End(_) => None,
            Next::RetryAt(at) => Some(at),
        }
    }
}

/// Whether the receiver said (410) that it will never want anything again; what waits is held for support.
#[must_use]
pub fn is_gone(facts: &Facts) -> bool {
    facts.status_code == Some(410)
}

/// Decides what follows the `attempt`th attempt (from 1) of a delivery whose first attempt started
/// at `first_started`, and which ended at `ended` with `facts`.
#[must_use]
pub fn after_attempt(
    schedule: &RetrySchedule,
    attempt: u32,
    first_started: Timestamp,
    ended: Timestamp,
    facts: &Facts,
) -> Verdict {
    if facts.outcome == Outcome::Delivered {
        return Verdict { next: Next::End(DeliveryStatus::Delivered), disable: None };
    }
    if is_gone(facts) {
        return Verdict { next: Next::End(DeliveryStatus::Failed), disable: Some(DisabledReason::Gone) };
    }
    let next = match schedule.next_attempt(attempt, first_started, ended, facts.retry_after_seconds) {
        Some(at) => Next::RetryAt(at),
        None => Next::End(DeliveryStatus::Failed),
    };
    Verdict { next, disable: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Timestamp {
        crate::time::parse("2021-04-08T19:36:02.938Z").expect("valid")
    }

    #[test]
    fn every_outcome_of_the_first_attempt_has_its_follow_up() {
        let schedule = RetrySchedule::default();
        let in_five = Next::RetryAt(start() + chrono::TimeDelta::seconds(5));
        for status in 100..=599u16 {
            let verdict = after_attempt(&schedule, 1, start(), start(), &Facts::from_status(status));
            match status {
                200..300 => assert_eq!(verdict.next, Next::End(DeliveryStatus::Delivered)),
                410 => assert_eq!(
                    verdict,
                    Verdict { next: Next::End(DeliveryStatus::Failed), disable: Some(DisabledReason::Gone) }
                ),
                _ => assert_eq!(verdict, Verdict { next: in_five, disable: None }),
            }
        }
        for outcome in Outcome::ALL.iter().filter(|o| !matches!(o, Outcome::Delivered | Outcome::HttpStatus))
        {
            let facts = Facts::failed(*outcome, "x".to_owned());
            assert_eq!(after_attempt(&schedule, 1, start(), start(), &facts).next, in_five, "{outcome}");
        }
    }

    #[test]
    fn the_eighth_failure_ends_the_delivery() {
        let last = start() + chrono::TimeDelta::seconds(3455);
        let verdict = after_attempt(&RetrySchedule::default(), 8, start(), last, &Facts::from_status(500));
        assert_eq!(verdict.next, Next::End(DeliveryStatus::Failed));
    }
}
