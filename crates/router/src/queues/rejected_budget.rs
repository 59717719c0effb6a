//! Keeps each brand within its share of the queue of rejected messages, and reports rejections as a rate.
//!
//! All routers add their usage to the database, and load the usage of all. Between two loads a router counts on its own,
//! so that a brand exceeds its share by what the other routers accept meanwhile, and by no more than its share each.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::ids::BrandId;
use domain::rejected_share::{self, NO_BRAND, USAGE_DAYS};
use runtime::error::Chain;
use store::Store;
use store::api::rejected_usage::{self, RejectedUsage};
use tracing::{info, warn};

use crate::read_ahead::KnownBrands;
use crate::telemetry;

/// Time between two reports, which also bounds the number of log lines.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// Brands whose usage is counted each on its own. Further brands share the usage of messages without a brand.
const MAX_BRANDS: usize = 10_000;
/// Log lines of a report: the first pairs of reason and brand. The others are counted in one line.
const MAX_LOG_LINES: usize = 20;
/// Pairs of reason and brand that are counted apart for the log.
const MAX_LOG_KEYS: usize = 1_000;

/// The budget. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct RejectedBudget {
    usage: Arc<Mutex<Usage>>,
    known_brands: KnownBrands,
}

/// Room for a message that is being published. It is free again when it is dropped, because a message whose copy was not
/// confirmed comes again and takes room then.
#[derive(Debug)]
pub(crate) struct Room {
    budget: RejectedBudget,
    share: String,
    bytes: i64,
}

#[derive(Debug, Default)]
struct Usage {
    /// Bytes of each share for messages that are being published.
    reserved: HashMap<String, i64>,
    reserved_total: i64,
    /// Bytes of each brand, as the database had them.
    loaded: HashMap<String, i64>,
    loaded_total: i64,
    /// Usage that the database does not have yet.
    pending: HashMap<String, RejectedUsage>,
    /// Bytes of the pending usage.
    pending_total: i64,
    /// Messages since the last report, by reason and brand: all, and those that were dropped.
    counts: BTreeMap<(String, String), (u64, u64)>,
    /// Messages beyond [`MAX_LOG_KEYS`].
    uncounted: u64,
}

impl RejectedBudget {
    /// Creates an empty budget. Only `known_brands` have a share of their own.
    pub(crate) fn new(known_brands: KnownBrands) -> Self {
        Self { usage: Arc::default(), known_brands }
    }

    /// Takes room for a rejected message. Returns `None` when the brand has no room, so that the message is dropped.
    pub(crate) fn take(&self, brand: Option<&str>, reason: &str, body: usize) -> Option<Room> {
        let bytes = rejected_share::message_bytes(body);
        let brand_id: Option<BrandId> = brand.and_then(|brand| brand.parse().ok());
        let is_known = |brand: &BrandId| self.known_brands.contains(brand);
        let share = rejected_share::share_name(brand_id.as_ref(), reason, is_known);
        let mut usage = self.usage();
        let reserved = usage.reserve(share, bytes);
        usage.count(reason, brand.unwrap_or_default(), reserved.is_none());
        reserved.map(|share| Room { budget: self.clone(), share, bytes })
    }

    /// Writes log lines and exchanges usage with the database, forever.
    pub(crate) async fn report_forever(self, store: Store) {
        loop {
            self.report(&store).await;
            tokio::time::sleep(REPORT_INTERVAL).await;
        }
    }

    /// Writes log lines, and exchanges usage with the database.
    pub(crate) async fn report(&self, store: &Store) {
        self.usage().log_counts();
        if let Err(error) = self.exchange(store).await {
            warn!(error = %Chain(&error), "could not exchange the usage of the rejected queue; retrying");
        }
    }

    async fn exchange(&self, store: &Store) -> Result<(), store::StoreError> {
        let pending: Vec<RejectedUsage> = self.usage().pending.values().cloned().collect();
        rejected_usage::add_usage(store, &pending).await?;
        self.usage().settle(&pending);
        let limit = i64::try_from(MAX_BRANDS).unwrap_or(i64::MAX);
        let loaded = rejected_usage::load_usage(store, USAGE_DAYS, limit).await?;
        self.usage().load(loaded);
        Ok(())
    }

