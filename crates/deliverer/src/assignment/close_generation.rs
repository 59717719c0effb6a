//! Closes the pending deliveries of a webhook that stopped receiving.
//!
//! A webhook's generation ends with each change of its status. Deliveries of an ended generation that are still pending
//! become held or discarded. An interrupted task loses nothing, because the webhook still says that its generations are
//! open.

use std::collections::HashMap;
use std::sync::Arc;

use broker::Topology;
use domain::ids::WebhookId;
use store::Store;
use store::delivery::generations;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::error::ServerError;
use crate::telemetry::{self, Operation};
use crate::webhook_cache::{WebhookCache, WebhookConfig};

/// Webhooks whose generations are closed at once. A brand may stop a thousand webhooks, and closing all of them at once
/// would take every connection of the pool.
const MAX_CONCURRENT_CLOSINGS: usize = 3;

/// Closes ended generations, one task for each webhook.
#[derive(Debug)]
pub(crate) struct GenerationCloser {
    statements: Statements,
    webhooks: Arc<WebhookCache>,
    tracker: TaskTracker,
    running: HashMap<WebhookId, JoinHandle<()>>,
    permits: Arc<Semaphore>,
}

#[derive(Debug, Clone)]
struct Statements {
    store: Store,
    topology: Topology,
}

impl GenerationCloser {
    pub(crate) fn new(
        store: Store,
        topology: Topology,
        webhooks: Arc<WebhookCache>,
        tracker: TaskTracker,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(MAX_CONCURRENT_CLOSINGS));
        Self {
            statements: Statements { store, topology },
            webhooks,
            tracker,
            running: HashMap::new(),
            permits,
        }
    }

    /// Closes the ended generations of a webhook in the background, unless there are none, or a task does so already. If
    /// that task finished and generations are still open, another starts: the task failed, or the webhook was stopped
    /// again meanwhile.
    pub(crate) fn close_ended(&mut self, webhook: &Arc<WebhookConfig>) {
        let is_running = self.running.get(&webhook.id).is_some_and(|task| !task.is_finished());
        if webhook.has_open_generations() && !is_running {
            let task = self.start_task(Arc::clone(webhook));
            self.running.insert(webhook.id, task);
        }
    }

    /// Forgets tasks that finished.
    pub(crate) fn forget_finished(&mut self) {
        self.running.retain(|_, task| !task.is_finished());
    }

    fn start_task(&self, webhook: Arc<WebhookConfig>) -> JoinHandle<()> {
        let statements = self.statements.clone();
        let webhooks = Arc::clone(&self.webhooks);
        let span = telemetry::webhook_span(webhook.id);
        let permits = Arc::clone(&self.permits);
        let closing = async move {
            let Ok(_permit) = permits.acquire().await else { return };
            if let Err(error) = statements.close(&webhook).await {
                telemetry::report_retry(Operation::CloseGeneration, &error);
            }
            if let Err(error) = webhooks.refresh().await {
                telemetry::report_retry(Operation::RefreshWebhooks, &error);
            }
        };
        self.tracker.spawn(closing.instrument(span))
    }
}

impl Statements {
    /// Closes the pending deliveries of ended generations. The queue of a deleted webhook is deleted with them.
    async fn close(&self, webhook: &WebhookConfig) -> Result<(), ServerError> {
        let closed =
            generations::close_generations(&self.store, webhook.id, webhook.generation, webhook.closes_as)
                .await?;
        if webhook.is_deleted() {
            self.topology.delete_webhook_queue(webhook.id).await?;
        }
        generations::record_closed(&self.store, webhook.id, webhook.generation).await?;
        telemetry::report_closed_generation(webhook.id, webhook.generation, closed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::tests::{offline_config, offline_store, offline_topology};
    use crate::webhook_cache::tests::webhook;

    fn closer() -> GenerationCloser {
        let keyring = store::secrets::keyring::SecretKeyring::from_settings(&offline_config().keyring);
        let webhooks = Arc::new(WebhookCache::new(offline_store(), keyring));
        GenerationCloser::new(offline_store(), offline_topology(), webhooks, TaskTracker::new())
    }

    fn open_webhook() -> Arc<WebhookConfig> {
        Arc::new(WebhookConfig { generation: 2, closed_generation: 1, ..webhook(7) })
    }

    #[tokio::test]
    async fn only_a_webhook_with_open_generations_gets_a_task_and_only_one() {
        let mut closer = closer();
        closer.close_ended(&Arc::new(webhook(7)));
        assert!(closer.running.is_empty());
        closer.close_ended(&open_webhook());
        let first = closer.running[&open_webhook().id].id();
        closer.close_ended(&open_webhook());
        assert_eq!(closer.running[&open_webhook().id].id(), first);
    }

    #[tokio::test]
    async fn a_task_that_failed_is_followed_by_another() {
        let mut closer = closer();
        closer.close_ended(&open_webhook());
        let first = closer.running.remove(&open_webhook().id).expect("a task");
        let first_id = first.id();
        first.await.expect("a failure is no panic");
        closer.close_ended(&open_webhook());
        assert_ne!(closer.running[&open_webhook().id].id(), first_id);
        closer.tracker.close();
        closer.tracker.wait().await;
        closer.forget_finished();
        assert!(closer.running.is_empty());
    }
}
