//! The decision after an attempt: the delivery ends, or it is retried.
//!
//! The decision depends only on the facts, the schedule and the times, so that a repeated message gets the same
//! verdict.

use super::attempt::{Facts, Outcome};
use super::retry::RetrySchedule;
use super::status::DeliveryStatus;
use crate::time::Timestamp;
use crate::webhook::DisabledReason;

/// The next step of a delivery after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The delivery ends with this status.
    End(DeliveryStatus),
    /// The delivery is pending, and the next attempt starts at this instant.
    RetryAt(Timestamp),
}

/// The consequences of an attempt for its delivery and its webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The next step of the delivery.
    pub next: Next,
    /// Why the webhook must be disabled at once, if it must.
    pub disable: Option<DisabledReason>,
}

impl Verdict {
    /// Returns the status that is recorded with the attempt.
    #[must_use]
    pub fn status(&self) -> DeliveryStatus {
        match self.next {
            Next::End(status) => status,
            Next::RetryAt(_) => DeliveryStatus::Pending,
        }
    }

    /// Returns when the next attempt may start, if there is a next attempt.
    #[must_use]
    pub fn next_attempt_at(&self) -> Option<Timestamp> {
        match self.next {
            Next::End(_) => None,
            Next::RetryAt(at) => Some(at),
        }
    }
}

/// Returns whether the endpoint answered 410 (Gone).
///
/// The webhook is then disabled, and its pending deliveries are held until somebody redelivers them.
#[must_use]
pub fn is_gone(facts: &Facts) -> bool {
    facts.status_code == Some(410)
}

/// Decides what follows from an attempt that ended at `ended` with `facts`.
///
/// `attempt` counts from 1. `first_started` is the start of the first attempt of the delivery's round.
#[must_use]
pub fn judge_attempt(
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

/// Decides what follows from an attempt to a webhook that is disabled, which support tests: the delivery ends, and the
/// webhook stays as it is.
#[must_use]
pub fn judge_test(facts: &Facts) -> Verdict {
    let status = match facts.outcome {
        Outcome::Delivered => DeliveryStatus::Delivered,
        _ => DeliveryStatus::Failed,
    };
    Verdict { next: Next::End(status), disable: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Timestamp {
        crate::time::parse_timestamp("2021-04-08T19:36:02.938Z").expect("valid")
    }

    #[test]
    fn every_outcome_of_the_first_attempt_has_its_verdict() {
        let schedule = RetrySchedule::default();
        let in_five_seconds = Next::RetryAt(start() + chrono::TimeDelta::seconds(5));
        for status in 100..=599u16 {
            let verdict = judge_attempt(&schedule, 1, start(), start(), &Facts::from_status(status));
            match status {
                200..300 => assert_eq!(verdict.next, Next::End(DeliveryStatus::Delivered)),
                410 => assert_eq!(
                    verdict,
                    Verdict { next: Next::End(DeliveryStatus::Failed), disable: Some(DisabledReason::Gone) }
                ),
                _ => assert_eq!(verdict, Verdict { next: in_five_seconds, disable: None }),
            }
        }
        for outcome in Outcome::ALL.iter().filter(|o| !matches!(o, Outcome::Delivered | Outcome::HttpStatus))
        {
            let facts = Facts::without_status(*outcome, "x".to_owned());
            assert_eq!(
                judge_attempt(&schedule, 1, start(), start(), &facts).next,
                in_five_seconds,
                "{outcome}"
            );
        }
    }

    #[test]
    fn a_test_of_a_disabled_webhook_ends_with_its_attempt_and_disables_nothing() {
        for status in 100..=599u16 {
            let ended = match status {
                200..300 => DeliveryStatus::Delivered,
                _ => DeliveryStatus::Failed,
            };
            let verdict = judge_test(&Facts::from_status(status));
            assert_eq!(verdict, Verdict { next: Next::End(ended), disable: None }, "{status}");
        }
    }

    #[test]
    fn the_eighth_failure_ends_the_delivery() {
        let last = start() + chrono::TimeDelta::seconds(3455);
        let verdict = judge_attempt(&RetrySchedule::default(), 8, start(), last, &Facts::from_status(500));
        assert_eq!(verdict.next, Next::End(DeliveryStatus::Failed));
    }
}
