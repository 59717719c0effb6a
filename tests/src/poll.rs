//! Waiting for a state that can only be asked for.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// Between two looks.
const STEP: Duration = Duration::from_millis(40);

/// Asks again and again until `check` answers `Ok`, and hands that out. A check answers what it
/// saw instead as its error.
///
/// # Panics
/// When it does not come to pass within `timeout`: with `what` and the last thing seen.
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
        sleep(STEP).await;
    }
}
