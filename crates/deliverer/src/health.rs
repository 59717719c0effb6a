//! Judges webhooks whose attempts fail, by the statistics that were recorded with the attempts.

use std::collections::HashSet;
use std::sync::{self, Arc, PoisonError};
use std::time::Duration;

use domain::ids::WebhookId;
use domain::webhook::health::{HealthRule, HealthStats, Unhealthy};
use domain::webhook::{DisabledReason, WebhookStatus};
use runtime::retry::{Backoff, until_ok};
use store::delivery::health;
use store::{Store, StoreError, clock};
use tokio::sync::{Mutex, Notify};

use crate::telemetry::{self, Operation};
use crate::webhook_cache::{WebhookCache, WebhookConfig};

/// Webhooks judged in one statement.
const MAX_BATCH: usize = 500;
/// Pause after a batch that was not full. Otherwise an endpoint that fails all the time would be judged all the time,
/// at a cost that grows with the window.
const JUDGE_INTERVAL: Duration = Duration::from_millis(250);

/// Judges the health of webhooks. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct HealthJudge(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    webhooks: Arc<WebhookCache>,
    rule: HealthRule,
    requested: Requests,
    /// Held while a webhook is disabled. All of a brand's endpoints may be gone at once, and their statements would
    /// otherwise take every connection of the control pool to wait for the same row.
    disabling: Mutex<()>,
}

/// The webhooks that are to be judged. A webhook that fails often waits once.
#[derive(Debug, Default)]
struct Requests {
    webhooks: sync::Mutex<HashSet<WebhookId>>,
    added: Notify,
}

impl Requests {
    fn add(&self, webhook: WebhookId) {
        self.webhooks.lock().unwrap_or_else(PoisonError::into_inner).insert(webhook);
        self.added.notify_one();
    }

    /// Takes webhooks out, and waits until there is one.
    async fn take_batch(&self, max_batch: usize) -> Vec<WebhookId> {
        loop {
            let batch = self.try_take(max_batch);
            if !batch.is_empty() {
                return batch;
            }
            self.added.notified().await;
        }
    }

    fn try_take(&self, max_batch: usize) -> Vec<WebhookId> {
        let mut webhooks = self.webhooks.lock().unwrap_or_else(PoisonError::into_inner);
        let batch: Vec<WebhookId> = webhooks.iter().take(max_batch).copied().collect();
        for webhook in &batch {
            webhooks.remove(webhook);
        }
        batch
    }
}

impl HealthJudge {
    /// Starts the judge with its task in the background.
    pub(crate) fn start(store: Store, webhooks: Arc<WebhookCache>, rule: HealthRule) -> Self {
        let judge = Self(Arc::new(Inner {
            store,
            webhooks,
            rule,
            requested: Requests::default(),
            disabling: Mutex::default(),
        }));
        runtime::tasks::spawn_essential("health", run(judge.clone()));
        judge
    }

    /// Requests a judgement of a webhook after a failed attempt was recorded.
    pub(crate) fn request(&self, webhook: WebhookId) {
        self.0.requested.add(webhook);
    }

    /// Disables a webhook whose endpoint said that it is gone.
    pub(crate) async fn disable_gone(&self, webhook: &WebhookConfig, reason: DisabledReason) {
        let why = Unhealthy { reason, detail: "The endpoint answered 410 Gone.".to_owned() };
        until_ok(
            || self.disable(webhook, &why, None),
            |error| telemetry::report_retry(Operation::DisableWebhook, error),
        )
        .await;
    }

    async fn disable(
        &self,
        webhook: &WebhookConfig,
        why: &Unhealthy,
        statistics: Option<&HealthStats>,
    ) -> Result<(), StoreError> {
        let _disabling = self.0.disabling.lock().await;
        if health::disable_webhook(&self.0.store, webhook.id, webhook.generation, why, statistics).await? {
            telemetry::report_disabled_webhook(webhook.id, &why.detail);
        }
        // At once, so that this replica makes no further attempt.
        self.0.webhooks.refresh().await
    }

    async fn judge_all(&self, webhooks: &[WebhookId]) -> Result<(), StoreError> {
        let rule = &self.0.rule;
        for (id, statistics) in health::load_stats(&self.0.store, webhooks, clock::now(), rule.window).await?
        {
            let Some(why) = rule.judge(&statistics) else { continue };
            let webhook = self.0.webhooks.find_config(id);
            if let Some(webhook) = webhook.filter(|webhook| webhook.status == WebhookStatus::Active) {
                self.disable(&webhook, &why, Some(&statistics)).await?;
            }
        }
        Ok(())
    }
}

async fn run(judge: HealthJudge) {
    let mut backoff = Backoff::default();
    loop {
        let batch = judge.0.requested.take_batch(MAX_BATCH).await;
        match judge.judge_all(&batch).await {
            Ok(()) => {
                backoff = Backoff::default();
                if batch.len() < MAX_BATCH {
                    tokio::time::sleep(JUDGE_INTERVAL).await;
                }
            }
            Err(error) => {
                telemetry::report_retry(Operation::JudgeHealth, &error);
                batch.into_iter().for_each(|webhook| judge.request(webhook));
                backoff.wait().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use uuid::Uuid;

    use super::*;

    fn id(number: u128) -> WebhookId {
        WebhookId(Uuid::from_u128(number))
    }

    #[tokio::test]
    async fn a_webhook_that_fails_often_is_judged_once() {
        let requests = Requests::default();
        (0..5).for_each(|_| requests.add(id(1)));
        requests.add(id(2));
        let mut batch = requests.take_batch(10).await;
        batch.sort_unstable();
        assert_eq!(batch, [id(1), id(2)]);
        assert!(requests.try_take(10).is_empty());
    }

    #[tokio::test]
    async fn a_batch_is_bounded_and_the_rest_waits() {
        let requests = Requests::default();
        (0..7).for_each(|number| requests.add(id(number)));
        let sizes =
            [requests.take_batch(3).await, requests.take_batch(3).await, requests.take_batch(3).await];
        assert_eq!(sizes.map(|batch| batch.len()), [3, 3, 1]);
    }

    #[tokio::test]
    async fn the_judge_sleeps_until_a_webhook_fails() {
        let requests = Requests::default();
        assert!(requests.take_batch(10).now_or_never().is_none());
        let (batch, ()) = tokio::join!(requests.take_batch(10), async {
            tokio::task::yield_now().await;
            requests.add(id(1));
        });
        assert_eq!(batch, [id(1)]);
    }
}
