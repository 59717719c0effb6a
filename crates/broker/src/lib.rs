//! RabbitMQ: the topology as one table, the wire formats, connections that come back, a publisher
//! for which published means confirmed, and consumers. It knows nothing of SQL or HTTP.

mod connection;
mod consume;
pub mod error;
pub mod names;
mod publish;
pub mod rejected_queue;
pub mod retry_settings;
pub mod settings;
pub mod startup;
pub mod topology;
pub mod wire;

use connection::channel_pool as channels;
pub use connection::link;
use consume::{ack_batcher as acks, headers};
pub use consume::{consumers as consumer, unreadable};
pub use publish::{blocked_queues as blocked, guarded, prober, publisher};
pub use rejected_queue as rejected;
pub use startup as boot;

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
