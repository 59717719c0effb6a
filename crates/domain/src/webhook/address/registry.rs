//! The table of special ranges.
//!
//! It contains the IANA IPv4 and IPv6 Special-Purpose Address Registries (both as updated on 2025-10-09), multicast,
//! the ranges outside IPv6 global unicast, and the IPv6 forms that embed an IPv4 address.
//!
//! A registry row that is globally reachable is accepted; rows with `False` and `N/A` are forbidden. The embedding
//! forms are always forbidden, because a translator or tunnel on the way may lead them to an IPv4 address that was not
//! checked.
//!
//! - <https://www.iana.org/assignments/iana-ipv4-special-registry>
//! - <https://www.iana.org/assignments/iana-ipv6-special-registry>
//! - <https://www.iana.org/assignments/ipv6-address-space>

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The decision about the addresses of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Accept,
    Forbid,
}

use Verdict::{Accept, Forbid};

/// The name of a range and the document that defines it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) reference: &'static str,
}

/// A range of addresses.
///
/// The range with the longest prefix that contains an address decides about it.
#[derive(Debug)]
pub(super) struct Range {
    pub(super) network: IpNet,
    pub(super) verdict: Verdict,
    pub(super) row: Row,
}

/// Creates a range of IPv4 from its first address.
const fn v4(
    first: [u8; 4],
    prefix: u8,
    verdict: Verdict,
    name: &'static str,
    reference: &'static str,
) -> Range {
    let first = Ipv4Addr::new(first[0], first[1], first[2], first[3]);
    let network = IpNet::V4(Ipv4Net::new_assert(first, prefix));
    Range { network, verdict, row: Row { name, reference } }
}

/// Creates a range of IPv6 from the leading segments of its first address.
///
/// The other segments are zero.
const fn v6(
    leading: &[u16],
    prefix: u8,
    verdict: Verdict,
    name: &'static str,
    reference: &'static str,
) -> Range {
    let mut first: u128 = 0;
    let mut at = 0;
    while at < 8 {
        let segment = if at < leading.len() { leading[at] } else { 0 };
        first = first << 16 | segment as u128;
        at += 1;
    }
    let network = IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from_bits(first), prefix));
    Range { network, verdict, row: Row { name, reference } }
}

