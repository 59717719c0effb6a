//! What happens in the deliverer: each log line and its metric together.

use domain::delivery::DeliveryStatus;
use domain::ids::WebhookId;
use domain::outcome::{Facts, Trigger};
use domain::time::Timestamp;
use metrics::{counter, gauge, histogram};
use runtime::error::Chain;
use runtime::figures::{self, Figure, Kind, UnderWay};
use store::record::AttemptRecord;
use tracing::{debug, error, info, warn};

/// What the deliverer counts of its own.
const FIGURES: [Figure; 17] = [
    Figure::new(
        Kind::Counter,
        "postrider_attempts_total",
        "Requests to endpoints, by how they ended, why they were made, and which of the delivery's they were (1 to 8, or more)",
    )
    .by(&["outcome", "trigger", "attempt"]),
    Figure::new(
        Kind::Histogram,
        "postrider_attempt_duration_seconds",
        "How long requests to endpoints took, the body included",
    ),
    Figure::new(
        Kind::Gauge,
        "postrider_attempts_in_flight",
        "Requests to endpoints that are not answered yet",
    ),
    Figure::new(
        Kind::Counter,
        "postrider_deliveries_ended_total",
        "Deliveries that ended: delivered, failed, held or discarded",
    )
    .by(&["status"]),
    Figure::new(
        Kind::Histogram,
        "postrider_delivery_since_created_seconds",
        "From an event's created to an endpoint's 2xx, for the first attempt (fresh) and for later ones (retry)",
    )
    .by(&["trigger"]),
    Figure::new(
        Kind::Histogram,
        "postrider_delivery_since_received_seconds",
        "From the router's receipt of an event to an endpoint's 2xx, for the first attempt (fresh) and for later ones (retry)",
    )
    .by(&["trigger"]),
    Figure::new(
        Kind::Histogram,
        "postrider_deliverer_record_batch_size",
        "Attempts that were recorded in one statement",
    ),
    Figure::new(
        Kind::Counter,
        "postrider_deliverer_refused_attempts_total",
        "Attempts that PostgreSQL refused to record, by what of them is lost: details, the attempt, or its outcome",
    )
    .by(&["lost"]),
    Figure::new(
        Kind::Counter,
        "postrider_deliverer_repetitions_total",
        "Messages that came again after their attempt was recorded, and were not sent again",
    ),
    Figure::new(
        Kind::Counter,
        "postrider_webhooks_disabled_total",
        "Webhooks that the platform disabled: gone, failing or unresponsive",
    ),
    Figure::new(
        Kind::Counter,
        "postrider_deliverer_unreadable_webhooks_total",
        "Webhooks that could not be read, such as for want of the master key: nothing is delivered to them",
    ),
    Figure::new(Kind::Gauge, "postrider_deliverer_members", "Deliverers that share the webhooks, as this one sees it"),
    Figure::new(Kind::Gauge, "postrider_deliverer_webhooks_owned", "Webhooks that this deliverer serves"),
    Figure::new(
        Kind::Gauge,
        "postrider_deliverer_webhooks_standby",
        "Webhooks that this deliverer takes over when their owner goes away",
    ),
    Figure::new(
        Kind::Gauge,
        "postrider_deliverer_webhooks_subscribed",
        "Webhooks whose queue this deliverer is subscribed to, as their owner or on standby",
    ),
    Figure::new(
        Kind::Counter,
        "postrider_deliverer_retries_total",
        "Steps of the deliverer that failed and were tried again, by the step",
    )
    .by(&["step"]),
    Figure::new(
        Kind::Gauge,
        "postrider_deliverer_blocked_wait_queues",
        "Wait queues that this deliverer passes by because they store nothing: their deliveries are attempted from the database",
    ),
];
/// Attempts that have a label of their own; all later ones share one, whatever the schedule.
const TOLD_APART: u32 = 8;
/// The ends that a delivery may come to.
const ENDS: [DeliveryStatus; 4] =
    [DeliveryStatus::Delivered, DeliveryStatus::Failed, DeliveryStatus::Held, DeliveryStatus::Discarded];

/// Steps that may fail and be tried again: an alert needs the 0 before the first failure.
const STEPS: [&str; 22] = [
    "claim",
    "decode",
    "disable",
    "finish",
    "heal",
    "judge",
    "leave",
    "record",
    "redeliver",
    "redelivered",
    "redeliveries",
    "refresh",
    "release",
    "renew",
    "requeue",
    "retries",
    "set_aside",
    "settle",
    "standing",
    "stranded",
    "unrouted",
    "wait",
];

/// Explains all metrics of the deliverer.
pub(crate) fn describe() {
    figures::describe(&[&FIGURES[..], &store::pool::FIGURES].concat(), env!("CARGO_PKG_VERSION"));
    figures::begin_each("postrider_deliveries_ended_total", "status", ENDS.map(DeliveryStatus::as_str));
    figures::begin_each("postrider_deliverer_retries_total", "step", STEPS);
    figures::begin_each("postrider_deliverer_refused_attempts_total", "lost", Lost::ALL.map(Lost::as_str));
}

