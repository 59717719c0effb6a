//! Names become addresses here, and here alone: what is checked is what is dialled.

use std::net::{IpAddr, SocketAddr};

use domain::address::{AllowedNetworks, Forbidden, check_all};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

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
