//! What support sees at a glance.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use chrono::Utc;
// By this name utoipa knows it.
use domain::time::Timestamp as DateTime;
use domain::time::rfc3339;
use domain::webhook::WebhookStatus;
use serde::Serialize;
use store::activity::slice_for;
use store::overview::{self, Service, Waiting};
use store::place::Place;
use store::{stats, webhooks};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::Api;
use crate::auth::Support;
use crate::http::problem::Result;
use crate::resources::rejected::broker_unavailable;
use crate::resources::views::{WebhookView, serialize_optional};
use crate::resources::webhooks::stats::{BucketView, BucketedRange};

/// Disabled webhooks that are shown.
const MAX_DISABLED: i64 = 100;
/// How far back it looks, in minutes.
const MINUTES_SHOWN: i32 = 60;

/// The platform at a glance.
// No Debug: a webhook's header values may be secrets.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    #[serde(with = "rfc3339")]
    at: DateTime,
    /// The processes that were seen in the last seconds
    services: Vec<ServiceView>,
    /// The platform's own queues and how many messages are ready in each
    queues: Vec<QueueView>,
    waiting: WaitingView,
    /// How many webhooks are `active`, `paused` and `disabled`
    webhooks: BTreeMap<&'static str, i64>,
    /// The first 100 disabled webhooks, those disabled longest ago first
    disabled: Vec<WebhookView>,
    /// How many refused messages there are
    #[schema(minimum = 0)]
    rejected: u32,
    /// What attempts came to in each of the last 60 minutes, over all webhooks
    minutes: Vec<BucketView>,
}

/// A process that was seen.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Service)]
pub struct ServiceView {
    id: Uuid,
    /// `subscription-api`, `router` or `deliverer`
    service: String,
    host: String,
    version: String,
    #[serde(with = "rfc3339")]
    started: DateTime,
    #[serde(with = "rfc3339")]
    last_seen: DateTime,
}

/// A queue of the platform.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Queue)]
pub struct QueueView {
    name: String,
    /// Messages that are ready
    #[schema(minimum = 0)]
    messages: u32,
}

/// The deliveries that wait for an attempt.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Waiting)]
pub struct WaitingView {
    #[schema(minimum = 0)]
    deliveries: i64,
    /// When the event of the oldest happened
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    oldest: Option<DateTime>,
}

/// Read the overview
#[utoipa::path(
    get, path = "/admin/v1/overview", tag = "support", operation_id = "readOverview",
    responses((status = 200, description = "The platform at a glance", body = Overview))
)]
pub async fn read_overview(State(api): State<Api>, _: Support) -> Result<Json<Overview>> {
    let names = &api.names;
    let mut shown =
        vec![names.ingest(), names.ingest_spare(), names.quarantine(), names.unrouted(), names.rejected()];
    shown.extend(api.retry_delays.iter().map(|delay| names.wait(*delay)));
    let queues = read_queues(&api, shown).await?;
    let rejected = names.rejected();
    let rejected = queues.iter().find(|queue| queue.name == rejected).map_or(0, |queue| queue.messages);
    let minute = Duration::from_secs(60);
    let range = BucketedRange::latest(MINUTES_SHOWN, minute, slice_for(api.health.window));
    let minutes = stats::of_all(&api.store, range.from(), range.to(), range.step()).await?;
    let disabled = Some(WebhookStatus::Disabled);
    let disabled = webhooks::page_of_all(&api.store, disabled, Place::FIRST, MAX_DISABLED).await?;
    Ok(Json(Overview {
        at: Utc::now(),
        services: overview::services(&api.store).await?.into_iter().map(ServiceView::from).collect(),
        queues,
        waiting: overview::waiting(&api.store).await?.into(),
        webhooks: count_by_status(overview::webhooks(&api.store).await?),
        disabled: disabled.into_iter().map(WebhookView::from).collect(),
        rejected,
        minutes: range.fill_gaps(minutes),
    }))
}

async fn read_queues(api: &Api, names: Vec<String>) -> Result<Vec<QueueView>> {
    let mut queues = Vec::with_capacity(names.len());
    for name in names {
        if let Some(messages) = api.topology.depth(&name).await.map_err(broker_unavailable)? {
            queues.push(QueueView { name, messages });
        }
    }
    Ok(queues)
}

/// Every status that is shown, those of no webhook too.
fn count_by_status(found: Vec<(WebhookStatus, i64)>) -> BTreeMap<&'static str, i64> {
    let shown = [WebhookStatus::Active, WebhookStatus::Paused, WebhookStatus::Disabled];
    let count = |status| found.iter().find(|(own, _)| *own == status).map_or(0, |(_, count)| *count);
    shown.into_iter().map(|status| (status.as_str(), count(status))).collect()
}

impl From<Service> for ServiceView {
    fn from(service: Service) -> Self {
        Self {
            id: service.id,
            service: service.service,
            host: service.host,
            version: service.version,
            started: service.started_at,
            last_seen: service.last_seen,
        }
    }
}

impl From<Waiting> for WaitingView {
    fn from(waiting: Waiting) -> Self {
        Self { deliveries: waiting.deliveries, oldest: waiting.oldest }
    }
}
