//! Decides when a queue counts as lost, and which deliveries a repaired queue is filled with.
//!
//! A quorum queue may stop working in two ways. After `kill -9` RabbitMQ 3.10 may leave it without a leader for good:
//! the queue then accepts messages and answers nothing (rabbitmq-server issue 10070). Or none of its replicas is up:
//! the queue then refuses every message until one comes back. The first kind is lost within seconds, because nothing
//! brings its leader back. The second kind usually comes back with its node, so that it is recreated only after
//! minutes. A queue that refuses messages because it is full works, and is left alone.
//!
//! PostgreSQL knows every delivery that such a queue held. Deliveries may still be on their way through the broker when
//! the queue is filled, so that only those are queued which have been due for a while. A delivery that is queued twice
//! is attempted once.

use std::time::Duration;

use chrono::TimeDelta;

/// How long a queue may leave probes unanswered, while the broker answers, before it counts as lost.
pub const SILENCE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a queue may be without a replica that is up before it is recreated on the nodes that are up.
pub const NO_REPLICA_TIMEOUT: Duration = Duration::from_secs(120);
/// Pause between probes of a queue that refuses messages, because it answers at once.
pub const REFUSAL_PROBE_INTERVAL: Duration = Duration::from_secs(2);
/// How long a delivery must be due before it is queued into a recreated queue.
pub const OVERDUE_IN_RECREATED_QUEUE: TimeDelta = TimeDelta::seconds(5);
/// How long a delivery must be due before its message counts as lost, when its queue is empty and the consumer idle.
pub const OVERDUE_IN_EMPTY_QUEUE: TimeDelta = TimeDelta::seconds(60);

/// The answer of a queue to a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueAnswer {
    /// The queue stored the probe.
    Stores,
    /// The queue did not answer, while the broker stores messages in other queues.
    Silent,
    /// The queue refuses messages and holds none: no replica of it is up.
    NoReplica,
    /// The queue refuses messages because of its length.
    Full,
    /// The broker stores no messages anywhere, which says nothing about the queue.
    BrokerAway,
}

/// The judgement of a queue after some probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Diagnosis {
    /// The queue works, or nothing can be said about it.
    Healthy,
    /// The queue does not work, but not for long enough: probe it again.
    Suspect,
    /// The queue has to be recreated.
    Lost,
}

impl QueueAnswer {
    /// Returns how long a queue may give this answer before it counts as lost.
    #[must_use]
    pub fn timeout(self) -> Option<Duration> {
        match self {
            Self::Silent => Some(SILENCE_TIMEOUT),
            Self::NoReplica => Some(NO_REPLICA_TIMEOUT),
            Self::Stores | Self::Full | Self::BrokerAway => None,
        }
    }

    /// Returns the pause before the next probe. A silent queue took the whole timeout of the probe already.
    #[must_use]
    pub fn probe_delay(self) -> Duration {
        match self {
            Self::NoReplica => REFUSAL_PROBE_INTERVAL,
            Self::Stores | Self::Silent | Self::Full | Self::BrokerAway => Duration::ZERO,
        }
    }

    /// Judges a queue that answers so now, and has not worked for `broken_for`.
    #[must_use]
    pub fn diagnose(self, broken_for: Duration) -> Diagnosis {
        match self.timeout() {
            None => Diagnosis::Healthy,
            Some(timeout) if broken_for >= timeout => Diagnosis::Lost,
            Some(_) => Diagnosis::Suspect,
        }
    }
}

/// Returns how long a delivery must have been due to be queued again, if any is: into a recreated queue, or into a queue
/// that works and holds this many messages (`None`: there is no such queue).
///
/// A queue that works and is empty may have lost its messages, too: a process died after it recreated the queue and
/// before it filled it, or the broker's disk was restored from an older backup than the database.
#[must_use]
pub fn refill_after(is_recreated: bool, messages: Option<u32>) -> Option<TimeDelta> {
    match (is_recreated, messages) {
        (true, _) => Some(OVERDUE_IN_RECREATED_QUEUE),
        (false, Some(0)) => Some(OVERDUE_IN_EMPTY_QUEUE),
        (false, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWERS: [QueueAnswer; 5] = [
        QueueAnswer::Stores,
        QueueAnswer::Silent,
        QueueAnswer::NoReplica,
        QueueAnswer::Full,
        QueueAnswer::BrokerAway,
    ];

    #[test]
    fn only_a_queue_that_stays_silent_or_without_replica_is_lost() {
        let first_lost = |answer: QueueAnswer| {
            (0..=600).find(|second| answer.diagnose(Duration::from_secs(*second)) == Diagnosis::Lost)
        };
        assert_eq!(ANSWERS.map(first_lost), [None, Some(20), Some(120), None, None]);
    }

    #[test]
    fn a_queue_is_suspect_from_its_first_bad_answer_until_it_is_lost() {
        for answer in ANSWERS {
            let diagnosed = answer.diagnose(Duration::ZERO);
            let is_bad = matches!(answer, QueueAnswer::Silent | QueueAnswer::NoReplica);
            assert_eq!(diagnosed == Diagnosis::Suspect, is_bad, "{answer:?}");
        }
    }

    #[test]
    fn only_a_queue_that_answers_at_once_is_probed_with_a_pause() {
        let paused = ANSWERS.map(|answer| !answer.probe_delay().is_zero());
        assert_eq!(paused, [false, false, true, false, false]);
    }

    #[test]
    fn a_recreated_queue_is_filled_sooner_than_an_empty_one_and_a_filled_one_never() {
        let after =
            |is_recreated, messages| refill_after(is_recreated, messages).map(|after| after.num_seconds());
        assert_eq!(after(true, None), Some(5));
        assert_eq!(after(true, Some(7)), Some(5));
        assert_eq!(after(false, Some(0)), Some(60));
        assert_eq!(after(false, Some(1)), None);
        assert_eq!(after(false, None), None);
    }
}
