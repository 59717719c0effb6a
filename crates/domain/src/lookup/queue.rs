//! Why a delivery that is due still waits.

use super::format_instant;
use crate::time::Timestamp;

/// Time after which a delivery that is first in its queue is late.
const LATE_SECONDS: i64 = 5;
/// Time after which a delivery waits for the platform if no attempt of its webhook has ended: an attempt of before has ended
/// then, however slow its endpoint is.
const LONGEST_ATTEMPT_SECONDS: i64 = 360;

/// The attempts of a webhook in the last minutes, by how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecentAttempts {
    /// Attempts that succeeded.
    pub delivered: i64,
    /// Attempts without an answer in time.
    pub timeouts: i64,
    /// Attempts that failed in another way.
    pub failed: i64,
}

/// The queue in front of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFacts {
    /// Number of deliveries of the webhook that are due and older.
    pub ahead: i64,
    /// Whether there are more, because counting stopped.
    pub has_more: bool,
    /// How the webhook's attempts ended lately.
    pub recent: RecentAttempts,
    /// Until when the endpoint asked for no requests, if it did.
    pub resting_until: Option<Timestamp>,
    /// Number of deliverers that run.
    pub deliverers: usize,
    /// Most requests in flight.
    pub max_concurrency: i32,
    /// Most requests a second.
    pub rate_per_second: Option<i32>,
}

impl RecentAttempts {
    /// Whether most attempts got no answer.
    fn is_hanging(self) -> bool {
        self.timeouts > 0 && self.timeouts >= self.delivered.max(self.failed)
    }

    /// Whether most attempts failed.
    fn is_failing(self) -> bool {
        self.failed + self.timeouts > self.delivered
    }
}

/// Returns the sentence about a delivery that is due since `since`.
pub(super) fn explain_queue(queue: &QueueFacts, since: Timestamp, now: Timestamp) -> String {
    let place = match (queue.ahead, queue.has_more) {
        (0, false) => "as the next one".to_owned(),
        (1, false) => "behind 1 other delivery".to_owned(),
        (ahead, false) => format!("behind {ahead} other deliveries"),
        (ahead, true) => format!("behind more than {ahead} other deliveries"),
    };
    let since_text = format_instant(since, now);
    let why = find_cause(queue, since, now);
    format!("Queued since {since_text} {place}{why}.")
}

/// Returns the cause with its conjunction; empty if the delivery has only just been queued.
fn find_cause(queue: &QueueFacts, since: Timestamp, now: Timestamp) -> String {
    if queue.deliverers == 0 {
        return ", because no deliverer is running".to_owned();
    }
    if let Some(until) = queue.resting_until.filter(|until| *until > now) {
        return format!(", because the endpoint asked to wait until {}", format_instant(until, now));
    }
    if queue.recent.is_hanging() {
        return ", because the endpoint does not answer".to_owned();
    }
    if queue.recent.is_failing() {
        return ", because the endpoint fails, so that it gets fewer requests at once".to_owned();
    }
    let is_late = (now - since).num_seconds() >= LATE_SECONDS;
    if queue.ahead == 0 && !is_late {
        return String::new();
    }
    if queue.recent == RecentAttempts::default() && is_late {
        return if (now - since).num_seconds() < LONGEST_ATTEMPT_SECONDS {
            ", and no attempt has ended in the last minutes: the endpoint takes long to answer, or the platform is late"
        } else {
            ", because the platform has ended no attempt in the last minutes, which is not the endpoint's fault"
        }
        .to_owned();
    }
    match (queue.rate_per_second, queue.max_concurrency) {
        (Some(rate), _) => format!(", because the webhook gets at most {}", plural(rate, "request a second")),
        (None, 1) => ", because the webhook gets one request at a time".to_owned(),
        (None, most) => format!(", because the webhook gets at most {most} requests at once"),
    }
}

