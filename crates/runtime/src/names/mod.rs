//! Looks up the addresses of names that strangers choose, so that no name delays another tenant's.
//!
//! `getaddrinfo` blocks a thread until the name's servers answer. The threads are shared by the whole process, a caller
//! that leaves does not free its thread, and some hundred names that never resolve take all of them. [`NameResolver`]
//! asks name servers itself (`query`), without threads and with a timeout, and ends a lookup that nobody waits for.
//!
//! A lookup goes through these steps:
//!
//! 1. The hosts file, and `localhost`, need no query (`system`).
//! 2. The cache of the caller's *share* is asked. A share is a tenant; this module knows it by a text only (`shares`).
//! 3. Callers of one share that ask for the same name join one lookup.
//! 4. The lookup waits for its turn in the share's line. If its turn does not come in time, it does not begin, and the
//!    failure is this process's ([`LookupError::is_local`]).
//! 5. The name servers are asked for both address families.
//!
//! Names are absolute: the search list of `resolv.conf` is not used, so that no name becomes one of the operator's own
//! domain. Plug-ins of `nsswitch.conf` are not used either. Both files are read again when they change.
//!
//! The names of PostgreSQL, RabbitMQ and the collector of traces do not come here. Their clients ask the system.

mod error;
mod metrics;
mod query;
mod settings;
mod shares;
mod system;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hickory_resolver::proto::rr::Name;
use tokio::time::{Instant, sleep};
use tracing::debug;

pub use error::LookupError;
pub use metrics::METRICS;
pub use settings::{LookupTimeouts, MAX_SERVERS, NameServers, NameSettings};
pub use shares::{MAX_LOOKUPS, MAX_LOOKUPS_PER_SHARE};

use crate::tasks;
use query::{Answer, Failure, Querier};
use shares::{Found, Known, Share, Shares};
use system::SystemNames;

/// Interval at which the machine's configuration is read again and expired names are removed. An operator who changes a
/// file waits this long.
const REFRESH_INTERVAL: Duration = Duration::from_secs(5);

/// Looks up names. Cheap to clone.
#[derive(Debug, Clone)]
pub struct NameResolver(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    configured: NameServers,
    timeouts: LookupTimeouts,
    system: ArcSwap<SystemNames>,
    shares: Shares,
    querier: Querier,
}

impl NameResolver {
    /// Creates a resolver, and starts the task that keeps its configuration up to date.
    #[must_use]
    pub fn start(settings: &NameSettings, timeouts: LookupTimeouts) -> Self {
        metrics::start();
        let configured = settings.dns_servers.clone();
        let inner = Arc::new(Inner {
            system: ArcSwap::from_pointee(SystemNames::read(&configured)),
            configured,
            timeouts,
            shares: Shares::new(),
            querier: Querier::default(),
        });
        tasks::spawn_essential("names", refresh(Arc::clone(&inner)));
        Self(inner)
    }

    /// Looks up the addresses of a host name for a share. IPv6 addresses come first, unless this machine has no route to
    /// them.
    ///
    /// # Errors
    /// When the name has no address, or when the lookup did not begin or end in time.
    pub async fn look_up(&self, share: &str, host: &str) -> Result<Arc<[IpAddr]>, LookupError> {
        let name = parse_name(host)?;
        if let Some(addresses) = self.0.system.load().find_static(&name) {
            return Ok(addresses);
        }
        if is_never_asked(&name) {
            return Err(LookupError::NoSuchName);
        }
        let key = name.to_ascii();
        let share = self.0.shares.share(share);
        let inner = Arc::clone(&self.0);
        let of_flight = Arc::clone(&share);
        let known = share.find_or_begin(&key, || {
            let key = key.clone();
            Box::pin(async move { inner.look_up_in_turn(&of_flight, name, &key).await })
        });
        match known {
            Known::Cached(found) => found,
            Known::InFlight(flight) => flight.await,
        }
    }
}

impl Inner {
    /// Waits for the lookup's turn, asks the name servers, and caches the result.
    async fn look_up_in_turn(&self, share: &Share, name: Name, key: &str) -> Found {
        let deadline = Instant::now() + self.timeouts.wait;
        let result = match self.shares.take_place(share, deadline).await {
            Ok(_place) => self.query(&name).await,
            Err(error) => Err(error.into()),
        };
        self.shares.finish(share, key, result)
    }

    async fn query(&self, name: &Name) -> Result<Answer, Failure> {
        let _in_progress = metrics::begin_lookup();
        let began = Instant::now();
        let system = self.system.load_full();
        let asking = self.querier.query_addresses(system.servers(), name, self.timeouts.answer);
        // An answer that makes the library panic ends this lookup alone.
        let result = tasks::contain_panic(asking).await.unwrap_or_else(|_| {
            let reason = "the answer could not be read; the log says why";
            Err(LookupError::Failed(reason.into()).into())
        });
        let error = result.as_ref().err().map(|failure| &failure.error);
        metrics::count_lookup(error, began.elapsed());
        if let Some(error) = error {
            debug!(%name, %error, "a name has no address");
        }
        result
    }
}

/// Parses a host name as an absolute, lower-case name.
fn parse_name(host: &str) -> Result<Name, LookupError> {
    let relative = host.strip_suffix('.').unwrap_or(host);
    if relative.split('.').any(str::is_empty) {
        return Err(LookupError::Invalid);
    }
    let mut name = Name::from_ascii(relative).map_err(|_| LookupError::Invalid)?.to_lowercase();
    name.set_fqdn(true);
    Ok(name)
}

/// Returns whether the name is in a domain that never has addresses: `invalid` (RFC 6761 §6.4) or `onion` (RFC 7686).
fn is_never_asked(name: &Name) -> bool {
    let top_level = name.iter().next_back();
    top_level.is_some_and(|label| matches!(label, b"invalid" | b"onion"))
}

/// Reads the machine's configuration again and again, on a thread that may block.
async fn refresh(inner: Arc<Inner>) {
    loop {
        sleep(REFRESH_INTERVAL).await;
        inner.shares.remove_expired();
        let reading = Arc::clone(&inner);
        let read = tokio::task::spawn_blocking(move || reading.system.load().read_again(&reading.configured));
        if let Ok(Some(changed)) = read.await {
            inner.system.store(Arc::new(changed));
        }
    }
}
