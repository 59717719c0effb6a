//! The statements on the path of every event, and maintenance beside them, against a real PostgreSQL.

#![expect(clippy::disallowed_methods, reason = "tasks that end with the test")]

mod audit;
mod forgetting;
mod health_facts;
mod ingest;
mod lookup;
mod maintenance;
mod migrating;
mod pending;
mod plans;
mod quotas;
mod record;
mod redelivery;
mod redelivery_bounds;
mod reencrypt;
mod refusals;
mod sealed_headers;
mod support;
mod timeouts;
mod transitions;
