//! Looks at all backlog queues now and then, because the figures of a queue with events may be zero when a router died.

use std::time::Duration;

use domain::ids::BrandId;
use runtime::error::Chain;
use store::routing::backlogs;
use tracing::warn;

use super::Backlogs;
use super::drainer::MAX_LISTED;

/// Time between two looks at a page of queues, also those without waiting events by the figures.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

impl Backlogs {
    /// Looks at all backlog queues, page by page, until the process stops.
    pub(crate) async fn sweep_backlogs(self) {
        let sweeping = async {
            let mut next = None;
            loop {
                next = self.sweep_page(next).await;
                tokio::time::sleep(SWEEP_INTERVAL).await;
            }
        };
        self.stop.run_until_cancelled(sweeping).await;
    }

    /// Looks at a page of queues. Returns the brand after which the next page begins.
    async fn sweep_page(&self, after: Option<BrandId>) -> Option<BrandId> {
        let page = match backlogs::list_backlogs(&self.store, true, after.as_ref(), MAX_LISTED).await {
            Ok(page) => page,
            Err(error) => {
                warn!(error = %Chain(&error), "could not look up all backlogs of brands; retrying");
                return after;
            }
        };
        for backlog in page.backlogs.into_iter().filter(|backlog| backlog.waiting_events == 0) {
            let queue = self.topology.names().backlog_queue(&backlog.brand_id);
            let depth = self.topology.queue_depth(&queue).await.ok().flatten();
            if depth.is_some_and(|depth| depth > 0) {
                self.shared.lock().moved.insert(backlog.brand_id);
                self.shared.moved.notify_one();
            }
        }
        page.next
    }
}
