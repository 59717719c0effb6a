//! Queues that RabbitMQ lost, and messages that no queue took.

pub(crate) mod lost_queue;
pub(crate) mod unroutable;
