//! Waits for a state by polling.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// Interval of the checks.
const POLL_INTERVAL: Duration = Duration::from_millis(40);

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
        match timeout_at(deadline, check()).await {
            Ok(Ok(value)) => return value,
            Ok(Err(seen)) => last = seen,
            Err(_) => panic!("not within {timeout:?}: {what}; last seen: {last}"),
        }
        sleep(POLL_INTERVAL).await;
    }
}
