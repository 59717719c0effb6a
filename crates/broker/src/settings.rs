//! The settings of the connection to RabbitMQ.

use clap::Args;

pub use crate::connection::url::AmqpUrl;
use crate::connection::url::parse_amqp_url;
use crate::names::Namespace;

/// Settings of RabbitMQ.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "RabbitMQ")]
pub struct BrokerSettings {
    /// RabbitMQ connection URL, or several with commas between them for the nodes of a cluster; over TLS with amqps:, and
    /// cacertfile, certfile and keyfile in its query as RabbitMQ's own clients have them
    #[arg(
        long,
        env = "AMQP_URL",
        value_name = "URL",
        hide_env_values = true,
        default_value = "amqp://guest:guest@127.0.0.1:5672/%2f",
        value_parser = parse_amqp_url
    )]
    pub amqp_url: AmqpUrl,
    /// Prefix of the names of all exchanges and queues
    #[arg(long, env = "POSTRIDER_NAMESPACE", value_name = "NAME", default_value = "postrider")]
    pub namespace: Namespace,
}
