//! Repairs queues that RabbitMQ lost, and sends on messages that no queue took.

pub(crate) mod lost_queue;
pub(crate) mod unroutable;