/// How many wait queues store nothing.
pub(crate) fn blocked_wait_queues(number: usize) {
    gauge!("postrider_deliverer_blocked_wait_queues").set(u32::try_from(number).unwrap_or(u32::MAX));
}

/// A request to an endpoint is in flight as long as the answer lives.
pub(crate) fn in_flight() -> UnderWay {
    UnderWay::begin("postrider_attempts_in_flight")
}

/// A webhook's queue is subscribed to as long as the answer lives.
pub(crate) fn subscribed() -> UnderWay {
    UnderWay::begin("postrider_deliverer_webhooks_subscribed")
}

/// An event arrived that nobody asked for again.
pub(crate) struct Arrived {
    pub(crate) trigger: Trigger,
    pub(crate) created: Timestamp,
    /// When the router received it, where that is known.
    pub(crate) received: Option<Timestamp>,
    pub(crate) at: Timestamp,
}

impl Arrived {
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

/// The label of an attempt by its number.
fn attempt_label(attempt: u32) -> String {
    if attempt <= TOLD_APART { attempt.to_string() } else { "more".to_owned() }
}

/// An attempt ended.
pub(crate) struct AttemptEnded<'a> {
    pub(crate) webhook: WebhookId,
    pub(crate) event: domain::ids::EventId,
    pub(crate) attempt: u32,
    pub(crate) trigger: Trigger,
    pub(crate) facts: &'a Facts,
    pub(crate) seconds: f64,
}

impl AttemptEnded<'_> {
    pub(crate) fn emit(&self) {
        let (outcome, trigger) = (self.facts.outcome.as_str(), self.trigger.as_str());
        debug!(
            webhook = %self.webhook, event = %self.event, attempt = self.attempt, trigger, outcome,
            status_code = self.facts.status_code, error = self.facts.error, duration_s = self.seconds,
            "attempt ended"
        );
        let attempt = attempt_label(self.attempt);
        counter!("postrider_attempts_total", "outcome" => outcome, "trigger" => trigger, "attempt" => attempt)
            .increment(1);
        histogram!("postrider_attempt_duration_seconds").record(self.seconds);
    }
}

/// A batch of attempts was recorded.
pub(crate) fn batch_recorded(size: usize) {
    histogram!("postrider_deliverer_record_batch_size").record(u32::try_from(size).unwrap_or(u32::MAX));
}

/// Which part of an attempt PostgreSQL refused to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The endpoint's texts, and the count for the webhook's health.
    Details,
    /// The attempt as a whole; its delivery went on.
    Attempt,
    /// The delivery's status, too.
    Outcome,
}

impl Lost {
    const ALL: [Self; 3] = [Self::Details, Self::Attempt, Self::Outcome];

    /// What is left out when this was not enough.
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

/// PostgreSQL refused to record an attempt, in whole or in part.
pub(crate) fn attempt_refused(record: &AttemptRecord, lost: Lost, error: &store::StoreError) {
    let lost = lost.as_str();
    error!(
        webhook = %record.key.webhook, event = %record.key.event, attempt = %record.attempt, lost,
        error = %Chain(error),
        "PostgreSQL refused to record an attempt"
    );
    counter!("postrider_deliverer_refused_attempts_total", "lost" => lost).increment(1);
}

/// A delivery ended.
pub(crate) fn delivery_ended(status: DeliveryStatus) {
    counter!("postrider_deliveries_ended_total", "status" => status.as_str()).increment(1);
}

/// A message came again whose attempt was recorded already.
pub(crate) fn repetition_skipped() {
    counter!("postrider_deliverer_repetitions_total").increment(1);
}

/// A webhook was disabled by the platform.
pub(crate) fn webhook_disabled(webhook: WebhookId, detail: &str) {
    info!(%webhook, detail, "webhook disabled");
    counter!("postrider_webhooks_disabled_total").increment(1);
}

/// A webhook cannot be read from the database.
pub(crate) fn webhook_unreadable(error: &store::StoreError) {
    warn!(error = %Chain(error), "a webhook cannot be served");
    counter!("postrider_deliverer_unreadable_webhooks_total").increment(1);
}

/// What waited for a webhook that stopped receiving was settled.
pub(crate) fn settled(webhook: WebhookId, deliveries: u64) {
    info!(%webhook, deliveries, "settled what was waiting");
}

/// The share of this replica.
pub(crate) fn share(members: usize, owned: u32, standby: u32) {
    gauge!("postrider_deliverer_members").set(u32::try_from(members).unwrap_or(u32::MAX));
    gauge!("postrider_deliverer_webhooks_owned").set(owned);
    gauge!("postrider_deliverer_webhooks_standby").set(standby);
}

/// A step failed and is tried again.
pub(crate) fn step_failed(step: &'static str, error: &dyn std::error::Error) {
    warn!(error = %Chain(error), step, "failed; trying again");
    debug_assert!(STEPS.contains(&step), "{step} is not among STEPS");
    counter!("postrider_deliverer_retries_total", "step" => step).increment(1);
}
