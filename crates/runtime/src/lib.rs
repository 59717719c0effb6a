//! Process plumbing that the three services share: settings from flags and environment, logs,
//! the operations listener, readiness, start and stop. It knows nothing of events or webhooks.

pub mod error;
pub mod lifecycle;
pub mod ops;
pub mod retry;
pub mod settings;
pub mod telemetry;
