//! Connections in use: in all, for each client network, and for each client site.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use crate::http_server::ServerLimits;
use crate::metrics::GaugeGuard;

/// The bound that a further connection would exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// The process has no slot left.
    Total,
    /// The client's network or site has no slot left.
    Network,
}

impl Full {
    pub(crate) const ALL: [Self; 2] = [Self::Total, Self::Network];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Network => "network",
        }
    }
}

/// The connections of one listener.
#[derive(Debug)]
pub(crate) struct Slots {
    max: usize,
    max_per_network: usize,
    max_per_site: usize,
    gauge: metrics::Gauge,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_network: Counts,
    by_site: Counts,
}

/// The connections of each network that has at least one, so that the map is no larger than the number of connections.
#[derive(Debug, Default)]
struct Counts(HashMap<IpAddr, usize>);

impl Counts {
    fn get(&self, network: IpAddr) -> usize {
        self.0.get(&network).copied().unwrap_or(0)
    }

    fn increment(&mut self, network: IpAddr) {
        *self.0.entry(network).or_default() += 1;
    }

    fn decrement(&mut self, network: IpAddr) {
        if let Some(count) = self.0.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&network);
            }
        }
    }
}

/// A slot in use, which is free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<Slots>,
    client: Option<IpAddr>,
    _gauge: GaugeGuard,
}

impl Slots {
    pub(crate) fn new(limits: &ServerLimits, gauge: metrics::Gauge) -> Arc<Self> {
        Arc::new(Self {
            max: limits.max_connections,
            max_per_network: limits.max_connections_per_network,
            max_per_site: limits.max_connections_per_site,
            gauge,
            taken: Mutex::default(),
        })
    }

    /// Takes a slot for a client. Without a client, such as for a trusted proxy, only the bound of all counts.
    pub(crate) fn take(self: &Arc<Self>, client: Option<IpAddr>) -> Result<Slot, Full> {
        self.with_taken(|taken| {
            if taken.total >= self.max {
                return Err(Full::Total);
            }
            if let Some(client) = client {
                let (network, site) = (client_network(client), client_site(client));
                if taken.by_network.get(network) >= self.max_per_network
                    || taken.by_site.get(site) >= self.max_per_site
                {
                    return Err(Full::Network);
                }
                taken.by_network.increment(network);
                taken.by_site.increment(site);
            }
            taken.total += 1;
            Ok(())
        })?;
        Ok(Slot { slots: Arc::clone(self), client, _gauge: GaugeGuard::of(self.gauge.clone()) })
    }

    fn with_taken<R>(&self, act: impl FnOnce(&mut Taken) -> R) -> R {
        // A poisoned lock is safe to use, because no panic can leave the numbers half changed.
        act(&mut self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.with_taken(|taken| {
            taken.total -= 1;
            if let Some(client) = self.client {
                taken.by_network.decrement(client_network(client));
                taken.by_site.decrement(client_site(client));
            }
        });
    }
}

/// Returns the network that counts as one client: an IPv6 client can use every address of its /64.
fn client_network(client: IpAddr) -> IpAddr {
    keep_ipv6_bits(client, 64)
}

/// Returns the site of a client, which may have many networks: an IPv6 /48, the most that a customer usually gets. An
/// IPv4 address is a site of its own.
#[must_use]
pub fn client_site(client: IpAddr) -> IpAddr {
    keep_ipv6_bits(client, 48)
}

fn keep_ipv6_bits(client: IpAddr, bits: u32) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !(u128::MAX >> bits)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn parse(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn slots(max: usize, per_network: usize, per_site: usize) -> Arc<Slots> {
        let limits = ServerLimits {
            listener: "test",
            max_connections: max,
            max_connections_per_network: per_network,
            max_connections_per_site: per_site,
            head_timeout: Duration::MAX,
            keep_alive_timeout: Duration::MAX,
            max_lifetime: Duration::MAX,
        };
        Slots::new(&limits, metrics::Gauge::noop())
    }

    fn take(slots: &Arc<Slots>, client: &str) -> Result<Slot, Full> {
        slots.take(Some(parse(client)))
    }

    #[test]
    fn a_network_has_a_share_of_the_slots() {
        let slots = slots(4, 2, 4);
        let first = take(&slots, "192.0.2.1").expect("free");
        let _second = take(&slots, "::ffff:192.0.2.1").expect("free");
        assert_eq!(take(&slots, "192.0.2.1").err(), Some(Full::Network));
        let _other = take(&slots, "2001:db8::1").expect("free");
        let _another = take(&slots, "2001:db8::2").expect("free");
        assert_eq!(take(&slots, "192.0.2.2").err(), Some(Full::Total));
        drop(first);
        assert_eq!(take(&slots, "2001:db8::3").err(), Some(Full::Network));
        let _again = take(&slots, "192.0.2.1").expect("free again");
    }

    impl Taken {
        fn count_all(&self) -> [usize; 3] {
            [self.total, self.by_network.0.len(), self.by_site.0.len()]
        }
    }

    #[test]
    fn a_trusted_proxy_counts_in_all_alone() {
        let slots = slots(3, 1, 1);
        let taken: Vec<Slot> = (0..3).map(|_| slots.take(None).expect("free")).collect();
        assert_eq!(slots.take(None).err(), Some(Full::Total));
        drop(taken);
        assert_eq!(slots.with_taken(|taken| taken.count_all()), [0, 0, 0]);
    }

    #[test]
    fn the_networks_of_one_site_share_its_slots() {
        let slots = slots(9, 2, 3);
        let taken: Vec<_> =
            (0..3).map(|n| take(&slots, &format!("2001:db8:0:{n}::1")).expect("free")).collect();
        assert_eq!(take(&slots, "2001:db8:0:ffff::1").err(), Some(Full::Network));
        let _other = take(&slots, "2001:db8:1::1").expect("another site");
        drop(taken);
        let _again = take(&slots, "2001:db8:0:ffff::1").expect("free again");
    }

    #[test]
    fn networks_without_connections_are_forgotten() {
        let slots = slots(9, 9, 9);
        drop((take(&slots, "192.0.2.1"), take(&slots, "192.0.2.1"), take(&slots, "2001:db8::1")));
        assert_eq!(slots.with_taken(|taken| taken.count_all()), [0, 0, 0]);
    }

    #[test]
    fn an_ipv6_client_is_identified_by_its_network() {
        assert_eq!(client_network(parse("2001:db8::1")), client_network(parse("2001:db8::ffff:2")));
        assert_ne!(client_network(parse("2001:db8::1")), client_network(parse("2001:db8:0:1::1")));
        assert_eq!(client_site(parse("2001:db8::1")), client_site(parse("2001:db8:0:ff::1")));
        assert_ne!(client_site(parse("2001:db8::1")), client_site(parse("2001:db8:1::1")));
        assert_eq!(client_network(parse("::ffff:192.0.2.1")), parse("192.0.2.1"));
    }
}
