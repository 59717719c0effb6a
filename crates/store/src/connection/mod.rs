//! How a process connects to PostgreSQL.
//!
//! 1. [`text`] splits the text of `DATABASE_URL`, a URL or `key=value` pairs, into parameters. [`url`] reads them into a
//!    [`DatabaseUrl`], and refuses every parameter that it does not know: a parameter that asks for TLS is never dropped.
//! 2. [`manager`] creates connections for the pools: it tries the hosts in turn, each for a limited time.
//! 3. [`hosts`] remembers the host that answered last. All pools of a process share it, so that they try it first, and so
//!    that they leave the connections to other hosts.
//! 4. [`session`] checks that the server allows writes, and that it took the settings of the session.
//! 5. [`pooler`] recognizes PgBouncer in transaction mode at the start, and refuses it if it loses prepared statements.

pub(crate) mod hosts;
pub(crate) mod manager;
pub(crate) mod pooler;
pub(crate) mod session;
mod text;
mod tls;
pub(crate) mod url;
