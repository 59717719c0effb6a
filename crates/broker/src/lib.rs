//! RabbitMQ: the topology as one table, the wire formats, connections that come back, a publisher
//! for which published means confirmed, and consumers. It knows nothing of SQL or HTTP.

mod acks;
pub mod blocked;
pub mod boot;
mod channels;
pub mod consumer;
pub mod error;
pub mod guarded;
mod headers;
pub mod link;
pub mod names;
pub mod prober;
pub mod publisher;
pub mod rejected;
pub mod retry_settings;
pub mod settings;
pub mod topology;
pub mod unreadable;
pub mod wire;

pub use blocked::{BlockedQueues, Treatment};
pub use consumer::{Consumers, Ending, Message, Subscription};
pub use error::BrokerError;
pub use guarded::{GuardedPublisher, Published};
pub use headers::Death;
pub use link::{HEARTBEAT_SECONDS, Link};
pub use names::Namespace;
pub use prober::{Hearing, Prober};
pub use publisher::{Outgoing, Publisher, Route};
pub use rejected::RejectedQueue;
pub use retry_settings::RetrySettings;
pub use settings::BrokerSettings;
pub use topology::{Intake, QueueState, Topology};
pub use unreadable::Unreadable;
