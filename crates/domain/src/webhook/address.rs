//! Forbidden addresses, which requests never go to (contract §6), and the exceptions of a development installation.
//!
//! The forbidden ranges are rows of a table in `registry`. Three rules apply. An allowed network takes precedence over
//! the table. The row with the longest prefix decides about an address. A DNS name is rejected if one of its addresses
//! is forbidden.

mod registry;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// A forbidden address, and the range that forbids it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("address {address} is forbidden: {range} ({reference})")]
pub struct Forbidden {
    address: IpAddr,
    range: &'static str,
    reference: &'static str,
}

impl Forbidden {
    /// Returns the address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Returns the name of the range in its IANA registry, such as `Loopback`.
    #[must_use]
    pub fn range(&self) -> &'static str {
        self.range
    }

    /// Returns the document that reserves the range, such as `RFC 1122`.
    #[must_use]
    pub fn reference(&self) -> &'static str {
        self.reference
    }
}

/// Networks to which requests may go although the table forbids them (`POSTRIDER_ALLOW_NETWORKS`).
///
/// An IPv4 network allows only IPv4 addresses: `127.0.0.0/8` does not allow `::ffff:127.0.0.1`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedNetworks(Vec<IpNet>);

impl AllowedNetworks {
    /// Allows these networks; host bits are ignored.
    #[must_use]
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks.into_iter().map(|network| network.trunc()).collect())
    }

    /// Returns whether one of the networks contains the address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Returns whether no network is allowed, as it should be outside development.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// An entry of a list of networks that is neither in CIDR notation nor an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{entry}\" is no network: give CIDRs joined by commas, such as 127.0.0.0/8,::1/128")]
pub struct InvalidNetwork {
    entry: String,
}

impl InvalidNetwork {
    /// Returns the invalid entry.
    #[must_use]
    pub fn entry(&self) -> &str {
        &self.entry
    }
}

impl FromStr for AllowedNetworks {
    type Err = InvalidNetwork;

    /// Parses networks in CIDR notation, separated by commas.
    ///
    /// A bare address is a network of one address.
    /// White space around entries and empty entries are ignored, so an empty text allows nothing.
    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let parse =
            |entry: &str| parse_network(entry).ok_or_else(|| InvalidNetwork { entry: entry.to_owned() });
        entries.map(parse).collect::<Result<_, _>>().map(Self::new)
    }
}

/// Parses one network.
///
/// The parser of `IpNet` is not used, because it reads `010.0.0.0/8` as 10.0.0.0/8 where others read an octal 8.
fn parse_network(entry: &str) -> Option<IpNet> {
    let Some((address, prefix)) = entry.split_once('/') else {
        return entry.parse::<IpAddr>().ok().map(IpNet::from);
    };
    let digits = Some(prefix).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    IpNet::new(address.parse().ok()?, digits.parse().ok()?).ok()
}

/// Checks that requests may go to `address`, because it is allowed or in no forbidden range.
///
/// # Errors
/// When the address is forbidden.
pub fn check_address(address: IpAddr, allowed: &AllowedNetworks) -> Result<(), Forbidden> {
    if allowed.contains(address) {
        return Ok(());
    }
    match registry::find_forbidding_row(address) {
        Some(row) => Err(Forbidden { address, range: row.name, reference: row.reference }),
        None => Ok(()),
    }
}

/// Checks that requests may go to a DNS name with these addresses.
///
/// Without an address the check succeeds, because a name that does not resolve yet is accepted (contract §4).
///
/// # Errors
/// The first forbidden address among them.
pub fn check_addresses(
    addresses: impl IntoIterator<Item = IpAddr>,
    allowed: &AllowedNetworks,
) -> Result<(), Forbidden> {
    addresses.into_iter().try_for_each(|address| check_address(address, allowed))
}
