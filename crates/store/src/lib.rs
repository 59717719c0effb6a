//! PostgreSQL: the schema, one file for each statement under `sql/`, a small function for each.
//! It knows nothing of AMQP or HTTP.

/// The text of `sql/<name>.sql`.
macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../sql/", $name, ".sql"))
    };
}

pub mod error;
pub mod migrate;
pub mod pool;
pub mod settings;
pub mod vault;

pub use error::StoreError;
pub use pool::Store;
pub use settings::StoreSettings;
