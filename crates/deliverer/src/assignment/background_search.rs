//! Runs a search for work in the background, so that a slow statement does not keep this replica from serving.

use std::time::Duration;

use domain::ids::WebhookId;
use runtime::tasks;
use store::StoreError;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::debug;

use crate::telemetry::{self, Operation};

/// Interval of searches in multiples of the duration of the last one, so that a kind of search keeps a tenth of a
/// connection busy at most.
const COST_FACTOR: u32 = 10;

/// The webhooks that a search found, and how long it took.
type Outcome = (Result<Vec<WebhookId>, StoreError>, Duration);

/// Searches of one kind, one at a time.
#[derive(Debug)]
pub(crate) struct BackgroundSearch {
    name: &'static str,
    operation: Operation,
    running: Option<JoinHandle<Outcome>>,
    ended: Option<Instant>,
    took: Duration,
}

impl BackgroundSearch {
    pub(crate) fn new(name: &'static str, operation: Operation) -> Self {
        Self { name, operation, running: None, ended: None, took: Duration::ZERO }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Whether another search may start: none runs, and the last one did not cost too much.
    pub(crate) fn may_start(&self, now: Instant) -> bool {
        let is_rested = self.ended.is_none_or(|ended| now - ended >= self.took * COST_FACTOR);
        !self.is_running() && is_rested
    }

    /// Starts a search.
    pub(crate) fn start(
        &mut self,
        search: impl Future<Output = Result<Vec<WebhookId>, StoreError>> + Send + 'static,
    ) {
        self.running = Some(tasks::spawn_named(self.name, async move {
            let began = Instant::now();
            (search.await, began.elapsed())
        }));
    }

    /// Takes the webhooks that a search found, if it finishes within `wait`.
    pub(crate) async fn take_found(&mut self, wait: Duration) -> Vec<WebhookId> {
        let Some(running) = &mut self.running else { return Vec::new() };
        let Ok(finished) = tokio::time::timeout(wait, running).await else { return Vec::new() };
        self.running = None;
        self.ended = Some(Instant::now());
        let (found, took) = match finished {
            Ok(outcome) => outcome,
            Err(stopped) => {
                debug!(error = %stopped, search = self.name, "a search was stopped");
                return Vec::new();
            }
        };
        // A search that failed because PostgreSQL was away cost nothing. Resting after it would delay the deliveries that
        // wait for it.
        let is_costly = found.as_ref().map_or_else(StoreError::is_ended_by_server, |_| true);
        self.took = if is_costly { took } else { Duration::ZERO };
        found.unwrap_or_else(|error| {
            telemetry::report_retry(self.operation, &error);
            Vec::new()
        })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn search() -> BackgroundSearch {
        BackgroundSearch::new("test", Operation::FindOrphaned)
    }

    fn found() -> Vec<WebhookId> {
        vec![WebhookId(Uuid::from_u128(7))]
    }

    #[tokio::test(start_paused = true)]
    async fn a_search_that_takes_long_is_taken_later_and_rests_longer() {
        let mut search = search();
        assert!(search.may_start(Instant::now()));
        search.start(async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            Ok(found())
        });
        assert!(search.take_found(Duration::from_secs(1)).await.is_empty());
        assert!(search.is_running() && !search.may_start(Instant::now()), "one at a time");
        assert_eq!(search.take_found(Duration::from_secs(5)).await, found());
        assert!(!search.is_running());
        assert!(!search.may_start(Instant::now() + Duration::from_secs(19)));
        assert!(search.may_start(Instant::now() + Duration::from_secs(20)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_search_while_the_database_is_away_finds_nothing_and_does_not_rest() {
        let mut search = search();
        search.start(async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            Err(StoreError::Unavailable("a test".into()))
        });
        assert!(search.take_found(Duration::from_secs(11)).await.is_empty());
        assert!(!search.is_running() && search.may_start(Instant::now()));
    }
}
