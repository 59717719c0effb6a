//! Publishing with confirms, past queues that store nothing.

mod blocked_queues;
mod guarded;
mod outgoing;
mod prober;
mod publisher;

pub use blocked_queues::{BlockedQueues, QueueHealth};
pub use guarded::{GuardedPublisher, Published};
pub(crate) use outgoing::PROBE_HEADER;
pub use outgoing::{Outgoing, Route};
pub use prober::{PROBE_TIMEOUT, ProbeResult, Prober};
pub use publisher::Publisher;
