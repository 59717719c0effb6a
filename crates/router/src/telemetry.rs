//! Log lines and metrics of the router. Each function reports one fact in both forms.
//!
//! The spans of the callers add the fields that say what a line is about: `queue` and `messages` of a batch, `event`
//! and `brand` of an event, `webhook` of a delivery.

use std::time::Duration;

use chrono::TimeDelta;
use domain::event::{RejectReason, Rejection};
use metrics::{counter, gauge, histogram};
use runtime::error::Chain;
use runtime::metrics::{MetricDef, MetricKind, init_counters, register_metrics};
use store::routing::backlogs::BacklogChange;
use tracing::{debug, error, warn};

/// The router's own metrics.
const METRICS: [MetricDef; 19] = [
    MetricDef::new(
        MetricKind::Counter,
        "postrider_events_total",
        "Events from RabbitMQ, by outcome: taken, duplicate, not_enabled (for their brand) or rejected",
    )
    .with_labels(&["outcome"]),
    MetricDef::new(MetricKind::Counter, "postrider_rejected_total", "Messages that the router rejected, by reason")
        .with_labels(&["reason"]),
    MetricDef::new(
        MetricKind::Counter,
        "postrider_rejected_dropped_total",
        "Rejected messages that were dropped, because they did not fit their brand's share of the queue",
    ),
    MetricDef::new(
        MetricKind::Gauge,
        "postrider_rejected_bytes",
        "Bytes of rejected messages in their queue, as all routers count them",
    ),
    MetricDef::new(
        MetricKind::Counter,
        "postrider_deliveries_queued_total",
        "Deliveries that the router published: one for each event and matching webhook",
    ),
    MetricDef::new(
        MetricKind::Histogram,
        "postrider_ingest_lag_seconds",
        "Time from an event's created until the router had stored it",
    ),
    MetricDef::new(MetricKind::Histogram, "postrider_router_batch_size", "Messages in a batch of the router"),
    MetricDef::new(
        MetricKind::Histogram,
        "postrider_router_batch_duration_seconds",
        "Time that the router took for a batch, from decoding to the last confirm",
    ),
    MetricDef::new(
        MetricKind::Histogram,
        "postrider_router_match_duration_seconds",
        "Time spent matching a batch against the subscriptions. Part of postrider_router_batch_duration_seconds",
    ),
    MetricDef::new(
        MetricKind::Histogram,
        "postrider_router_store_duration_seconds",
        "Time spent storing a batch. Part of postrider_router_batch_duration_seconds",
    ),
    MetricDef::new(
        MetricKind::Counter,
        "postrider_router_schemas_unreadable_total",
        "Enforced schemas that could not be parsed; events of the type are accepted unchecked",
    ),
    MetricDef::new(
        MetricKind::Counter,
        "postrider_router_index_loads_total",
        "Changes of the configuration that the router loaded",
    ),
    MetricDef::new(
        MetricKind::Counter,
        "postrider_router_retries_total",
        "Failed operations that the router retried, by operation",
    )
    .with_labels(&["operation"]),
    MetricDef::new(
        MetricKind::Gauge,
        "postrider_router_blocked_queues",
        "Queues that this router bypasses because they store nothing: ingest (its spare takes events), rejected (rejected messages wait in the quarantine) and webhook (deliveries are attempted from the database)",
    )
    .with_labels(&["kind"]),
    MetricDef::new(
        MetricKind::Counter,
        "postrider_router_moved_events_total",
        "Events that the router moved into the backlogs of their brands, because it had no room to read ahead",
    ),
    MetricDef::new(
        MetricKind::Counter,
        "postrider_router_moved_bytes_total",
        "Bytes of the bodies of moved events",
    ),
    MetricDef::new(
        MetricKind::Gauge,
        "postrider_router_backlog_brands",
        "Brands whose backlog this router drains",
    ),
    MetricDef::new(
        MetricKind::Gauge,
        "postrider_router_backlog_events",
        "Events in the backlogs of all brands. Every router reports the same number",
    ),
    MetricDef::new(
        MetricKind::Gauge,
        "postrider_router_waiting_events",
        "Events in the memory of this router that wait for their turn: direct (from the ingest queue) and backlog",
    )
    .with_labels(&["lane"]),
];
/// Kinds of queues that may be blocked.
const BLOCKED_KINDS: [&str; 3] = ["ingest", "rejected", "webhook"];
/// Outcomes of an event.
const OUTCOMES: [&str; 4] = ["taken", "duplicate", "not_enabled", "rejected"];

