//! The metrics, compared with their page `deploy/metrics.md`.

use std::collections::{BTreeMap, BTreeSet};

use e2e::WAIT_TIMEOUT;
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::process::{Process, http_get};
use e2e::script::Reply;

use crate::{OneOfEach, Stage};

const PAGE: &str = include_str!("../../deploy/metrics.md");
/// The label that Prometheus adds to a histogram.
const BUCKET: &str = "le";

/// The description of a metric: kind, labels, services, meaning.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
struct Description {
    kind: String,
    labels: BTreeSet<String>,
    services: BTreeSet<String>,
    meaning: String,
}

type Descriptions = BTreeMap<String, Description>;

fn split_words(cell: &str) -> BTreeSet<String> {
    cell.split([',', ' ', '`']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Reads the rows of the page's tables.
fn read_page() -> Descriptions {
    let rows = PAGE.lines().filter(|line| line.starts_with("| `postrider_"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, services, meaning] = cells[..] else { panic!("five cells: {row}") };
        let description = Description {
            kind: kind.to_owned(),
            labels: split_words(labels),
            services: split_words(services),
            meaning: meaning.to_owned(),
        };
        (name.trim_matches('`').to_owned(), description)
    })
    .collect()
}

/// Adds the metrics of a process.
async fn add_metrics(all: &mut Descriptions, service: &str, process: &Process) {
    let (status, text) = http_get(process.ops_address(), "/metrics").await.expect("/metrics");
    assert_eq!(status, 200, "{text}");
    let mut own = Descriptions::new();
    let about = |line: &str, mark: &str| {
        let (name, rest) = line.strip_prefix(mark)?.split_once(' ')?;
        Some((name.to_owned(), rest.to_owned()))
    };
    for line in text.lines() {
        if let Some((name, meaning)) = about(line, "# HELP ") {
            own.entry(name).or_default().meaning = meaning;
        } else if let Some((name, kind)) = about(line, "# TYPE ") {
            own.entry(name).or_default().kind = kind;
        } else if !line.is_empty() {
            add_labels(&mut own, line);
        }
    }
    for (name, description) in own {
        let whole =
            all.entry(name).or_insert_with(|| Description { labels: BTreeSet::new(), ..description.clone() });
        assert_eq!(
            (&whole.kind, &whole.meaning),
            (&description.kind, &description.meaning),
            "the services say the same"
        );
        whole.labels.extend(description.labels);
        whole.services.insert(service.to_owned());
    }
}

/// Adds the labels of one line to its metric.
fn add_labels(own: &mut Descriptions, line: &str) {
    let (name, rest) = line.split_at(line.find(['{', ' ']).expect("a value"));
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
    let name = base.filter(|base| own.contains_key(*base)).unwrap_or(name);
    let description = own.get_mut(name).unwrap_or_else(|| panic!("{name} is not explained"));
    let names = rest.split(['{', ',']).filter_map(|part| part.split_once("=\"")).map(|(label, _)| label);
    description.labels.extend(names.filter(|label| *label != BUCKET).map(str::to_owned));
}

async fn read_services(stage: &Stage) -> Descriptions {
    let mut all = Descriptions::new();
    let platform = &stage.platform;
    add_metrics(&mut all, "subscription-api", &platform.apis[0]).await;
    add_metrics(&mut all, "router", &platform.routers[0]).await;
    add_metrics(&mut all, "deliverer", &platform.deliverers[0]).await;
    all
}

fn as_page(all: &Descriptions) -> String {
    let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(", ");
    let row = |(name, description): (&String, &Description)| {
        let labels = list(&description.labels);
        let services = list(&description.services);
        format!("| `{name}` | {} | {labels} | {services} | {} |", description.kind, description.meaning)
    };
    all.iter().map(row).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn the_page_and_the_services_have_the_same_metrics() {
    let stage = Stage::with_builder(Platform::builder().retries("1s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    endpoint.answer([Reply::status(500), Reply::ok()]);
    let event = stage.publish_many(1).await.remove(0);
    stage.brand.wait_delivery_status(&webhook, event.id(), "delivered").await;
    stage.deliver_one(&webhook).await;
    let page = read_page();
    eventually("the services show the metrics of the page", WAIT_TIMEOUT, async || {
        let seen = read_services(&stage).await;
        if seen == page { Ok(()) } else { Err(format!("the page should say:\n{}", as_page(&seen))) }
    })
    .await;
}

/// Waits until a metric of a process has this value, summed over the omitted labels.
async fn wait_value(process: &Process, name: &str, value: f64) {
    // A busy API counts every half minute.
    eventually(&format!("{name} is {value}"), 2 * WAIT_TIMEOUT, async || {
        let (_, text) =
            http_get(process.ops_address(), "/metrics").await.map_err(|error| error.to_string())?;
        let rest = text.lines().filter_map(|line| line.strip_prefix(name));
        let own = rest.filter(|rest| rest.starts_with(['{', ' ']));
        let values: Vec<f64> = own.filter_map(|rest| rest.rsplit(' ').next()?.parse().ok()).collect();
        let found: f64 = values.iter().sum();
        let is_there = !values.is_empty() && (found - value).abs() < f64::EPSILON;
        if is_there { Ok(()) } else { Err(format!("{values:?}")) }
    })
    .await;
}

#[tokio::test]
async fn metrics_count_the_events_of_a_run() {
    let OneOfEach { stage, endpoint, webhook, .. } = Stage::with_one_of_each().await;
    stage.publish_many(2).await;
    endpoint.wait_for_requests(2).await;
    let waits = stage.publish_many(1).await.remove(0);
    stage.brand.wait_attempts(&webhook, waits.id(), 1).await;
    stage.platform.producer().await.publish_raw("SOME.KEY", b"not JSON", None).await.expect("a confirm");
    let (api, router, deliverer) =
        (&stage.platform.apis[0], &stage.platform.routers[0], &stage.platform.deliverers[0]);
    for (process, line, value) in [
        // One more is WEBHOOK.DISABLED, which no other webhook subscribes to.
        (router, "postrider_events_total{outcome=\"taken\"}", 4.0),
        (router, "postrider_events_total{outcome=\"rejected\"}", 1.0),
        (router, "postrider_rejected_total{reason=\"invalid_json\"}", 1.0),
        (router, "postrider_rejected_total{reason=\"unknown_type\"}", 0.0),
        (router, "postrider_deliveries_queued_total", 3.0),
        (router, "postrider_ingest_lag_seconds_count", 4.0),
        (deliverer, "postrider_deliveries_ended_total{status=\"delivered\"}", 2.0),
        (deliverer, "postrider_deliveries_ended_total{status=\"failed\"}", 0.0),
        (deliverer, "postrider_delivery_since_created_seconds_count{trigger=\"fresh\"}", 2.0),
        (deliverer, "postrider_delivery_since_received_seconds_count{trigger=\"fresh\"}", 2.0),
        (deliverer, "postrider_attempts_in_flight", 0.0),
        (deliverer, "postrider_deliverer_webhooks_owned", 3.0),
        (api, "postrider_deliveries_waiting", 1.0),
        (api, "postrider_deliveries_due", 0.0),
        (api, "postrider_wait_queue_messages", 1.0),
        (api, "postrider_queue_messages{queue=\"rejected\"}", 1.0),
        (api, "postrider_webhooks{status=\"active\"}", 1.0),
        (api, "postrider_webhooks{status=\"paused\"}", 1.0),
        (api, "postrider_webhooks{status=\"disabled\"}", 1.0),
        (api, "postrider_instances{service=\"router\"}", 1.0),
        (api, "postrider_server_up{server=\"broker\"}", 1.0),
    ] {
        wait_value(process, line, value).await;
    }
}
