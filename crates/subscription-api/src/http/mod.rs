//! HTTP: the listener, the middleware, and the reading and writing of requests and responses.

pub mod body;
pub mod body_drain;
pub mod cursor;
pub mod middleware;
pub mod page;
pub mod path;
pub mod problem;
pub mod query;
pub mod server;
