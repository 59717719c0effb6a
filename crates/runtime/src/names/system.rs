//! The configuration of names on this machine: `/etc/hosts` and `/etc/resolv.conf`, read again when they change.

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use hickory_resolver::Hosts;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::parse_resolv_conf;
use tracing::{info, warn};

use super::settings::{DNS_PORT, MAX_SERVERS, NameServers};

const HOSTS_FILE: &str = "/etc/hosts";
const RESOLVER_FILE: &str = "/etc/resolv.conf";
/// Maximum size of either file that is read, some twenty thousand lines. The rest is ignored.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The machine's configuration at one time.
#[derive(Debug, Default)]
pub(super) struct SystemNames {
    hosts: Hosts,
    servers: Vec<SocketAddr>,
    /// The content that was parsed, so that an unchanged file is not parsed again.
    hosts_bytes: Vec<u8>,
    resolver_bytes: Vec<u8>,
}

impl SystemNames {
    /// Reads both files. A file that cannot be read counts as empty.
    pub(super) fn read(configured: &NameServers) -> Self {
        Self::default()
            .read_again(configured)
            .unwrap_or_else(|| Self::parse(configured, Vec::new(), Vec::new()))
    }

    /// Reads both files again, and returns the new configuration if it differs.
    ///
    /// A file that exists no longer keeps its last content, because programs that replace a file may leave a gap.
    pub(super) fn read_again(&self, configured: &NameServers) -> Option<Self> {
        let hosts = read_file(HOSTS_FILE.as_ref()).unwrap_or_else(|_| self.hosts_bytes.clone());
        let resolver = read_file(RESOLVER_FILE.as_ref()).unwrap_or_else(|_| self.resolver_bytes.clone());
        let is_same = hosts == self.hosts_bytes && resolver == self.resolver_bytes;
        (!is_same).then(|| Self::parse(configured, hosts, resolver))
    }

    fn parse(configured: &NameServers, hosts_bytes: Vec<u8>, resolver_bytes: Vec<u8>) -> Self {
        let mut hosts = Hosts::default();
        if let Err(error) = hosts.read_hosts_conf(hosts_bytes.as_slice()) {
            warn!(file = HOSTS_FILE, %error, "the file cannot be read to its end");
        }
        let servers = match configured.addresses() {
            [] => parse_servers(&resolver_bytes),
            given => given.to_vec(),
        };
        info!(?servers, "the names of endpoints are looked up");
        Self { hosts, servers, hosts_bytes, resolver_bytes }
    }

    /// Returns the name servers, at most [`MAX_SERVERS`].
    pub(super) fn servers(&self) -> &[SocketAddr] {
        &self.servers
    }

    /// Returns the addresses that need no query: of the hosts file, and of `localhost` (RFC 6761 §6.3) if the file does
    /// not contain it.
    pub(super) fn find_static(&self, name: &Name) -> Option<Arc<[IpAddr]>> {
        let found: Arc<[IpAddr]> = [RecordType::A, RecordType::AAAA]
            .into_iter()
            .filter_map(|family| self.hosts.lookup_static_host(&Query::query(name.clone(), family)))
            .flat_map(|lookup| lookup.answers().iter().filter_map(|r| r.data.ip_addr()).collect::<Vec<_>>())
            .collect();
        if !found.is_empty() {
            return Some(found);
        }
        name.is_localhost().then(|| [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()].into())
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns the servers of `resolv.conf`, or the local machine's if it names none, as resolv.conf(5) defines.
///
/// The search list and `ndots` are ignored, because endpoints are public names.
fn parse_servers(content: &[u8]) -> Vec<SocketAddr> {
    let named =
        parse_resolv_conf(content).map(|(config, _)| config.name_servers().to_vec()).unwrap_or_default();
    let servers: Vec<SocketAddr> =
        named.iter().take(MAX_SERVERS).map(|server| (server.ip, DNS_PORT).into()).collect();
    if servers.is_empty() { vec![(Ipv4Addr::LOCALHOST, DNS_PORT).into()] } else { servers }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(hosts: &str, resolver: &str, configured: &str) -> SystemNames {
        let configured = configured.parse().expect("servers");
        SystemNames::parse(&configured, hosts.as_bytes().to_vec(), resolver.as_bytes().to_vec())
    }

    fn find(names: &SystemNames, name: &str) -> Vec<String> {
        let name = Name::from_ascii(name).expect("a name");
        names.find_static(&name).iter().flat_map(|found| found.iter()).map(ToString::to_string).collect()
    }

    #[test]
    fn the_hosts_file_comes_first_and_localhost_needs_no_line() {
        let names = parse("127.0.0.1 localhost\n10.0.0.1 a.test B.test # x\nfd00::1 a.test\nx y\n", "", "");
        assert_eq!(find(&names, "localhost."), ["127.0.0.1"]);
        assert_eq!(find(&names, "a.test."), ["10.0.0.1", "fd00::1"]);
        assert_eq!(find(&names, "b.test."), ["10.0.0.1"]);
        assert!(find(&names, "c.test.").is_empty());
        assert_eq!(find(&parse("", "", ""), "localhost."), ["127.0.0.1", "::1"]);
    }

    #[test]
    fn the_servers_are_the_setting_or_the_first_three_of_the_file_or_this_machine() {
        let servers = |resolver: &str, configured: &str| {
            let names = parse("", resolver, configured);
            names.servers().iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let file = "search cluster.local\nnameserver 10.0.0.1\nnameserver fd00::1\noptions ndots:5\n\
                    nameserver 10.0.0.2\nnameserver 10.0.0.3\n";
        assert_eq!(servers(file, ""), ["10.0.0.1:53", "[fd00::1]:53", "10.0.0.2:53"]);
        assert_eq!(servers(file, "9.9.9.9:5353"), ["9.9.9.9:5353"]);
        assert_eq!(servers("# none\n", ""), ["127.0.0.1:53"]);
    }
}
