//! The webhooks that need attention, with the contact of their brand.

use std::collections::{BTreeMap, BTreeSet};

use domain::ids::{BrandId, WebhookId};
// utoipa recognizes the type by this name.
use domain::time::Timestamp as DateTime;
use domain::webhook::health_state::{Health, HealthState};
use serde::Serialize;
use store::api::brands::{self, Brand};
use store::api::overview::{Backlog, WebhookBacklog};
use store::api::webhooks::{self, Webhook};
use store::clock;
use store::delivery::health_facts;
use utoipa::ToSchema;

use crate::api::Api;
use crate::http::problem::Result;
use crate::openapi::samples;
use crate::resources::views::{ContactView, WebhookView, serialize_optional};
use crate::resources::webhooks::health_state::WebhookHealthView;

/// Most webhooks that are shown. More of them are one incident, and not one task each.
const MAX_SHOWN: usize = 100;
/// Most webhooks whose end is computed, the nearest to being disabled first.
const MAX_ASSESSED: i64 = 1000;

/// A webhook that needs attention.
// No Debug: a webhook's header values may be secrets.
#[derive(Serialize, ToSchema)]
#[schema(as = Attention, example = samples::attention)]
pub(crate) struct AttentionView {
    /// The webhook, whose health tells why
    webhook: WebhookView,
    /// Its brand
    brand: AttentionBrand,
    /// Its deliveries that wait
    waiting: AttentionWaiting,
}

/// The brand of a webhook that needs attention.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AttentionBrand {
    /// Id of the brand
    brand_id: String,
    /// Display name
    name: String,
    /// Point of contact; null if there is none
    #[schema(required)]
    contact: Option<ContactView>,
}

/// The deliveries that wait for a webhook.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttentionWaiting {
    /// Number of deliveries; at most 10,000 are counted, and only 100 once many were counted for other webhooks
    #[schema(minimum = 0)]
    deliveries: i64,
    /// Whether there are more
    more: bool,
    /// When the delivery was due that was due first; null if there is none
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    oldest: Option<DateTime>,
}

/// The webhooks that need attention.
pub(crate) struct Attention {
    pub(crate) items: Vec<AttentionView>,
    /// Whether there are more.
    pub(crate) more: bool,
}

/// Finds the failing and soon-disabled webhooks, the worst first.
///
/// # Errors
/// When the database fails.
pub(crate) async fn find_attention(api: &Api, backlog: &Backlog) -> Result<Attention> {
    let now = clock::now();
    // One more tells whether there are others.
    let mut ids =
        health_facts::find_suspect_ids(&api.store, None, &api.health, MAX_ASSESSED + 1, now).await?;
    let has_others = i64::try_from(ids.len()).is_ok_and(|found| found > MAX_ASSESSED);
    if has_others {
        ids.pop();
    }
    let assessed = health_facts::assess_webhooks(&api.store, &ids, &api.health, now).await?;
    let mut found: Vec<(WebhookId, Health)> =
        assessed.into_iter().filter(|(_, health)| needs_attention(health)).collect();
    found.sort_unstable_by_key(|(id, health)| urgency(*id, health));
    let more = found.len() > MAX_SHOWN || has_others;
    found.truncate(MAX_SHOWN);
    let ids: Vec<_> = found.iter().map(|(id, _)| id.0).collect();
    let webhooks = webhooks::find_webhooks(&api.store, &ids, None).await?;
    let brands = load_brands(api, &webhooks).await?;
    let mut webhooks: BTreeMap<WebhookId, Webhook> =
        webhooks.into_iter().map(|webhook| (webhook.id, webhook)).collect();
    let items = found.iter().filter_map(|(id, health)| {
        let webhook = webhooks.remove(id)?;
        let brand = brands.get(&webhook.brand_id)?;
        let waiting = backlog.webhooks.get(id).copied().unwrap_or_default();
        Some(view(webhook, health, brand, waiting))
    });
    Ok(Attention { items: items.collect(), more })
}

fn needs_attention(health: &Health) -> bool {
    health.state == HealthState::Failing || health.disables_at.is_some()
}

/// The order of the list: the webhook comes first that will be disabled first, then the one that fails for longest.
fn urgency(id: WebhookId, health: &Health) -> (bool, Option<DateTime>, bool, Option<DateTime>, WebhookId) {
    (health.disables_at.is_none(), health.disables_at, health.since.is_none(), health.since, id)
}

async fn load_brands(api: &Api, webhooks: &[Webhook]) -> Result<BTreeMap<BrandId, Brand>> {
    let ids: BTreeSet<&BrandId> = webhooks.iter().map(|webhook| &webhook.brand_id).collect();
    let ids: Vec<&str> = ids.into_iter().map(BrandId::as_str).collect();
    let found = brands::find_brands(&api.store, &ids).await?;
    Ok(found.into_iter().map(|brand| (brand.id.clone(), brand)).collect())
}

fn view(webhook: Webhook, health: &Health, brand: &Brand, waiting: WebhookBacklog) -> AttentionView {
    AttentionView {
        webhook: WebhookView::with_health(webhook, Some(WebhookHealthView::from(health))),
        brand: AttentionBrand {
            brand_id: brand.id.to_string(),
            name: brand.name.clone(),
            contact: ContactView::of_brand(brand),
        },
        waiting: AttentionWaiting {
            deliveries: waiting.waiting,
            more: waiting.more,
            oldest: waiting.first_due,
        },
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use uuid::Uuid;

    use super::*;

    fn health(state: HealthState, since: i64, disables_at: Option<i64>) -> Health {
        let at = |minutes| DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes);
        Health { state, since: Some(at(since)), success_rate: None, disables_at: disables_at.map(at) }
    }

    #[test]
    fn the_next_to_be_disabled_comes_first_then_the_one_that_fails_for_longest() {
        let found = [
            health(HealthState::Failing, 5, None),
            health(HealthState::Failing, 9, Some(30)),
            health(HealthState::Failing, 1, None),
            health(HealthState::Resting, 2, Some(20)),
        ];
        let mut order: Vec<usize> = (0..found.len()).collect();
        order.sort_by_key(|at| urgency(WebhookId(Uuid::from_u128(7)), &found[*at]));
        assert_eq!(order, [3, 1, 2, 0]);
    }

    #[test]
    fn only_failing_and_soon_disabled_webhooks_need_attention() {
        for state in HealthState::ALL {
            assert_eq!(needs_attention(&health(*state, 0, None)), *state == HealthState::Failing);
            assert!(needs_attention(&health(*state, 0, Some(1))));
        }
    }
}