/// All special ranges.
#[rustfmt::skip] // A table: one row a line.
pub(super) static RANGES: &[Range] = &[
    // IPv4 Special-Purpose Address Registry, every row.
    v4([0, 0, 0, 0], 8, Forbid, "This network", "RFC 791"),
    v4([0, 0, 0, 0], 32, Forbid, "This host on this network", "RFC 1122"),
    v4([10, 0, 0, 0], 8, Forbid, "Private-Use", "RFC 1918"),
    v4([100, 64, 0, 0], 10, Forbid, "Shared Address Space", "RFC 6598"),
    v4([127, 0, 0, 0], 8, Forbid, "Loopback", "RFC 1122"),
    v4([169, 254, 0, 0], 16, Forbid, "Link Local", "RFC 3927"),
    v4([172, 16, 0, 0], 12, Forbid, "Private-Use", "RFC 1918"),
    v4([192, 0, 0, 0], 24, Forbid, "IETF Protocol Assignments", "RFC 6890"),
    v4([192, 0, 0, 0], 29, Forbid, "IPv4 Service Continuity Prefix", "RFC 7335"),
    v4([192, 0, 0, 8], 32, Forbid, "IPv4 dummy address", "RFC 7600"),
    v4([192, 0, 0, 9], 32, Accept, "Port Control Protocol Anycast", "RFC 7723"),
    v4([192, 0, 0, 10], 32, Accept, "Traversal Using Relays around NAT Anycast", "RFC 8155"),
    v4([192, 0, 0, 170], 32, Forbid, "NAT64/DNS64 Discovery", "RFC 8880"),
    v4([192, 0, 0, 171], 32, Forbid, "NAT64/DNS64 Discovery", "RFC 8880"),
    v4([192, 0, 2, 0], 24, Forbid, "Documentation (TEST-NET-1)", "RFC 5737"),
    v4([192, 31, 196, 0], 24, Accept, "AS112-v4", "RFC 7535"),
    v4([192, 52, 193, 0], 24, Accept, "AMT", "RFC 7450"),
    v4([192, 88, 99, 0], 24, Forbid, "Deprecated (6to4 Relay Anycast)", "RFC 7526"),
    v4([192, 88, 99, 2], 32, Forbid, "6a44-relay anycast address", "RFC 6751"),
    v4([192, 168, 0, 0], 16, Forbid, "Private-Use", "RFC 1918"),
    v4([192, 175, 48, 0], 24, Accept, "Direct Delegation AS112 Service", "RFC 7534"),
    v4([198, 18, 0, 0], 15, Forbid, "Benchmarking", "RFC 2544"),
    v4([198, 51, 100, 0], 24, Forbid, "Documentation (TEST-NET-2)", "RFC 5737"),
    v4([203, 0, 113, 0], 24, Forbid, "Documentation (TEST-NET-3)", "RFC 5737"),
    v4([240, 0, 0, 0], 4, Forbid, "Reserved (class E)", "RFC 1112"),
    v4([255, 255, 255, 255], 32, Forbid, "Limited Broadcast", "RFC 8190"),
    // IPv4 beside that registry.
    v4([224, 0, 0, 0], 4, Forbid, "Multicast", "RFC 5771"),

    // IPv6 Special-Purpose Address Registry, every row.
    v6(&[0, 0, 0, 0, 0, 0, 0, 1], 128, Forbid, "Loopback Address", "RFC 4291"),
    v6(&[], 128, Forbid, "Unspecified Address", "RFC 4291"),
    v6(&[0, 0, 0, 0, 0, 0xffff], 96, Forbid, "IPv4-mapped Address", "RFC 4291"),
    v6(&[0x64, 0xff9b], 96, Forbid, "NAT64 well-known prefix", "RFC 6052"), // Reachable, but embeds.
    v6(&[0x64, 0xff9b, 1], 48, Forbid, "NAT64 local-use prefix", "RFC 8215"),
    v6(&[0x100], 64, Forbid, "Discard-Only Address Block", "RFC 6666"),
    v6(&[0x100, 0, 0, 1], 64, Forbid, "Dummy IPv6 Prefix", "RFC 9780"),
    v6(&[0x2001], 23, Forbid, "IETF Protocol Assignments", "RFC 2928"),
    v6(&[0x2001], 32, Forbid, "Teredo", "RFC 4380"),
    v6(&[0x2001, 1, 0, 0, 0, 0, 0, 1], 128, Accept, "Port Control Protocol Anycast", "RFC 7723"),
    v6(&[0x2001, 1, 0, 0, 0, 0, 0, 2], 128, Accept, "Traversal Using Relays around NAT Anycast", "RFC 8155"),
    v6(&[0x2001, 1, 0, 0, 0, 0, 0, 3], 128, Accept, "DNS-SD Service Registration Protocol Anycast", "RFC 9665"),
    v6(&[0x2001, 2], 48, Forbid, "Benchmarking", "RFC 5180"),
    v6(&[0x2001, 3], 32, Accept, "AMT", "RFC 7450"),
    v6(&[0x2001, 4, 0x112], 48, Accept, "AS112-v6", "RFC 7535"),
    v6(&[0x2001, 0x10], 28, Forbid, "Deprecated (previously ORCHID)", "RFC 4843"),
    v6(&[0x2001, 0x20], 28, Accept, "ORCHIDv2", "RFC 7343"),
    v6(&[0x2001, 0x30], 28, Accept, "Drone Remote ID Protocol Entity Tags (DETs) Prefix", "RFC 9374"),
    v6(&[0x2001, 0xdb8], 32, Forbid, "Documentation", "RFC 3849"),
    v6(&[0x2002], 16, Forbid, "6to4", "RFC 3056"),
    v6(&[0x2620, 0x4f, 0x8000], 48, Accept, "Direct Delegation AS112 Service", "RFC 7534"),
    v6(&[0x3fff], 20, Forbid, "Documentation", "RFC 9637"),
    v6(&[0x5f00], 16, Forbid, "Segment Routing (SRv6) SIDs", "RFC 9602"),
    v6(&[0xfc00], 7, Forbid, "Unique-Local", "RFC 4193"),
    v6(&[0xfe80], 10, Forbid, "Link-Local Unicast", "RFC 4291"),
    // IPv6 beside that registry.
    v6(&[], 0, Forbid, "Reserved by IETF, not global unicast", "RFC 4291"),
    v6(&[0x2000], 3, Accept, "Global Unicast", "RFC 4291"),
    v6(&[], 96, Forbid, "IPv4-compatible Address (deprecated)", "RFC 4291"),
    v6(&[0, 0, 0, 0, 0xffff], 96, Forbid, "IPv4-translated Address (SIIT)", "RFC 2765"),
    v6(&[0xfec0], 10, Forbid, "Site-Local Unicast (deprecated)", "RFC 3879"),
    v6(&[0xff00], 8, Forbid, "Multicast", "RFC 4291"),
];

/// The row for ISATAP addresses, which have a pattern in the interface identifier and not a prefix.
pub(super) static ISATAP: Row = Row { name: "ISATAP", reference: "RFC 5214" };

/// Returns whether the interface identifier is `0000:5efe` or `0200:5efe` and an IPv4 address.
fn is_isatap(address: Ipv6Addr) -> bool {
    let [.., universal_bit, marker, _, _] = address.segments();
    marker == 0x5efe && matches!(universal_bit, 0x0000 | 0x0200)
}

/// Returns the most specific range that contains `address`.
fn find_range(address: IpAddr) -> Option<&'static Range> {
    let containing = RANGES.iter().filter(|range| range.network.contains(&address));
    containing.max_by_key(|range| range.network.prefix_len())
}

/// Returns the row that forbids `address`, if there is one.
pub(super) fn find_forbidding_row(address: IpAddr) -> Option<&'static Row> {
    match (find_range(address), address) {
        (Some(Range { verdict: Forbid, row, .. }), _) => Some(row),
        (_, IpAddr::V6(v6)) if is_isatap(v6) => Some(&ISATAP),
        _ => None,
    }
}
