//! Definitions of metrics: the name, kind, labels and meaning of each metric in one table.
//!
//! A counter starts at 0 when the process registers it, so that an alert can distinguish "never happened" from "not
//! measured". The meaning is the HELP text, which `deploy/metrics.md` repeats.

use metrics::{Gauge, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::http_server;

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// A number that only grows.
    Counter,
    /// A number that goes up and down.
    Gauge,
    /// The distribution of values over buckets.
    Histogram,
}

/// The definition of one metric.
#[derive(Debug, Clone, Copy)]
pub struct MetricDef {
    kind: MetricKind,
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
}

impl MetricDef {
    /// Creates the definition of a metric without labels.
    #[must_use]
    pub const fn new(kind: MetricKind, name: &'static str, help: &'static str) -> Self {
        Self { kind, name, labels: &[], help }
    }

    /// Adds labels, each with a bounded number of values.
    #[must_use]
    pub const fn with_labels(self, labels: &'static [&'static str]) -> Self {
        Self { labels, ..self }
    }
}

/// The metrics of every process.
const COMMON_METRICS: &[MetricDef] = &[
    MetricDef::new(
        MetricKind::Gauge,
        "postrider_build_info",
        "Always 1; the label tells the version that runs",
    )
    .with_labels(&["version"]),
    MetricDef::new(
        MetricKind::Gauge,
        "postrider_server_up",
        "Whether PostgreSQL commits and RabbitMQ confirms what this process stores there",
    )
    .with_labels(&["server"]),
    MetricDef::new(
        MetricKind::Gauge,
        "postrider_stalled_seconds",
        "Seconds for which unfinished work has made no progress, by kind of work; 0 below a minute",
    )
    .with_labels(&["what"]),
];

/// Registers the metrics of a process with their meanings.
///
/// Counters and histograms without labels start at 0. The caller starts counters with labels by [`init_counters`],
/// because only the caller knows the values of the labels.
pub fn register_metrics(metrics: &[MetricDef], version: &'static str) {
    COMMON_METRICS.iter().chain(&http_server::METRICS).chain(metrics).for_each(register_metric);
    gauge!("postrider_build_info", "version" => version).set(1);
}

fn register_metric(metric: &MetricDef) {
    let name = metric.name;
    let has_labels = !metric.labels.is_empty();
    match metric.kind {
        MetricKind::Counter => {
            describe_counter!(name, metric.help);
            if !has_labels {
                counter!(name).increment(0);
            }
        }
        // A gauge starts with its first measurement, because 0 would be a wrong value.
        MetricKind::Gauge => describe_gauge!(name, metric.help),
        MetricKind::Histogram => {
            describe_histogram!(name, metric.help);
            if !has_labels {
                drop(histogram!(name));
            }
        }
    }
}

/// Starts a counter at 0 for each value of its label.
pub fn init_counters(
    counter: &'static str,
    label: &'static str,
    values: impl IntoIterator<Item = &'static str>,
) {
    values.into_iter().for_each(|value| counter!(counter, label => value).increment(0));
}

/// Counts one in a gauge until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct GaugeGuard(Gauge);

impl GaugeGuard {
    /// Increments a gauge until the guard is dropped.
    pub fn increment(name: &'static str) -> Self {
        Self::of(gauge!(name))
    }

    /// Increments a gauge with labels until the guard is dropped.
    pub fn of(gauge: Gauge) -> Self {
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
