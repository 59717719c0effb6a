//! Consuming: subscriptions and pullers, their messages, and the acknowledgements, sent in batches.

mod ack_batcher;
mod consumers;
mod headers;
mod message;
mod puller;
mod unreadable;

pub use consumers::{Consumers, Ending, Subscription};
pub use headers::Death;
pub(crate) use headers::read_deaths;
pub use message::Message;
pub use puller::Puller;
pub(crate) use unreadable::utf8_message_id;
pub use unreadable::{MAX_HEADER_NESTING, Unreadable};
