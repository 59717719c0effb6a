//! Statements of the management API, one module for each resource. Every write is an
//! [`transaction::AuditedTransaction`].

pub mod audit;
pub mod backlogs;
pub mod brands;
pub mod event_lookup;
pub mod event_types;
pub mod idempotency;
pub mod overview;
pub mod quota_shares;
pub mod rejected_jobs;
pub mod rejected_usage;
pub mod search;
pub mod support_tokens;
pub mod tokens;
pub mod transaction;
pub mod turns;
pub mod webhooks;
