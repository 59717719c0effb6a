//! PostgreSQL: the schema, one file for each statement under `sql/`, a small function for each.
//! It knows nothing of AMQP or HTTP.

/// The text of `sql/<name>.sql`.
macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../sql/", $name, ".sql"))
    };
}

pub mod activity;
pub mod attempts;
pub mod audit;
pub mod boot;
pub mod brands;
pub mod change;
pub mod clock;
pub mod config;
pub mod deliveries;
mod epochs;
pub mod error;
pub mod event_types;
pub mod health;
mod health_settings;
mod held;
pub mod idempotency;
pub mod ingest;
pub mod instances;
pub mod maintenance;
pub mod migrate;
pub mod online_index;
pub mod outbox;
pub mod overview;
pub mod partitions;
pub mod place;
pub mod pool;
pub mod record;
pub mod redeliveries;
pub mod redelivery_claims;
pub mod reseal;
pub mod retention;
mod rows;
mod schema_change;
pub mod settings;
pub mod settle;
pub mod stats;
pub mod stranded;
mod tls;
pub mod tokens;
pub mod vault;
pub mod webhooks;

pub use change::{Change, Db};
pub use error::StoreError;
pub use health_settings::HealthSettings;
pub use pool::Store;
pub use settings::StoreSettings;
