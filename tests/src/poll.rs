//! Waits for a state by polling.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// Minimum interval of the checks.
const POLL_INTERVAL: Duration = Duration::from_millis(40);
/// Pause after a check, as a multiple of the time that the check took. So a waiting test leaves the processor to the
/// services that it waits for, however much the check reads.
const PAUSE_PER_CHECK: u32 = 4;
/// Maximum pause after a check.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// Returns the pause after a check that took this long.
pub(crate) fn pause_after(check: Duration) -> Duration {
    (check * PAUSE_PER_CHECK).min(MAX_PAUSE)
}

/// Calls `check` until it returns `Ok`, and returns the value. The check returns its observation as an error.
///
/// # Panics
/// When it does not return `Ok` within `timeout`, with `what` and the last observation.
pub async fn eventually<T, F>(what: &str, timeout: Duration, mut check: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let deadline = Instant::now() + timeout;
    let mut last = String::from("nothing");
    loop {
        let begun = Instant::now();
        match timeout_at(deadline, check()).await {
            Ok(Ok(value)) => return value,
            Ok(Err(seen)) => last = seen,
            Err(_) => panic!("not within {timeout:?}: {what}; last seen: {last}"),
        }
        sleep(pause_after(begun.elapsed()).max(POLL_INTERVAL)).await;
    }
}
