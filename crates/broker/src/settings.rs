//! How RabbitMQ is reached and under which names.

use clap::Args;
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use url::Url;

use crate::names::Namespace;

/// The settings of the broker.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "RabbitMQ")]
pub struct BrokerSettings {
    /// RabbitMQ connection URL; over TLS with amqps:, and cacertfile, certfile and keyfile in its query as
    /// RabbitMQ's own clients have them
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
pub struct AmqpUrl {
    pub(crate) uri: AMQPUri,
    pub(crate) tls: OwnedTLSConfig,
}

impl std::fmt::Debug for AmqpUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let authority = &self.uri.authority;
        write!(f, "AmqpUrl({}:{}/{})", authority.host, authority.port, self.uri.vhost)
    }
}

fn amqp_url(text: &str) -> Result<AmqpUrl, String> {
    let invalid = || "it is no amqp://user:password@host:port/vhost".to_owned();
    let uri: AMQPUri = text.parse().map_err(|_| invalid())?;
    let url = Url::parse(text).map_err(|_| invalid())?;
    let tls = tls(&url)?;
    if uri.scheme == AMQPScheme::AMQP && tls != OwnedTLSConfig::default() {
        return Err("cacertfile, certfile and keyfile go with amqps:".to_owned());
    }
    Ok(AmqpUrl { uri, tls })
}

/// The files that the query names (RabbitMQ's "URI Query Parameters"). Without `cacertfile` the server's
/// certificate is checked against the roots that browsers trust; it is always checked.
fn tls(url: &Url) -> Result<OwnedTLSConfig, String> {
    let named =
        |name: &str| url.query_pairs().find(|(own, _)| own == name).map(|(_, file)| file.into_owned());
    let read = |name: &str| {
        let file = named(name);
        file.map(|file| std::fs::read(file).map_err(|error| format!("{name}: {error}"))).transpose()
    };
    let chain = read("cacertfile")?;
    let chain = chain.map(|pem| String::from_utf8(pem).map_err(|_| "cacertfile: it is no PEM".to_owned()));
    let identity = match (read("certfile")?, read("keyfile")?) {
        (Some(pem), Some(key)) => Some(OwnedIdentity::PKCS8 { pem, key }),
        (None, None) => None,
        _ => return Err("certfile and keyfile go together".to_owned()),
    };
    Ok(OwnedTLSConfig { identity, cert_chain: chain.transpose()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_asked_for_by_the_url() {
        assert!(amqp_url("amqp://guest:guest@127.0.0.1:5672/%2f").is_ok());
        assert!(amqp_url("amqps://guest:guest@rabbit.example/%2f").is_ok());
        for bad in [
            "http://guest@h",
            "amqps://h/%2f?cacertfile=/nothing/there",
            "amqps://h/%2f?certfile=/etc/hostname",
            "amqp://h/%2f?cacertfile=/etc/hostname",
        ] {
            assert!(amqp_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_password_is_not_shown() {
        let url = amqp_url("amqp://user:hush@127.0.0.1:5672/%2f").expect("valid");
        assert!(!format!("{url:?}").contains("hush"));
    }
}
