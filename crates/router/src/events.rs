//! What happens in the router: each log line and its metric together.

use domain::event::Rejection;
use metrics::{counter, histogram};
use tracing::{debug, info, warn};

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

/// An event was taken for the first time.
pub(crate) fn event_taken() {
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
    info!(reason = %rejection.reason, detail = rejection.detail, "message rejected");
    counter!("postrider_events_total", "outcome" => "rejected").increment(1);
    counter!("postrider_rejected_total", "reason" => rejection.reason.as_str()).increment(1);
}

/// The configuration changed and was read.
pub(crate) fn index_loaded(version: i64) {
    debug!(version, "subscription index is up to date");
    counter!("postrider_router_index_loads_total").increment(1);
}

/// A step failed and is tried again.
pub(crate) fn step_failed(step: &'static str, error: &dyn std::error::Error) {
    warn!(error = %runtime::error::Chain(error), step, "failed; trying again");
    counter!("postrider_router_retries_total", "step" => step).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn count(n: usize) -> f64 {
    n as f64
}
