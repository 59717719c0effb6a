//! Connections and channels that are opened again after they fail.

pub(crate) mod channel_pool;
pub mod link;
