//! The metrics of a process as a table: what it does not count yet is there as 0, so that an alert can
//! tell "never happened" from "not measured", and each is explained where it is read (`deploy/metrics.md`).

use metrics::{Gauge, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::readiness::Readiness;

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It counts values by their size.
    Histogram,
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    kind: Kind,
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
}

impl Figure {
    /// A metric of this kind, name and meaning.
    #[must_use]
    pub const fn new(kind: Kind, name: &'static str, help: &'static str) -> Self {
        Self { kind, name, labels: &[], help }
    }

    /// Told apart by these labels, each of a bounded number of values.
    #[must_use]
    pub const fn by(self, labels: &'static [&'static str]) -> Self {
        Self { labels, ..self }
    }
}

/// What every process of ours has.
const EVERYWHERE: &[Figure] = &[
    Figure::new(Kind::Gauge, "postrider_build_info", "Always 1; the label tells the version that runs")
        .by(&["version"]),
    Figure::new(Kind::Gauge, "postrider_server_up", "Whether PostgreSQL commits and RabbitMQ confirms what this process stores there",
    )
    .by(&["server"]),
    Figure::new(
        Kind::Gauge,
        "postrider_stalled_seconds",
        "For how long work that this process has in hand has made no progress, by the work: 0, or a minute and more",
    )
    .by(&["what"]),
];

/// Explains the metrics of a process to whoever reads them, and begins those that count at 0. Those with
/// labels begin when their values are known.
pub fn describe(figures: &[Figure], version: &'static str) {
    EVERYWHERE.iter().chain(figures).for_each(begin);
    gauge!("postrider_build_info", "version" => version).set(1);
}

fn begin(figure: &Figure) {
    let (name, unlabelled) = (figure.name, figure.labels.is_empty());
    match figure.kind {
        Kind::Counter => {
            describe_counter!(name, figure.help);
            if unlabelled {
                counter!(name).increment(0);
            }
        }
        // Nothing is said of what was not looked at yet.
        Kind::Gauge => describe_gauge!(name, figure.help),
        Kind::Histogram => {
            describe_histogram!(name, figure.help);
            if unlabelled {
                drop(histogram!(name));
            }
        }
    }
}

/// Begins a counter at 0 for each value of its one label.
pub fn begin_each(
    counter: &'static str,
    label: &'static str,
    values: impl IntoIterator<Item = &'static str>,
) {
    values.into_iter().for_each(|value| counter!(counter, label => value).increment(0));
}

/// Something that is under way: one in a gauge, as long as it lives.
#[derive(Debug)]
#[must_use]
pub struct UnderWay(Gauge);

impl UnderWay {
    /// One more in this gauge.
    pub fn begin(name: &'static str) -> Self {
        let gauge = gauge!(name);
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// Says which servers answer and which work stands still, as of now.
pub(crate) fn readiness(readiness: &Readiness) {
    let answers = |server: &'static str, up: bool| {
        gauge!("postrider_server_up", "server" => server).set(u8::from(up));
    };
    answers("database", readiness.has_database());
    answers("broker", readiness.has_broker());
    for (what, stalled) in readiness.progress_of_each() {
        gauge!("postrider_stalled_seconds", "what" => what).set(stalled.unwrap_or_default().as_secs_f64());
    }
}