/// An operation that the router retries when it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    CreatePartitions,
    LoadIndex,
    LoadOwed,
    PublishDeliveries,
    QuarantineMessage,
    RecordOrphaned,
    RecordUnmatched,
    RejectMessage,
    StoreBatch,
}

impl Operation {
    /// All operations. Each has a counter that begins at 0, because an alert needs the 0 before the first failure.
    const ALL: [Self; 9] = [
        Self::CreatePartitions,
        Self::LoadIndex,
        Self::LoadOwed,
        Self::PublishDeliveries,
        Self::QuarantineMessage,
        Self::RecordOrphaned,
        Self::RecordUnmatched,
        Self::RejectMessage,
        Self::StoreBatch,
    ];

    /// Value of the metric label `operation`.
    fn label(self) -> &'static str {
        match self {
            Self::CreatePartitions => "create_partitions",
            Self::LoadIndex => "load_index",
            Self::LoadOwed => "load_owed",
            Self::PublishDeliveries => "publish_deliveries",
            Self::QuarantineMessage => "quarantine_message",
            Self::RecordOrphaned => "record_orphaned",
            Self::RecordUnmatched => "record_unmatched",
            Self::RejectMessage => "reject_message",
            Self::StoreBatch => "store_batch",
        }
    }

    /// The operation in a sentence after "could not".
    fn description(self) -> &'static str {
        match self {
            Self::CreatePartitions => "create the partitions that a batch needs",
            Self::LoadIndex => "load the configuration",
            Self::LoadOwed => "load the unpublished deliveries of redelivered events",
            Self::PublishDeliveries => "publish deliveries to a webhook's queue",
            Self::QuarantineMessage => "move a message from the quarantine to the rejected messages",
            Self::RecordOrphaned => "record deliveries that are left to the database",
            Self::RecordUnmatched => "record events that were not stored",
            Self::RejectMessage => "publish rejected messages",
            Self::StoreBatch => "store a batch of events",
        }
    }
}

/// Describes all metrics of the router, and starts those with known labels at 0.
pub(crate) fn describe_metrics() {
    register_metrics(&[&METRICS[..], &store::pool::METRICS].concat(), env!("CARGO_PKG_VERSION"));
    init_counters("postrider_events_total", "outcome", OUTCOMES);
    let reasons = RejectReason::ALL.iter().map(|reason| reason.as_str());
    init_counters("postrider_rejected_total", "reason", reasons);
    counter!("postrider_rejected_dropped_total").increment(0);
    init_counters("postrider_router_retries_total", "operation", Operation::ALL.map(Operation::label));
    BLOCKED_KINDS.iter().for_each(|kind| gauge!("postrider_router_blocked_queues", "kind" => *kind).set(0));
}

/// Reports how many webhooks' queues are blocked.
pub(crate) fn blocked_webhook_queues(number: usize) {
    gauge!("postrider_router_blocked_queues", "kind" => "webhook").set(as_f64(number));
}

/// Reports whether the queue of rejected messages is blocked.
pub(crate) fn rejected_queue_blocked(blocked: bool) {
    gauge!("postrider_router_blocked_queues", "kind" => "rejected").set(u32::from(blocked));
}

/// Reports whether events are routed to the spare, because the ingest queue stores nothing.
pub(crate) fn ingest_queue_blocked(blocked: bool) {
    gauge!("postrider_router_blocked_queues", "kind" => "ingest").set(u32::from(blocked));
}

/// Reports events that were moved into the backlog of their brand.
pub(crate) fn events_moved(size: BacklogChange) {
    counter!("postrider_router_moved_events_total").increment(size.events.unsigned_abs());
    counter!("postrider_router_moved_bytes_total").increment(size.bytes.unsigned_abs());
}

