//! The queues that the router consumes: events, quarantined messages, and the queue of earlier versions.

pub(crate) mod consumer;
pub(crate) mod failover;
pub(crate) mod legacy;
pub(crate) mod quarantine;
pub(crate) mod rejections;
