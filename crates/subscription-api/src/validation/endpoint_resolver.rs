//! Where an endpoint leads: its name is looked up when it is given, so that a mistake is told at once.
//! What counts is the check at every connection; this one may be passed by a name that does not
//! resolve yet.

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use domain::address::{AllowedNetworks, Forbidden, check_all};
use domain::endpoint::Endpoint;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

/// How long a name may take; one that takes longer does not resolve yet.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);
/// In so many parts that is counted: a process that stood still loses one of them, and not the answer that came
/// meanwhile.
const TIMEOUT_SLICES: u32 = 8;
/// Names that are looked up at once: each holds a thread, even after its time is over.
const MAX_LOOKUPS: usize = 32;

/// Looks up the addresses of a host's port.
pub type Lookup = fn(String, u16) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;

/// Checks where endpoints lead.
#[derive(Debug, Clone)]
pub struct EndpointResolver {
    allowed: AllowedNetworks,
    lookup: Lookup,
    permits: Arc<Semaphore>,
}

impl EndpointResolver {
    /// A resolver that asks the system, as the deliverer's client does.
    #[must_use]
    pub fn new(allowed: AllowedNetworks) -> Self {
        Self::with_lookup(allowed, look_up_with_system)
    }

    /// A resolver that asks `lookup`.
    #[must_use]
    pub fn with_lookup(allowed: AllowedNetworks, lookup: Lookup) -> Self {
        Self { allowed, lookup, permits: Arc::new(Semaphore::new(MAX_LOOKUPS)) }
    }

    /// The networks that are open although they are forbidden.
    #[must_use]
    pub fn allowed_networks(&self) -> &AllowedNetworks {
        &self.allowed
    }

    /// Whether none of the endpoint's addresses is forbidden.
    ///
    /// # Errors
    /// The first address that is.
    pub async fn check(&self, endpoint: &Endpoint) -> Result<(), Forbidden> {
        let addresses = match endpoint.literal_ip() {
            Some(address) => vec![address],
            None => self.look_up_addresses(endpoint).await,
        };
        check_all(addresses, &self.allowed)
    }

    async fn look_up_addresses(&self, endpoint: &Endpoint) -> Vec<IpAddr> {
        let (host, port) = (endpoint.host().to_string(), endpoint.port());
        let (lookup, permits) = (self.lookup, Arc::clone(&self.permits));
        // The place is given back when the look-up ends, not when nobody waits for it any more.
        let mut looking = pin!(async move {
            let place = permits.acquire_owned().await;
            tokio::spawn(async move {
                let _place = place;
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

    fn names(host: String, _: u16) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
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

    async fn check(text: &str, allow: &str) -> bool {
        let allowed: AllowedNetworks = allow.parse().expect("networks");
        let endpoint = Endpoint::from_stored(text).expect("endpoint");
        EndpointResolver::with_lookup(allowed, names).check(&endpoint).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn one_forbidden_answer_refuses_a_name_and_none_at_all_does_not() {
        assert!(check("https://public.example/", "").await);
        assert!(!check("https://mixed.example/", "").await);
        assert!(check("https://mixed.example/", "10.0.0.0/8").await);
        assert!(check("https://unknown.example/", "").await);
        assert!(check("https://slow.example/", "").await);
        assert!(!check("https://127.0.0.1/", "").await);
    }
}
