//! Connections in use, in all and for each client network.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use crate::metrics::GaugeGuard;

/// The bound that a further connection would exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// The process has no slot left.
    Total,
    /// The client's network has no slot left.
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
    gauge: metrics::Gauge,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    /// Networks with at least one connection, so that the map is no larger than `total`.
    by_network: HashMap<IpAddr, usize>,
}

/// A slot in use, which is free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<Slots>,
    network: Option<IpAddr>,
    _gauge: GaugeGuard,
}

impl Slots {
    pub(crate) fn new(max: usize, max_per_network: usize, gauge: metrics::Gauge) -> Arc<Self> {
        Arc::new(Self { max, max_per_network, gauge, taken: Mutex::default() })
    }

    /// Takes a slot for a client. Without a client, such as for a trusted proxy, only the bound of all counts.
    pub(crate) fn take(self: &Arc<Self>, client: Option<IpAddr>) -> Result<Slot, Full> {
        let network = client.map(client_network);
        self.with_taken(|taken| {
            if taken.total >= self.max {
                return Err(Full::Total);
            }
            if let Some(network) = network {
                let of_network = taken.by_network.entry(network).or_default();
                if *of_network >= self.max_per_network {
                    return Err(Full::Network);
                }
                *of_network += 1;
            }
            taken.total += 1;
            Ok(())
        })?;
        Ok(Slot { slots: Arc::clone(self), network, _gauge: GaugeGuard::of(self.gauge.clone()) })
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
            let Some(network) = self.network else { return };
            if let Some(of_network) = taken.by_network.get_mut(&network) {
                *of_network -= 1;
                if *of_network == 0 {
                    taken.by_network.remove(&network);
                }
            }
        });
    }
}

/// Returns the network that counts as one client: an IPv6 client can use every address of its /64.
#[must_use]
pub fn client_network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn take(slots: &Arc<Slots>, client: &str) -> Result<Slot, Full> {
        slots.take(Some(parse(client)))
    }

    #[test]
    fn a_network_has_a_share_of_the_slots() {
        let slots = Slots::new(4, 2, metrics::Gauge::noop());
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

    #[test]
    fn a_trusted_proxy_counts_in_all_alone() {
        let slots = Slots::new(3, 1, metrics::Gauge::noop());
        let taken: Vec<Slot> = (0..3).map(|_| slots.take(None).expect("free")).collect();
        assert_eq!(slots.take(None).err(), Some(Full::Total));
        drop(taken);
        assert_eq!(slots.with_taken(|taken| (taken.total, taken.by_network.len())), (0, 0));
    }

    #[test]
    fn networks_without_connections_are_forgotten() {
        let slots = Slots::new(9, 9, metrics::Gauge::noop());
        drop((take(&slots, "192.0.2.1"), take(&slots, "192.0.2.1"), take(&slots, "2001:db8::1")));
        assert_eq!(slots.with_taken(|taken| (taken.total, taken.by_network.len())), (0, 0));
    }

    #[test]
    fn an_ipv6_client_is_identified_by_its_network() {
        assert_eq!(client_network(parse("2001:db8::1")), client_network(parse("2001:db8::ffff:2")));
        assert_ne!(client_network(parse("2001:db8::1")), client_network(parse("2001:db8:0:1::1")));
        assert_eq!(client_network(parse("::ffff:192.0.2.1")), parse("192.0.2.1"));
    }
}
