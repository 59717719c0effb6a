//! The overview of the platform for support.

mod attention;

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
use store::api::webhooks::{self, WebhookSelection};
use store::delivery::activity::slice_length;
use store::delivery::stats;
use store::keyset::KeysetPosition;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::Api;
use crate::auth::Support;
use crate::http::problem::Result;
use crate::openapi::samples;
use crate::resources::overview::attention::AttentionView;
use crate::resources::views::{WebhookView, serialize_optional};
use crate::resources::webhooks::health_state::view_webhooks;
use crate::resources::webhooks::time_buckets::{BucketView, BucketedRange};

/// Most disabled webhooks in the overview.
const MAX_DISABLED: i64 = 100;
/// What the messages of a delay queue are.
const DELAY_QUEUE_NOTE: &str = "Retries that wait. A message whose delivery has ended meanwhile, because its webhook was \
     disabled or paused, stays until its delay is over and is dropped then.";
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
    #[schema(example = json!({"active": 41, "paused": 2, "disabled": 1}))]
    webhooks: BTreeMap<&'static str, i64>,
    /// Failing and soon-disabled webhooks, the worst first; at most 100
    attention: Vec<AttentionView>,
    /// Whether more webhooks need attention
    attention_more: bool,
    /// First 100 disabled webhooks, in the order of their creation
    #[schema(example = json!([samples::disabled_webhook()]))]
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
#[schema(as = Queue, example = json!({"name": "postrider.ingest", "messages": 0, "note": null}))]
pub(crate) struct QueueView {
    /// Name of the queue
    name: String,
    /// Number of ready messages
    #[schema(minimum = 0)]
    messages: u32,
    /// What the messages are, where their number could mislead; null otherwise
    #[schema(required)]
    note: Option<&'static str>,
}

/// Deliveries that have not ended.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Waiting, example = samples::waiting)]
pub(crate) struct WaitingView {
    /// Number of deliveries; at most 10,000 are counted for each webhook
    #[schema(minimum = 0)]
    deliveries: i64,
    /// Whether there are more deliveries than were counted
    more: bool,
    /// When the delivery was due, or is due, that is due first; null if there is none. A first attempt is due since the
    /// platform received the event, whatever `created` says. First attempts of redeliveries do not count
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    oldest: Option<DateTime>,
    /// Brand of that delivery
    #[schema(required)]
    oldest_brand_id: Option<String>,
    /// Webhook of that delivery
    #[schema(required)]
    oldest_webhook_id: Option<Uuid>,
}

/// Read the overview
///
/// Returns the processes that run, the lengths of queues, the deliveries that wait and the oldest of them, the webhooks
/// that need attention, and the attempts of the last hour.
#[utoipa::path(
    get, path = "/admin/v1/overview", tag = "support", operation_id = "readOverview",
    responses((status = 200, description = "The overview of the platform.", body = Overview))
)]
pub(crate) async fn read_overview(State(api): State<Api>, _: Support) -> Result<Json<Overview>> {
    let queues = read_queues(&api).await?;
    let rejected = api.names.rejected_queue();
    let rejected = queues.iter().find(|queue| queue.name == rejected).map_or(0, |queue| queue.messages);
    let minute = Duration::from_secs(60);
    let range = BucketedRange::latest(MINUTES_SHOWN, minute, slice_length(api.health.window));
    let minutes = stats::load_total_stats(&api.store, range.from, range.to, range.bucket).await?;
    let backlog = api.backlog.measure(&api.store).await?;
    let attention = attention::find_attention(&api, &backlog).await?;
    let at = Utc::now();
    let services = overview::list_services(&api.store).await?;
    Ok(Json(Overview {
        at,
        services: services.into_iter().map(|service| ServiceView::new(service, at)).collect(),
        queues,
        waiting: view_waiting(&api, &backlog).await?,
        webhooks: count_by_status(overview::count_webhooks(&api.store).await?),
        attention: attention.items,
        attention_more: attention.more,
        disabled: list_disabled(&api).await?,
        rejected,
        minutes: range.fill_gaps(minutes),
    }))
}

async fn list_disabled(api: &Api) -> Result<Vec<WebhookView>> {
    let selection = WebhookSelection { status: Some(WebhookStatus::Disabled), ..WebhookSelection::default() };
    let found = webhooks::list_webhooks(&api.store, &selection, KeysetPosition::FIRST, MAX_DISABLED).await?;
    view_webhooks(api, found).await
}

async fn read_queues(api: &Api) -> Result<Vec<QueueView>> {
    let names = &api.names;
    let mut shown: Vec<(String, Option<&'static str>)> = vec![
        (names.ingest_queue(), None),
        (names.ingest_spare_queue(), None),
        (names.quarantine_queue(), None),
        (names.unrouted_queue(), None),
        (names.rejected_queue(), None),
    ];
    let delays = api.retry_delays.iter();
    shown.extend(delays.map(|delay| (names.delay_queue(*delay), Some(DELAY_QUEUE_NOTE))));
    let mut queues = Vec::with_capacity(shown.len());
    for (name, note) in shown {
        if let Some(messages) = api.topology.queue_depth(&name).await? {
            queues.push(QueueView { name, messages, note });
        }
    }
    Ok(queues)
}

async fn view_waiting(api: &Api, backlog: &Backlog) -> Result<WaitingView> {
    let oldest = match backlog.first_due_webhook {
        Some(webhook) => webhooks::find_webhook(&api.store, webhook).await?,
        None => None,
    };
    Ok(WaitingView {
        deliveries: backlog.waiting,
        more: backlog.more,
        oldest: backlog.first_due,
        oldest_brand_id: oldest.map(|webhook| webhook.brand_id.to_string()),
        oldest_webhook_id: backlog.first_due_webhook.map(|webhook| webhook.0),
    })
}

/// The count of each status, including zeros.
fn count_by_status(found: Vec<(WebhookStatus, i64)>) -> BTreeMap<&'static str, i64> {
    let shown = [WebhookStatus::Active, WebhookStatus::Paused, WebhookStatus::Disabled];
    let count = |status| found.iter().find(|(own, _)| *own == status).map_or(0, |(_, count)| *count);
    shown.into_iter().map(|status| (status.as_str(), count(status))).collect()
}

impl ServiceView {
    /// The view of a process at `now`. The clocks of two machines differ, and nobody was seen in the future.
    fn new(service: Service, now: DateTime) -> Self {
        Self {
            id: service.id,
            service: service.service,
            host: service.host,
            version: service.version,
            started: service.started_at.min(now),
            last_seen: service.last_seen.min(now),
        }
    }
}
