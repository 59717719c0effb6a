//! Retries of operations on PostgreSQL and RabbitMQ: the delay between tries, and the loop that never gives up.

use std::time::Duration;

/// Delay before the first retry.
pub const MIN_RETRY_DELAY: Duration = Duration::from_millis(100);
/// Longest delay between two tries, and so the longest time until a server that came back is noticed.
pub const MAX_RETRY_DELAY: Duration = Duration::from_secs(2);

/// Exponential backoff: delays that double from [`MIN_RETRY_DELAY`] to [`MAX_RETRY_DELAY`].
#[derive(Debug, Clone)]
pub struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(MIN_RETRY_DELAY)
    }
}

impl Backoff {
    /// Returns the delay before the next try, and doubles it for the one after.
    pub fn next_delay(&mut self) -> Duration {
        let delay = self.0;
        self.0 = (delay * 2).min(MAX_RETRY_DELAY);
        delay
    }

    /// Sleeps for [`Self::next_delay`].
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.next_delay()).await;
    }
}

/// Runs `operation` until it succeeds, with a [`Backoff`] between tries, and returns its result.
///
/// "Nothing is lost" rests on this loop: a step that must happen is tried again until the server is back. Dropping the
/// future stops it. `on_error` is called after each failure, so that the caller logs and counts it. Use it only for
/// operations that may run twice and whose failure can pass by itself; an operation that the server refuses for good
/// would be retried forever.
pub async fn until_ok<T, E, Operation>(
    mut operation: impl FnMut() -> Operation,
    mut on_error: impl FnMut(&E),
) -> T
where
    Operation: Future<Output = Result<T, E>>,
{
    let mut backoff = Backoff::default();
    loop {
        match operation().await {
            Ok(value) => return value,
            Err(error) => on_error(&error),
        }
        backoff.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[test]
    fn delays_double_up_to_the_maximum() {
        let mut backoff = Backoff::default();
        let delays: Vec<_> = std::iter::repeat_with(|| backoff.next_delay().as_millis()).take(7).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1600, 2000, 2000]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_operation_is_retried_until_it_succeeds() {
        let started = Instant::now();
        let mut results = [Err("first"), Err("second"), Ok(7)].into_iter();
        let mut errors = Vec::new();
        let operation =
            || std::future::ready(results.next().unwrap_or(Err("asked again after it succeeded")));
        let value = until_ok(operation, |error: &&str| errors.push((*error).to_owned())).await;
        assert_eq!((value, errors), (7, vec!["first".to_owned(), "second".to_owned()]));
        assert_eq!(started.elapsed(), MIN_RETRY_DELAY * 3);
    }
}
