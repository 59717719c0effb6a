//! What Get Events shows of a webhook, looked at again and again: the API has no stream, and this needs
//! nothing of it that any client could not ask for.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::client::{Client, MAX_PAGE_SIZE, Page, Query};
use crate::error::Error;

/// How often it is looked.
pub(crate) const POLL_INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);
/// Events that are remembered; older ones than these are not followed any more.
const MAX_KNOWN_EVENTS: usize = 100_000;
/// Pages of one look: beyond, what came since the look before is too much to follow.
const MAX_PAGES: usize = 100;

const _: () = assert!(MAX_PAGES * MAX_PAGE_SIZE <= MAX_KNOWN_EVENTS);

/// An event as Get Events has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) created: String,
    pub(crate) r#type: String,
    pub(crate) data: Box<RawValue>,
    pub(crate) delivery: Delivery,
    /// Whether it was not there at the look before.
    #[serde(skip)]
    pub(crate) is_new: bool,
}

/// Where its delivery stands.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Delivery {
    pub(crate) status: String,
    pub(crate) attempts: u32,
    pub(crate) next_attempt_at: Option<String>,
    pub(crate) last_error: Option<String>,
}

/// A webhook that is watched.
#[derive(Debug)]
pub(crate) struct EventPoller<'a> {
    client: &'a Client,
    brand: &'a str,
    webhook: &'a str,
    from: DateTime<Utc>,
    known: HashMap<String, Delivery>,
}

impl<'a> EventPoller<'a> {
    /// Watches for events created at `from` or later.
    pub(crate) fn new(client: &'a Client, brand: &'a str, webhook: &'a str, from: DateTime<Utc>) -> Self {
        Self { client, brand, webhook, from, known: HashMap::new() }
    }

    /// What is new or stands elsewhere since the last look, oldest first. It reads back to the first page
    /// on which nothing changed.
    pub(crate) async fn poll_changes(&mut self) -> Result<Vec<Event>, Error> {
        let (mut changed, mut cursor) = (Vec::new(), None);
        for _ in 0..MAX_PAGES {
            let page = self.fetch_page(cursor).await?;
            let before = changed.len();
            changed.extend(page.items.into_iter().filter_map(|event| self.record_change(event)));
            cursor = page.next_cursor;
            if changed.len() == before || cursor.is_none() {
                break;
            }
        }
        changed.reverse();
        self.forget_oldest();
        Ok(changed)
    }

    fn record_change(&mut self, event: Event) -> Option<Event> {
        let before = self.known.insert(event.id.clone(), event.delivery.clone());
        let is_new = before.is_none();
        (before.as_ref() != Some(&event.delivery)).then_some(Event { is_new, ..event })
    }

    /// The ids are ULIDs: the smallest are the oldest, or those whose producer drew them otherwise.
    fn forget_oldest(&mut self) {
        if self.known.len() > MAX_KNOWN_EVENTS {
            let mut ids: Vec<String> = self.known.keys().cloned().collect();
            ids.sort_unstable();
            ids.truncate(self.known.len() - MAX_KNOWN_EVENTS / 2);
            ids.iter().for_each(|id| drop(self.known.remove(id)));
        }
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
