//! The prefetch of each webhook: how many messages RabbitMQ hands out before the first is acknowledged.
//!
//! `domain::memory_shares` scales it down where the webhooks of a brand together could take too much memory.

use std::collections::HashMap;
use std::sync::Arc;

use broker::wire::MAX_MESSAGE_BYTES;
use domain::ids::BrandId;
use domain::memory_shares::{MAX_BRAND_MESSAGES, PrefetchScale};

use crate::limiter::Limits;
use crate::webhook_cache::WebhookConfig;

/// Most memory of the messages that one brand has in hand (`crates/docs/adr/0051-memory-shares.md`).
const MAX_BRAND_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

const _: () = assert!(MAX_BRAND_MESSAGES as usize * MAX_MESSAGE_BYTES <= MAX_BRAND_MESSAGE_BYTES);

/// The scales of all brands.
#[derive(Debug, Default)]
pub(crate) struct PrefetchPlan(HashMap<BrandId, PrefetchScale>);

impl PrefetchPlan {
    /// Adapts the scales to the webhooks of all replicas. A change of replicas therefore changes no prefetch, and when
    /// another replica is gone, the webhooks that this one takes over have their share already.
    pub(crate) fn update(&mut self, webhooks: &[Arc<WebhookConfig>]) {
        let mut wanted: HashMap<&BrandId, Vec<u16>> = HashMap::new();
        for webhook in webhooks {
            wanted.entry(&webhook.brand_id).or_default().push(webhook.limits.prefetch);
        }
        let scale = |(brand, wanted): (&BrandId, Vec<u16>)| {
            let before = self.0.get(brand).copied().unwrap_or_default();
            (brand.clone(), before.adapt(&wanted))
        };
        // Most brands get all that they want.
        let scaled = wanted.into_iter().map(scale).filter(|(_, scale)| *scale != PrefetchScale::default());
        self.0 = scaled.collect();
    }

    /// Returns a webhook's limits with its prefetch.
    pub(crate) fn limits_of(&self, webhook: &WebhookConfig) -> Limits {
        let scale = self.0.get(&webhook.brand_id).copied().unwrap_or_default();
        Limits { prefetch: scale.apply(webhook.limits.prefetch), ..webhook.limits }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook_cache::tests::webhook;

    fn webhooks(brand: &str, number: u128) -> Vec<Arc<WebhookConfig>> {
        let of_brand = |n| {
            let brand_id = brand.parse().expect("a brand");
            Arc::new(WebhookConfig { brand_id, limits: Limits::new(100, None), ..webhook(n) })
        };
        (0..number).map(of_brand).collect()
    }

    fn prefetch(plan: &PrefetchPlan, webhooks: &[Arc<WebhookConfig>]) -> u16 {
        plan.limits_of(&webhooks[0]).prefetch
    }

    #[test]
    fn a_brand_with_many_webhooks_shares_and_leaves_other_brands_alone() {
        let (many, few) = (webhooks("many", 100), webhooks("few", 7));
        let mut plan = PrefetchPlan::default();
        plan.update(&[many.clone(), few.clone()].concat());
        assert_eq!((prefetch(&plan, &many), prefetch(&plan, &few)), (25, 400));
        assert_eq!(plan.limits_of(&many[0]).max_concurrency, 100);
        plan.update(&[webhooks("many", 5), few].concat());
        assert_eq!(prefetch(&plan, &many), 400);
    }
}
