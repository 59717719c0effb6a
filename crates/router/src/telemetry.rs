//! What happens in the router: each log line and its metric together.

use std::time::Duration;

use chrono::TimeDelta;
use domain::event::{RejectReason, Rejection};
use metrics::{counter, gauge, histogram};
use runtime::figures::{self, Figure, Kind};
use tracing::{debug, error, info, warn};

/// What the router counts of its own.
const FIGURES: [Figure; 12] = [
    Figure::new(
        Kind::Counter,
        "postrider_events_total",
        "Events from the broker: taken, duplicate, not_enabled (for their brand) or rejected",
    )
    .by(&["outcome"]),
    Figure::new(Kind::Counter, "postrider_rejected_total", "Messages that the router refused, by the reason")
        .by(&["reason"]),
    Figure::new(
        Kind::Counter,
        "postrider_deliveries_queued_total",
        "Deliveries that the router queued: one for each event and webhook that wants it",
    ),
    Figure::new(
        Kind::Histogram,
        "postrider_ingest_lag_seconds",
        "From an event's created to when the router had stored it",
    ),
    Figure::new(Kind::Histogram, "postrider_router_batch_size", "Messages that the router took at once"),
    Figure::new(
        Kind::Histogram,
        "postrider_router_batch_duration_seconds",
        "How long the router took for a batch, from decoding to the last confirm",
    ),
    Figure::new(
        Kind::Histogram,
        "postrider_router_match_duration_seconds",
        "Of it, how long matching against the subscriptions took",
    ),
    Figure::new(Kind::Histogram, "postrider_router_store_duration_seconds", "Of it, how long storing took"),
    Figure::new(
        Kind::Counter,
        "postrider_router_schemas_unreadable_total",
        "Enforced schemas that could not be read; events of the type are taken unchecked",
    ),
    Figure::new(
        Kind::Counter,
        "postrider_router_index_loads_total",
        "How often the router took in a change of the configuration",
    ),
    Figure::new(
        Kind::Counter,
        "postrider_router_retries_total",
        "Steps of the router that failed and were tried again, by the step",
    )
    .by(&["step"]),
    Figure::new(
        Kind::Gauge,
        "postrider_router_blocked_queues",
        "Queues that this router passes by because they store nothing: ingest (its spare takes events), rejected (refused messages wait in the quarantine) and webhook (deliveries are attempted from the database)",
    )
    .by(&["kind"]),
];
/// Kinds of queues that may be blocked.
const BLOCKED: [&str; 3] = ["ingest", "rejected", "webhook"];
/// What becomes of a message.
const OUTCOMES: [&str; 4] = ["taken", "duplicate", "not_enabled", "rejected"];

/// Steps that may fail and be tried again: an alert needs the 0 before the first failure.
const STEPS: [&str; 7] = ["note", "owed", "partitions", "publish", "quarantine", "reject", "store"];

/// Explains all metrics of the router.
pub(crate) fn describe() {
    figures::describe(&[&FIGURES[..], &store::pool::FIGURES].concat(), env!("CARGO_PKG_VERSION"));
    figures::begin_each("postrider_events_total", "outcome", OUTCOMES);
    let reasons = RejectReason::ALL.iter().map(|reason| reason.as_str());
    figures::begin_each("postrider_rejected_total", "reason", reasons);
    figures::begin_each("postrider_router_retries_total", "step", STEPS);
    BLOCKED.iter().for_each(|kind| gauge!("postrider_router_blocked_queues", "kind" => *kind).set(0));
}

/// How many webhooks' queues store nothing.
pub(crate) fn blocked_queues(number: usize) {
    gauge!("postrider_router_blocked_queues", "kind" => "webhook").set(count(number));
}

/// Whether the queue of refused messages stores nothing.
pub(crate) fn rejected_queue_blocked(blocked: bool) {
    gauge!("postrider_router_blocked_queues", "kind" => "rejected").set(u32::from(blocked));
}

/// Whether events are led to the spare, because the queue that takes them stores nothing.
pub(crate) fn ingest_blocked(blocked: bool) {
    gauge!("postrider_router_blocked_queues", "kind" => "ingest").set(u32::from(blocked));
}

/// A batch was matched and stored.
pub(crate) fn batch_stored(matched: Duration, stored: Duration) {
    histogram!("postrider_router_match_duration_seconds").record(matched);
    histogram!("postrider_router_store_duration_seconds").record(stored);
}

/// A batch was handled and is about to be acknowledged.
pub(crate) struct BatchHandled {
    pub(crate) messages: usize,
    pub(crate) deliveries: usize,
    pub(crate) seconds: f64,
}

impl BatchHandled {
    pub(crate) fn emit(&self) {
        debug!(
            messages = self.messages,
            deliveries = self.deliveries,
            duration_s = self.seconds,
            "batch handled"
        );
        histogram!("postrider_router_batch_size").record(count(self.messages));
        histogram!("postrider_router_batch_duration_seconds").record(self.seconds);
        counter!("postrider_deliveries_queued_total").increment(self.deliveries as u64);
    }
}

/// An event was taken for the first time, so long after it happened. A producer's clock may be ahead.
pub(crate) fn event_taken(lag: TimeDelta) {
    histogram!("postrider_ingest_lag_seconds").record(lag.to_std().unwrap_or_default());
    counter!("postrider_events_total", "outcome" => "taken").increment(1);
}

/// An event came that was taken before.
pub(crate) fn event_repeated() {
    counter!("postrider_events_total", "outcome" => "duplicate").increment(1);
}

/// An event came whose type is not enabled for its brand.
pub(crate) fn event_not_enabled() {
    counter!("postrider_events_total", "outcome" => "not_enabled").increment(1);
}

/// A message was refused.
pub(crate) fn event_rejected(rejection: &Rejection) {
    info!(reason = %rejection.reason, detail = rejection.detail(), "message rejected");
    counter!("postrider_events_total", "outcome" => "rejected").increment(1);
    counter!("postrider_rejected_total", "reason" => rejection.reason.as_str()).increment(1);
}

/// A schema that is enforced cannot be read; events of the type are taken unchecked.
pub(crate) fn schema_unreadable(event_type: &str, error: &dyn std::error::Error) {
    error!(event_type, error = %runtime::error::Chain(error), "an enforced schema cannot be read");
    counter!("postrider_router_schemas_unreadable_total").increment(1);
}

/// The configuration changed and was read.
pub(crate) fn index_loaded(version: i64) {
    debug!(version, "subscription index is up to date");
    counter!("postrider_router_index_loads_total").increment(1);
}

/// A step failed and is tried again.
pub(crate) fn step_failed(step: &'static str, error: &dyn std::error::Error) {
    warn!(error = %runtime::error::Chain(error), step, "failed; trying again");
    debug_assert!(STEPS.contains(&step), "{step} is not among STEPS");
    counter!("postrider_router_retries_total", "step" => step).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn count(n: usize) -> f64 {
    n as f64
}
