//! The settings of lookups: which name servers are asked, and how long a lookup may take.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

/// Maximum number of name servers that are asked; the C library takes three from `resolv.conf`, too.
///
/// A lookup that nobody answers asks all of them, so that each costs it file handles.
pub const MAX_SERVERS: usize = 3;
/// The port of name servers that are given without a port.
pub(super) const DNS_PORT: u16 = 53;

/// The settings of lookups of names.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Names")]
pub struct NameSettings {
    /// Name servers for the names of endpoints: up to three addresses, each with or without a port, joined by commas;
    /// the servers of /etc/resolv.conf if empty
    #[arg(
        long,
        env = "POSTRIDER_DNS_SERVERS",
        value_name = "ADDRESSES",
        default_value = "",
        hide_default_value = true
    )]
    pub dns_servers: NameServers,
}

/// A list of name servers; empty for those of the system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameServers(Vec<SocketAddr>);

impl NameServers {
    /// Returns the servers, in the order in which they are asked.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.0
    }
}

impl FromStr for NameServers {
    type Err = String;

    /// Parses addresses joined by commas. White space and empty entries are ignored.
    fn from_str(text: &str) -> Result<Self, String> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let servers = entries.map(parse_server).collect::<Result<Vec<_>, _>>()?;
        if servers.len() > MAX_SERVERS {
            return Err(format!("it has at most {MAX_SERVERS} name servers"));
        }
        Ok(Self(servers))
    }
}

fn parse_server(entry: &str) -> Result<SocketAddr, String> {
    let without_port = || entry.parse::<IpAddr>().ok().map(|address| (address, DNS_PORT).into());
    let server = entry.parse::<SocketAddr>().ok().or_else(without_port);
    let invalid =
        || format!("\"{entry}\" is no name server: write an address such as 9.9.9.9 or [2620:fe::fe]:53");
    server.filter(|server| server.port() != 0).ok_or_else(invalid)
}

/// The longest times of a lookup. Together they bound how long a caller waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookupTimeouts {
    /// Longest wait for the turn of a lookup in the line of its share.
    pub wait: Duration,
    /// Longest time for the answers of the name servers.
    pub answer: Duration,
}

impl LookupTimeouts {
    /// Divides `total`: a quarter for the wait, three quarters for the answers.
    ///
    /// The answers get more, because a name server itself asks several others, and because a lookup that waits longer
    /// than a second is better tried again later.
    #[must_use]
    pub fn within(total: Duration) -> Self {
        Self { wait: total / 4, answer: total - total / 4 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_parsed_with_and_without_ports() {
        let parse = |text: &str| text.parse::<NameServers>();
        let texts = |servers: NameServers| servers.0.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(parse("").map(texts), Ok(vec![]));
        assert_eq!(
            parse("9.9.9.9, [::1]:5353,2620:fe::fe,").map(texts),
            Ok(vec!["9.9.9.9:53".to_owned(), "[::1]:5353".to_owned(), "[2620:fe::fe]:53".to_owned()])
        );
        for wrong in ["resolver.example", "9.9.9.9:0", "9.9.9.9:", "1.1.1.1,1.1.1.2,1.1.1.3,1.1.1.4"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_parts_of_a_timeout_are_together_as_long_as_the_whole() {
        for total in [Duration::ZERO, Duration::from_millis(7), Duration::from_secs(4)] {
            let timeouts = LookupTimeouts::within(total);
            assert_eq!(timeouts.wait + timeouts.answer, total);
        }
    }
}
