//! A property of Get Events: paging while new events arrive shows nothing twice and misses nothing
//! (contract §4). The test walks every page size, order and filter.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use e2e::brand::{Webhook, put_type};
use e2e::event::{Event, SMS, time_ago};
use e2e::platform::Platform;
use serde_json::Value;

use crate::Stage;

const SIZES: [usize; 4] = [1, 3, 10, 1000];
const ORDERS: [&str; 2] = ["asc", "desc"];
const MAIL: &str = "NOTIFICATION.MAIL";
/// Ages of the events, in turn; some happen now.
const MINUTES_AGO: [Option<u64>; 7] = [None, Some(20), Some(70), Some(20), Some(160), None, Some(5)];
/// Events that exist before the first request.
const EXISTING_EVENTS: usize = 40;
/// Events that arrive during each walk.
const NEW_EVENTS: usize = 8;
/// Time between two of them.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(15);
/// Maximum number of pages of a walk.
const MAX_PAGES: usize = 2000;

/// Returns the `n`th event. Mails and SMS alternate; several have the same time; some are from now and some
/// from the past, so that they appear before or behind the position of a walk.
fn nth_event(n: usize) -> Event {
    let event_type = if n.is_multiple_of(2) { MAIL } else { SMS };
    let event = Event::new("acme", event_type);
    match MINUTES_AGO[n % MINUTES_AGO.len()] {
        Some(minutes) => event.created(&time_ago(Duration::from_secs(60 * minutes))),
        None => event,
    }
}

/// Publishes new events one after the other.
async fn publish_new_events(stage: &Stage) {
    for n in 0..NEW_EVENTS {
        stage.publish_event(&nth_event(n)).await;
        tokio::time::sleep(PUBLISH_INTERVAL).await;
    }
}

struct Walk<'a> {
    stage: &'a Stage,
    webhook: &'a Webhook,
    size: usize,
    order: &'a str,
    filter: &'a str,
}

impl Walk<'_> {
    /// Returns all items, page by page, in the order in which they were shown.
    async fn walk_pages(&self) -> Vec<Value> {
        let size = self.size;
        let order = self.order;
        let filter = self.filter;
        let path = format!("/events?limit={size}&order={order}{filter}");
        let path = self.stage.brand.webhook_path(self.webhook, &path);
        let mut items = Vec::new();
        let mut cursor = String::new();
        for _ in 0..MAX_PAGES {
            let page = self.stage.brand.api.get(&format!("{path}{cursor}")).await.expect_status(200).json();
            items.extend(page["items"].as_array().expect("items").iter().cloned());
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
        panic!("{path} has no last page");
    }

    /// Walks, and compares the shown events with the ones before and after the walk.
    async fn check_walk(&self) {
        let what = format!("pages of {}, {}, {:?}", self.size, self.order, self.filter);
        let before = self.list_all().await;
        let (items, ()) = tokio::join!(self.walk_pages(), publish_new_events(self.stage));
        let after = self.list_all().await;
        let mut shown = BTreeMap::new();
        for item in &items {
            *shown.entry(item_id(item)).or_insert(0) += 1;
        }
        let twice: Vec<_> = shown.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "{what}: twice: {twice:?}");
        let missed: Vec<_> = before.iter().filter(|id| !shown.contains_key(*id)).collect();
        assert!(missed.is_empty(), "{what}: missed: {missed:?}");
        let invented: Vec<_> = shown.keys().filter(|id| !after.contains(*id)).collect();
        assert!(invented.is_empty(), "{what}: not there: {invented:?}");
        let times: Vec<_> = items.iter().map(|item| item["created"].as_str().expect("a time")).collect();
        let in_order = if self.order == "asc" { times.is_sorted() } else { times.iter().rev().is_sorted() };
        assert!(in_order, "{what}: {times:?}");
    }

    /// Returns the events that exist now, as one long page shows them.
    async fn list_all(&self) -> BTreeSet<String> {
        let whole = Walk { size: 1000, order: "desc", ..*self };
        whole.walk_pages().await.iter().map(item_id).collect()
    }
}

fn item_id(item: &Value) -> String {
    item["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn paging_shows_each_event_once_while_events_arrive() {
    let stage = Stage::with_builder(Platform::builder().unlimited_requests()).await;
    put_type(&stage.brand.support, MAIL, &serde_json::json!({"description": "A mail"})).await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    let events: Vec<_> = (0..EXISTING_EVENTS).map(nth_event).collect();
    stage.platform.producer().await.publish_all(&events).await;
    stage.wait_settled(&webhook, "delivered", &events).await;
    let from = time_ago(Duration::from_secs(5000));
    let to = time_ago(Duration::from_secs(1000));
    let filters =
        [String::new(), "&status=delivered".into(), format!("&type={SMS}"), format!("&from={from}&to={to}")];

    for size in SIZES {
        for order in ORDERS {
            for filter in &filters {
                Walk { stage: &stage, webhook: &webhook, size, order, filter }.check_walk().await;
            }
        }
    }
}
