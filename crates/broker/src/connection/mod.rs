//! Connections and channels that are opened again after they fail.

mod channel_pool;
mod link;
pub(crate) mod url;

pub(crate) use channel_pool::ChannelPool;
pub(crate) use link::OPERATION_TIMEOUT;
pub use link::{HEARTBEAT_SECONDS, Link};
