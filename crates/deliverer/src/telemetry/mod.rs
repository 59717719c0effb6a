//! Log lines and metrics of the deliverer: each event emits both together.

mod operation;
mod spans;

use domain::delivery::DeliveryStatus;
use domain::delivery::attempt::{Facts, Trigger};
use domain::ids::WebhookId;
use domain::time::Timestamp;
use domain::webhook::address::Forbidden;
use metrics::{Counter, Gauge, counter, gauge, histogram};
use runtime::error::Chain;
use runtime::metrics::{GaugeGuard, MetricDef, MetricKind, init_counters, register_metrics};
use store::delivery::record::AttemptRecord;
use tracing::{debug, error, info, warn};

pub(crate) use operation::Operation;
pub(crate) use spans::{DeliveryIds, emit_line, webhook_span, within_delivery};

/// The metrics that only the deliverer has.
const METRICS: [MetricDef; 22] = [
    MetricDef::new(
        MetricKind::Counter,
        "postrider_attempts_total",
        "Requests to endpoints, by outcome, by trigger, and by the number of the attempt (1 to 8, or more)",
    )
    .with_labels(&["outcome", "trigger", "attempt"]),
    MetricDef::new(
        MetricKind::Histogram,
        "postrider_attempt_duration_seconds",
        "Duration of requests to endpoints, including the response body",
    ),
    MetricDef::new(
        MetricKind::Counter,
        "postrider_attempts_sent_twice_total",
        "Requests that were sent once more within their attempt, because a kept connection died before a response began",
    ),
    MetricDef::new(
        MetricKind::Gauge,
        "postrider_attempts_in_flight",
        "Requests to endpoints that have no response yet",
    ),
    MetricDef::new(
        MetricKind::Gauge,
        "postrider_deliverer_attempt_memory_bytes",
        "Memory reserved for attempts: requests in flight, event data loaded for them, and attempts that wait to be recorded",
    ),
    MetricDef::new(
        MetricKind::Counter,
        "postrider_deliverer_memory_waits_total",
        "Attempts that had to wait because their brand used its share of this deliverer's memory",
    ),
    MetricDef::new(
        MetricKind::Counter,
        "postrider_deliverer_loaded_data_bytes_total",
        "Bytes of event data that were loaded from the database because they are too large for messages",
    ),
    MetricDef::new(
        MetricKind::Counter,
        "postrider_deliveries_ended_total",
        "Deliveries that ended: delivered, failed, held or discarded",
    )
    .with_labels(&["status"]),
    MetricDef::new(
        MetricKind::Histogram,
        "postrider_delivery_since_created_seconds",
        "Time from the creation of an event to a 2xx response, for first attempts (fresh) and for retries (retry)",
    )
    .with_labels(&["trigger"]),
    MetricDef::new(
        MetricKind::Histogram,
        "postrider_delivery_since_received_seconds",
        "Time from the receipt of an event by the router to a 2xx response, for first attempts (fresh) and for retries (retry)",
    )
    .with_labels(&["trigger"]),
    MetricDef::new(
        MetricKind::Histogram,
        "postrider_deliverer_record_batch_size",
        "Attempts recorded in one statement",
    ),
    MetricDef::new(
        MetricKind::Histogram,
        "postrider_deliverer_end_batch_size",
        "Deliveries that got no further attempt, and were ended in one statement",
    ),
    MetricDef::new(
        MetricKind::Counter,
        "postrider_deliverer_refused_attempts_total",
        "Attempts that PostgreSQL refused to record, by the part that is lost: details, attempt or outcome",
    )
    .with_labels(&["lost"]),
    MetricDef::new(
        MetricKind::Counter,
        "postrider_deliverer_repetitions_total",
        "Messages that were dropped because their attempt was recorded already",
    ),
    MetricDef::new(
        MetricKind::Counter,
        "postrider_webhooks_disabled_total",
        "Webhooks that the platform disabled because they were gone, failing or unresponsive",
    ),
    MetricDef::new(
        MetricKind::Counter,
        "postrider_deliverer_unreadable_webhooks_total",
        "Webhooks that this deliverer could not read, for example without the master key; it delivers nothing to them",
    ),
    MetricDef::new(MetricKind::Gauge, "postrider_deliverer_members", "Deliverers that share the webhooks, as this deliverer sees them"),
    MetricDef::new(MetricKind::Gauge, "postrider_deliverer_webhooks_owned", "Webhooks that this deliverer owns"),
    MetricDef::new(
        MetricKind::Gauge,
        "postrider_deliverer_webhooks_standby",
        "Webhooks for which this deliverer is on standby",
    ),
    MetricDef::new(
        MetricKind::Gauge,
        "postrider_deliverer_webhooks_subscribed",
        "Webhooks to whose queue this deliverer is subscribed, as owner or on standby",
    ),
    MetricDef::new(
        MetricKind::Counter,
        "postrider_deliverer_retries_total",
        "Failed operations of the deliverer that were retried, by operation",
    )
    .with_labels(&["operation"]),
    MetricDef::new(
        MetricKind::Gauge,
        "postrider_deliverer_blocked_wait_queues",
        "Delay queues that this deliverer bypasses because they store nothing; it attempts their deliveries from the database",
    ),
];
/// Attempts with a label of their own. All later ones share one, so that the schedule does not change the number of
/// time series.
const MAX_ATTEMPT_LABEL: u32 = 8;
/// The statuses with which a delivery ends.
const FINAL_STATUSES: [DeliveryStatus; 4] =
    [DeliveryStatus::Delivered, DeliveryStatus::Failed, DeliveryStatus::Held, DeliveryStatus::Discarded];

