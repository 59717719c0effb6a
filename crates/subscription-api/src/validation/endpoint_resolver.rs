//! Checks which addresses an endpoint has when it is created or changed, so that a mistake is reported at once.
//!
//! The deliverer checks the address again at every connection, and only that check protects the network. This check
//! therefore accepts a name that does not resolve yet.

use runtime::tasks;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use domain::webhook::address::{AllowedNetworks, Forbidden, check_addresses};
use domain::webhook::endpoint::Endpoint;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

/// Longest lookup of a name. A name that takes longer counts as not resolving yet.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);
/// Slices of the timeout. A process that was stalled loses one slice, so it still sees an answer that arrived
/// during the stall.
const TIMEOUT_SLICES: u32 = 8;
/// Most lookups at once, because each holds a thread until it ends, even after its timeout.
const MAX_LOOKUPS: usize = 32;

/// Looks up the addresses of a host and port.
pub(crate) type Lookup = fn(String, u16) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;

/// Checks the addresses of endpoints against the forbidden ones.
#[derive(Debug, Clone)]
pub struct EndpointResolver {
    allowed: AllowedNetworks,
    lookup: Lookup,
    permits: Arc<Semaphore>,
}

impl EndpointResolver {
    /// A resolver that asks the operating system, as the deliverer's client does.
    #[must_use]
    pub fn new(allowed: AllowedNetworks) -> Self {
        Self::with_lookup(allowed, look_up_with_system)
    }

    /// A resolver that asks `lookup`.
    #[must_use]
    pub fn with_lookup(allowed: AllowedNetworks, lookup: Lookup) -> Self {
        Self { allowed, lookup, permits: Arc::new(Semaphore::new(MAX_LOOKUPS)) }
    }

    /// The networks that are allowed although they are forbidden otherwise.
    #[must_use]
    pub fn allowed_networks(&self) -> &AllowedNetworks {
        &self.allowed
    }

    /// Checks that no address of the endpoint is forbidden.
    ///
    /// # Errors
    /// The first forbidden address.
    pub async fn check(&self, endpoint: &Endpoint) -> Result<(), Forbidden> {
        let addresses = match endpoint.literal_ip() {
            Some(address) => vec![address],
            None => self.look_up_addresses(endpoint).await,
        };
        check_addresses(addresses, &self.allowed)
    }

    async fn look_up_addresses(&self, endpoint: &Endpoint) -> Vec<IpAddr> {
        let host = endpoint.host().to_string();
        let port = endpoint.port();
        let lookup = self.lookup;
        let permits = Arc::clone(&self.permits);
        // A task of its own keeps the permit until the lookup ends, even if the request is gone by then.
        let mut looking = pin!(async move {
            let permit = permits.acquire_owned().await;
            tasks::spawn_named("resolver", async move {
                let _permit = permit;
                lookup(host, port).await
            })
            .await
        });
        for _ in 0..TIMEOUT_SLICES {
            if let Ok(found) = tokio::time::timeout(LOOKUP_TIMEOUT / TIMEOUT_SLICES, looking.as_mut()).await {
                return found.ok().and_then(Result::ok).unwrap_or_default();
            }
        }
        Vec::new()
    }
}

fn look_up_with_system(host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
    Box::pin(async move {
        let found = tokio::net::lookup_host((host, port)).await?;
        Ok(found.map(|address| address.ip()).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_up_in_test(host: String, _: u16) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let parse = |text: &str| text.parse::<IpAddr>().expect("address");
            match host.as_str() {
                "public.example" => Ok(vec![parse("93.184.215.14"), parse("2606:4700::1111")]),
                "mixed.example" => Ok(vec![parse("93.184.215.14"), parse("10.0.0.1")]),
                "slow.example" => std::future::pending().await,
                _ => Err(io::Error::other("no such name")),
            }
        })
    }

    async fn is_allowed(text: &str, allow: &str) -> bool {
        let allowed: AllowedNetworks = allow.parse().expect("networks");
        let endpoint = Endpoint::from_stored(text).expect("endpoint");
        EndpointResolver::with_lookup(allowed, look_up_in_test).check(&endpoint).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn one_forbidden_address_refuses_a_name_that_resolves() {
        assert!(is_allowed("https://public.example/", "").await);
        assert!(!is_allowed("https://mixed.example/", "").await);
        assert!(is_allowed("https://mixed.example/", "10.0.0.0/8").await);
        assert!(is_allowed("https://unknown.example/", "").await);
        assert!(is_allowed("https://slow.example/", "").await);
        assert!(!is_allowed("https://127.0.0.1/", "").await);
    }
}
