//! Reads `AMQP_URL`: the URL of a node, or the URLs of several nodes of one cluster.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use url::{Host, Url};

/// Bounds dialling the only node, TLS and the AMQP handshake.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The same for one of several nodes. A node that hangs, or whose packets are dropped, is passed by after it.
const NODE_TIMEOUT: Duration = Duration::from_secs(3);
/// Bounds the `connection_timeout` of a URL.
const MAX_CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Nodes of a cluster, more than any cluster has.
const MAX_NODES: usize = 32;
/// The form of a URL.
const FORM: &str =
    "write amqp://user:password@host:port/vhost, and a comma and the next whole URL for each further node";

/// The nodes of `AMQP_URL`. Its `Debug` does not show passwords. Clones share their memory of the node that answers.
#[derive(Clone)]
pub struct AmqpUrl {
    nodes: Arc<[Node]>,
    /// The position of the node that answered last.
    first: Arc<AtomicUsize>,
}

/// A node, with its own account and TLS.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) uri: AMQPUri,
    pub(crate) tls: OwnedTLSConfig,
}

impl std::fmt::Display for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let authority = &self.uri.authority;
        if authority.host.contains(':') {
            write!(f, "[{}]:{}", authority.host, authority.port)
        } else {
            write!(f, "{}:{}", authority.host, authority.port)
        }
    }
}

impl std::fmt::Debug for AmqpUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let nodes: Vec<String> = self.nodes.iter().map(Node::to_string).collect();
        write!(f, "AmqpUrl({}/{})", nodes.join(","), self.nodes[0].uri.vhost)
    }
}

impl AmqpUrl {
    /// Returns the nodes with their positions, beginning with the node that answered last.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = (usize, &Node)> {
        let number = self.nodes.len();
        let first = self.first.load(Ordering::Relaxed);
        (first..first + number).map(move |at| (at % number, &self.nodes[at % number]))
    }

    /// Notes that a node answered.
    pub(crate) fn note_connected(&self, node: usize) {
        self.first.store(node, Ordering::Relaxed);
    }

    /// Returns whether there are several nodes.
    pub(crate) fn is_cluster(&self) -> bool {
        self.nodes.len() > 1
    }

    /// Returns the bound on connecting to a node.
    pub(crate) fn connect_timeout(&self, node: &Node) -> Duration {
        match node.uri.query.connection_timeout {
            Some(millis) if millis > 0 => Duration::from_millis(millis).min(MAX_CONNECT_TIMEOUT),
            _ if self.is_cluster() => NODE_TIMEOUT,
            _ => CONNECT_TIMEOUT,
        }
    }
}

/// Parses one URL, or several with commas between them.
///
/// # Errors
/// When a URL is malformed, names no host, or another vhost than the others. The error says what to do, and contains no
/// password.
pub(crate) fn parse_amqp_url(text: &str) -> Result<AmqpUrl, String> {
    let nodes = split_urls(text).into_iter().map(parse_node).collect::<Result<Vec<_>, _>>()?;
    let vhost = &nodes[0].uri.vhost;
    if let Some(other) = nodes.iter().find(|node| node.uri.vhost != *vhost) {
        return Err(format!(
            "the nodes of a cluster have one vhost, and the URLs name {vhost:?} and {:?}",
            other.uri.vhost
        ));
    }
    if nodes.len() > MAX_NODES {
        return Err(format!("it has {} nodes: name {MAX_NODES} at most", nodes.len()));
    }
    Ok(AmqpUrl { nodes: nodes.into(), first: Arc::default() })
}

/// Splits at the commas before a URL, because a password may contain a comma.
fn split_urls(text: &str) -> Vec<&str> {
    let mut urls = Vec::new();
    let mut begin = 0;
    for (at, _) in text.match_indices(',') {
        let next = text[at + 1..].trim_start();
        if next.starts_with("amqp://") || next.starts_with("amqps://") {
            urls.push(text[begin..at].trim());
            begin = at + 1;
        }
    }
    urls.push(text[begin..].trim());
    urls
}

