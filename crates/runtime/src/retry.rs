//! How long to wait before a server is tried again.

use std::time::Duration;

/// First wait.
pub const FIRST: Duration = Duration::from_millis(100);
/// Longest wait: after this long at most, a server that came back is noticed.
pub const LONGEST: Duration = Duration::from_secs(2);

/// Waits that double from [`FIRST`] to [`LONGEST`].
#[derive(Debug, Clone)]
pub struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Backoff {
    /// The wait before the next try; longer each time.
    pub fn next_wait(&mut self) -> Duration {
        let wait = self.0;
        self.0 = (wait * 2).min(LONGEST);
        wait
    }

    /// Sleeps for [`Self::next_wait`].
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.next_wait()).await;
    }
}
