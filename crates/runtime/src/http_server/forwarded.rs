//! The address of a client behind proxies that the operator trusts (contract §7).
//!
//! Each proxy appends the address that it was called from, so that the list is read from its end. The first address
//! that belongs to no trusted proxy is the client's, because everything before it may be the client's invention.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

/// Most entries of a list that are read, from its end. No installation has as many proxies in a row.
const MAX_HOPS: usize = 32;
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Reads the hops of a header in their order; a hop without an address is nothing.
type ReadHops = fn(&str) -> Vec<Option<IpAddr>>;

/// Networks of proxies whose `X-Forwarded-For` and `Forwarded` are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let networks = entries.map(|entry| {
            let network = entry.parse::<IpNet>().or_else(|_| entry.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| {
                format!("\"{entry}\" is no network: give CIDRs joined by commas, such as 10.0.0.0/8")
            })
        });
        networks.collect::<Result<_, _>>().map(Self)
    }
}

impl TrustedProxies {
    /// Returns whether the address is a trusted proxy's.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Returns the client of a request that came from `peer`.
    ///
    /// `Forwarded` counts only without `X-Forwarded-For`, because a proxy sets one of them and may pass on the other as
    /// the client sent it.
    #[must_use]
    pub fn find_client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.contains(peer) {
            return peer;
        }
        let (name, read): (_, ReadHops) = if headers.contains_key(X_FORWARDED_FOR) {
            (X_FORWARDED_FOR, read_x_forwarded_for)
        } else {
            (header::FORWARDED, read_forwarded)
        };
        let values: Vec<_> = headers.get_all(name).iter().collect();
        let hops = values.into_iter().rev().flat_map(|value| {
            let mut hops = value.to_str().map(read).unwrap_or(vec![None]);
            hops.reverse();
            hops
        });
        let mut client = peer;
        for hop in hops.take(MAX_HOPS) {
            // The last hop that is known is the best answer when a proxy hides or garbles the one before it.
            let Some(hop) = hop else { break };
            client = hop.to_canonical();
            if !self.contains(client) {
                break;
            }
        }
        client
    }
}

/// Reads `203.0.113.7, [2001:db8::1]:4711`.
fn read_x_forwarded_for(value: &str) -> Vec<Option<IpAddr>> {
    value.split(',').map(parse_node).collect()
}

/// Reads `for=203.0.113.7;proto=https, for="[2001:db8::1]:4711"` (RFC 7239).
fn read_forwarded(value: &str) -> Vec<Option<IpAddr>> {
    let hops = split_unquoted(value, ',').into_iter().map(|hop| {
        let pairs = split_unquoted(hop, ';');
        let mut nodes = pairs.iter().filter_map(|pair| {
            let (name, node) = pair.split_once('=')?;
            name.trim().eq_ignore_ascii_case("for").then_some(node)
        });
        nodes.next().and_then(parse_node)
    });
    hops.collect()
}

/// Parses an address with or without a port, quotes and brackets. `unknown` and hidden names are no addresses.
fn parse_node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// Splits a text at a separator that is in no quoted string.
fn split_unquoted(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut quoted = false;
    let mut escaped = false;
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if c == separator && !quoted => {
                parts.push(&text[start..index]);
                start = index + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests;
