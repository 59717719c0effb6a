//! Keeps each brand within its share of the queue of rejected messages, and reports rejections as a rate.
//!
//! All routers add their usage to the database, and load the usage of all. Between two loads a router counts on its own,
//! so that a brand exceeds its share by what the other routers accept meanwhile, and by no more than its share each.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::event::RejectReason;
use domain::rejected_share::{self, USAGE_DAYS};
use runtime::error::Chain;
use store::Store;
use store::api::rejected_usage::{self, NO_BRAND, RejectedUsage};
use tracing::{info, warn};

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
pub(crate) struct RejectedBudget(Arc<Mutex<Usage>>);

#[derive(Debug, Default)]
struct Usage {
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
    /// Takes room for a rejected message. Returns false when the brand has no room, so that the message is dropped.
    pub(crate) fn take(&self, brand: Option<&str>, reason: &str, body: usize) -> bool {
        let bytes = rejected_share::message_bytes(body);
        self.usage().take(brand, reason, bytes)
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Usage {
    fn take(&mut self, brand: Option<&str>, reason: &str, bytes: i64) -> bool {
        // A producer may invent brands, so unknown ones share the usage of messages without a brand.
        let shares = brand.is_none() || reason == RejectReason::UnknownBrand.as_str();
        let key = brand.filter(|_| !shares).unwrap_or(NO_BRAND);
        let is_known = self.pending.contains_key(key) || self.loaded.contains_key(key);
        let has_place = self.pending.len().max(self.loaded.len()) < MAX_BRANDS;
        let key = if is_known || has_place { key } else { NO_BRAND };
        let pending = self.pending.get(key).map_or(0, |usage| usage.bytes);
        let used = self.loaded.get(key).copied().unwrap_or(0) + pending;
        let has_room = rejected_share::has_room(used, self.loaded_total + self.pending_total);
        let usage = self.pending.entry(key.to_owned()).or_default();
        key.clone_into(&mut usage.brand);
        if has_room {
            usage.messages += 1;
            usage.bytes += bytes;
            self.pending_total += bytes;
        } else {
            usage.dropped_messages += 1;
            usage.dropped_bytes += bytes;
        }
        self.count(reason, brand.unwrap_or_default(), !has_room);
        has_room
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
        self.loaded_total = loaded.iter().map(|usage| usage.bytes.max(0)).sum();
        self.loaded = loaded.into_iter().map(|usage| (usage.brand, usage.bytes.max(0))).collect();
        telemetry::rejected_usage(self.loaded_total);
    }
}

#[cfg(test)]
mod tests {
    use domain::rejected_share::{MAX_BRAND_BYTES, MAX_TOTAL_BYTES};

    use super::*;

    const BODY: i64 = 1024 * 1024;

    fn fill(usage: &mut Usage, brand: Option<&str>) -> usize {
        (0..10_000).take_while(|_| usage.take(brand, "unknown_type", BODY)).count()
    }

    #[test]
    fn a_brand_that_fills_its_share_takes_no_room_of_another() {
        let mut usage = Usage::default();
        let most = usize::try_from(MAX_BRAND_BYTES / BODY).expect("a number");
        assert_eq!(fill(&mut usage, Some("one")), most);
        assert_eq!(fill(&mut usage, Some("two")), most);
        assert_eq!(fill(&mut usage, None), most);
        assert!(!usage.take(Some("one"), "unknown_type", 1));
        assert!(!usage.take(Some("invented"), "unknown_brand", 1), "it shares the usage without a brand");
        let one = &usage.pending["one"];
        assert_eq!((one.messages, one.dropped_messages), (64, 2));
        for n in 0..20 {
            fill(&mut usage, Some(&format!("brand{n}")));
        }
        assert!(usage.pending_total < MAX_TOTAL_BYTES + 20 * BODY);
        assert!(usage.take(Some("late"), "unknown_type", 1), "each brand finds room for its first messages");
    }

    #[test]
    fn usage_counts_while_it_is_stored_and_once_it_is_loaded() {
        let mut usage = Usage::default();
        fill(&mut usage, Some("one"));
        let stored: Vec<RejectedUsage> = usage.pending.values().cloned().collect();
        assert!(!usage.take(Some("one"), "unknown_type", 1));
        usage.settle(&stored);
        assert_eq!(usage.pending["one"].dropped_messages, 1, "it came meanwhile");
        assert!(!usage.take(Some("one"), "unknown_type", 1), "the stored usage counts");
        let emptied = RejectedUsage { brand: "one".to_owned(), bytes: -5, ..RejectedUsage::default() };
        usage.load(vec![emptied]);
        assert!(usage.take(Some("one"), "unknown_type", 1), "support emptied the queue");
    }

    #[test]
    fn brands_and_log_lines_are_bounded() {
        let mut usage = Usage::default();
        for n in 0..MAX_BRANDS + 50 {
            usage.take(Some(&n.to_string()), "unknown_type", 1);
        }
        assert!(usage.pending.len() <= MAX_BRANDS + 1 && usage.pending.contains_key(NO_BRAND));
        assert_eq!(usage.counts.len(), MAX_LOG_KEYS);
        assert_eq!(usage.uncounted, (MAX_BRANDS + 50 - MAX_LOG_KEYS) as u64);
        usage.log_counts();
        assert!(usage.counts.is_empty() && usage.uncounted == 0);
    }
}
