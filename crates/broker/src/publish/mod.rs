//! Publishing with confirms, past queues that store nothing.

mod blocked_queues;
mod guarded;
mod outgoing;
mod prober;
mod publisher;

pub use blocked_queues::{BlockedQueues, QueueHealth};
pub use guarded::{GuardedPublisher, Published};
pub use outgoing::{Outgoing, Route};
pub(crate) use outgoing::{PROBE_HEADER, SENT_ON_HEADER};
pub use prober::{PROBE_TIMEOUT, ProbeResult, Prober};
pub use publisher::Publisher;