/// Returns a number with its unit, whose first word gets the plural.
fn plural(number: i32, unit: &str) -> String {
    match (number, unit.split_once(' ')) {
        (1, _) => format!("1 {unit}"),
        (_, Some((first, rest))) => format!("{number} {first}s {rest}"),
        (_, None) => format!("{number} {unit}s"),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn now() -> Timestamp {
        crate::time::parse_timestamp("2026-11-29T13:48:02Z").expect("valid")
    }

    fn queue() -> QueueFacts {
        QueueFacts {
            ahead: 0,
            has_more: false,
            recent: RecentAttempts { delivered: 9, ..RecentAttempts::default() },
            resting_until: None,
            deliverers: 1,
            max_concurrency: 10,
            rate_per_second: None,
        }
    }

    fn explain(queue: QueueFacts) -> String {
        explain_queue(&queue, now() - TimeDelta::minutes(1), now())
    }

    #[test]
    fn each_cause_has_its_sentence_and_the_stronger_one_wins() {
        let hanging = RecentAttempts { timeouts: 3, ..RecentAttempts::default() };
        let failing = RecentAttempts { failed: 3, delivered: 1, ..RecentAttempts::default() };
        let resting_until = Some(now() + TimeDelta::minutes(2));
        let ahead = 128;
        for (queue, sentence) in [
            (
                QueueFacts { ahead, recent: hanging, ..queue() },
                "Queued since 13:47:02 UTC behind 128 other deliveries, because the endpoint does not answer.",
            ),
            (
                QueueFacts { recent: hanging, resting_until, ..queue() },
                "Queued since 13:47:02 UTC as the next one, because the endpoint asked to wait until 13:50:02 UTC.",
            ),
            (
                QueueFacts { ahead: 1, recent: failing, ..queue() },
                "Queued since 13:47:02 UTC behind 1 other delivery, because the endpoint fails, so that it gets fewer \
                 requests at once.",
            ),
            (
                QueueFacts { ahead: 10_000, has_more: true, rate_per_second: Some(5), ..queue() },
                "Queued since 13:47:02 UTC behind more than 10000 other deliveries, because the webhook gets at most 5 \
                 requests a second.",
            ),
            (
                QueueFacts { ahead, rate_per_second: Some(1), ..queue() },
                "Queued since 13:47:02 UTC behind 128 other deliveries, because the webhook gets at most 1 request a \
                 second.",
            ),
            (
                QueueFacts { ahead, max_concurrency: 1, ..queue() },
                "Queued since 13:47:02 UTC behind 128 other deliveries, because the webhook gets one request at a time.",
            ),
            (
                QueueFacts { ahead, ..queue() },
                "Queued since 13:47:02 UTC behind 128 other deliveries, because the webhook gets at most 10 requests at \
                 once.",
            ),
            (
                QueueFacts { recent: RecentAttempts::default(), ..queue() },
                "Queued since 13:47:02 UTC as the next one, and no attempt has ended in the last minutes: the endpoint \
                 takes long to answer, or the platform is late.",
            ),
            (
                QueueFacts { ahead, deliverers: 0, recent: hanging, ..queue() },
                "Queued since 13:47:02 UTC behind 128 other deliveries, because no deliverer is running.",
            ),
        ] {
            assert_eq!(explain(queue), sentence);
        }
    }

    /// Not even a webhook with a rate of its own waits for its limit then.
    #[test]
    fn the_endpoint_is_not_blamed_when_the_platform_made_no_attempt() {
        let none = QueueFacts { recent: RecentAttempts::default(), rate_per_second: Some(100), ..queue() };
        let sentence = explain_queue(&none, now() - TimeDelta::minutes(7), now());
        assert!(sentence.ends_with("which is not the endpoint's fault."), "{sentence}");
    }

    #[test]
    fn a_delivery_that_was_just_queued_needs_no_cause() {
        let since = now() - TimeDelta::seconds(1);
        assert_eq!(explain_queue(&queue(), since, now()), "Queued since 13:48:01 UTC as the next one.");
    }

    #[test]
    fn a_rest_that_is_over_is_no_cause() {
        let resting_until = Some(now() - TimeDelta::seconds(1));
        assert!(!explain(QueueFacts { resting_until, ..queue() }).contains("asked to wait"));
    }
}