/// Describes all metrics of the deliverer, and starts its counters at 0.
pub(crate) fn describe_metrics() {
    let all = [&METRICS[..], &runtime::names::METRICS, &store::pool::METRICS].concat();
    register_metrics(&all, env!("CARGO_PKG_VERSION"));
    init_counters("postrider_deliveries_ended_total", "status", FINAL_STATUSES.map(DeliveryStatus::as_str));
    init_counters("postrider_deliverer_retries_total", "operation", Operation::ALL.map(Operation::as_str));
    init_counters("postrider_deliverer_refused_attempts_total", "lost", LostPart::ALL.map(LostPart::as_str));
}

/// Reports how many delay queues store nothing.
pub(crate) fn report_blocked_queues(number: usize) {
    gauge!("postrider_deliverer_blocked_wait_queues").set(u32::try_from(number).unwrap_or(u32::MAX));
}

/// Counts a request that is sent once more, because a kept connection died before a response began.
pub(crate) fn record_second_try() {
    counter!("postrider_attempts_sent_twice_total").increment(1);
    debug!("sending the request once more: its kept connection died before a response began");
}

/// Counts a request to an endpoint as in flight until the returned guard is dropped.
pub(crate) fn count_in_flight() -> GaugeGuard {
    GaugeGuard::increment("postrider_attempts_in_flight")
}

/// The metrics of the memory of attempts. Their handles are kept, because they change with each attempt.
#[derive(Debug)]
pub(crate) struct MemoryGauge {
    used: Gauge,
    waits: Counter,
}

impl Default for MemoryGauge {
    fn default() -> Self {
        Self {
            used: gauge!("postrider_deliverer_attempt_memory_bytes"),
            waits: counter!("postrider_deliverer_memory_waits_total"),
        }
    }
}

