//! The queues that the router consumes: events, the queue of earlier versions, and the quarantine.
//!
//! [`consumer`] is the loop of a queue of events, [`routing`] handles batches of the events that were read ahead,
//! [`failover`] routes events past an ingest queue that stores nothing, [`legacy`] drains the queue of earlier versions,
//! [`quarantine`] handles the messages that RabbitMQ moved out of the ingest queues, [`rejections`] publishes rejected
//! messages, and [`rejected_budget`] keeps each brand within its share.

pub(crate) mod consumer;
pub(crate) mod failover;
pub(crate) mod legacy;
pub(crate) mod quarantine;
pub(crate) mod rejected_budget;
pub(crate) mod rejections;
pub(crate) mod routing;
