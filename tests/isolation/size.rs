//! The sizes of a run, from the environment.

use std::time::Duration;

/// Length of a measured window in a short run, enough for 40 deliveries.
const SHORT_WINDOW: Duration = Duration::from_secs(4);
/// Length of a measured window in a long run.
const LONG_WINDOW: Duration = Duration::from_secs(30);

/// Returns whether this run has the full sizes (`E2E_ISOLATION_LONG=1`).
pub(crate) fn is_long() -> bool {
    is_set("E2E_ISOLATION_LONG")
}

/// Returns whether this run requires the goals for a quiet machine (`E2E_ISOLATION_STRICT=1`).
pub(crate) fn is_strict() -> bool {
    is_set("E2E_ISOLATION_STRICT")
}

/// Returns the first size in a short run, the second in a long one.
pub(crate) fn choose(short: usize, long: usize) -> usize {
    if is_long() { long } else { short }
}

/// Returns the length of a measured window (`E2E_ISOLATION_SECONDS`).
pub(crate) fn window() -> Duration {
    let seconds = std::env::var("E2E_ISOLATION_SECONDS").ok().and_then(|text| text.parse().ok());
    let default = if is_long() { LONG_WINDOW } else { SHORT_WINDOW };
    seconds.map_or(default, Duration::from_secs)
}

fn is_set(variable: &str) -> bool {
    std::env::var(variable).is_ok_and(|value| value == "1")
}