    fn usage(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// Counts the message, because RabbitMQ confirmed its copy.
    pub(crate) fn fill(self) {
        self.budget.usage().add(&self.share, self.bytes);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.budget.usage().release(&self.share, self.bytes);
    }
}

impl Usage {
    /// Reserves room in a share, and returns the share's name. `None` if there is no room; the message counts as dropped.
    fn reserve(&mut self, share: &str, bytes: i64) -> Option<String> {
        let is_known = self.pending.contains_key(share)
            || self.loaded.contains_key(share)
            || self.reserved.contains_key(share);
        let has_place = self.pending.len().max(self.loaded.len()).max(self.reserved.len()) < MAX_BRANDS;
        let share = if is_known || has_place { share } else { NO_BRAND };
        let used = self.loaded.get(share).copied().unwrap_or(0)
            + self.pending.get(share).map_or(0, |usage| usage.bytes)
            + self.reserved.get(share).copied().unwrap_or(0);
        let total = self.loaded_total + self.pending_total + self.reserved_total;
        if !rejected_share::has_room(used, total) {
            let usage = self.pending_of(share);
            usage.dropped_messages += 1;
            usage.dropped_bytes += bytes;
            return None;
        }
        *self.reserved.entry(share.to_owned()).or_default() += bytes;
        self.reserved_total += bytes;
        Some(share.to_owned())
    }

    fn release(&mut self, share: &str, bytes: i64) {
        self.reserved_total -= bytes;
        if let Some(reserved) = self.reserved.get_mut(share) {
            *reserved -= bytes;
            if *reserved <= 0 {
                self.reserved.remove(share);
            }
        }
    }

    fn add(&mut self, share: &str, bytes: i64) {
        let usage = self.pending_of(share);
        usage.messages += 1;
        usage.bytes += bytes;
        self.pending_total += bytes;
    }

    fn pending_of(&mut self, share: &str) -> &mut RejectedUsage {
        let usage = self.pending.entry(share.to_owned()).or_default();
        share.clone_into(&mut usage.brand);
        usage
    }

    fn count(&mut self, reason: &str, brand: &str, dropped: bool) {
        let key = (reason.to_owned(), brand.to_owned());
        if self.counts.len() >= MAX_LOG_KEYS && !self.counts.contains_key(&key) {
            self.uncounted += 1;
            return;
        }
        let (messages, dropped_messages) = self.counts.entry(key).or_default();
        *messages += 1;
        *dropped_messages += u64::from(dropped);
    }

    /// Writes a line for each reason and brand, without any part of a message, which may be confidential.
    fn log_counts(&mut self) {
        let counts = std::mem::take(&mut self.counts);
        let mut others = std::mem::take(&mut self.uncounted);
        for (n, ((reason, brand), (messages, dropped))) in counts.into_iter().enumerate() {
            if n >= MAX_LOG_LINES {
                others += messages;
            } else if dropped > 0 {
                warn!(
                    reason,
                    brand, messages, dropped, "messages rejected; some did not fit the brand's share"
                );
            } else {
                info!(reason, brand, messages, "messages rejected");
            }
        }
        if others > 0 {
            info!(messages = others, "messages rejected for other reasons or of other brands");
        }
    }

    /// Forgets pending usage that the database has now.
    fn settle(&mut self, stored: &[RejectedUsage]) {
        for usage in stored {
            let Some(pending) = self.pending.get_mut(&usage.brand) else { continue };
            pending.messages -= usage.messages;
            pending.bytes -= usage.bytes;
            pending.dropped_messages -= usage.dropped_messages;
            pending.dropped_bytes -= usage.dropped_bytes;
            self.pending_total -= usage.bytes;
            // The stored usage counts until the next load.
            *self.loaded.entry(usage.brand.clone()).or_default() += usage.bytes;
            self.loaded_total += usage.bytes;
        }
        self.pending.retain(|_, usage| usage.messages > 0 || usage.dropped_messages > 0);
    }

    fn load(&mut self, loaded: Vec<RejectedUsage>) {
        self.loaded_total = loaded.iter().map(|usage| usage.bytes).sum();
        self.loaded = loaded.into_iter().map(|usage| (usage.brand, usage.bytes)).collect();
        telemetry::rejected_usage(self.loaded_total);
    }
}

#[cfg(test)]
mod tests {
    use domain::rejected_share::{MAX_BRAND_BYTES, MAX_TOTAL_BYTES};

    use super::*;

    const BODY: i64 = 1024 * 1024;

    fn budget(known: &[BrandId]) -> RejectedBudget {
        let known_brands = KnownBrands::default();
        known_brands.update(known.iter());
        RejectedBudget::new(known_brands)
    }

