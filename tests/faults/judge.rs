//! The judge, after the end of all faults. Every owed event has arrived or is visible as not delivered;
//! nothing was invented or altered; no queue holds anything. It reads the broker, the API and the endpoints'
//! ledger, and nothing else. A hostile producer's confirmed message has arrived, or lies among the rejected
//! messages.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use e2e::api::Api;
use e2e::ledger::{Ledger, Owed, Place, Subscriber, Totals};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::claims::{self, Refusal};
use crate::world::World;

/// How long everything may take to arrive after the end of the load.
const CONVERGENCE_TIMEOUT: Duration = Duration::from_secs(120);
/// Interval at which the judge checks whether everything has ended.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Duplicates must be fewer than one pair in this number.
const MAX_DUPLICATES_ONE_IN: usize = 50;
/// Items on a page of Get Events.
const PAGE: usize = 1000;

/// The findings of the judge.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) count: Totals,
    /// Owed events that neither arrived nor are visible as not delivered, or that are listed differently.
    pub(crate) unaccounted: Vec<String>,
    /// Pairs that had to arrive, and are listed as ended without arrival.
    pub(crate) given_up: usize,
    /// Maximum of deliveries that may be given up, because a clock was days off.
    pub(crate) may_give_up: bool,
    /// Counts of rejected messages by reason.
    pub(crate) rejected: BTreeMap<String, usize>,
}

/// The differences and counts that Get Events of all webhooks shows.
#[derive(Debug, Default)]
struct Listed {
    differences: Vec<String>,
    given_up: usize,
    /// Events that may have been rejected instead, with the webhooks that list them.
    disputed: HashSet<(String, Place)>,
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
    /// Judges the run so far. Afterwards the queue of rejected messages is empty.
    pub(crate) async fn judge(&self) -> Verdict {
        self.wait_flowing(Instant::now()).await;
        let mut unaccounted: Vec<String> = self.rejected_are_listed().await.into_iter().collect();
        let mut rejected = Vec::new();
        if let Err(left) = self.wait_idle(&mut rejected).await {
            unaccounted.push(left);
        }
        let support = self.support();
        let mut listed = Listed::default();
        for (place, subscriber) in self.ledger.subscribers().iter().enumerate() {
            compare_listing(&support, &self.ledger, place, subscriber, &mut listed).await;
        }
        unaccounted.extend(listed.differences);
        let may_give_up = self.clocks_were_off;
        unaccounted.extend(self.claims.judge_claims(&rejected, &self.ledger, &listed.disputed, may_give_up));
        let count = self.ledger.totals();
        let given_up = listed.given_up;
        Verdict { count, unaccounted, given_up, may_give_up, rejected: claims::count_by_reason(&rejected) }
    }

    /// Waits until no queue holds a message (ready, delayed or unacknowledged) and no missing event is
    /// pending. The error names the remaining messages and events.
    async fn wait_idle(&self, rejected: &mut Vec<Refusal>) -> Result<(), String> {
        let deadline = Instant::now() + CONVERGENCE_TIMEOUT;
        loop {
            self.take_rejected(rejected).await;
            // The wait ends at once when everything has arrived; a lost event will never arrive.
            let _ = self.ledger.wait_until(LOOK_INTERVAL, |ledger| ledger.count_missing() == 0).await;
            let messages = self.broker.count_messages().await;
            let left: Vec<_> = messages.into_iter().filter(|(_, messages)| *messages > 0).collect();
            if left.is_empty() && (self.ledger.count_missing() == 0 || !self.any_is_pending().await) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{} missing, in queues: {left:?}", self.ledger.count_missing()));
            }
        }
    }

    /// Whether Get Events of any webhook lists a pending delivery.
    async fn any_is_pending(&self) -> bool {
        let support = self.support();
        for Subscriber { brand, webhook } in self.ledger.subscribers() {
            let path = format!("/v1/{brand}/webhooks/{}/events?status=pending&limit=1", webhook.id);
            let answer = support.get(&path).await.expect_status(200);
            let page: Page<'_> = serde_json::from_str(&answer.text).expect("a page of Get Events");
            if !page.items.is_empty() {
                return true;
            }
        }
        false
    }
}

impl Verdict {
    /// Fails the test unless nothing was lost, altered or invented, and the lists say what arrived.
    pub(crate) fn assert_kept(&self) {
        let Totals { missing, violations, .. } = &self.count;
        assert!(self.unaccounted.is_empty(), "{} unaccounted for: {:#?}", self.unaccounted.len(), self);
        let given_up = if self.may_give_up { self.given_up } else { 0 };
        assert_eq!((*missing, violations.altered, violations.invented), (given_up, 0, 0), "{self:#?}");
    }

    /// Also fails it unless duplicates are rare, below two in a hundred of a run that is long enough to count
    /// them. (A lost answer causes a duplicate, and some faults do nothing else.)
    pub(crate) fn assert_sound(&self) {
        self.assert_kept();
        let Totals { duplicates, pairs, .. } = &self.count;
        assert!(duplicates * MAX_DUPLICATES_ONE_IN < *pairs, "{duplicates} duplicates of {pairs}");
    }
}

/// Compares Get Events of a webhook with the ledger, and describes each difference.
async fn compare_listing(
    support: &Api,
    ledger: &Ledger,
    place: Place,
    subscriber: &Subscriber,
    into: &mut Listed,
) {
    let mut listed = 0;
    let path = format!("/v1/{}/webhooks/{}/events?limit={PAGE}", subscriber.brand, subscriber.webhook.id);
    let mut cursor = String::new();
    loop {
        let answer = support.get(&format!("{path}{cursor}")).await.expect_status(200);
        let page: Page<'_> = serde_json::from_str(&answer.text).expect("a page of Get Events");
        for item in &page.items {
            let Some(owed) = ledger.expected_event(place, &item.id) else {
                into.differences.push(format!("webhook {place} was never owed {item:?}"));
                continue;
            };
            into.differences.extend(describe_difference(&owed, place, subscriber, item));
            if owed.disputed {
                into.disputed.insert((item.id.clone(), place));
                continue;
            }
            listed += 1;
            into.given_up += usize::from(item.has_ended() && !owed.accepted && !owed.excused);
        }
        match page.next_cursor {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let owed = ledger.count_owed_to(place);
    if listed != owed {
        into.differences.push(format!("webhook {place}: {listed} events listed instead of {owed}"));
    }
}

impl Item<'_> {
    /// Whether the delivery ended without arrival.
    fn has_ended(&self) -> bool {
        ["failed", "held", "discarded"].contains(&self.delivery.status.as_str())
    }
}

fn describe_difference(
    owed: &Owed,
    place: Place,
    subscriber: &Subscriber,
    item: &Item<'_>,
) -> Option<String> {
    let same = item.brand_id == subscriber.brand
        && item.webhook_id == subscriber.webhook.id
        && item.created == owed.created
        && item.event_type == owed.event_type
        && item.data.get() == owed.data;
    let delivered = item.delivery.status == "delivered" && item.delivery.attempts > 0;
    let seen = if owed.accepted { delivered } else { item.has_ended() };
    (!same || !seen).then(|| format!("webhook {place}: {item:?} instead of {owed:?}"))
}
