//! Gauges of the whole platform: queues, deliveries, webhooks, processes.
//!
//! Every API process measures them for itself, so dashboards and alerts take the highest value of several processes.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use domain::webhook::WebhookStatus;
use metrics::{counter, gauge};
use runtime::error::Chain;
use runtime::metrics::{MetricDef, MetricKind};
use store::api::overview;
use store::{StoreError, clock};
use tracing::debug;

use crate::api::Api;

/// Shortest interval between two measurements.
const MIN_MEASURE_INTERVAL: Duration = Duration::from_secs(5);
/// Interval in multiples of the duration of the last measurement, so that measuring never uses more than a hundredth
/// of a core.
const INTERVAL_FACTOR: u32 = 100;
/// Longest interval. A measurement that waited for a server is long without being expensive, and the gauges must not
/// become much older than this.
const MAX_MEASURE_INTERVAL: Duration = Duration::from_secs(30);
/// The services. Each has a gauge even without a process, so that an alert can see a missing service.
const SERVICES: [&str; 3] = ["subscription-api", "router", "deliverer"];
/// The statuses by which webhooks are counted.
const STATUSES: [WebhookStatus; 3] = [WebhookStatus::Active, WebhookStatus::Paused, WebhookStatus::Disabled];
/// The servers that are measured, as values of a label.
const DATABASE: &str = "database";
const BROKER: &str = "broker";

/// The metrics of the platform.
pub(crate) const METRICS: [MetricDef; 8] = [
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
        "Deliveries that have not ended, including those that wait for their next attempt; at most 10,000 are counted for each webhook",
    ),
    MetricDef::new(
        MetricKind::Gauge,
        "postrider_deliveries_due",
        "Deliveries whose next attempt is due; at most 10,000 are counted for each webhook",
    ),
    MetricDef::new(
        MetricKind::Gauge,
        "postrider_oldest_due_delivery_seconds",
        "Time since the next attempt of the oldest due delivery was due, first attempts of redeliveries excluded",
    ),
    MetricDef::new(
        MetricKind::Counter,
        "postrider_measurements_failed_total",
        "Measurements of the platform that failed, by the server that was asked; the gauges are NaN meanwhile",
    )
    .with_labels(&["server"]),
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
///
/// A gauge whose measurement fails becomes NaN. If it kept its last value, an alert would see a calm platform for as long
/// as nobody can measure it.
pub(crate) async fn measure_forever(api: Api) {
    for server in [DATABASE, BROKER] {
        counter!("postrider_measurements_failed_total", "server" => server).absolute(0);
    }
    loop {
        let started = Instant::now();
        if let Err(error) = measure_database(&api).await {
            report_failure(DATABASE, &error);
            forget_database();
        }
        if let Err(error) = measure_queues(&api).await {
            report_failure(BROKER, &error);
            forget_queues(&api);
        }
        let interval = started.elapsed() * INTERVAL_FACTOR;
        tokio::time::sleep(interval.clamp(MIN_MEASURE_INTERVAL, MAX_MEASURE_INTERVAL)).await;
    }
}

fn report_failure(server: &'static str, error: &dyn std::error::Error) {
    debug!(error = %Chain(error), server, "could not measure the platform");
    counter!("postrider_measurements_failed_total", "server" => server).increment(1);
}

async fn measure_database(api: &Api) -> Result<(), StoreError> {
    let backlog = api.backlog.measure(&api.control).await?;
    gauge!("postrider_deliveries_waiting").set(gauge_value(backlog.waiting));
    gauge!("postrider_deliveries_due").set(gauge_value(backlog.due));
    let overdue = backlog.first_due.and_then(|due| (clock::now() - due).to_std().ok());
    gauge!("postrider_oldest_due_delivery_seconds").set(overdue.unwrap_or_default().as_secs_f64());
    let webhooks: BTreeMap<&str, i64> = overview::count_webhooks(&api.control)
        .await?
        .into_iter()
        .map(|(status, n)| (status.as_str(), n))
        .collect();
    for status in STATUSES {
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

/// Sets the gauges of the database to NaN.
fn forget_database() {
    gauge!("postrider_deliveries_waiting").set(f64::NAN);
    gauge!("postrider_deliveries_due").set(f64::NAN);
    gauge!("postrider_oldest_due_delivery_seconds").set(f64::NAN);
    for status in STATUSES {
        gauge!("postrider_webhooks", "status" => status.as_str()).set(f64::NAN);
    }
    for service in SERVICES {
        gauge!("postrider_instances", "service" => service).set(f64::NAN);
    }
}

async fn measure_queues(api: &Api) -> Result<(), broker::BrokerError> {
    for (queue, name) in platform_queues(api) {
        if let Some(messages) = api.topology.queue_depth(&name).await? {
            gauge!("postrider_queue_messages", "queue" => queue).set(messages);
        }
    }
    for delay in &api.retry_delays {
        if let Some(messages) = api.topology.queue_depth(&api.names.delay_queue(*delay)).await? {
            let delay = format!("{}", delay.as_secs_f64());
            gauge!("postrider_wait_queue_messages", "delay" => delay).set(messages);
        }
    }
    Ok(())
}

/// Sets the gauges of the queues to NaN.
fn forget_queues(api: &Api) {
    for (queue, _) in platform_queues(api) {
        gauge!("postrider_queue_messages", "queue" => queue).set(f64::NAN);
    }
    for delay in &api.retry_delays {
        let delay = format!("{}", delay.as_secs_f64());
        gauge!("postrider_wait_queue_messages", "delay" => delay).set(f64::NAN);
    }
}

/// The measured queues of the platform, with their names in the broker.
fn platform_queues(api: &Api) -> [(&'static str, String); 5] {
    let names = &api.names;
    [
        ("ingest", names.ingest_queue()),
        ("ingest.spare", names.ingest_spare_queue()),
        ("quarantine", names.quarantine_queue()),
        ("unrouted", names.unrouted_queue()),
        ("rejected", names.rejected_queue()),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn gauge_value(number: i64) -> f64 {
    number as f64
}
