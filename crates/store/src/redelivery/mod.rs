//! Redelivery: jobs select events, a queue holds the deliveries to attempt, and a lease names the replica that attempts
//! them.

pub mod jobs;
pub mod lease;
pub mod queue;