    fn brand(name: &str) -> BrandId {
        name.parse().expect("a brand")
    }

    /// Puts a message into the queue if there is room.
    fn put(budget: &RejectedBudget, brand: Option<&str>, reason: &str) -> bool {
        let body = usize::try_from(BODY).expect("a size") - 1024;
        budget.take(brand, reason, body).map(Room::fill).is_some()
    }

    fn fill(budget: &RejectedBudget, brand: Option<&str>) -> usize {
        (0..10_000).take_while(|_| put(budget, brand, "unknown_type")).count()
    }

    #[test]
    fn a_brand_that_fills_its_share_takes_no_room_of_another() {
        let brands: Vec<BrandId> = (0..20).map(|n| brand(&format!("brand{n}"))).collect();
        let budget = budget(&[brands.clone(), vec![brand("one"), brand("two"), brand("late")]].concat());
        let most = usize::try_from(MAX_BRAND_BYTES / BODY).expect("a number");
        assert_eq!(fill(&budget, Some("one")), most);
        assert_eq!(fill(&budget, Some("two")), most);
        assert_eq!(fill(&budget, None), most);
        assert!(!put(&budget, Some("one"), "unknown_type"));
        assert!(!put(&budget, Some("one"), "unknown_brand"), "it shares the usage without a brand");
        let one = budget.usage().pending["one"].clone();
        assert_eq!((one.messages, one.dropped_messages), (64, 2));
        for brand in &brands {
            fill(&budget, Some(brand.as_str()));
        }
        assert!(budget.usage().pending_total < MAX_TOTAL_BYTES + 20 * BODY);
        assert!(put(&budget, Some("late"), "unknown_type"), "each brand finds room for its first messages");
    }

    #[test]
    fn invented_brands_share_one_place_whatever_the_reason() {
        let budget = budget(&[brand("real")]);
        for n in 0..MAX_BRANDS + 50 {
            put(&budget, Some(&format!("invented{n}")), "missing_field");
        }
        assert_eq!(budget.usage().pending.keys().collect::<Vec<_>>(), [NO_BRAND]);
        assert!(put(&budget, Some("real"), "missing_field"), "a real brand has its place");
    }

    #[test]
    fn room_of_a_message_that_was_not_confirmed_is_free_again() {
        let budget = budget(&[brand("one")]);
        let rooms: Vec<Room> =
            (0..64).map(|_| budget.take(Some("one"), "unknown_type", 1 << 20).expect("room")).collect();
        assert!(!put(&budget, Some("one"), "unknown_type"), "messages that are being published count");
        drop(rooms);
        assert_eq!(fill(&budget, Some("one")), 64);
        let usage = budget.usage();
        assert!(usage.reserved.is_empty() && usage.reserved_total == 0);
        assert_eq!(usage.pending_total, MAX_BRAND_BYTES);
    }

    #[test]
    fn usage_counts_while_it_is_stored_and_once_it_is_loaded() {
        let budget = budget(&[brand("one")]);
        fill(&budget, Some("one"));
        let stored: Vec<RejectedUsage> = budget.usage().pending.values().cloned().collect();
        assert!(!put(&budget, Some("one"), "unknown_type"));
        budget.usage().settle(&stored);
        assert_eq!(budget.usage().pending["one"].dropped_messages, 1, "it came meanwhile");
        assert!(!put(&budget, Some("one"), "unknown_type"), "the stored usage counts");
        let emptied = RejectedUsage { brand: "one".to_owned(), ..RejectedUsage::default() };
        budget.usage().load(vec![emptied]);
        assert!(put(&budget, Some("one"), "unknown_type"), "support emptied the queue");
    }

    #[test]
    fn brands_and_log_lines_are_bounded() {
        let brands: Vec<BrandId> = (0..MAX_BRANDS + 50).map(|n| brand(&n.to_string())).collect();
        let budget = budget(&brands);
        for brand in &brands {
            budget.take(Some(brand.as_str()), "unknown_type", 1).map(Room::fill).expect("room");
        }
        let mut usage = budget.usage();
        assert!(usage.pending.len() <= MAX_BRANDS + 1 && usage.pending.contains_key(NO_BRAND));
        assert_eq!(usage.counts.len(), MAX_LOG_KEYS);
        assert_eq!(usage.uncounted, (MAX_BRANDS + 50 - MAX_LOG_KEYS) as u64);
        usage.log_counts();
        assert!(usage.counts.is_empty() && usage.uncounted == 0);
    }
}
