//! Records attempts and ends of deliveries, and queues retries.
//!
//! The order is part of the promise. An attempt is recorded first, its retry is queued next, and only then does the
//! caller acknowledge the message. If the process dies in between, RabbitMQ hands the message out again, and the
//! database tells which step comes next.

pub(crate) mod attempt_recorder;
pub(crate) mod batcher;
pub(crate) mod delivery_lookup;
pub(crate) mod end_recorder;

use broker::wire::{self, Progress, WireData};
use domain::delivery::attempt::Trigger;
use domain::delivery::retry::RetrySchedule;
use domain::delivery::{self, DeliveryStatus, Verdict};
use domain::time::Timestamp;
use domain::webhook::WebhookStatus;
use store::delivery::record::{AttemptRecord, DeliveryEnd, RoundStatus};

use crate::delivery::Delivery;
use crate::delivery::attempt::Attempt;
use crate::delivery::messages;
use crate::health::HealthJudge;
use crate::retry_queue::RetryQueue;
use crate::telemetry;
use crate::webhook_cache::WebhookConfig;
use attempt_recorder::AttemptRecorder;
use end_recorder::EndRecorder;

/// Records attempts and queues retries.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) recorder: AttemptRecorder,
    pub(crate) end_recorder: EndRecorder,
    pub(crate) health: HealthJudge,
    pub(crate) retry_queue: RetryQueue,
    pub(crate) schedule: RetrySchedule,
}

impl Recording {
    /// Records an attempt, judges the webhook's health if it failed, and queues the retry, if there is one.
    pub(crate) async fn record_attempt(
        &self,
        delivery: &Delivery<'_>,
        webhook: &WebhookConfig,
        attempt: Attempt,
    ) {
        let progress = &delivery.message.progress;
        let first_started = progress.first_started.unwrap_or(attempt.started);
        let ended = attempt.ended;
        // A webhook that is not active is attempted only because support tests it.
        let is_active = webhook.status == WebhookStatus::Active;
        let verdict = match is_active {
            true => {
                let attempt_number = progress.attempt;
                delivery::judge_attempt(&self.schedule, attempt_number, first_started, ended, &attempt.facts)
            }
            false => delivery::judge_test(&attempt.facts),
        };
        let record = record_of(delivery, attempt, first_started, &verdict, is_active);
        let recorded = self.recorder.record(record).await;
        report_end(delivery, verdict.status(), ended);
        if is_active {
            self.judge_health(delivery, webhook, &verdict).await;
        }
        if let Some(at) = verdict.next_attempt_at()
            && is_still_pending(recorded, progress)
        {
            let next = messages::next_progress(progress, Some(first_started), progress.recorded + 1, at);
            self.queue_delivery(delivery, &next, at).await;
        }
    }

    /// Puts a delivery into a delay queue, from which it comes back by itself.
    pub(crate) async fn queue_delivery(
        &self,
        delivery: &Delivery<'_>,
        progress: &Progress,
        until: Timestamp,
    ) {
        let body = wire::encode(progress, &delivery.message.head, WireData::of(&delivery.message.data));
        self.retry_queue.publish(delivery.webhook, body, until).await;
    }

    /// Ends a delivery without a further attempt. If its window ran out, this process was late, so that the end does not
    /// count against the webhook.
    pub(crate) async fn finish_delivery(&self, delivery: &Delivery<'_>, status: DeliveryStatus) {
        let round = delivery.message.progress.round;
        if self.end_recorder.record(DeliveryEnd { key: delivery.key, round, status }).await {
            telemetry::count_ended_delivery(status);
        }
    }

    async fn judge_health(&self, delivery: &Delivery<'_>, webhook: &WebhookConfig, verdict: &Verdict) {
        match verdict.disable {
            Some(reason) => self.health.disable_gone(webhook, reason).await,
            None if verdict.status() != DeliveryStatus::Delivered => self.health.request(delivery.webhook),
            None => {}
        }
    }
}

/// Whether the delivery waits for the retry: it may have ended, or have been begun again, while the attempt ran.
fn is_still_pending(recorded: Option<RoundStatus>, progress: &Progress) -> bool {
    recorded.is_some_and(|state| state.status == DeliveryStatus::Pending && state.round == progress.round)
}

fn record_of(
    delivery: &Delivery<'_>,
    attempt: Attempt,
    first_started: Timestamp,
    verdict: &Verdict,
    counts: bool,
) -> AttemptRecord {
    let progress = &delivery.message.progress;
    AttemptRecord {
        key: delivery.key,
        round: progress.round,
        attempt: attempt.id,
        started: attempt.started,
        first_started,
        ended: attempt.ended,
        duration_ms: i32::try_from(attempt.duration.as_millis()).unwrap_or(i32::MAX),
        facts: attempt.facts,
        exchange: attempt.exchange,
        trigger: progress.trigger,
        status: verdict.status(),
        next_attempt_at: verdict.next_attempt_at(),
        counts,
    }
}

/// Counts a delivery that ended, and measures how long the event took if nobody had asked for a redelivery.
fn report_end(delivery: &Delivery<'_>, status: DeliveryStatus, at: Timestamp) {
    let progress = &delivery.message.progress;
    if status != DeliveryStatus::Pending {
        telemetry::count_ended_delivery(status);
    }
    let was_asked_for = progress.round != 1 || !matches!(progress.trigger, Trigger::Fresh | Trigger::Retry);
    if status == DeliveryStatus::Delivered && !was_asked_for {
        let created = delivery.message.head.created;
        let received = progress.received;
        telemetry::EventDelivered { trigger: progress.trigger, created, received, at }.emit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_is_queued_only_for_a_pending_delivery_of_the_same_round() {
        let progress = Progress { round: 2, ..Progress::fresh(1) };
        for status in DeliveryStatus::ALL {
            for round in 1..=3 {
                let waits = is_still_pending(Some(RoundStatus { status: *status, round }), &progress);
                assert_eq!(
                    waits,
                    *status == DeliveryStatus::Pending && round == 2,
                    "{status} in round {round}"
                );
            }
        }
        assert!(!is_still_pending(None, &progress), "its event has expired");
    }
}
