//! The judge, after all faults have healed: what was owed has arrived or is visible as not delivered,
//! nothing was invented or altered, nothing is left over. It reads the broker, the API and the
//! endpoints' books, and nothing else.

use std::time::Duration;

use e2e::api::Api;
use e2e::ledger::{Count, Ledger, Place, Subscriber};
use e2e::poll::eventually;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::world::World;

/// How long all may take to arrive once the load has ended.
const HEALED: Duration = Duration::from_secs(120);
/// Duplicates are fewer than one pair in so many.
const DUPLICATES: usize = 50;
/// Items of a page of Get Events.
const PAGE: usize = 1000;

/// What the judge found, in figures.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) count: Count,
    /// What is owed and neither arrived nor is visible as not delivered, or is listed otherwise.
    pub(crate) unaccounted: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    #[serde(borrow)]
    items: Vec<Item<'a>>,
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    id: String,
    brand_id: String,
    webhook_id: String,
    created: String,
    #[serde(rename = "type")]
    event_type: String,
    #[serde(borrow)]
    data: &'a RawValue,
    delivery: Delivery,
}

#[derive(Debug, Deserialize)]
struct Delivery {
    status: String,
    attempts: u32,
}

impl World {
    /// Judges the run so far.
    pub(crate) async fn judge(&self) -> Verdict {
        // Whatever is still missing after this long is found in the lists, or is lost.
        let _ = self.ledger.wait(HEALED, |ledger| ledger.missing() == 0).await;
        self.flowing(Instant::now()).await;
        let _ = self.ledger.wait(HEALED, |ledger| ledger.missing() == 0).await;
        self.nothing_left().await;
        let support = self.support();
        let mut unaccounted = Vec::new();
        for (place, subscriber) in self.ledger.subscribers().iter().enumerate() {
            unaccounted.extend(compare(&support, &self.ledger, place, subscriber).await);
        }
        Verdict { count: self.ledger.count(), unaccounted }
    }

    /// Waits until no queue holds a message, be it ready, waiting or handed out.
    async fn nothing_left(&self) {
        eventually("all queues are empty", HEALED, async || {
            let messages = self.broker.messages().await;
            let left: Vec<_> = messages.into_iter().filter(|(_, messages)| *messages > 0).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await;
    }
}

impl Verdict {
    /// Fails the test unless nothing was lost, altered or invented, and the lists say what arrived.
    pub(crate) fn assert_kept(&self) {
        let Count { missing, wrongs, .. } = &self.count;
        assert!(self.unaccounted.is_empty(), "{} unaccounted for: {:#?}", self.unaccounted.len(), self);
        assert_eq!((*missing, wrongs.altered, wrongs.invented), (0, 0, 0), "{self:#?}");
    }

    /// And unless few came twice: under two in a hundred of a run that is long enough to count them. (An
    /// answer that is lost on the way makes a duplicate, and some faults are nothing but that.)
    pub(crate) fn assert_sound(&self) {
        self.assert_kept();
        let Count { duplicates, pairs, .. } = &self.count;
        assert!(duplicates * DUPLICATES < *pairs, "{duplicates} duplicates of {pairs}");
    }
}

/// Compares Get Events of a webhook with the books: each difference in words.
async fn compare(support: &Api, ledger: &Ledger, place: Place, subscriber: &Subscriber) -> Vec<String> {
    let (mut differences, mut listed) = (Vec::new(), 0);
    let path = format!("/v1/{}/webhooks/{}/events?limit={PAGE}", subscriber.brand, subscriber.webhook.id);
    let mut cursor = String::new();
    loop {
        let answer = support.get(&format!("{path}{cursor}")).await.expect(200);
        let page: Page<'_> = serde_json::from_str(&answer.text).expect("a page of Get Events");
        listed += page.items.len();
        differences.extend(page.items.iter().filter_map(|item| difference(ledger, place, subscriber, item)));
        match page.next_cursor {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let owed = ledger.owed_to(place);
    if listed != owed {
        differences.push(format!("webhook {place}: {listed} events listed instead of {owed}"));
    }
    differences
}

fn difference(ledger: &Ledger, place: Place, subscriber: &Subscriber, item: &Item<'_>) -> Option<String> {
    let Some(owed) = ledger.owed(place, &item.id) else {
        return Some(format!("webhook {place} was never owed {item:?}"));
    };
    let same = item.brand_id == subscriber.brand
        && item.webhook_id == subscriber.webhook.id
        && item.created == owed.created
        && item.event_type == owed.event_type
        && item.data.get() == owed.data;
    let seen = match item.delivery.status.as_str() {
        "delivered" => owed.accepted && item.delivery.attempts > 0,
        "failed" | "held" | "discarded" => !owed.accepted,
        _ => false,
    };
    (!same || !seen).then(|| format!("webhook {place}: {item:?} instead of {owed:?}"))
}
