//! The metrics of lookups.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use super::LookupError;
use crate::metrics::{GaugeGuard, MetricDef, MetricKind, init_counters};

const LOOKUPS: &str = "postrider_name_lookups_total";
const REFUSED: &str = "postrider_name_lookups_refused_total";
const IN_PROGRESS: &str = "postrider_name_lookups_in_progress";
const DURATION: &str = "postrider_name_lookup_duration_seconds";

/// The results of lookups that began.
const RESULTS: [&str; 6] = ["answered", "no_such_name", "no_address", "failed", "silent", "not_asked"];
/// The bound of one share.
pub(super) const BOUND_OF_SHARE: &str = "share";
/// The bound of the process.
pub(super) const BOUND_OF_PROCESS: &str = "process";

/// The metrics of a process that looks up names.
pub const METRICS: [MetricDef; 4] = [
    MetricDef::new(
        MetricKind::Counter,
        LOOKUPS,
        "Lookups of endpoint names that name servers were asked for, by result; silent: the servers of the name do not answer, not_asked: this process reaches no name server",
    )
    .with_labels(&["result"]),
    MetricDef::new(
        MetricKind::Counter,
        REFUSED,
        "Lookups of endpoint names that did not begin in time, by the bound that was reached: share (one brand) or process",
    )
    .with_labels(&["bound"]),
    MetricDef::new(
        MetricKind::Gauge,
        IN_PROGRESS,
        "Lookups of endpoint names for which name servers are being asked",
    ),
    MetricDef::new(
        MetricKind::Histogram,
        DURATION,
        "Time until the name servers answered a lookup of an endpoint name, or its timeout",
    ),
];

/// Starts the counters and the gauge at 0.
pub(super) fn start() {
    init_counters(LOOKUPS, "result", RESULTS);
    init_counters(REFUSED, "bound", [BOUND_OF_SHARE, BOUND_OF_PROCESS]);
    gauge!(IN_PROGRESS).increment(0);
}

/// Counts a lookup in progress until the guard is dropped.
pub(super) fn begin_lookup() -> GaugeGuard {
    GaugeGuard::increment(IN_PROGRESS)
}

/// Counts a lookup that ended.
pub(super) fn count_lookup(error: Option<&LookupError>, duration: Duration) {
    let result = error.map_or("answered", LookupError::label);
    counter!(LOOKUPS, "result" => result).increment(1);
    histogram!(DURATION).record(duration);
}

/// Counts a lookup that did not begin because of a bound.
pub(super) fn count_refused(bound: &'static str) {
    counter!(REFUSED, "bound" => bound).increment(1);
}
