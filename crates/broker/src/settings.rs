//! How RabbitMQ is reached and under which names.

use clap::Args;
use lapin::uri::AMQPUri;

use crate::names::Namespace;

/// The settings of the broker.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "RabbitMQ")]
pub struct BrokerSettings {
    /// RabbitMQ connection URL
    #[arg(
        long,
        env = "AMQP_URL",
        value_name = "URL",
        hide_env_values = true,
        default_value = "amqp://guest:guest@127.0.0.1:5672/%2f",
        value_parser = amqp_url
    )]
    pub amqp_url: AmqpUrl,
    /// What every broker name begins with
    #[arg(long, env = "POSTRIDER_NAMESPACE", value_name = "NAME", default_value = "postrider")]
    pub namespace: Namespace,
}

/// A connection URL that was read. Its `Debug` does not show the password.
#[derive(Clone)]
pub struct AmqpUrl(pub(crate) AMQPUri);

impl std::fmt::Debug for AmqpUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let authority = &self.0.authority;
        write!(f, "AmqpUrl({}:{}/{})", authority.host, authority.port, self.0.vhost)
    }
}

fn amqp_url(text: &str) -> Result<AmqpUrl, String> {
    let uri: AMQPUri =
        text.parse().map_err(|_| "it is no amqp://user:password@host:port/vhost".to_owned())?;
    Ok(AmqpUrl(uri))
}
