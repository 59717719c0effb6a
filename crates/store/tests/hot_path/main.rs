//! The statements that every event goes through, against a real PostgreSQL.

mod ingest;
mod maintenance;
mod migrating;
mod plans;
mod record;
mod redelivery;
mod reencrypt;
mod support;
mod timeouts;
mod transitions;
