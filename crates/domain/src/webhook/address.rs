//! Addresses that are never called (contract §6), and the networks that a development
//! installation opens all the same.
//!
//! What is forbidden is data, one row a range, in `registry`. The rules are three: an allowed network
//! wins; the most specific row decides; one forbidden answer among several refuses the name.

mod registry;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// An address that is never called, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("address {address} is forbidden: {range} ({reference})")]
pub struct Forbidden {
    address: IpAddr,
    range: &'static str,
    reference: &'static str,
}

impl Forbidden {
    /// The address that was checked.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The name of the range it lies in, as its registry has it where it has one: `Loopback`.
    #[must_use]
    pub fn range(&self) -> &'static str {
        self.range
    }

    /// The document that sets the range aside, such as `RFC 1122`.
    #[must_use]
    pub fn reference(&self) -> &'static str {
        self.reference
    }
}

/// Networks that may be called although they are forbidden (`POSTRIDER_ALLOW_NETWORKS`); none by
/// default.
///
/// An IPv4 network opens IPv4 addresses alone: `127.0.0.0/8` does not open `::ffff:127.0.0.1`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedNetworks(Vec<IpNet>);

impl AllowedNetworks {
    /// Opens these networks and no others; bits behind a prefix do not count.
    #[must_use]
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks.into_iter().map(|network| network.trunc()).collect())
    }

    /// Whether one of the networks, of the address's own family, holds it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether nothing is opened, as it should be outside development.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// An entry of a list of networks that is neither a CIDR nor an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{entry}\" is no network: give CIDRs joined by commas, such as 127.0.0.0/8,::1/128")]
pub struct InvalidNetwork {
    entry: String,
}

impl InvalidNetwork {
    /// The entry as it was given.
    #[must_use]
    pub fn entry(&self) -> &str {
        &self.entry
    }
}

impl FromStr for AllowedNetworks {
    type Err = InvalidNetwork;

    /// Reads CIDRs joined by commas; a bare address is a network of one. White space around an
    /// entry and entries with nothing in them do not count, so an empty text opens nothing.
    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let read = |entry: &str| network(entry).ok_or_else(|| InvalidNetwork { entry: entry.to_owned() });
        entries.map(read).collect::<Result<_, _>>().map(Self::new)
    }
}

/// Reads one network. Not with `IpNet`'s own parser, which takes `010.0.0.0/8` for 10.0.0.0/8 where
/// others read an octal 8.
fn network(entry: &str) -> Option<IpNet> {
    let Some((address, prefix)) = entry.split_once('/') else {
        return entry.parse::<IpAddr>().ok().map(IpNet::from);
    };
    let digits = Some(prefix).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    IpNet::new(address.parse().ok()?, digits.parse().ok()?).ok()
}

/// Whether `address` may be called: it is allowed, or in no forbidden range.
///
/// # Errors
/// [`Forbidden`] names the range that refuses it.
pub fn check(address: IpAddr, allowed: &AllowedNetworks) -> Result<(), Forbidden> {
    if allowed.contains(address) {
        return Ok(());
    }
    match registry::forbidding(address) {
        Some(row) => Err(Forbidden { address, range: row.name, reference: row.reference }),
        None => Ok(()),
    }
}

/// Whether a name with these addresses may be called: each of them may. No address is no reason to
/// refuse, since a name that does not resolve yet is taken (contract §4).
///
/// # Errors
/// The first [`Forbidden`] address among them.
pub fn check_all(
    addresses: impl IntoIterator<Item = IpAddr>,
    allowed: &AllowedNetworks,
) -> Result<(), Forbidden> {
    addresses.into_iter().try_for_each(|address| check(address, allowed))
}
