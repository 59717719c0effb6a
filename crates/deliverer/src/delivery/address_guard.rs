//! Resolves the names of endpoints and refuses forbidden addresses.
//!
//! The client dials exactly the addresses that were checked here. It does not ask its resolver for an address that the
//! URL itself contains, so that such a URL is checked before.
//!
//! Lookups are divided by brand, so that names that never resolve delay no other brand ([`runtime::names`]).

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use domain::ids::BrandId;
use domain::webhook::address::{AllowedNetworks, Forbidden, check_address, check_addresses};
use domain::webhook::endpoint::is_private_name;
use hyper_util::client::legacy::connect::dns::Name;
use runtime::names::{LookupError, NameResolver};
use tower_service::Service;
use url::{Host, Url};

use crate::delivery::exchange_trace::{ExchangeTrace, Phase};
use crate::telemetry;

/// The addresses of a name that may be dialled.
type Addresses = std::vec::IntoIter<SocketAddr>;

/// An error of resolving the name of an endpoint.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unresolved {
    /// The name has no address, or the lookup failed.
    #[error("the name {name} could not be resolved: {reason}")]
    Dns { name: String, reason: LookupError },
    /// One of its addresses is forbidden. The text does not contain the address, because the brand reads it with the
    /// attempt, and could read the operator's own names otherwise.
    #[error("the name {name} is not public: one of its addresses is forbidden")]
    Forbidden { name: String },
}

impl Unresolved {
    /// Whether the failure lies with this machine, and says nothing about the name.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self, Self::Dns { reason, .. } if reason.is_local())
    }
}

/// A host that is refused without a look-up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForbiddenHost {
    /// It is a forbidden address, which the URL itself contains.
    #[error(transparent)]
    Address(#[from] Forbidden),
    /// It is a name of a private network.
    #[error("the name {name} is not public: it has no dot or a reserved ending")]
    PrivateName { name: String },
}

/// Refuses a name if one of its addresses is forbidden.
#[derive(Debug, Clone)]
pub(crate) struct AddressGuard {
    allowed: Arc<AllowedNetworks>,
    names: NameResolver,
}

impl AddressGuard {
    pub(crate) fn new(allowed: AllowedNetworks, names: NameResolver) -> Self {
        Self { allowed: Arc::new(allowed), names }
    }

    /// Refuses a URL whose host is a forbidden address, which the client dials without asking its resolver, or a name
    /// of a private network, which no name server is asked for.
    pub(crate) fn check_host(&self, url: &Url) -> Result<(), ForbiddenHost> {
        check_host(url, &self.allowed)
    }

    /// Returns a resolver that looks names up in the brand's share, and notes the lookup and the addresses, which are then
    /// dialled at this port.
    pub(crate) fn resolver_of(&self, brand: BrandId, port: u16, trace: ExchangeTrace) -> GuardedResolver {
        GuardedResolver { guard: self.clone(), brand, port, trace }
    }
}

/// Resolves the names of a brand's endpoints to addresses that may be dialled.
#[derive(Debug, Clone)]
pub(crate) struct GuardedResolver {
    guard: AddressGuard,
    brand: BrandId,
    port: u16,
    trace: ExchangeTrace,
}

impl Service<Name> for GuardedResolver {
    type Response = Addresses;
    type Error = Unresolved;
    type Future = Pin<Box<dyn Future<Output = Result<Addresses, Unresolved>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unresolved>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self { guard, brand, port, trace } = self.clone();
        Box::pin(async move {
            trace.begin_phase(Phase::Dns);
            let resolved = resolve_name(brand.as_str(), name.as_str(), &guard).await;
            trace.end_phase();
            let addresses = resolved?;
            // A name that was refused has no address here, because the brand must not read it.
            trace.note_addresses(addresses.as_slice().iter().map(|address| (address.ip(), port).into()));
            trace.begin_phase(Phase::Connect);
            Ok(addresses)
        })
    }
}

async fn resolve_name(share: &str, name: &str, guard: &AddressGuard) -> Result<Addresses, Unresolved> {
    let found = guard
        .names
        .look_up(share, name)
        .await
        .map_err(|reason| Unresolved::Dns { name: name.to_owned(), reason })?;
    check_addresses(found.iter().copied(), &guard.allowed).map_err(|forbidden| {
        telemetry::report_forbidden_name(share, name, &forbidden);
        Unresolved::Forbidden { name: name.to_owned() }
    })?;
    let addresses: Vec<_> = found.iter().map(|address| SocketAddr::new(*address, 0)).collect();
    Ok(addresses.into_iter())
}

fn check_host(url: &Url, allowed: &AllowedNetworks) -> Result<(), ForbiddenHost> {
    match url.host() {
        Some(Host::Ipv4(address)) => Ok(check_address(address.into(), allowed)?),
        Some(Host::Ipv6(address)) => Ok(check_address(address.into(), allowed)?),
        Some(Host::Domain(name)) if is_private_name(name) && allowed.is_empty() => {
            Err(ForbiddenHost::PrivateName { name: name.to_owned() })
        }
        Some(Host::Domain(_)) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use runtime::names::{LookupTimeouts, NameSettings};

    use super::*;

    fn networks(text: &str) -> AllowedNetworks {
        text.parse().expect("networks")
    }

    #[test]
    fn an_address_in_the_url_is_checked_in_every_notation() {
        let is_allowed =
            |url: &str, allowed: &str| check_host(&url.parse().expect("a URL"), &networks(allowed)).is_ok();
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

    #[test]
    fn a_name_without_a_dot_is_refused_unless_networks_are_opened() {
        let check = |url: &str, allowed: &str| check_host(&url.parse().expect("a URL"), &networks(allowed));
        for url in ["https://postgres/", "https://postgres./", "https://localhost:8443/"] {
            let refused = check(url, "").expect_err(url);
            assert!(matches!(refused, ForbiddenHost::PrivateName { .. }), "{refused}");
            assert!(check(url, "10.0.0.0/8").is_ok(), "{url}");
        }
        assert!(check("https://postgres.example/", "").is_ok());
    }

    /// A guard whose name server never answers.
    fn guard(allowed: &str) -> AddressGuard {
        let settings = NameSettings { dns_servers: "127.0.0.1:9".parse().expect("a server") };
        let timeouts = LookupTimeouts::within(Duration::from_millis(200));
        AddressGuard::new(networks(allowed), NameResolver::start(&settings, timeouts))
    }

    #[tokio::test]
    async fn a_name_is_refused_if_one_of_its_addresses_is_forbidden() {
        let refused = resolve_name("a", "localhost", &guard("")).await.expect_err("it is this machine");
        assert!(matches!(refused, Unresolved::Forbidden { .. }), "{refused}");
        assert!(!refused.to_string().contains("127.0.0.1"), "{refused}");
        let open = guard("127.0.0.0/8,::1/128");
        let addresses = resolve_name("a", "localhost", &open).await.expect("allowed");
        assert!(addresses.into_iter().all(|address| address.ip().is_loopback()));
    }

    #[tokio::test]
    async fn a_name_that_no_server_was_asked_for_is_a_local_failure() {
        let no_server = resolve_name("a", "hooks.example", &guard("")).await.expect_err("no server");
        assert!(no_server.is_local(), "{no_server}");
        let missing = resolve_name("a", "hooks.invalid", &guard("")).await.expect_err("no such name");
        assert!(!missing.is_local(), "{missing}");
    }
}
