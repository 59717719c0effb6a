//! Resolves the names of endpoints and refuses forbidden addresses.
//!
//! The client dials exactly the addresses that were checked here. It does not ask its resolver for an address that the
//! URL itself contains, so that such a URL is checked before.

use std::net::{IpAddr, SocketAddr};

use domain::webhook::address::{AllowedNetworks, Forbidden, check_address, check_addresses};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// An error of resolving the name of an endpoint.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unresolved {
    /// The name has no address, or its servers do not answer.
    #[error("the name {name} could not be resolved: {reason}")]
    Dns { name: String, reason: String },
    /// One of its addresses is forbidden.
    #[error("{0}")]
    Forbidden(#[from] Forbidden),
}

/// The resolver of the client. It refuses a name if one of its addresses is forbidden.
#[derive(Debug, Clone)]
pub(crate) struct AddressGuard(pub(crate) AllowedNetworks);

impl AddressGuard {
    /// Refuses a URL whose host is a forbidden address. The client dials such a host without asking its resolver.
    pub(crate) fn check_literal(&self, url: &Url) -> Result<(), Forbidden> {
        match url.host() {
            Some(Host::Ipv4(address)) => check_address(address.into(), &self.0),
            Some(Host::Ipv6(address)) => check_address(address.into(), &self.0),
            Some(Host::Domain(_)) | None => Ok(()),
        }
    }
}

impl Resolve for AddressGuard {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = self.0.clone();
        Box::pin(async move { Ok(resolve_name(name.as_str(), &allowed).await?) })
    }
}

async fn resolve_name(name: &str, allowed: &AllowedNetworks) -> Result<Addrs, Unresolved> {
    let failed = |reason: String| Unresolved::Dns { name: name.to_owned(), reason };
    let found = tokio::net::lookup_host((name, 0)).await.map_err(|error| failed(error.to_string()))?;
    let addresses: Vec<SocketAddr> = found.collect();
    if addresses.is_empty() {
        return Err(failed("it has no address".to_owned()));
    }
    check_addresses(addresses.iter().map(|address: &SocketAddr| -> IpAddr { address.ip() }), allowed)?;
    Ok(Box::new(addresses.into_iter()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_the_url_is_checked_in_every_notation() {
        let is_allowed = |url: &str, networks: &str| {
            let guard = AddressGuard(networks.parse().expect("networks"));
            guard.check_literal(&url.parse().expect("a URL")).is_ok()
        };
        for url in
            ["https://127.0.0.1/", "https://2130706433/", "https://0x7f.1/", "https://[::ffff:7f00:1]/"]
        {
            assert!(!is_allowed(url, ""), "{url}");
        }
        assert!(
            is_allowed("https://127.0.0.1/", "127.0.0.0/8") && !is_allowed("https://[::1]/", "127.0.0.0/8")
        );
        assert!(is_allowed("https://1.1.1.1/", "") && is_allowed("https://example.com/", ""));
    }

    #[tokio::test]
    async fn a_name_is_refused_if_one_of_its_addresses_is_forbidden() {
        let networks = |text: &str| text.parse::<AllowedNetworks>().expect("networks");
        let refused = resolve_name("localhost", &networks("")).await.err().expect("it is this machine");
        assert!(matches!(refused, Unresolved::Forbidden(_)), "{refused}");
        let addresses = resolve_name("localhost", &networks("127.0.0.0/8,::1/128")).await.expect("allowed");
        assert!(addresses.into_iter().all(|address| address.ip().is_loopback()));
    }
}
