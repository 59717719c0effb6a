//! What the whole platform holds, for whoever watches it: queues, what waits, webhooks, processes. Every API
//! looks for itself, so of several the highest value counts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use domain::webhook::WebhookStatus;
use metrics::gauge;
use runtime::error::Chain;
use runtime::figures::{Figure, Kind};
use store::{StoreError, overview};
use tracing::debug;

use crate::api::Api;

/// How often it looks.
const MIN_MEASURE_INTERVAL: Duration = Duration::from_secs(5);
/// It rests so many times as long as a look took: looking is never more than a hundredth of a core's work. Beside 100,000
/// deliveries that wait a look takes some 0.2 s.
const INTERVAL_FACTOR: u32 = 100;
/// What is shown is never much older, however long a look took: one that waited for a server tells nothing of the load.
const MAX_MEASURE_INTERVAL: Duration = Duration::from_secs(30);
/// The services, of which none may be missing.
const SERVICES: [&str; 3] = ["subscription-api", "router", "deliverer"];

/// What is shown.
pub(crate) const METRICS: [Figure; 7] = [
    Figure::new(
        Kind::Gauge,
        "postrider_queue_messages",
        "Messages that are ready in a queue of the platform: ingest, ingest.spare, quarantine, unrouted, rejected",
    )
    .by(&["queue"]),
    Figure::new(
        Kind::Gauge,
        "postrider_wait_queue_messages",
        "Deliveries that wait for their next attempt, by the delay of their queue",
    )
    .by(&["delay"]),
    Figure::new(
        Kind::Gauge,
        "postrider_deliveries_waiting",
        "Deliveries that have not ended, those that wait for their next attempt included",
    ),
    Figure::new(Kind::Gauge, "postrider_deliveries_due", "Deliveries whose next attempt is due"),
    Figure::new(
        Kind::Gauge,
        "postrider_oldest_due_delivery_seconds",
        "For how long the oldest delivery is due, of those that nobody asked for again",
    ),
    Figure::new(Kind::Gauge, "postrider_webhooks", "Webhooks that are active, paused or disabled")
        .by(&["status"]),
    Figure::new(
        Kind::Gauge,
        "postrider_instances",
        "Processes of each service that were seen in the last seconds",
    )
    .by(&["service"]),
];

/// Looks for good.
pub(crate) async fn measure_forever(api: Api) {
    loop {
        let began = Instant::now();
        if let Err(error) = measure_database(&api).await {
            debug!(error = %Chain(&error), "the database was not looked at");
        }
        if let Err(error) = measure_queues(&api).await {
            debug!(error = %Chain(&error), "the queues were not looked at");
        }
        tokio::time::sleep(
            (began.elapsed() * INTERVAL_FACTOR).clamp(MIN_MEASURE_INTERVAL, MAX_MEASURE_INTERVAL),
        )
        .await;
    }
}

async fn measure_database(api: &Api) -> Result<(), StoreError> {
    let backlog = overview::backlog(&api.store).await?;
    gauge!("postrider_deliveries_waiting").set(gauge_value(backlog.waiting));
    gauge!("postrider_deliveries_due").set(gauge_value(backlog.due));
    gauge!("postrider_oldest_due_delivery_seconds").set(backlog.overdue_seconds);
    let webhooks: BTreeMap<&str, i64> =
        overview::webhooks(&api.store).await?.into_iter().map(|(status, n)| (status.as_str(), n)).collect();
    for status in [WebhookStatus::Active, WebhookStatus::Paused, WebhookStatus::Disabled] {
        let number = webhooks.get(status.as_str()).copied().unwrap_or(0);
        gauge!("postrider_webhooks", "status" => status.as_str()).set(gauge_value(number));
    }
    let seen = overview::services(&api.store).await?;
    for service in SERVICES {
        let number = seen.iter().filter(|instance| instance.service == service).count();
        gauge!("postrider_instances", "service" => service).set(u32::try_from(number).unwrap_or(u32::MAX));
    }
    Ok(())
}

async fn measure_queues(api: &Api) -> Result<(), broker::BrokerError> {
    let names = &api.names;
    let own = [
        ("ingest", names.ingest()),
        ("ingest.spare", names.ingest_spare()),
        ("quarantine", names.quarantine()),
        ("unrouted", names.unrouted()),
        ("rejected", names.rejected()),
    ];
    for (queue, name) in own {
        if let Some(messages) = api.topology.depth(&name).await? {
            gauge!("postrider_queue_messages", "queue" => queue).set(messages);
        }
    }
    for delay in &api.retry_delays {
        if let Some(messages) = api.topology.depth(&names.wait(*delay)).await? {
            let delay = format!("{}", delay.as_secs_f64());
            gauge!("postrider_wait_queue_messages", "delay" => delay).set(messages);
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn gauge_value(number: i64) -> f64 {
    number as f64
}
