//! Tests of the API with a real PostgreSQL. The application runs in this process, and each test has its own database.

#![expect(clippy::disallowed_methods, reason = "tasks that end with the test")]

mod audit;
mod brands;
mod catalogue;
mod console;
mod documents;
mod events;
mod examples;
mod exchange;
mod health_states;
mod listener;
mod lookup;
mod paging;
mod publish;
mod rate_limits;
mod redeliveries;
mod redelivery_jobs;
mod reference;
mod rows;
mod security_headers;
mod shares;
mod support;
mod support_tokens;
mod support_webhooks;
mod tenancy;
mod tokens;
mod webhook_validation;
mod webhooks;
