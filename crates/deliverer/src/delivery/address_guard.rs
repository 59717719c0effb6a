//! Names become addresses here, and here alone: what is checked is what is dialled. An address that stands in
//! the URL itself is never asked for, so it is checked before.

use std::net::{IpAddr, SocketAddr};

use domain::address::{AllowedNetworks, Forbidden, check, check_all};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Why a name gave no address to dial.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unresolved {
    /// The name has no address, or its servers do not answer.
    #[error("the name {name} could not be resolved: {reason}")]
    Dns { name: String, reason: String },
    /// One of its addresses is never called.
    #[error("{0}")]
    Forbidden(#[from] Forbidden),
}

/// The resolver of the one client: it refuses a name when one of its addresses is forbidden.
#[derive(Debug, Clone)]
pub(crate) struct Guard(pub(crate) AllowedNetworks);

impl Guard {
    /// Refuses a URL whose host is an address that is never called. The client dials such a host without
    /// asking its resolver.
    pub(crate) fn check_literal(&self, url: &Url) -> Result<(), Forbidden> {
        match url.host() {
            Some(Host::Ipv4(address)) => check(address.into(), &self.0),
            Some(Host::Ipv6(address)) => check(address.into(), &self.0),
            Some(Host::Domain(_)) | None => Ok(()),
        }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = self.0.clone();
        Box::pin(async move { Ok(resolve(name.as_str(), &allowed).await?) })
    }
}

async fn resolve(name: &str, allowed: &AllowedNetworks) -> Result<Addrs, Unresolved> {
    let failed = |reason: String| Unresolved::Dns { name: name.to_owned(), reason };
    let found = tokio::net::lookup_host((name, 0)).await.map_err(|error| failed(error.to_string()))?;
    let addresses: Vec<SocketAddr> = found.collect();
    if addresses.is_empty() {
        return Err(failed("it has no address".to_owned()));
    }
    check_all(addresses.iter().map(|address: &SocketAddr| -> IpAddr { address.ip() }), allowed)?;
    Ok(Box::new(addresses.into_iter()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_the_url_is_checked_in_every_spelling() {
        let opened = |url: &str, networks: &str| {
            let guard = Guard(networks.parse().expect("networks"));
            guard.check_literal(&url.parse().expect("a URL")).is_ok()
        };
        for url in
            ["https://127.0.0.1/", "https://2130706433/", "https://0x7f.1/", "https://[::ffff:7f00:1]/"]
        {
            assert!(!opened(url, ""), "{url}");
        }
        assert!(opened("https://127.0.0.1/", "127.0.0.0/8") && !opened("https://[::1]/", "127.0.0.0/8"));
        assert!(opened("https://1.1.1.1/", "") && opened("https://example.com/", ""));
    }
}
