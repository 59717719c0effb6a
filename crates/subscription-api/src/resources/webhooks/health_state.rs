//! The state of a webhook's health in views of webhooks.

use std::collections::HashMap;

// utoipa recognizes the type by this name.
use domain::time::Timestamp as DateTime;
use domain::webhook::health_state::Health;
use runtime::error::Chain;
use serde::Serialize;
use store::api::webhooks::Webhook;
use store::clock;
use store::delivery::health_facts;
use tracing::warn;
use utoipa::ToSchema;

use crate::api::Api;
use crate::http::problem::Result;
use crate::openapi::samples;
use crate::openapi::words::HealthStateWord;
use crate::resources::views::{WebhookView, serialize_optional};

/// State of a webhook's health, derived from its latest attempts and deliveries.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WebhookHealth, example = samples::health_state)]
pub(crate) struct WebhookHealthView {
    /// `failing`: at least half of the attempts of the last 15 minutes failed (of the latest attempts if there were none
    /// in that time), or the last three deliveries did;
    /// `resting`: the endpoint asked for a pause with `Retry-After`; `idle`: no attempt in 24 hours
    #[schema(value_type = HealthStateWord)]
    state: &'static str,
    /// When this state began; null if that is not known, such as `healthy` for longer than an hour or `idle` for longer than
    /// a day
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    since: Option<DateTime>,
    /// Share of the deliveries that ended in the last hour which were delivered; null if none ended
    #[schema(required, minimum = 0, maximum = 1)]
    success_rate: Option<f64>,
    /// When the platform will disable the webhook if its attempts go on like this; null if it will not
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    disables_at: Option<DateTime>,
}

impl From<&Health> for WebhookHealthView {
    fn from(health: &Health) -> Self {
        Self {
            state: health.state.as_str(),
            since: health.since,
            success_rate: health.success_rate.map(|rate| (rate * 10_000.0).round() / 10_000.0),
            disables_at: health.disables_at,
        }
    }
}

/// Returns the views of webhooks with their health, in the same order.
///
/// # Errors
/// When the database fails.
pub(crate) async fn view_webhooks(api: &Api, webhooks: Vec<Webhook>) -> Result<Vec<WebhookView>> {
    let ids: Vec<_> = webhooks.iter().map(|webhook| webhook.id).collect();
    let health = health_facts::assess_webhooks(&api.store, &ids, &api.health, clock::now()).await?;
    Ok(webhooks.into_iter().map(|webhook| view_with(webhook, &health)).collect())
}

/// Returns the view of a webhook with its health.
///
/// # Errors
/// When the database fails.
pub(crate) async fn view_webhook(api: &Api, webhook: Webhook) -> Result<WebhookView> {
    let ids = [webhook.id];
    let health = health_facts::assess_webhooks(&api.store, &ids, &api.health, clock::now()).await?;
    Ok(view_with(webhook, &health))
}

/// Returns the view of a webhook that was just changed. If its health cannot be read, the view does without, because the
/// change is committed.
pub(crate) async fn view_changed(api: &Api, webhook: Webhook) -> WebhookView {
    let ids = [webhook.id];
    let health = health_facts::assess_webhooks(&api.store, &ids, &api.health, clock::now()).await;
    let health = health.unwrap_or_else(|error| {
        warn!(webhook = %webhook.id, error = %Chain(&error), "could not read the health of a changed webhook");
        HashMap::new()
    });
    view_with(webhook, &health)
}

fn view_with(webhook: Webhook, health: &HashMap<domain::ids::WebhookId, Health>) -> WebhookView {
    let health = health.get(&webhook.id).map(WebhookHealthView::from);
    WebhookView::with_health(webhook, health)
}
