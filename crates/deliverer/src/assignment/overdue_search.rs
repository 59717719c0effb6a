//! Finds webhooks with retries whose message has not come.

use std::time::Duration;

use domain::ids::WebhookId;
use domain::redelivery_pacing::{OverdueSearch, ServedWebhook};
use store::delivery::orphaned;
use store::delivery::search_floors::SearchFloors;
use store::{Store, clock};
use tokio::time::Instant;

use crate::assignment::background_search::BackgroundSearch;
use crate::telemetry::Operation;

/// Searches for overdue retries.
#[derive(Debug)]
pub(crate) struct OverdueSearcher {
    store: Store,
    /// Shared with redelivery, which searches each webhook from the same floor.
    floors: SearchFloors,
    last: Instant,
    last_of_all: Instant,
    search: BackgroundSearch,
}

impl OverdueSearcher {
    pub(crate) fn new(store: Store, floors: SearchFloors, now: Instant) -> Self {
        let search = BackgroundSearch::new("overdue search", Operation::FindOverdueRetries);
        Self { store, floors, last: now, last_of_all: now, search }
    }

    /// Takes the webhooks that a finished search found.
    pub(crate) async fn take_found(&mut self) -> Vec<WebhookId> {
        self.search.take_found(Duration::ZERO).await
    }

    /// Starts the search that is due, unless one runs.
    pub(crate) fn start_search(
        &mut self,
        webhooks: impl Iterator<Item = (WebhookId, ServedWebhook)>,
        now: Instant,
    ) {
        if self.search.is_running() {
            return;
        }
        let Some(search) = OverdueSearch::next_due(now - self.last, now - self.last_of_all) else { return };
        self.last = now;
        let included: Vec<WebhookId> =
            webhooks.filter(|(_, webhook)| search.includes(*webhook)).map(|(id, _)| id).collect();
        if search == OverdueSearch::All {
            self.last_of_all = now;
            self.floors.retain(included.iter().copied());
        }
        if !included.is_empty() {
            let store = self.store.clone();
            let floors = self.floors.clone();
            let due_before = clock::now() - search.min_overdue();
            self.search.start(async move {
                orphaned::find_webhooks_with_overdue_retries(&store, &floors, &included, due_before).await
            });
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

    fn searcher(now: Instant) -> OverdueSearcher {
        OverdueSearcher::new(offline_store(), SearchFloors::default(), now)
    }

    #[tokio::test]
    async fn a_search_waits_for_its_interval_and_for_a_webhook_that_it_includes() {
        let began = Instant::now();
        let mut searcher = searcher(began);
        searcher.start_search([served(true)].into_iter(), began);
        assert!(!searcher.search.is_running(), "the interval is not over");
        searcher.start_search([served(false)].into_iter(), began + BACKLOG_SEARCH_INTERVAL);
        assert!(!searcher.search.is_running(), "no webhook has a backlog");
        searcher.start_search([served(true)].into_iter(), began + BACKLOG_SEARCH_INTERVAL * 2);
        assert!(searcher.search.is_running());
    }

    #[tokio::test]
    async fn a_full_search_includes_webhooks_without_a_backlog() {
        let began = Instant::now();
        let mut searcher = searcher(began);
        searcher.start_search([served(false)].into_iter(), began + FULL_SEARCH_INTERVAL);
        assert!(searcher.search.is_running());
        assert_eq!(searcher.last_of_all, began + FULL_SEARCH_INTERVAL);
    }

    #[tokio::test]
    async fn one_search_runs_at_a_time() {
        let began = Instant::now();
        let mut searcher = searcher(began);
        searcher.search.start(std::future::pending());
        searcher.start_search([served(true)].into_iter(), began + FULL_SEARCH_INTERVAL);
        assert_eq!(searcher.last, began, "no other search was started");
        assert!(searcher.take_found().await.is_empty() && searcher.search.is_running(), "it still runs");
    }
}
