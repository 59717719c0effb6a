//! Polls Get Events for changes of a webhook's deliveries.
//!
//! The API has no stream. Polling needs nothing that another client of the API could not do as well.

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
    known: KnownDeliveries,
}

impl<'a> EventPoller<'a> {
    /// Polls for events that were created at `from` or later.
    pub(crate) fn new(client: &'a Client, brand: &'a str, webhook: &'a str, from: DateTime<Utc>) -> Self {
        Self { client, brand, webhook, from, known: KnownDeliveries::default() }
    }

    /// Returns the events that are new or changed since the last poll, oldest first.
    ///
    /// It reads pages, newest first, until one of them holds no change.
    pub(crate) async fn poll_changes(&mut self) -> Result<Vec<Event>, Error> {
        let mut changed = Vec::new();
        let mut cursor = None;
        for _ in 0..MAX_PAGES {
            let page = self.fetch_page(cursor).await?;
            let before = changed.len();
            changed.extend(page.items.into_iter().filter_map(|event| self.known.record_change(event)));
            cursor = page.next_cursor;
            if changed.len() == before || cursor.is_none() {
                break;
            }
        }
        changed.reverse();
        self.known.forget_oldest(MAX_KNOWN_EVENTS);
        Ok(changed)
    }

    async fn fetch_page(&self, cursor: Option<String>) -> Result<Page<Event>, Error> {
        let mut query: Query<'_> = vec![
            ("from", self.from.to_rfc3339_opts(SecondsFormat::Millis, true)),
            ("order", "desc".to_owned()),
            ("limit", MAX_PAGE_SIZE.to_string()),
        ];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        self.client.get_json(&["v1", self.brand, "webhooks", self.webhook, "events"], &query).await
    }
}

/// The deliveries as the last poll saw them, by event id.
#[derive(Debug, Default)]
struct KnownDeliveries(HashMap<String, Delivery>);

impl KnownDeliveries {
    /// Records an event and returns it if it is new or its delivery has changed.
    fn record_change(&mut self, event: Event) -> Option<Event> {
        let before = self.0.insert(event.id.clone(), event.delivery.clone());
        let is_new = before.is_none();
        (before.as_ref() != Some(&event.delivery)).then_some(Event { is_new, ..event })
    }

    /// Forgets the oldest events if more than `max` are known, down to half of it.
    ///
    /// Event ids are ULIDs, which sort by time, so the smallest ids belong to the oldest events.
    fn forget_oldest(&mut self, max: usize) {
        if self.0.len() > max {
            let mut ids: Vec<String> = self.0.keys().cloned().collect();
            ids.sort_unstable();
            ids.truncate(self.0.len() - max / 2);
            ids.iter().for_each(|id| drop(self.0.remove(id)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, status: &str) -> Event {
        let json = format!(
            r#"{{"id":"{id}","created":"2021-04-08T19:36:02.938Z","type":"A.B","data":1.10,
                "delivery":{{"status":"{status}","attempts":1,"nextAttemptAt":null,"lastError":null}}}}"#
        );
        serde_json::from_str(&json).expect("an event")
    }

    #[test]
    fn event_is_new_once_and_then_reported_for_changes_only() {
        let mut known = KnownDeliveries::default();
        let first = known.record_change(event("A", "pending")).expect("a new event");
        assert!(first.is_new);
        assert_eq!(first.data.get(), "1.10", "the data keeps its digits");
        assert!(known.record_change(event("A", "pending")).is_none());
        let changed = known.record_change(event("A", "delivered")).expect("a changed event");
        assert!(!changed.is_new);
    }

    #[test]
    fn oldest_events_are_forgotten_first() {
        let mut known = KnownDeliveries::default();
        for id in ["D", "B", "A", "C", "E"] {
            known.record_change(event(id, "pending"));
        }
        known.forget_oldest(5);
        assert_eq!(known.0.len(), 5, "nothing is forgotten up to the maximum");
        known.forget_oldest(4);
        let mut left: Vec<_> = known.0.keys().map(String::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["D", "E"]);
    }
}
