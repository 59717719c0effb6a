//! PostgreSQL: the schema, one file for each statement under `sql/`, a small function for each.
//! It knows nothing of AMQP or HTTP.

/// The text of `sql/<name>.sql`.
macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/", $name, ".sql"))
    };
}

pub mod api;
pub mod clock;
pub mod db;
pub mod delivery;
pub mod error;
mod health_settings;
pub mod instances;
pub mod keyset;
pub mod maintenance;
pub mod migrate;
pub mod pool;
pub mod redelivery;
pub mod routing;
mod rows;
pub mod secrets;
pub mod settings;
pub mod startup;
mod tls;

pub use api::transaction::AuditedTransaction;
pub use db::Executor;
pub use error::StoreError;
pub use health_settings::HealthSettings;
pub use pool::Store;
pub use settings::StoreSettings;
