//! PostgreSQL: the schema, and one small function for each statement.
//!
//! Every statement is a file `sql/<concept>/<statement>.sql`, and the function that runs it is in the module of the
//! same concept. A test prepares each file against a migrated database, and another test checks that each file is used.
//! The crate knows neither AMQP nor HTTP.
//!
//! The modules at the top are the foundation: `connection` reads `DATABASE_URL` and connects to the hosts in turn, [`pool`]
//! keeps connections and bounds every wait, [`error`] tells callers
//! whether a retry can succeed, [`db`] lets a statement run alone or inside a transaction, [`keyset`] describes pages,
//! [`clock`] is the database's time, and [`instances`] lists the processes that are alive, [`namespace`] ties the database to one
//! namespace. [`startup`] waits for the
//! database and migrates it ([`migrate`]).
//!
//! The folders hold the statements:
//!
//! - [`api`]: the resources of the management API. Every write is an [`AuditedTransaction`].
//! - [`routing`]: the configuration that the router matches events against, and storing a batch of events.
//! - [`delivery`]: attempts, delivery status, health of webhooks, orphaned deliveries, the outbox.
//! - [`redelivery`]: jobs that select events, the queue of deliveries to attempt, and the lease on it.
//! - [`secrets`]: the keyring that encrypts webhook secrets at rest.
//! - [`maintenance`]: daily partitions, epochs of event keys, retention, and indexes that are built online.
//!
//! Folders import the foundation and, downward only, one another: maintenance → redelivery → delivery, api → delivery, and
//! api and routing → secrets.

/// Includes the text of `sql/<name>.sql`.
macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/", $name, ".sql"))
    };
}

pub mod api;
pub mod clock;
mod connection;
pub mod db;
pub mod delivery;
pub mod error;
pub mod instances;
pub mod keyset;
pub mod maintenance;
pub mod migrate;
pub mod namespace;
pub mod pool;
pub mod redelivery;
pub mod routing;
mod rows;
pub mod secrets;
pub mod settings;
pub mod startup;
mod startup_notices;

pub use api::transaction::AuditedTransaction;
pub use connection::manager::Connection;
pub use db::Executor;
pub use error::StoreError;
pub use pool::Store;
pub use settings::StoreSettings;
