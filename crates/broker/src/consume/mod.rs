//! Consuming: subscriptions, their messages, and the acknowledgements, sent in batches.

pub(crate) mod ack_batcher;
pub mod consumers;
pub(crate) mod headers;
pub mod unreadable;
