//! Remembers for each webhook from where its pending deliveries are searched for ([`domain::pending_search`]).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::ids::WebhookId;
use domain::pending_search::{is_full_search_due, next_floor};
use domain::time::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use crate::clock;
use crate::error::StoreError;

/// The floors of one kind of search. Cheap to clone; clones share the floors.
#[derive(Debug, Clone, Default)]
pub struct SearchFloors(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    floors: HashMap<WebhookId, Timestamp>,
    full_search_ended: Option<Instant>,
    full_search_took: Duration,
}

/// A search that was begun. Its columns are parameters of the statement.
#[derive(Debug)]
#[must_use = "a search is ended with its result, or as failed"]
pub struct Search {
    /// The webhooks, and
    pub webhooks: Vec<Uuid>,
    /// for each of them the instant from which it is searched.
    pub since: Vec<Timestamp>,
    is_full: bool,
    began: Instant,
    searched_at: Timestamp,
}

impl SearchFloors {
    /// Begins a search over some webhooks. It starts at their floors, unless a full search is due.
    pub fn begin_search(&self, webhooks: &[WebhookId]) -> Search {
        let inner = self.inner();
        let since_last = inner.full_search_ended.map(|ended| ended.elapsed());
        let is_full = is_full_search_due(since_last, inner.full_search_took);
        let floor = |webhook: &WebhookId| {
            let known = inner.floors.get(webhook).copied().filter(|_| !is_full);
            known.unwrap_or(Timestamp::UNIX_EPOCH)
        };
        Search {
            webhooks: webhooks.iter().map(|webhook| webhook.0).collect(),
            since: webhooks.iter().map(floor).collect(),
            is_full,
            began: Instant::now(),
            searched_at: clock::now(),
        }
    }

    /// Raises the floors after a search that found these webhooks' oldest pending deliveries, and none of the others.
    pub fn end_search(&self, search: Search, oldest: impl IntoIterator<Item = (WebhookId, Timestamp)>) {
        let oldest: HashMap<WebhookId, Timestamp> = oldest.into_iter().collect();
        let mut inner = self.inner();
        inner.note_duration(&search);
        for webhook in search.webhooks.into_iter().map(WebhookId) {
            let floor = next_floor(oldest.get(&webhook).copied(), search.searched_at);
            inner.floors.insert(webhook, floor);
        }
    }

    /// Notes that a search failed.
    ///
    /// If PostgreSQL ended it because it took too long, webhooks without a floor get one nevertheless. Otherwise a
    /// search that cannot finish while a long transaction runs would be repeated at each interval, and would find
    /// nothing. If PostgreSQL was away, nothing was searched, so the floors stay, and the next search may be full.
    pub fn abandon_search(&self, search: Search, error: &StoreError) {
        if error.is_ended_by_server() {
            self.give_up_search(search);
        }
    }

    fn give_up_search(&self, search: Search) {
        let mut inner = self.inner();
        inner.note_duration(&search);
        for webhook in search.webhooks.into_iter().map(WebhookId) {
            inner.floors.entry(webhook).or_insert_with(|| next_floor(None, search.searched_at));
        }
    }

    /// Returns the floor of a webhook, or the beginning of time if it was not searched yet.
    #[must_use]
    pub fn floor_of(&self, webhook: WebhookId) -> Timestamp {
        self.inner().floors.get(&webhook).copied().unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Forgets the floors of all other webhooks.
    pub fn retain(&self, webhooks: impl IntoIterator<Item = WebhookId>) {
        let kept: HashSet<WebhookId> = webhooks.into_iter().collect();
        self.inner().floors.retain(|webhook, _| kept.contains(webhook));
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn note_duration(&mut self, search: &Search) {
        if search.is_full {
            self.full_search_ended = Some(Instant::now());
            self.full_search_took = search.began.elapsed();
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::pending_search::FULL_SEARCH_FACTOR;

    use super::*;

    fn webhook(number: u128) -> WebhookId {
        WebhookId(Uuid::from_u128(number))
    }

    async fn search_for(floors: &SearchFloors, webhooks: &[WebhookId], took: Duration) -> Search {
        let search = floors.begin_search(webhooks);
        tokio::time::advance(took).await;
        search
    }

    #[tokio::test(start_paused = true)]
    async fn a_search_begins_at_the_floor_until_a_full_search_is_due() {
        let floors = SearchFloors::default();
        let [busy, idle] = [webhook(1), webhook(2)];
        let took = Duration::from_secs(1);
        let first = search_for(&floors, &[busy, idle], took).await;
        assert_eq!(first.since, [Timestamp::UNIX_EPOCH; 2]);
        let old = Timestamp::UNIX_EPOCH + chrono::TimeDelta::days(1);
        let late = next_floor(None, first.searched_at);
        floors.end_search(first, [(busy, old)]);

        let second = floors.begin_search(&[busy, idle]);
        assert_eq!(second.since, [old, late]);
        floors.end_search(second, []);
        assert!(floors.floor_of(busy) > old, "nothing is pending below any more");

        tokio::time::advance(took * FULL_SEARCH_FACTOR).await;
        assert_eq!(floors.begin_search(&[busy]).since, [Timestamp::UNIX_EPOCH]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_search_that_cannot_finish_is_not_repeated_in_full_at_once() {
        let floors = SearchFloors::default();
        let search = search_for(&floors, &[webhook(1)], Duration::from_secs(9)).await;
        floors.give_up_search(search);
        assert!(floors.begin_search(&[webhook(1)]).since[0] > Timestamp::UNIX_EPOCH);
    }

    #[tokio::test(start_paused = true)]
    async fn a_search_that_did_not_reach_the_database_is_repeated_in_full() {
        let floors = SearchFloors::default();
        let search = search_for(&floors, &[webhook(1)], Duration::from_secs(9)).await;
        floors.abandon_search(search, &StoreError::Unavailable("the server is away".into()));
        assert_eq!(floors.floor_of(webhook(1)), Timestamp::UNIX_EPOCH, "nothing was searched");
        let search = search_for(&floors, &[webhook(1)], Duration::from_secs(1)).await;
        floors.end_search(search, []);
        tokio::time::advance(Duration::from_secs(1) * FULL_SEARCH_FACTOR).await;
        let search = search_for(&floors, &[webhook(1)], Duration::from_secs(9)).await;
        assert_eq!(search.since, [Timestamp::UNIX_EPOCH]);
        floors.abandon_search(search, &StoreError::Unavailable("the server is away".into()));
        let since = floors.begin_search(&[webhook(1)]).since;
        assert_eq!(since, [Timestamp::UNIX_EPOCH], "the full search is still due");
    }

    #[tokio::test(start_paused = true)]
    async fn floors_of_other_webhooks_are_forgotten() {
        let floors = SearchFloors::default();
        let search = search_for(&floors, &[webhook(1), webhook(2)], Duration::from_secs(1)).await;
        floors.end_search(search, []);
        floors.retain([webhook(2)]);
        assert_eq!(floors.floor_of(webhook(1)), Timestamp::UNIX_EPOCH);
        assert!(floors.floor_of(webhook(2)) > Timestamp::UNIX_EPOCH);
    }
}
