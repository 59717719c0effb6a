//! RabbitMQ: the topology as one table, the wire formats, connections that come back, a publisher
//! for which published means confirmed, and consumers. It knows nothing of SQL or HTTP.

pub mod boot;
pub mod consumer;
pub mod error;
pub mod link;
pub mod names;
pub mod publisher;
pub mod settings;
pub mod topology;
pub mod wire;

pub use consumer::{Consumers, Message, Subscription};
pub use error::BrokerError;
pub use link::Link;
pub use names::Namespace;
pub use publisher::{Outgoing, Publisher, Route};
pub use settings::BrokerSettings;
pub use topology::Topology;
