//! Keeps brands within the rates that support allows them, by letting them wait for their turns.

use std::collections::HashMap;
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
    /// Time until the first brand that had to wait in the last batch may go on.
    stopped_for: Option<Duration>,
}

impl Default for QuotaGate {
    fn default() -> Self {
        Self { origin: Instant::now(), routers: 1, meters: HashMap::new(), stopped_for: None }
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

    /// Returns the time until events of the brand may be routed; `None` if they may be now.
    pub(super) fn time_until_free(&self, brand_id: &BrandId) -> Option<Duration> {
        let meter = self.meters.get(brand_id)?;
        meter.time_until_free(self.origin.elapsed()).map(|(wait, _)| wait)
    }

    /// Lists the brands that have to wait now, and for how long.
    pub(super) fn list_stopped(&self) -> Vec<(BrandId, Duration)> {
        let now = self.origin.elapsed();
        let stopped = self.meters.iter().filter_map(|(brand_id, meter)| {
            meter.time_until_free(now).map(|(wait, _)| (brand_id.clone(), wait))
        });
        stopped.collect()
    }

    /// Begins a batch.
    pub(super) fn begin_batch(&mut self) {
        self.stopped_for = None;
    }

    /// Returns the time until the first brand that had to wait in the last batch may go on.
    pub(super) fn stopped_for(&self) -> Option<Duration> {
        self.stopped_for
    }
}

impl ClassLimiter<EventClass, QueuedMessage> for QuotaGate {
    fn may_take(&mut self, class: &EventClass) -> bool {
        let EventClass::Brand(brand_id) = class else { return true };
        let Some(wait) = self.time_until_free(brand_id) else { return true };
        self.stopped_for = Some(self.stopped_for.map_or(wait, |shortest| shortest.min(wait)));
        false
    }

    fn record_taken(&mut self, class: &EventClass, message: &QueuedMessage, cost: usize) {
        let EventClass::Brand(brand_id) = class else { return };
        let now = self.origin.elapsed();
        if let Some(meter) = self.meters.get_mut(brand_id) {
            let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
            // An event costs one beside its deliveries.
            let deliveries = number(cost.saturating_sub(1));
            meter.take(now, Cost { events: 1, bytes: number(message.taken.body().len()), deliveries });
        }
    }
}
