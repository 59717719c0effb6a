//! The harness of the end-to-end tests: Postrider's real processes, servers and endpoints, seen from outside
//! as `crates/docs/contract.md` promises. It uses none of Postrider's own crates, so that a mistake in them
//! cannot hide in its own check.

pub mod api;
pub mod balancer;
pub mod binaries;
pub mod brand;
pub mod broker_accounts;
pub mod cli;
pub mod database;
pub mod demo;
pub mod encodings;
pub mod event;
pub mod filled;
pub mod forbidden;
pub mod foreign_sql;
pub mod frames;
pub mod hostile;
pub mod ledger;
pub mod owner_actions;
pub mod rng;

pub mod local_server;
pub mod name_server;
pub mod oracle;
pub mod platform;
pub mod poison;
pub mod poll;
pub mod ports;
pub mod private_broker;
pub mod private_pgbouncer;
pub mod private_postgres;
pub mod process;
pub mod producer;
pub mod prometheus;
pub mod proxy;
pub mod rabbit;
pub mod rabbit_cluster;
mod rabbit_node;
pub mod rabbit_server;
pub mod raw_amqp;
pub mod raw_producer;
pub mod raw_server;
pub mod receiver;
pub mod routes;
pub mod script;
mod secret_scan;
pub mod settings;
pub mod signature;
pub mod silence;
pub mod silent_server;
pub mod support;
mod test_cleanup;
pub mod tls;
pub mod traffic;
pub mod wire_server;

use std::time::Duration;

/// How long a test waits for something that should happen at once; long, because the machine is busy.
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(45);
