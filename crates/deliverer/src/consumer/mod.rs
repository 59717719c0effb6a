//! Consumes the queue of each webhook that this replica serves.
//!
//! - [`worker`]: subscribes, consumes, and subscribes again when that ends.
//! - [`state`]: where the subscription stands.
//! - [`subscriber`]: what it takes to subscribe to a queue that may be lost.
//! - [`message`]: handles the deliveries of one message, and acknowledges or requeues it.
//! - [`load`]: how many messages are in hand.
//! - [`prefetch`]: how many may be in hand.
//!
//! A webhook that hangs fills its own limiter and prefetch, and those of no other.

pub(crate) mod load;
pub(crate) mod message;
pub(crate) mod prefetch;
pub(crate) mod state;
pub(crate) mod subscriber;
pub(crate) mod worker;
