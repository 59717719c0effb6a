//! The overview of the platform for support.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use chrono::Utc;
// utoipa recognizes the type by this name.
use domain::time::Timestamp as DateTime;
use domain::time::rfc3339;
use domain::webhook::WebhookStatus;
use serde::Serialize;
use store::api::overview::{self, Backlog, Service};
use store::api::webhooks;
use store::delivery::activity::slice_length;
use store::delivery::stats;
use store::keyset::KeysetPosition;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::Api;
use crate::auth::Support;
use crate::http::problem::Result;
use crate::resources::views::{WebhookView, serialize_optional};
use crate::resources::webhooks::time_buckets::{BucketView, BucketedRange};

/// Most disabled webhooks in the overview.
const MAX_DISABLED: i64 = 100;
/// Number of minutes with statistics.
const MINUTES_SHOWN: i32 = 60;

/// An overview of the platform.
// No Debug: a webhook's header values may be secrets.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Overview {
    /// When the overview was taken
    #[serde(with = "rfc3339")]
    at: DateTime,
    /// Processes that were seen in the last seconds
    services: Vec<ServiceView>,
    /// Queues of the platform with the number of ready messages in each
    queues: Vec<QueueView>,
    /// Deliveries that have not ended
    waiting: WaitingView,
    /// Number of webhooks that are `active`, `paused` and `disabled`
    webhooks: BTreeMap<&'static str, i64>,
    /// First 100 disabled webhooks, in the order of their creation
    disabled: Vec<WebhookView>,
    /// Number of rejected messages
    #[schema(minimum = 0)]
    rejected: u32,
    /// Attempt statistics of all webhooks for each of the last 60 minutes
    minutes: Vec<BucketView>,
}

/// A process of a service.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Service)]
pub(crate) struct ServiceView {
    /// Id of the process
    id: Uuid,
    /// `subscription-api`, `router` or `deliverer`
    service: String,
    /// Host on which the process runs
    host: String,
    /// Version of the service
    version: String,
    /// When the process started
    #[serde(with = "rfc3339")]
    started: DateTime,
    /// When the process was last seen
    #[serde(with = "rfc3339")]
    last_seen: DateTime,
}

/// A queue of the platform.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Queue)]
pub(crate) struct QueueView {
    /// Name of the queue
    name: String,
    /// Number of ready messages
    #[schema(minimum = 0)]
    messages: u32,
}

/// Deliveries that have not ended.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Waiting)]
pub(crate) struct WaitingView {
    /// Number of deliveries; at most 10,000 are counted for each webhook
    #[schema(minimum = 0)]
    deliveries: i64,
    /// Whether there are more deliveries than were counted
    more: bool,
    /// When the delivery was due, or is due, that is due first; null if there is none. First attempts of redeliveries
    /// do not count
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    oldest: Option<DateTime>,
}

/// Read the overview
#[utoipa::path(
    get, path = "/admin/v1/overview", tag = "support", operation_id = "readOverview",
    responses((status = 200, description = "The overview of the platform.", body = Overview))
)]
pub(crate) async fn read_overview(State(api): State<Api>, _: Support) -> Result<Json<Overview>> {
    let names = &api.names;
    let mut shown = vec![
        names.ingest_queue(),
        names.ingest_spare_queue(),
        names.quarantine_queue(),
        names.unrouted_queue(),
        names.rejected_queue(),
    ];
    shown.extend(api.retry_delays.iter().map(|delay| names.delay_queue(*delay)));
    let queues = read_queues(&api, shown).await?;
    let rejected = names.rejected_queue();
    let rejected = queues.iter().find(|queue| queue.name == rejected).map_or(0, |queue| queue.messages);
    let minute = Duration::from_secs(60);
    let range = BucketedRange::latest(MINUTES_SHOWN, minute, slice_length(api.health.window));
    let minutes = stats::load_total_stats(&api.store, range.from, range.to, range.bucket).await?;
    let disabled = Some(WebhookStatus::Disabled);
    let disabled =
        webhooks::list_all_webhooks(&api.store, disabled, KeysetPosition::FIRST, MAX_DISABLED).await?;
    Ok(Json(Overview {
        at: Utc::now(),
        services: overview::list_services(&api.store).await?.into_iter().map(ServiceView::from).collect(),
        queues,
        waiting: api.backlog.measure(&api.store).await?.into(),
        webhooks: count_by_status(overview::count_webhooks(&api.store).await?),
        disabled: disabled.into_iter().map(WebhookView::from).collect(),
        rejected,
        minutes: range.fill_gaps(minutes),
    }))
}

async fn read_queues(api: &Api, names: Vec<String>) -> Result<Vec<QueueView>> {
    let mut queues = Vec::with_capacity(names.len());
    for name in names {
        if let Some(messages) = api.topology.queue_depth(&name).await? {
            queues.push(QueueView { name, messages });
        }
    }
    Ok(queues)
}

/// The count of each status, including zeros.
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

impl From<Backlog> for WaitingView {
    fn from(backlog: Backlog) -> Self {
        Self { deliveries: backlog.waiting, more: backlog.more, oldest: backlog.first_due }
    }
}
