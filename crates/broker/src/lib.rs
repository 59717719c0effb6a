//! RabbitMQ: the topology, the wire format of deliveries, confirmed publishing, and consuming.
//!
//! The crate knows nothing of SQL, HTTP, event matching or endpoints. Its callers decide what a message means; the
//! crate decides how it gets to RabbitMQ and back without loss.
//!
//! - [`Topology`] declares every exchange, queue and binding of a [`Namespace`], from one table. Declaring is
//!   idempotent, and every process repeats it, so that objects which someone deleted by hand come back.
//! - [`Link`] is a connection that is dialled again after it was lost. Publishers, consumers and probers use separate
//!   links, because RabbitMQ stops reading the connections of publishers that it blocks, and because a queue that does
//!   not answer blocks its channel and soon its connection.
//! - [`Publisher`] waits for RabbitMQ's confirm of each message. [`GuardedPublisher`] also retries, and bypasses a
//!   queue that stores nothing, so that a single queue cannot block the messages to others.
//! - [`Prober`] shows whether a queue stores messages. A queue whose members are lost takes subscriptions and messages
//!   and never answers, so a process probes a queue before it subscribes to it.
//! - [`Consumers`] spreads subscriptions over channels and acknowledges handled messages in batches.
//! - [`Puller`] takes messages one by one. [`moved`] is the format of the messages in the backlog of a brand.
//! - [`wire`] is the format of a webhook's messages. [`RejectedQueue`] lists and republishes rejected messages for
//!   support.
//! - [`startup`] waits for RabbitMQ and keeps the readiness of the process up to date.
//!
//! Every operation has a timeout, and every error can pass by itself ([`BrokerError`]). The callers retry.

mod connection;
mod consume;
mod error;
pub mod moved;
mod names;
mod publish;
mod rejected_groups;
pub mod rejected_queue;
mod settings;
pub mod startup;
mod startup_notices;
mod topology;
pub mod wire;

pub use connection::{HEARTBEAT_SECONDS, Link};
pub use consume::{Consumers, Death, Ending, MAX_HEADER_NESTING, Message, Puller, Subscription, Unreadable};
pub use error::BrokerError;
pub use names::Namespace;
pub use publish::{
    BlockedQueues, GuardedPublisher, Outgoing, PROBE_TIMEOUT, ProbeResult, Prober, Published, Publisher,
    QueueHealth, Route,
};
pub use rejected_queue::{RejectedFilter, RejectedMessage, RejectedQueue, RejectedReader};
pub use settings::{AmqpUrl, BrokerSettings};
pub use topology::{INGEST_DELIVERY_LIMIT, IngestQueue, QueueState, Topology};
