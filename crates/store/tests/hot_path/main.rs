//! The statements that every event goes through, against a real PostgreSQL.

mod ingest;
mod record;
mod support;