/// Reports the backlogs that this router drains, the events in all backlogs, and the events that wait for their turn.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn backlogs(drained: usize, events: i64, [direct, pulled]: [usize; 2]) {
    gauge!("postrider_router_backlog_brands").set(as_f64(drained));
    gauge!("postrider_router_backlog_events").set(events as f64);
    gauge!("postrider_router_waiting_events", "lane" => "direct").set(as_f64(direct));
    gauge!("postrider_router_waiting_events", "lane" => "backlog").set(as_f64(pulled));
}

/// Reports that a batch was matched and stored.
pub(crate) fn batch_stored(matching: Duration, storing: Duration) {
    histogram!("postrider_router_match_duration_seconds").record(matching);
    histogram!("postrider_router_store_duration_seconds").record(storing);
}

/// Reports that a batch was handled and is about to be acknowledged.
pub(crate) fn batch_handled(messages: usize, deliveries: usize, duration: Duration) {
    let duration_s = duration.as_secs_f64();
    debug!(messages, deliveries, duration_s, "batch handled");
    histogram!("postrider_router_batch_size").record(as_f64(messages));
    histogram!("postrider_router_batch_duration_seconds").record(duration_s);
    counter!("postrider_deliveries_queued_total").increment(deliveries as u64);
}

/// Reports an event that was stored for the first time. A producer's clock may be ahead, so the lag may be negative.
pub(crate) fn event_taken(lag: TimeDelta) {
    histogram!("postrider_ingest_lag_seconds").record(lag.to_std().unwrap_or_default());
    counter!("postrider_events_total", "outcome" => "taken").increment(1);
}

/// Reports a duplicate of another event in the batch, or of a stored event.
pub(crate) fn event_duplicate() {
    counter!("postrider_events_total", "outcome" => "duplicate").increment(1);
}

/// Reports an event whose type is not enabled for its brand.
pub(crate) fn event_not_enabled() {
    counter!("postrider_events_total", "outcome" => "not_enabled").increment(1);
}

/// Reports a rejected message. The log lines are those of `queues::rejected_budget`, one for each brand and reason.
pub(crate) fn message_rejected(rejection: &Rejection) {
    counter!("postrider_events_total", "outcome" => "rejected").increment(1);
    counter!("postrider_rejected_total", "reason" => rejection.reason.as_str()).increment(1);
}

/// Reports a rejected message that did not fit its brand's share of the queue.
pub(crate) fn rejected_dropped() {
    counter!("postrider_rejected_dropped_total").increment(1);
}

/// Reports the bytes of all rejected messages.
#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
pub(crate) fn rejected_usage(bytes: i64) {
    gauge!("postrider_rejected_bytes").set(bytes as f64);
}

/// Reports an enforced schema that cannot be parsed. Events of the type are accepted unchecked.
pub(crate) fn schema_unreadable(event_type: &str, error: &dyn std::error::Error) {
    error!(event_type, error = %Chain(error), "could not parse an enforced schema; its events are not checked");
    counter!("postrider_router_schemas_unreadable_total").increment(1);
}

/// Reports that a change of the configuration was loaded.
pub(crate) fn index_loaded(version: i64) {
    debug!(version, "loaded a change of the configuration into the subscription index");
    counter!("postrider_router_index_loads_total").increment(1);
}

/// Reports an operation that failed and is retried.
pub(crate) fn operation_failed(operation: Operation, error: &dyn std::error::Error) {
    let label = operation.label();
    warn!(operation = label, error = %Chain(error), "could not {}; retrying", operation.description());
    counter!("postrider_router_retries_total", "operation" => label).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn as_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_operation_has_its_own_label_of_verb_and_object() {
        let labels: BTreeSet<_> = Operation::ALL.into_iter().map(Operation::label).collect();
        assert_eq!(labels.len(), Operation::ALL.len());
        assert!(labels.iter().all(|label| label.contains('_')), "{labels:?}");
    }
}
