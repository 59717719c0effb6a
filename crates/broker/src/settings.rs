//! The settings of the connection to RabbitMQ.

use clap::Args;
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use url::Url;

use crate::names::Namespace;

/// Settings of RabbitMQ.
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
        value_parser = parse_amqp_url
    )]
    pub amqp_url: AmqpUrl,
    /// Prefix of the names of all exchanges and queues
    #[arg(long, env = "POSTRIDER_NAMESPACE", value_name = "NAME", default_value = "postrider")]
    pub namespace: Namespace,
}

/// A parsed connection URL. Its `Debug` does not show the password.
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

fn parse_amqp_url(text: &str) -> Result<AmqpUrl, String> {
    let invalid = || "the URL must have the form amqp://user:password@host:port/vhost".to_owned();
    let uri: AMQPUri = text.parse().map_err(|_| invalid())?;
    let url = Url::parse(text).map_err(|_| invalid())?;
    let tls = read_tls_files(&url)?;
    if uri.scheme == AMQPScheme::AMQP && tls != OwnedTLSConfig::default() {
        return Err("cacertfile, certfile and keyfile need amqps:".to_owned());
    }
    Ok(AmqpUrl { uri, tls })
}

/// Reads the files that the query names (RabbitMQ's "URI Query Parameters"). The server's certificate is always
/// checked: against `cacertfile`, or without it against the root certificates that browsers trust.
fn read_tls_files(url: &Url) -> Result<OwnedTLSConfig, String> {
    let named =
        |name: &str| url.query_pairs().find(|(own, _)| own == name).map(|(_, file)| file.into_owned());
    let read = |name: &str| {
        let file = named(name);
        file.map(|file| std::fs::read(file).map_err(|error| format!("{name}: {error}"))).transpose()
    };
    let chain = read("cacertfile")?;
    let chain = chain.map(|pem| String::from_utf8(pem).map_err(|_| "cacertfile: not a PEM file".to_owned()));
    let identity = match (read("certfile")?, read("keyfile")?) {
        (Some(pem), Some(key)) => Some(OwnedIdentity::PKCS8 { pem, key }),
        (None, None) => None,
        _ => return Err("certfile and keyfile must be given together".to_owned()),
    };
    Ok(OwnedTLSConfig { identity, cert_chain: chain.transpose()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_decides_whether_tls_is_used() {
        assert!(parse_amqp_url("amqp://guest:guest@127.0.0.1:5672/%2f").is_ok());
        assert!(parse_amqp_url("amqps://guest:guest@rabbit.example/%2f").is_ok());
        for bad in [
            "http://guest@h",
            "amqps://h/%2f?cacertfile=/nothing/there",
            "amqps://h/%2f?certfile=/etc/hostname",
            "amqp://h/%2f?cacertfile=/etc/hostname",
        ] {
            assert!(parse_amqp_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn debug_output_hides_the_password() {
        let url = parse_amqp_url("amqp://user:hush@127.0.0.1:5672/%2f").expect("valid");
        assert!(!format!("{url:?}").contains("hush"));
    }
}
