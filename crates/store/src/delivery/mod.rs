//! Statements about deliveries: their attempts, status and history.

pub mod activity;
pub mod attempts;
pub mod deliveries;
pub mod generations;
pub mod health;
pub mod orphaned;
pub mod outbox;
pub mod record;
pub mod stats;