impl MemoryGauge {
    pub(crate) fn set(&self, bytes: u64) {
        self.used.set(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    pub(crate) fn count_wait(&self) {
        self.waits.increment(1);
    }
}

/// Counts event data that was loaded.
pub(crate) fn count_loaded_bytes(bytes: usize) {
    counter!("postrider_deliverer_loaded_data_bytes_total")
        .increment(u64::try_from(bytes).unwrap_or_default());
}

/// Counts a webhook's queue as subscribed until the returned guard is dropped.
pub(crate) fn count_subscription() -> GaugeGuard {
    GaugeGuard::increment("postrider_deliverer_webhooks_subscribed")
}

/// An event reached its endpoint, and nobody had asked for a redelivery.
pub(crate) struct EventDelivered {
    pub(crate) trigger: Trigger,
    pub(crate) created: Timestamp,
    /// When the router received it, if that is known.
    pub(crate) received: Option<Timestamp>,
    pub(crate) at: Timestamp,
}

impl EventDelivered {
    pub(crate) fn emit(&self) {
        let trigger = self.trigger.as_str();
        // A producer's clock may be ahead.
        let since = |from: Timestamp| (self.at - from).to_std().unwrap_or_default();
        histogram!("postrider_delivery_since_created_seconds", "trigger" => trigger)
            .record(since(self.created));
        if let Some(received) = self.received {
            histogram!("postrider_delivery_since_received_seconds", "trigger" => trigger)
                .record(since(received));
        }
    }
}

/// Returns the label of an attempt by its number.
fn attempt_label(attempt: u32) -> String {
    if attempt <= MAX_ATTEMPT_LABEL { attempt.to_string() } else { "more".to_owned() }
}

/// An attempt ended, for the delivery that the task handles.
pub(crate) struct AttemptEnded<'a> {
    pub(crate) attempt: u32,
    pub(crate) trigger: Trigger,
    pub(crate) facts: &'a Facts,
    pub(crate) seconds: f64,
}

impl AttemptEnded<'_> {
    pub(crate) fn emit(&self) {
        let outcome = self.facts.outcome.as_str();
        let trigger = self.trigger.as_str();
        if tracing::enabled!(tracing::Level::DEBUG) {
            emit_line(|| {
                debug!(
                    trigger,
                    outcome,
                    status_code = self.facts.status_code,
                    error = self.facts.error,
                    duration_s = self.seconds,
                    "attempt ended"
                );
            });
        }
        let attempt = attempt_label(self.attempt);
        counter!("postrider_attempts_total", "outcome" => outcome, "trigger" => trigger, "attempt" => attempt)
            .increment(1);
        histogram!("postrider_attempt_duration_seconds").record(self.seconds);
    }
}

/// Counts a batch of attempts that was recorded.
pub(crate) fn count_batch(size: usize) {
    histogram!("postrider_deliverer_record_batch_size").record(u32::try_from(size).unwrap_or(u32::MAX));
}

/// Counts deliveries that one statement ended.
pub(crate) fn count_end_batch(size: usize) {
    histogram!("postrider_deliverer_end_batch_size").record(u32::try_from(size).unwrap_or(u32::MAX));
}

/// The part of an attempt that PostgreSQL refused to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LostPart {
    /// The endpoint's texts, and the count for the webhook's health.
    Details,
    /// The attempt as a whole. Its delivery went on.
    Attempt,
    /// The delivery's status, too.
    Outcome,
}

impl LostPart {
    const ALL: [Self; 3] = [Self::Details, Self::Attempt, Self::Outcome];

    /// Returns what to leave out next if PostgreSQL still refuses the attempt.
    pub(crate) fn next(self) -> Self {
        match self {
            Self::Details => Self::Attempt,
            Self::Attempt | Self::Outcome => Self::Outcome,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Details => "details",
            Self::Attempt => "attempt",
            Self::Outcome => "outcome",
        }
    }
}

/// Reports that PostgreSQL refused to record an attempt, in whole or in part.
pub(crate) fn report_refused_attempt(record: &AttemptRecord, lost: LostPart, error: &store::StoreError) {
    let lost = lost.as_str();
    error!(
        webhook = %record.key.webhook,
        event = %record.key.event,
        attempt_id = %record.attempt,
        lost,
        error = %Chain(error),
        "PostgreSQL refused to record an attempt"
    );
    counter!("postrider_deliverer_refused_attempts_total", "lost" => lost).increment(1);
}

/// Counts a delivery that ended.
pub(crate) fn count_ended_delivery(status: DeliveryStatus) {
    counter!("postrider_deliveries_ended_total", "status" => status.as_str()).increment(1);
}

