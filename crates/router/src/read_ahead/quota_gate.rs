//! Keeps brands within the rates that support allows them, by letting them wait for their turns.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use domain::fair_queue::ClassLimiter;
use domain::ids::BrandId;
use domain::quota::{BrandMeter, BrandQuota, Cost};
use tokio::time::Instant;

use super::{EventClass, QueuedMessage};
use crate::intake::IncomingMessage;

/// The meters of the brands with a limited rate.
///
/// All routers share a rate equally, because RabbitMQ gives them equal parts of the events. A postponed event pays twice,
/// which is rare, because batches are cut by an upper bound of their deliveries.
#[derive(Debug)]
pub(super) struct QuotaGate {
    /// The origin of the meters' time.
    origin: Instant,
    routers: u32,
    meters: HashMap<BrandId, BrandMeter>,
    /// Brands that no quota stops, because their events cannot be moved into their backlogs. Otherwise these would fill
    /// the room of all brands.
    exempt: HashSet<BrandId>,
    /// Time until the first brand that had to wait in the last batch may go on.
    stopped_for: Option<Duration>,
    /// Whether the last batch met a brand whose events may have to be moved: it had to wait, or is exempt.
    met_movable: bool,
}

impl Default for QuotaGate {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
            routers: 1,
            meters: HashMap::new(),
            exempt: HashSet::new(),
            stopped_for: None,
            met_movable: false,
        }
    }
}

impl QuotaGate {
    /// Replaces the brands with a limited rate. The debts of the others are kept.
    pub(super) fn set_quotas(&mut self, limited: HashMap<BrandId, BrandQuota>) {
        self.meters.retain(|brand_id, _| limited.contains_key(brand_id));
        for (brand_id, quotas) in limited {
            let meter = self.meters.entry(brand_id).or_insert_with(|| BrandMeter::new(quotas));
            meter.set_quotas(quotas);
            meter.set_sharers(self.routers);
        }
    }

    /// Sets the number of routers.
    pub(super) fn set_routers(&mut self, routers: u32) {
        self.routers = routers;
        self.meters.values_mut().for_each(|meter| meter.set_sharers(routers));
    }

    /// Returns whether the brand has a limited rate.
    pub(super) fn limits(&self, brand_id: &BrandId) -> bool {
        self.meters.contains_key(brand_id)
    }

    /// Lists the brands with a limited rate.
    pub(super) fn limited(&self) -> impl Iterator<Item = &BrandId> {
        self.meters.keys()
    }

    /// Lets a brand go on in spite of its quotas, which are not charged, until its events can be moved.
    pub(super) fn set_exempt(&mut self, brand_id: &BrandId, is_exempt: bool) {
        if is_exempt {
            self.exempt.insert(brand_id.clone());
        } else {
            self.exempt.remove(brand_id);
        }
    }

    /// Lists the brands with a limited rate that are exempt.
    pub(super) fn list_exempt(&self) -> Vec<BrandId> {
        self.exempt.iter().filter(|brand_id| self.limits(brand_id)).cloned().collect()
    }

    /// Returns the time until events of the brand may be routed; `None` if they may be now.
    pub(super) fn time_until_free(&self, brand_id: &BrandId) -> Option<Duration> {
        let meter = self.meters.get(brand_id).filter(|_| !self.exempt.contains(brand_id))?;
        meter.time_until_free(self.origin.elapsed()).map(|(wait, _)| wait)
    }

    /// Lists the brands that have to wait now, and for how long, the longest wait first.
    pub(super) fn list_stopped(&self) -> Vec<(BrandId, Duration)> {
        let wait_of = |brand_id: &BrandId| Some((brand_id.clone(), self.time_until_free(brand_id)?));
        let mut stopped: Vec<_> = self.meters.keys().filter_map(wait_of).collect();
        stopped.sort_unstable_by_key(|(_, wait)| Reverse(*wait));
        stopped
    }

    /// Begins a batch.
    pub(super) fn begin_batch(&mut self) {
        self.stopped_for = None;
        self.met_movable = false;
    }

    /// Returns whether the last batch met a brand whose events may have to be moved.
    pub(super) fn met_movable(&self) -> bool {
        self.met_movable
    }

    /// Returns the time until the first brand that had to wait in the last batch may go on.
    pub(super) fn stopped_for(&self) -> Option<Duration> {
        self.stopped_for
    }
}

impl ClassLimiter<EventClass, QueuedMessage> for QuotaGate {
    fn may_take(&mut self, class: &EventClass) -> bool {
        let EventClass::Brand(brand_id) = class else { return true };
        let Some(wait) = self.time_until_free(brand_id) else {
            self.met_movable |= self.exempt.contains(brand_id) && self.limits(brand_id);
            return true;
        };
        self.met_movable = true;
        self.stopped_for = Some(self.stopped_for.map_or(wait, |shortest| shortest.min(wait)));
        false
    }

    fn record_taken(&mut self, class: &EventClass, message: &QueuedMessage, cost: usize) {
        let EventClass::Brand(brand_id) = class else { return };
        if self.exempt.contains(brand_id) {
            return;
        }
        let now = self.origin.elapsed();
        if let Some(meter) = self.meters.get_mut(brand_id) {
            let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
            // An event costs one beside its deliveries.
            let deliveries = number(cost.saturating_sub(1));
            meter.take(now, Cost { events: 1, bytes: number(message.taken.body().len()), deliveries });
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::quota::Quota;

    use super::*;

    fn gate_in_debt(brand_id: &BrandId) -> QuotaGate {
        let mut quotas = BrandQuota::default();
        quotas.set(Quota::EventsPerSecond, Some(1)).expect("in range");
        let mut gate = QuotaGate::default();
        gate.set_quotas([(brand_id.clone(), quotas)].into());
        let now = gate.origin.elapsed();
        let meter = gate.meters.get_mut(brand_id).expect("limited");
        meter.take(now, Cost { events: 1000, ..Cost::default() });
        gate
    }

    #[test]
    fn a_brand_whose_events_cannot_be_moved_is_not_stopped() {
        let brand_id: BrandId = "acme".parse().expect("a brand");
        let class = EventClass::Brand(brand_id.clone());
        let mut gate = gate_in_debt(&brand_id);
        gate.begin_batch();
        assert!(!gate.may_take(&class) && gate.stopped_for().is_some() && gate.met_movable());
        gate.set_exempt(&brand_id, true);
        gate.begin_batch();
        assert!(gate.may_take(&class) && gate.stopped_for().is_none());
        assert!(gate.met_movable(), "moving is tried again");
        assert!(gate.list_stopped().is_empty());
        assert_eq!(gate.list_exempt(), std::slice::from_ref(&brand_id));
        gate.set_exempt(&brand_id, false);
        assert!(!gate.may_take(&class) && gate.list_exempt().is_empty());
        assert_eq!(gate.list_stopped().len(), 1);
    }

    #[test]
    fn an_exempt_brand_without_quotas_is_not_tried_because_of_them() {
        let brand_id: BrandId = "acme".parse().expect("a brand");
        let mut gate = QuotaGate::default();
        gate.set_exempt(&brand_id, true);
        gate.begin_batch();
        assert!(gate.may_take(&EventClass::Brand(brand_id)));
        assert!(!gate.met_movable() && gate.list_exempt().is_empty());
    }
}
