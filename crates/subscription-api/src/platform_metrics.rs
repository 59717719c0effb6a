//! Gauges of the whole platform: queues, deliveries, webhooks, processes.
//!
//! Every API process measures them for itself, so dashboards and alerts take the highest value of several processes.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use domain::webhook::WebhookStatus;
use metrics::gauge;
use runtime::error::Chain;
use runtime::metrics::{MetricDef, MetricKind};
use store::StoreError;
use store::api::overview;
use tracing::debug;

use crate::api::Api;

/// Shortest interval between two measurements.
const MIN_MEASURE_INTERVAL: Duration = Duration::from_secs(5);
/// Interval in multiples of the duration of the last measurement, so that measuring never uses more than a hundredth
/// of a core. With 100,000 waiting deliveries a measurement takes about 0.2 s.
const INTERVAL_FACTOR: u32 = 100;
/// Longest interval. A measurement that waited for a server is long without being expensive, and the gauges must not
/// become much older than this.
const MAX_MEASURE_INTERVAL: Duration = Duration::from_secs(30);
/// The services. Each has a gauge even without a process, so that an alert can see a missing service.
const SERVICES: [&str; 3] = ["subscription-api", "router", "deliverer"];

/// The metrics of the platform.
pub(crate) const METRICS: [MetricDef; 7] = [
    MetricDef::new(
        MetricKind::Gauge,
        "postrider_queue_messages",
        "Ready messages in a queue of the platform: ingest, ingest.spare, quarantine, unrouted, rejected",
    )
    .with_labels(&["queue"]),
    MetricDef::new(
        MetricKind::Gauge,
        "postrider_wait_queue_messages",
        "Deliveries that wait for their next attempt, by the delay of their queue",
    )
    .with_labels(&["delay"]),
    MetricDef::new(
        MetricKind::Gauge,
        "postrider_deliveries_waiting",
        "Deliveries that have not ended, including those that wait for their next attempt",
    ),
    MetricDef::new(MetricKind::Gauge, "postrider_deliveries_due", "Deliveries whose next attempt is due"),
    MetricDef::new(
        MetricKind::Gauge,
        "postrider_oldest_due_delivery_seconds",
        "Time since the next attempt of the oldest due delivery was due, redeliveries excluded",
    ),
    MetricDef::new(MetricKind::Gauge, "postrider_webhooks", "Webhooks that are active, paused or disabled")
        .with_labels(&["status"]),
    MetricDef::new(
        MetricKind::Gauge,
        "postrider_instances",
        "Processes of each service seen in the last seconds",
    )
    .with_labels(&["service"]),
];

/// Measures the platform again and again.
pub(crate) async fn measure_forever(api: Api) {
    loop {
        let started = Instant::now();
        if let Err(error) = measure_database(&api).await {
            debug!(error = %Chain(&error), "could not measure the database");
        }
        if let Err(error) = measure_queues(&api).await {
            debug!(error = %Chain(&error), "could not measure the queues");
        }
        let interval = started.elapsed() * INTERVAL_FACTOR;
        tokio::time::sleep(interval.clamp(MIN_MEASURE_INTERVAL, MAX_MEASURE_INTERVAL)).await;
    }
}

async fn measure_database(api: &Api) -> Result<(), StoreError> {
    let backlog = overview::measure_backlog(&api.control).await?;
    gauge!("postrider_deliveries_waiting").set(gauge_value(backlog.waiting));
    gauge!("postrider_deliveries_due").set(gauge_value(backlog.due));
    gauge!("postrider_oldest_due_delivery_seconds").set(backlog.overdue_seconds);
    let webhooks: BTreeMap<&str, i64> = overview::count_webhooks(&api.control)
        .await?
        .into_iter()
        .map(|(status, n)| (status.as_str(), n))
        .collect();
    for status in [WebhookStatus::Active, WebhookStatus::Paused, WebhookStatus::Disabled] {
        let number = webhooks.get(status.as_str()).copied().unwrap_or(0);
        gauge!("postrider_webhooks", "status" => status.as_str()).set(gauge_value(number));
    }
    let seen = overview::list_services(&api.control).await?;
    for service in SERVICES {
        let number = seen.iter().filter(|instance| instance.service == service).count();
        gauge!("postrider_instances", "service" => service).set(u32::try_from(number).unwrap_or(u32::MAX));
    }
    Ok(())
}

async fn measure_queues(api: &Api) -> Result<(), broker::BrokerError> {
    let names = &api.names;
    let own = [
        ("ingest", names.ingest_queue()),
        ("ingest.spare", names.ingest_spare_queue()),
        ("quarantine", names.quarantine_queue()),
        ("unrouted", names.unrouted_queue()),
        ("rejected", names.rejected_queue()),
    ];
    for (queue, name) in own {
        if let Some(messages) = api.topology.queue_depth(&name).await? {
            gauge!("postrider_queue_messages", "queue" => queue).set(messages);
        }
    }
    for delay in &api.retry_delays {
        if let Some(messages) = api.topology.queue_depth(&names.delay_queue(*delay)).await? {
            let delay = format!("{}", delay.as_secs_f64());
            gauge!("postrider_wait_queue_messages", "delay" => delay).set(messages);
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn gauge_value(number: i64) -> f64 {
    number as f64
}
