//! Consumes the queue of each webhook that this replica serves.

pub(crate) mod worker;