/// Counts a message that was dropped because its attempt was recorded already.
pub(crate) fn count_repetition() {
    counter!("postrider_deliverer_repetitions_total").increment(1);
}

/// Reports a webhook that the platform disabled.
pub(crate) fn report_disabled_webhook(webhook: WebhookId, detail: &str) {
    info!(%webhook, detail, "webhook disabled");
    counter!("postrider_webhooks_disabled_total").increment(1);
}

/// Reports a webhook that this process cannot read.
pub(crate) fn report_unreadable_webhook(webhook: WebhookId, error: &store::StoreError) {
    warn!(%webhook, error = %Chain(error), "the webhook cannot be read; nothing is delivered to it");
    counter!("postrider_deliverer_unreadable_webhooks_total").increment(1);
}

/// Reports a name of an endpoint that leads to a forbidden address. The line is at the level `debug`, because a brand
/// may cause any number of them.
pub(crate) fn report_forbidden_name(brand: &str, name: &str, forbidden: &Forbidden) {
    emit_line(|| debug!(brand, name, error = %forbidden, "the name of an endpoint is not public"));
}

/// Reports that the pending deliveries of a webhook's ended generations were closed.
pub(crate) fn report_closed_generation(webhook: WebhookId, generation: i32, deliveries: u64) {
    info!(%webhook, generation, deliveries, "closed the pending deliveries of ended generations");
}

/// Reports how many webhooks this replica serves.
pub(crate) fn report_assignments(replicas: usize, owned: u32, standby: u32) {
    gauge!("postrider_deliverer_members").set(u32::try_from(replicas).unwrap_or(u32::MAX));
    gauge!("postrider_deliverer_webhooks_owned").set(owned);
    gauge!("postrider_deliverer_webhooks_standby").set(standby);
}

/// Reports that an operation failed and is retried. The line carries the span of the delivery or webhook at hand.
pub(crate) fn report_retry(operation: Operation, error: &dyn std::error::Error) {
    let operation = operation.as_str();
    emit_line(|| warn!(operation, error = %Chain(error), "the operation failed; retrying"));
    counter!("postrider_deliverer_retries_total", "operation" => operation).increment(1);
}

/// Reports that this replica could not announce that it leaves. The announcement is not tried again.
pub(crate) fn report_failed_leave(error: &dyn std::error::Error) {
    let operation = Operation::LeaveGroup.as_str();
    warn!(
        operation,
        error = %Chain(error),
        "could not announce that this replica leaves; the others take over when its row expires"
    );
    counter!("postrider_deliverer_retries_total", "operation" => operation).increment(1);
}

/// Reports a message of a webhook's queue that is no delivery and is rejected.
pub(crate) fn report_invalid_message(queue_of: &str, error: &broker::wire::InvalidDelivery) {
    let operation = Operation::DecodeMessage.as_str();
    warn!(webhook = queue_of, operation, error = %Chain(error), "a message is no delivery; rejecting it");
    counter!("postrider_deliverer_retries_total", "operation" => operation).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_beyond_the_last_label_share_one() {
        assert_eq!([1, 8, 9, 50].map(attempt_label), ["1", "8", "more", "more"]);
    }

    #[test]
    fn each_refusal_leaves_out_more_until_nothing_is_left() {
        assert_eq!(
            LostPart::ALL.map(LostPart::next),
            [LostPart::Attempt, LostPart::Outcome, LostPart::Outcome]
        );
        assert_eq!(LostPart::ALL.map(LostPart::as_str), ["details", "attempt", "outcome"]);
    }

    #[test]
    fn every_final_status_is_counted_from_the_start() {
        let counted: Vec<_> = DeliveryStatus::ALL.iter().filter(|s| FINAL_STATUSES.contains(s)).collect();
        assert_eq!(counted.len() + 1, DeliveryStatus::ALL.len(), "all but pending");
        assert!(!FINAL_STATUSES.contains(&DeliveryStatus::Pending));
    }
}
