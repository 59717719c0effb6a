//! Finds webhooks with retries whose message has not come.
//!
//! The search runs in the background. A slow statement would otherwise keep this replica from showing that it lives.

use domain::ids::WebhookId;
use domain::redelivery_pacing::{OverdueSearch, ServedWebhook};
use runtime::tasks;
use store::delivery::orphaned;
use store::{Store, StoreError, clock};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::debug;

use crate::telemetry::{self, Operation};

/// Searches for overdue retries.
#[derive(Debug)]
pub(crate) struct OverdueSearcher {
    store: Store,
    last: Instant,
    last_of_all: Instant,
    running: Option<JoinHandle<Result<Vec<WebhookId>, StoreError>>>,
}

impl OverdueSearcher {
    pub(crate) fn new(store: Store, now: Instant) -> Self {
        Self { store, last: now, last_of_all: now, running: None }
    }

    /// Takes the webhooks that a finished search found.
    pub(crate) async fn take_found(&mut self) -> Vec<WebhookId> {
        let Some(finished) = self.running.take_if(|running| running.is_finished()) else { return Vec::new() };
        match finished.await {
            Ok(Ok(found)) => return found,
            Ok(Err(error)) => telemetry::report_retry(Operation::FindOverdueRetries, &error),
            Err(stopped) => debug!(error = %stopped, "a search for overdue retries was stopped"),
        }
        Vec::new()
    }

    /// Starts the search that is due, unless one runs.
    pub(crate) fn start_search(
        &mut self,
        webhooks: impl Iterator<Item = (WebhookId, ServedWebhook)>,
        now: Instant,
    ) {
        if self.running.is_some() {
            return;
        }
        let Some(search) = OverdueSearch::next_due(now - self.last, now - self.last_of_all) else { return };
        self.last = now;
        if search == OverdueSearch::All {
            self.last_of_all = now;
        }
        let included: Vec<WebhookId> =
            webhooks.filter(|(_, webhook)| search.includes(*webhook)).map(|(id, _)| id).collect();
        if !included.is_empty() {
            let store = self.store.clone();
            let due_before = clock::now() - search.min_overdue();
            self.running = Some(tasks::spawn_named("overdue search", async move {
                orphaned::find_webhooks_with_overdue_retries(&store, &included, due_before).await
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::redelivery_pacing::{BACKLOG_SEARCH_INTERVAL, FULL_SEARCH_INTERVAL};
    use uuid::Uuid;

    use super::*;
    use crate::services::tests::offline_store;

    fn served(is_backlogged: bool) -> (WebhookId, ServedWebhook) {
        let view = ServedWebhook { is_owner: true, is_active: true, is_cut_off: false, is_backlogged };
        (WebhookId(Uuid::from_u128(7)), view)
    }

    #[tokio::test]
    async fn a_search_waits_for_its_interval_and_for_a_webhook_that_it_includes() {
        let began = Instant::now();
        let mut searcher = OverdueSearcher::new(offline_store(), began);
        searcher.start_search([served(true)].into_iter(), began);
        assert!(searcher.running.is_none(), "the interval is not over");
        searcher.start_search([served(false)].into_iter(), began + BACKLOG_SEARCH_INTERVAL);
        assert!(searcher.running.is_none(), "no webhook has a backlog");
        searcher.start_search([served(true)].into_iter(), began + BACKLOG_SEARCH_INTERVAL * 2);
        assert!(searcher.running.is_some());
    }

    #[tokio::test]
    async fn a_full_search_includes_webhooks_without_a_backlog() {
        let began = Instant::now();
        let mut searcher = OverdueSearcher::new(offline_store(), began);
        searcher.start_search([served(false)].into_iter(), began + FULL_SEARCH_INTERVAL);
        assert!(searcher.running.is_some());
        assert_eq!(searcher.last_of_all, began + FULL_SEARCH_INTERVAL);
    }

    #[tokio::test]
    async fn one_search_runs_at_a_time_and_a_failed_one_finds_nothing() {
        let began = Instant::now();
        let mut searcher = OverdueSearcher::new(offline_store(), began);
        searcher.running = Some(tasks::spawn_named("test", std::future::pending()));
        searcher.start_search([served(true)].into_iter(), began + FULL_SEARCH_INTERVAL);
        assert_eq!(searcher.last, began, "no other search was started");
        assert!(searcher.take_found().await.is_empty() && searcher.running.is_some(), "it still runs");
        searcher.running =
            Some(tasks::spawn_named("test", async { Err(StoreError::Unavailable("a test".into())) }));
        tokio::task::yield_now().await;
        assert!(searcher.take_found().await.is_empty() && searcher.running.is_none());
        let found = vec![WebhookId(Uuid::from_u128(7))];
        searcher.running = Some(tasks::spawn_named("test", std::future::ready(Ok(found.clone()))));
        tokio::task::yield_now().await;
        assert_eq!(searcher.take_found().await, found);
    }
}