fn parse_node(text: &str) -> Result<Node, String> {
    let url = Url::parse(text).map_err(|_| FORM.to_owned())?;
    let mut uri: AMQPUri = text.parse().map_err(|_| FORM.to_owned())?;
    // The parser of the client takes localhost for every host that is not a name.
    uri.authority.host = match url.host() {
        Some(Host::Ipv6(address)) => address.to_string(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Domain(name)) if !name.is_empty() && !name.contains(',') => uri.authority.host,
        _ => return Err(FORM.to_owned()),
    };
    if url.path().contains(',') {
        return Err(format!("a comma in a vhost is written %2C; {FORM}"));
    }
    let tls = read_tls_files(&url)?;
    if uri.scheme == AMQPScheme::AMQP && tls != OwnedTLSConfig::default() {
        return Err("cacertfile, certfile and keyfile need amqps:".to_owned());
    }
    Ok(Node { uri, tls })
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

    fn parsed(text: &str) -> AmqpUrl {
        parse_amqp_url(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// Returns the nodes in the order in which they are tried.
    fn nodes(url: &AmqpUrl) -> Vec<String> {
        url.in_order().map(|(_, node)| node.to_string()).collect()
    }

    #[test]
    fn the_url_decides_whether_tls_is_used() {
        assert!(parse_amqp_url("amqp://guest:guest@127.0.0.1:5672/%2f").is_ok());
        assert!(parse_amqp_url("amqps://guest:guest@rabbit.example/%2f").is_ok());
        for bad in [
            "http://guest@h",
            "amqps://h/%2f?cacertfile=/nothing/there",
            "amqps://h/%2f?certfile=/etc/hostname",
            "amqp://h/%2f?cacertfile=/etc/hostname",
            "amqp://h1/%2f,amqps://h2/%2f?cacertfile=/nothing/there",
        ] {
            assert!(parse_amqp_url(bad).is_err(), "{bad}");
        }
    }

    /// The client itself would connect to localhost.
    #[test]
    fn every_kind_of_host_is_kept() {
        for (text, node) in [
            ("amqp://u:p@[2001:db8::1]:5673/%2f", "[2001:db8::1]:5673"),
            ("amqps://[::1]/%2f", "[::1]:5671"),
            ("amqp://[::ffff:10.0.0.1]/v", "[::ffff:10.0.0.1]:5672"),
            ("amqp://10.0.0.1/v", "10.0.0.1:5672"),
            ("amqp://rabbit.example:1/v", "rabbit.example:1"),
            ("amqp://u:p,w@h/v", "h:5672"),
        ] {
            assert_eq!(nodes(&parsed(text)), [node], "{text}");
        }
        assert_eq!(parsed("amqp://[2001:db8::1]/%2f").nodes[0].uri.authority.host, "2001:db8::1");
    }

    #[test]
    fn each_node_of_a_list_has_its_own_account_and_port() {
        let url = parsed("amqp://u:p@h1/v, amqps://w:x@h2:5673/v?heartbeat=9,amqp://[::1]/v");
        assert_eq!(nodes(&url), ["h1:5672", "h2:5673", "[::1]:5672"]);
        let accounts: Vec<_> = url.nodes.iter().map(|n| n.uri.authority.userinfo.username.as_str()).collect();
        assert_eq!(accounts, ["u", "w", "guest"]);
        assert_eq!(url.nodes[1].uri.query.heartbeat, Some(9));
        assert_eq!(url.nodes[1].uri.scheme, AMQPScheme::AMQPS);
    }

    #[test]
    fn the_node_that_answered_last_is_tried_first() {
        let url = parsed("amqp://h1/v,amqp://h2/v,amqp://h3/v");
        url.clone().note_connected(1);
        assert_eq!(nodes(&url), ["h2:5672", "h3:5672", "h1:5672"]);
    }

    #[test]
    fn a_node_of_several_has_less_time() {
        let timeout = |text| {
            let url = parsed(text);
            url.connect_timeout(&url.nodes[0])
        };
        assert_eq!(timeout("amqp://h/v"), CONNECT_TIMEOUT);
        assert_eq!(timeout("amqp://h1/v,amqp://h2/v"), NODE_TIMEOUT);
        assert_eq!(timeout("amqp://h/v?connection_timeout=1500"), Duration::from_millis(1500));
        assert_eq!(timeout("amqp://h/v?connection_timeout=9999999"), MAX_CONNECT_TIMEOUT);
    }

    #[test]
    fn a_list_that_is_not_understood_is_refused() {
        for text in [
            "",
            "amqp://",
            "amqp:///%2f",
            "amqp://:5672/%2f",
            "amqp://u:hush@/%2f",
            "a:5672,b:5672",
            "amqp://u:hush@a:5672,b:5672/%2f",
            "amqp://u:hush@a,b/%2f",
            "amqp://a/%2f,b:5672",
            "amqp://a/%2f,",
            ",amqp://a/%2f",
            "amqp://a/%2f,http://b/%2f",
            "amqp://[hush]/%2f",
        ] {
            let error = parse_amqp_url(text).expect_err(text);
            assert!(!error.contains("hush") && error.contains("amqp://user"), "{text}: {error}");
        }
        let error = parse_amqp_url("amqp://a/v,amqp://b/w").expect_err("two vhosts");
        assert!(error.contains("\"v\"") && error.contains("\"w\""), "{error}");
    }

    #[test]
    fn debug_output_hides_the_passwords() {
        let url = parsed("amqp://user:hush@127.0.0.1:5672/%2f,amqp://user:hush@h/%2f");
        assert!(!format!("{url:?}").contains("hush"));
    }
}
