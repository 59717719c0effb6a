//! What PostgreSQL is told of attempts, and what it knows of deliveries.

pub(crate) mod attempt_recorder;
pub(crate) mod batcher;
pub(crate) mod delivery_lookup;
