//! What happens in the deliverer: each log line and its metric together.

use domain::ids::WebhookId;
use domain::outcome::{Facts, Trigger};
use metrics::{counter, gauge, histogram};
use runtime::error::Chain;
use tracing::{debug, info, warn};

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
        counter!("postrider_attempts_total", "outcome" => outcome, "trigger" => trigger).increment(1);
        histogram!("postrider_attempt_duration_seconds").record(self.seconds);
    }
}

/// A batch of attempts was recorded.
pub(crate) fn batch_recorded(size: usize) {
    histogram!("postrider_deliverer_record_batch_size").record(u32::try_from(size).unwrap_or(u32::MAX));
}

/// A delivery ended without a further attempt.
pub(crate) fn delivery_ended(status: domain::delivery::DeliveryStatus) {
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
    counter!("postrider_deliverer_retries_total", "step" => step).increment(1);
}
