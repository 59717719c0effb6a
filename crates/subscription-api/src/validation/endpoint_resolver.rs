//! Checks which addresses an endpoint has when it is created or changed, so that a mistake is reported at once.
//!
//! The deliverer checks the address again at every connection, and only that check protects the network. This check
//! therefore accepts a name that does not resolve yet, or not in time.
//!
//! Its caller learns that a name is not public, and not the address: otherwise a token could read the operator's own
//! names.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use domain::ids::BrandId;
use domain::webhook::address::{AllowedNetworks, check_addresses};
use domain::webhook::endpoint::Endpoint;
use runtime::names::{LookupTimeouts, NameResolver, NameSettings};
use tracing::debug;

/// Longest lookup of a name. A name that takes longer counts as not resolving yet, because a person waits for the answer.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// Returns the addresses of a host in a test.
pub(crate) type TestLookup = fn(&str) -> Vec<IpAddr>;

/// An endpoint whose host is not public.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must have a public host, but {host} is not public")]
pub struct NotPublic {
    host: String,
}

/// Checks the addresses of endpoints against the forbidden ones.
#[derive(Debug, Clone)]
pub struct EndpointResolver {
    allowed: Arc<AllowedNetworks>,
    lookup: Lookup,
}

#[derive(Debug, Clone)]
enum Lookup {
    Names(NameResolver),
    Test(TestLookup),
}

impl EndpointResolver {
    /// Starts a resolver that asks the same name servers as the deliverer. Each brand has a share of the lookups.
    #[must_use]
    pub fn start(allowed: AllowedNetworks, settings: &NameSettings) -> Self {
        let names = NameResolver::start(settings, LookupTimeouts::within(LOOKUP_TIMEOUT));
        Self { allowed: Arc::new(allowed), lookup: Lookup::Names(names) }
    }

    /// A resolver that asks `lookup`, for tests.
    #[must_use]
    pub fn with_lookup(allowed: AllowedNetworks, lookup: TestLookup) -> Self {
        Self { allowed: Arc::new(allowed), lookup: Lookup::Test(lookup) }
    }

    /// The networks that are allowed although they are forbidden otherwise.
    #[must_use]
    pub fn allowed_networks(&self) -> &AllowedNetworks {
        &self.allowed
    }

    /// Checks that no address of the endpoint of a brand is forbidden.
    ///
    /// # Errors
    /// When one of them is.
    pub async fn check(&self, brand: &BrandId, endpoint: &Endpoint) -> Result<(), NotPublic> {
        let host = endpoint.host().to_string();
        let addresses = match endpoint.literal_ip() {
            Some(address) => vec![address],
            None => self.find_addresses(brand, &host).await,
        };
        check_addresses(addresses, &self.allowed).map_err(|forbidden| {
            debug!(%brand, host, error = %forbidden, "refused an endpoint that is not public");
            NotPublic { host }
        })
    }

    async fn find_addresses(&self, brand: &BrandId, host: &str) -> Vec<IpAddr> {
        match &self.lookup {
            Lookup::Names(names) => {
                names.look_up(brand.as_str(), host).await.map(|found| found.to_vec()).unwrap_or_default()
            }
            Lookup::Test(lookup) => lookup(host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_up_in_test(host: &str) -> Vec<IpAddr> {
        let texts: &[&str] = match host {
            "public.example" => &["93.184.215.14", "2606:4700::1111"],
            "mixed.example" => &["93.184.215.14", "10.0.0.1"],
            _ => &[],
        };
        texts.iter().map(|text| text.parse().expect("an address")).collect()
    }

    async fn check(text: &str, allow: &str) -> Result<(), NotPublic> {
        let allowed: AllowedNetworks = allow.parse().expect("networks");
        let endpoint = Endpoint::from_stored(text).expect("endpoint");
        let brand = "acme".parse().expect("a brand");
        EndpointResolver::with_lookup(allowed, look_up_in_test).check(&brand, &endpoint).await
    }

    #[tokio::test]
    async fn one_forbidden_address_refuses_a_name_that_resolves() {
        assert!(check("https://public.example/", "").await.is_ok());
        assert!(check("https://mixed.example/", "10.0.0.0/8").await.is_ok());
        assert!(check("https://unknown.example/", "").await.is_ok());
        assert!(check("https://127.0.0.1/", "").await.is_err());
    }

    #[tokio::test]
    async fn the_refusal_does_not_tell_the_address() {
        let refused = check("https://mixed.example/", "").await.expect_err("forbidden").to_string();
        assert_eq!(refused, "must have a public host, but mixed.example is not public");
    }
}
