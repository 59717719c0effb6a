//! The progress of deliveries during a fault.

use std::time::Duration;

/// The progress of deliveries during a fault that must not stop them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    /// How long they took; `None` when they did not arrive in time.
    pub(crate) took: Option<Duration>,
    /// How long they may take.
    pub(crate) limit: Duration,
}

impl Progress {
    /// Whether they arrived in time.
    pub(crate) fn is_in_time(self) -> bool {
        self.took.is_some_and(|took| took <= self.limit)
    }
}
