//! Publishing with confirms, past queues that store nothing.

pub mod blocked_queues;
pub mod guarded;
pub mod prober;
pub mod publisher;
