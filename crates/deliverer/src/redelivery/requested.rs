//! Sends the redeliveries that brands and support asked for.

use domain::ids::WebhookId;
use domain::redelivery_pacing::Pace;
use domain::time::Timestamp;
use futures_util::{StreamExt, stream};
use store::redelivery::jobs;
use store::redelivery::queue::{self, CompletedRedelivery, DueRedelivery};
use store::{StoreError, clock};

use crate::delivery::messages::redelivery_message;
use crate::delivery::{DeliveryContext, DeliveryOutcome};
use crate::limiter::EndpointLimiter;
use crate::redelivery::Redeliverer;

/// The redeliveries of one webhook, in one run.
#[derive(Debug)]
pub(crate) struct RequestedDeliveries<'a> {
    redeliverer: &'a Redeliverer,
    webhook: WebhookId,
    pace: Pace,
    /// From where the queue is read.
    floor: Timestamp,
}

impl<'a> RequestedDeliveries<'a> {
    pub(crate) fn new(redeliverer: &'a Redeliverer, webhook: WebhookId, pace: Pace) -> Self {
        Self { redeliverer, webhook, pace, floor: Timestamp::UNIX_EPOCH }
    }

    /// Loads the next deliveries. If none is left, the oldest job puts its next ones into the queue first.
    pub(crate) async fn next_page(&mut self) -> Result<Vec<DueRedelivery>, StoreError> {
        let limit = i64::from(self.pace.page);
        loop {
            let loaded_at = clock::now();
            let due = queue::load_due(&self.redeliverer.store, self.webhook, self.floor, limit).await?;
            self.floor = queue::next_queue_floor(&due, loaded_at).unwrap_or(self.floor);
            if !due.is_empty() || !self.advance_job(limit).await? {
                return Ok(due);
            }
        }
    }

    /// Attempts deliveries, and removes the handled ones from the queue of redeliveries.
    pub(crate) async fn send_page(
        &self,
        limiter: &EndpointLimiter,
        due: Vec<DueRedelivery>,
    ) -> Result<(), StoreError> {
        let attempts = stream::iter(due).map(async |due| self.send_one(limiter, due).await);
        let in_progress = usize::from(self.pace.redeliveries);
        let done: Vec<CompletedRedelivery> =
            attempts.buffer_unordered(in_progress).filter_map(std::future::ready).collect().await;
        queue::complete_redeliveries(&self.redeliverer.store, self.webhook, &done).await
    }

    /// Advances the oldest job. Returns false if there is none, or if it has to wait: after a webhook was enabled again,
    /// some of its pending deliveries may not be held yet.
    async fn advance_job(&self, limit: i64) -> Result<bool, StoreError> {
        let webhook = self.redeliverer.webhooks.find_config(self.webhook);
        if webhook.is_none_or(|webhook| webhook.has_open_generations()) {
            return Ok(false);
        }
        let store = &self.redeliverer.store;
        let Some(job) = jobs::find_open_job(store, self.webhook).await? else { return Ok(false) };
        jobs::walk_job(store, self.webhook, &job, limit).await?;
        Ok(true)
    }

    /// Attempts a delivery. Returns `None` if it stays in the queue of redeliveries.
    async fn send_one(&self, limiter: &EndpointLimiter, due: DueRedelivery) -> Option<CompletedRedelivery> {
        let DueRedelivery { created, event, round, .. } = due;
        let outcome = match redelivery_message(due) {
            Some(message) => {
                let context = DeliveryContext::from_database();
                self.redeliverer.deliverer.deliver(self.webhook, &message, context, limiter).await
            }
            None => DeliveryOutcome::Completed,
        };
        let delivered = outcome == DeliveryOutcome::Attempted { delivered: true };
        outcome.is_handled().then_some(CompletedRedelivery { created, event, round, delivered })
    }
}
