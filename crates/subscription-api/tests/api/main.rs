//! The API against real PostgreSQL: the application runs in this process, each test has a database
//! of its own.

mod audit;
mod brands;
mod catalogue;
mod console;
mod documents;
mod events;
mod listener;
mod paging;
mod rates;
mod rows;
mod support;
mod support_webhooks;
mod tenancy;
mod tokens;
mod webhook_faults;
mod webhooks;
