//! Polls Get Events for changes of a webhook's deliveries.
//!
//! The API has no stream. Polling needs nothing that another client of the API could not do as well. Each poll reads
//! the newest events, because new ones appear there, and one page of older events, because a retry, a redelivery or an
//! event with an earlier `created` may change them. The older pages take turns from the newest to the oldest.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::client::{Client, MAX_PAGE_SIZE, Page, Query};
use crate::error::Error;

/// Interval between two polls.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum number of events that are remembered. Changes of older events go unnoticed.
const MAX_KNOWN_EVENTS: usize = 100_000;
/// Maximum number of pages that one poll reads, so that a flood of events does not delay the next poll.
const MAX_PAGES: usize = 100;

const _: () = assert!(MAX_PAGES * MAX_PAGE_SIZE <= MAX_KNOWN_EVENTS);

/// An event as Get Events returns it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) created: String,
    pub(crate) r#type: String,
    pub(crate) data: Box<RawValue>,
    pub(crate) delivery: Delivery,
    /// Whether no earlier poll returned the event.
    #[serde(skip)]
    pub(crate) is_new: bool,
}

/// The state of an event's delivery.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Delivery {
    pub(crate) status: String,
    pub(crate) attempts: u32,
    pub(crate) next_attempt_at: Option<String>,
    pub(crate) last_error: Option<String>,
}

/// Polls the events of one webhook.
#[derive(Debug)]
pub(crate) struct EventPoller<'a> {
    client: &'a Client,
    brand: &'a str,
    webhook: &'a str,
    from: DateTime<Utc>,
    changes: ChangeFinder,
}

impl<'a> EventPoller<'a> {
    /// Polls for events that were created at `from` or later.
    pub(crate) fn new(client: &'a Client, brand: &'a str, webhook: &'a str, from: DateTime<Utc>) -> Self {
        Self { client, brand, webhook, from, changes: ChangeFinder::default() }
    }

    /// Returns the events that are new or changed since the last poll, oldest first.
    pub(crate) async fn poll_changes(&mut self) -> Result<Vec<Event>, Error> {
        let Self { client, brand, webhook, from, changes } = self;
        let fetch_page = async |cursor: Option<String>| {
            let mut query: Query<'_> = vec![
                ("from", from.to_rfc3339_opts(SecondsFormat::Millis, true)),
                ("order", "desc".to_owned()),
                ("limit", MAX_PAGE_SIZE.to_string()),
            ];
            query.extend(cursor.map(|cursor| ("cursor", cursor)));
            client.get_json(&["v1", *brand, "webhooks", *webhook, "events"], &query).await
        };
        changes.find_changes(fetch_page).await
    }
}

/// Finds new and changed events in pages that are listed newest first.
#[derive(Debug, Default)]
struct ChangeFinder {
    known: KnownDeliveries,
    /// Where the next older page begins. `None` after the oldest page.
    older: Option<String>,
}

impl ChangeFinder {
    /// Returns the new and changed events, oldest first.
    async fn find_changes(
        &mut self,
        fetch_page: impl AsyncFn(Option<String>) -> Result<Page<Event>, Error>,
    ) -> Result<Vec<Event>, Error> {
        let older = match &self.older {
            Some(cursor) => Some(fetch_page(Some(cursor.clone())).await?),
            None => None,
        };
        let (newest, rest) = self.fetch_newest(&fetch_page).await?;
        // Nothing is recorded before every page has arrived, because an error would lose the changes of the others.
        if rest.is_some() && self.known.is_empty() {
            self.known.forget_before(newest.last());
        }
        let next = older.as_ref().and_then(|page| self.cursor_after(page));
        self.older = next.or(rest);
        let older = older.map(|page| page.items).unwrap_or_default();
        // The older page came first, so the newest pages may hold later states of its events.
        let mut changed = self.known.record_changes(older);
        changed.extend(self.known.record_changes(newest));
        self.known.forget_oldest(MAX_KNOWN_EVENTS);
        Ok(changed)
    }

    /// Fetches pages until one of them holds no change. Returns their events, newest first, and where the rest begins.
    async fn fetch_newest(
        &self,
        fetch_page: &impl AsyncFn(Option<String>) -> Result<Page<Event>, Error>,
    ) -> Result<(Vec<Event>, Option<String>), Error> {
        let mut events = Vec::new();
        let mut cursor = None;
        for _ in 0..MAX_PAGES {
            let page = fetch_page(cursor).await?;
            let has_changes = page.items.iter().any(|event| self.known.is_change(event));
            events.extend(page.items);
            cursor = page.next_cursor;
            if !has_changes || cursor.is_none() {
                break;
            }
        }
        Ok((events, cursor))
    }

    /// Returns where the page after an older page begins, unless its events are forgotten.
    fn cursor_after(&self, page: &Page<Event>) -> Option<String> {
        let is_forgotten = page.items.last().is_some_and(|event| self.known.is_forgotten(event));
        page.next_cursor.clone().filter(|_| !is_forgotten)
    }
}

/// The deliveries as the last poll saw them, by event id.
#[derive(Debug, Default)]
struct KnownDeliveries {
    by_id: HashMap<String, Known>,
    /// Creation time and id of the oldest event whose changes are noticed.
    oldest: Option<(String, String)>,
}

#[derive(Debug)]
struct Known {
    created: String,
    delivery: Delivery,
}

impl KnownDeliveries {
    fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Whether an event is older than every remembered event.
    fn is_forgotten(&self, event: &Event) -> bool {
        self.oldest.as_ref().is_some_and(|(created, id)| (&event.created, &event.id) < (created, id))
    }

    /// Whether an event is new or its delivery has changed.
    fn is_change(&self, event: &Event) -> bool {
        let known = self.by_id.get(&event.id);
        !self.is_forgotten(event) && known.is_none_or(|known| known.delivery != event.delivery)
    }

    /// Records events, newest first, and returns the new and changed ones, oldest first.
    fn record_changes(&mut self, events: Vec<Event>) -> Vec<Event> {
        let changes = events.into_iter().rev().filter_map(|event| self.record_change(event));
        changes.collect()
    }

    fn record_change(&mut self, event: Event) -> Option<Event> {
        if !self.is_change(&event) {
            return None;
        }
        let known = Known { created: event.created.clone(), delivery: event.delivery.clone() };
        let is_new = self.by_id.insert(event.id.clone(), known).is_none();
        Some(Event { is_new, ..event })
    }

    /// Forgets all events that are older than this one.
    fn forget_before(&mut self, oldest: Option<&Event>) {
        self.oldest = oldest.map(|event| (event.created.clone(), event.id.clone()));
    }

    /// Forgets the oldest events if more than `max` are known, down to half of it.
    fn forget_oldest(&mut self, max: usize) {
        if self.by_id.len() <= max {
            return;
        }
        let mut keys: Vec<_> =
            self.by_id.iter().map(|(id, known)| (known.created.clone(), id.clone())).collect();
        keys.sort_unstable();
        let kept = keys.split_off(keys.len() - max / 2);
        for (_, id) in keys {
            self.by_id.remove(&id);
        }
        self.oldest = kept.into_iter().next();
    }
}

#[cfg(test)]
mod tests;
