//! HTTP: the listener, the middleware, the extractors and the common forms of responses.

pub(crate) mod body;
pub(crate) mod body_drain;
pub mod cursor;
pub(crate) mod middleware;
pub(crate) mod page;
pub(crate) mod path;
pub(crate) mod problem;
pub(crate) mod problem_kind;
pub(crate) mod query;
pub(crate) mod security_headers;
pub mod server;
