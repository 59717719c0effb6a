//! One test for each range: its first and last address, and the addresses next to them.
//!
//! The expectations were copied from the registries and not from the table under test.

use super::super::registry::{RANGES, Verdict};
use super::forbidden;

/// Declares a test for each range: `"address" => "name of the range that forbids it"`, or `ok`.
macro_rules! ranges {
    ($($test:ident { $($address:literal => $verdict:tt),+ $(,)? })+) => {
        $(#[test] fn $test() { $(assert_eq!(forbidden($address), ranges!(@ $verdict), $address);)+ })+
    };
    (@ ok) => { None };
    (@ $name:literal) => { Some($name) };
}

ranges! {
    v4_this_network { "0.0.0.1" => "This network", "0.255.255.255" => "This network", "1.0.0.0" => ok }
    v4_this_host { "0.0.0.0" => "This host on this network" }
    v4_private_10 {
        "9.255.255.255" => ok, "10.0.0.0" => "Private-Use", "10.255.255.255" => "Private-Use", "11.0.0.0" => ok,
    }
    v4_shared {
        "100.63.255.255" => ok, "100.64.0.0" => "Shared Address Space",
        "100.127.255.255" => "Shared Address Space", "100.128.0.0" => ok,
    }
    v4_loopback {
        "126.255.255.255" => ok, "127.0.0.0" => "Loopback", "127.255.255.255" => "Loopback", "128.0.0.0" => ok,
    }
    v4_link_local {
        "169.253.255.255" => ok, "169.254.0.0" => "Link Local", "169.254.169.254" => "Link Local",
        "169.254.255.255" => "Link Local", "169.255.0.0" => ok,
    }
    v4_private_172 {
        "172.15.255.255" => ok, "172.16.0.0" => "Private-Use", "172.31.255.255" => "Private-Use", "172.32.0.0" => ok,
    }
    v4_protocol_assignments {
        "192.0.0.11" => "IETF Protocol Assignments", "192.0.0.169" => "IETF Protocol Assignments",
        "192.0.0.172" => "IETF Protocol Assignments", "192.0.0.255" => "IETF Protocol Assignments",
        "192.0.1.0" => ok,
    }
    v4_service_continuity {
        "191.255.255.255" => ok, "192.0.0.0" => "IPv4 Service Continuity Prefix",
        "192.0.0.7" => "IPv4 Service Continuity Prefix",
    }
    v4_dummy { "192.0.0.8" => "IPv4 dummy address" }
    v4_pcp_anycast_is_reachable { "192.0.0.9" => ok }
    v4_turn_anycast_is_reachable { "192.0.0.10" => ok }
    v4_nat64_discovery { "192.0.0.170" => "NAT64/DNS64 Discovery", "192.0.0.171" => "NAT64/DNS64 Discovery" }
    v4_test_net_1 {
        "192.0.1.255" => ok, "192.0.2.0" => "Documentation (TEST-NET-1)",
        "192.0.2.255" => "Documentation (TEST-NET-1)", "192.0.3.0" => ok,
    }
    v4_as112_is_reachable {
        "192.31.195.255" => ok, "192.31.196.0" => ok, "192.31.196.255" => ok, "192.31.197.0" => ok,
    }
    v4_amt_is_reachable {
        "192.52.192.255" => ok, "192.52.193.0" => ok, "192.52.193.255" => ok, "192.52.194.0" => ok,
    }
    v4_6to4_relay {
        "192.88.98.255" => ok, "192.88.99.0" => "Deprecated (6to4 Relay Anycast)",
        "192.88.99.1" => "Deprecated (6to4 Relay Anycast)", "192.88.99.3" => "Deprecated (6to4 Relay Anycast)",
        "192.88.99.255" => "Deprecated (6to4 Relay Anycast)", "192.88.100.0" => ok,
    }
    v4_6a44_relay { "192.88.99.2" => "6a44-relay anycast address" }
    v4_private_192 {
        "192.167.255.255" => ok, "192.168.0.0" => "Private-Use",
        "192.168.255.255" => "Private-Use", "192.169.0.0" => ok,
    }
    v4_direct_as112_is_reachable {
        "192.175.47.255" => ok, "192.175.48.0" => ok, "192.175.48.255" => ok, "192.175.49.0" => ok,
    }
    v4_benchmarking {
        "198.17.255.255" => ok, "198.18.0.0" => "Benchmarking", "198.19.255.255" => "Benchmarking", "198.20.0.0" => ok,
    }
    v4_test_net_2 {
        "198.51.99.255" => ok, "198.51.100.0" => "Documentation (TEST-NET-2)",
        "198.51.100.255" => "Documentation (TEST-NET-2)", "198.51.101.0" => ok,
    }
    v4_test_net_3 {
        "203.0.112.255" => ok, "203.0.113.0" => "Documentation (TEST-NET-3)",
        "203.0.113.255" => "Documentation (TEST-NET-3)", "203.0.114.0" => ok,
    }
    v4_multicast { "223.255.255.255" => ok, "224.0.0.0" => "Multicast", "239.255.255.255" => "Multicast" }
    v4_class_e { "240.0.0.0" => "Reserved (class E)", "255.255.255.254" => "Reserved (class E)" }
    v4_broadcast { "255.255.255.255" => "Limited Broadcast" }

    v6_unspecified { "::" => "Unspecified Address" }
    v6_loopback { "::1" => "Loopback Address" }
    v6_compatible {
        "::2" => "IPv4-compatible Address (deprecated)", "::ffff:ffff" => "IPv4-compatible Address (deprecated)",
        "::1:0:0" => "Reserved by IETF, not global unicast",
    }
    v6_mapped {
        "::fffe:ffff:ffff" => "Reserved by IETF, not global unicast", "::ffff:0:0" => "IPv4-mapped Address",
        "::ffff:ffff:ffff" => "IPv4-mapped Address", "::1:0:0:0" => "Reserved by IETF, not global unicast",
    }
    v6_siit {
        "::fffe:ffff:ffff:ffff" => "Reserved by IETF, not global unicast",
        "::ffff:0:0:0" => "IPv4-translated Address (SIIT)",
        "::ffff:0:ffff:ffff" => "IPv4-translated Address (SIIT)",
        "::ffff:1:0:0" => "Reserved by IETF, not global unicast",
    }
    v6_nat64 {
        "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff" => "Reserved by IETF, not global unicast",
        "64:ff9b::" => "NAT64 well-known prefix", "64:ff9b::ffff:ffff" => "NAT64 well-known prefix",
        "64:ff9b::1:0:0" => "Reserved by IETF, not global unicast",
    }
    v6_nat64_local {
        "64:ff9b:0:ffff:ffff:ffff:ffff:ffff" => "Reserved by IETF, not global unicast",
        "64:ff9b:1::" => "NAT64 local-use prefix",
        "64:ff9b:1:ffff:ffff:ffff:ffff:ffff" => "NAT64 local-use prefix",
        "64:ff9b:2::" => "Reserved by IETF, not global unicast",
    }
    v6_discard {
        "ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" => "Reserved by IETF, not global unicast",
        "100::" => "Discard-Only Address Block", "100::ffff:ffff:ffff:ffff" => "Discard-Only Address Block",
    }
    v6_dummy {
        "100:0:0:1::" => "Dummy IPv6 Prefix", "100:0:0:1:ffff:ffff:ffff:ffff" => "Dummy IPv6 Prefix",
        "100:0:0:2::" => "Reserved by IETF, not global unicast",
    }
    v6_protocol_assignments {
        "2001:1::" => "IETF Protocol Assignments", "2001:40::" => "IETF Protocol Assignments",
        "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff" => "IETF Protocol Assignments", "2001:200::" => ok,
    }
    v6_teredo {
        "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff" => ok, "2001::" => "Teredo",
        "2001:0:ffff:ffff:ffff:ffff:ffff:ffff" => "Teredo",
    }
    v6_pcp_anycast_is_reachable { "2001:1::1" => ok }
    v6_turn_anycast_is_reachable { "2001:1::2" => ok }
    v6_dns_sd_anycast_is_reachable { "2001:1::3" => ok, "2001:1::4" => "IETF Protocol Assignments" }
    v6_benchmarking {
        "2001:1:ffff:ffff:ffff:ffff:ffff:ffff" => "IETF Protocol Assignments", "2001:2::" => "Benchmarking",
        "2001:2:0:ffff:ffff:ffff:ffff:ffff" => "Benchmarking", "2001:2:1::" => "IETF Protocol Assignments",
    }
    v6_amt_is_reachable {
        "2001:2:ffff:ffff:ffff:ffff:ffff:ffff" => "IETF Protocol Assignments", "2001:3::" => ok,
        "2001:3:ffff:ffff:ffff:ffff:ffff:ffff" => ok, "2001:4::" => "IETF Protocol Assignments",
    }
    v6_as112_is_reachable {
        "2001:4:111:ffff:ffff:ffff:ffff:ffff" => "IETF Protocol Assignments", "2001:4:112::" => ok,
        "2001:4:112:ffff:ffff:ffff:ffff:ffff" => ok, "2001:4:113::" => "IETF Protocol Assignments",
    }
    v6_orchid_deprecated {
        "2001:f:ffff:ffff:ffff:ffff:ffff:ffff" => "IETF Protocol Assignments",
        "2001:10::" => "Deprecated (previously ORCHID)",
        "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff" => "Deprecated (previously ORCHID)",
    }
    v6_orchid_2_is_reachable { "2001:20::" => ok, "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff" => ok }
    v6_drone_tags_are_reachable {
        "2001:30::" => ok, "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff" => ok, "2001:40::" => "IETF Protocol Assignments",
    }
    v6_documentation {
        "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff" => ok, "2001:db8::" => "Documentation",
        "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff" => "Documentation", "2001:db9::" => ok,
    }
    v6_6to4 {
        "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff" => ok, "2002::" => "6to4",
        "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff" => "6to4", "2003::" => ok,
    }
    v6_direct_as112_is_reachable {
        "2620:4f:7fff:ffff:ffff:ffff:ffff:ffff" => ok, "2620:4f:8000::" => ok,
        "2620:4f:8000:ffff:ffff:ffff:ffff:ffff" => ok, "2620:4f:8001::" => ok,
    }
    v6_documentation_3fff {
        "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff" => ok, "3fff::" => "Documentation",
        "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff" => "Documentation", "3fff:1000::" => ok,
    }
    v6_global_unicast {
        "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" => "Reserved by IETF, not global unicast", "2000::" => ok,
        "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" => ok, "4000::" => "Reserved by IETF, not global unicast",
    }
    v6_segment_routing {
        "5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" => "Reserved by IETF, not global unicast",
        "5f00::" => "Segment Routing (SRv6) SIDs",
        "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff" => "Segment Routing (SRv6) SIDs",
        "5f01::" => "Reserved by IETF, not global unicast",
    }
    v6_reserved {
        "200::" => "Reserved by IETF, not global unicast", "400::" => "Reserved by IETF, not global unicast",
        "1000::" => "Reserved by IETF, not global unicast", "6000::" => "Reserved by IETF, not global unicast",
        "8000::" => "Reserved by IETF, not global unicast", "a000::" => "Reserved by IETF, not global unicast",
        "c000::" => "Reserved by IETF, not global unicast", "e000::" => "Reserved by IETF, not global unicast",
        "f000::" => "Reserved by IETF, not global unicast", "f800::" => "Reserved by IETF, not global unicast",
    }
    v6_unique_local {
        "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" => "Reserved by IETF, not global unicast",
        "fc00::" => "Unique-Local", "fd00:ec2::254" => "Unique-Local",
        "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" => "Unique-Local",
        "fe00::" => "Reserved by IETF, not global unicast",
    }
    v6_link_local {
        "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff" => "Reserved by IETF, not global unicast",
        "fe80::" => "Link-Local Unicast", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff" => "Link-Local Unicast",
    }
    v6_site_local {
        "fec0::" => "Site-Local Unicast (deprecated)",
        "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" => "Site-Local Unicast (deprecated)",
    }
    v6_multicast {
        "ff00::" => "Multicast", "ff0e::1" => "Multicast",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" => "Multicast",
    }
}

#[test]
fn the_table_contains_exactly_the_expected_rows() {
    let of =
        |verdict| RANGES.iter().filter(move |range| range.verdict == verdict).map(|r| r.network.to_string());
    let sorted = |mut networks: Vec<String>| {
        networks.sort();
        networks
    };
    let owned = |networks: &str| sorted(networks.split_whitespace().map(str::to_owned).collect());
    let forbidden = "0.0.0.0/8 0.0.0.0/32 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 \
        192.0.0.0/24 192.0.0.0/29 192.0.0.8/32 192.0.0.170/32 192.0.0.171/32 192.0.2.0/24 192.88.99.0/24 \
        192.88.99.2/32 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 \
        255.255.255.255/32 ::/0 ::/96 ::/128 ::1/128 ::ffff:0.0.0.0/96 ::ffff:0:0:0/96 64:ff9b::/96 \
        64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001::/32 2001:2::/48 2001:10::/28 2001:db8::/32 \
        2002::/16 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8";
    let accepted = "192.0.0.9/32 192.0.0.10/32 192.31.196.0/24 192.52.193.0/24 192.175.48.0/24 2000::/3 \
        2001:1::1/128 2001:1::2/128 2001:1::3/128 2001:3::/32 2001:4:112::/48 2001:20::/28 2001:30::/28 \
        2620:4f:8000::/48";
    assert_eq!(sorted(of(Verdict::Forbid).collect()), owned(forbidden));
    assert_eq!(sorted(of(Verdict::Accept).collect()), owned(accepted));
}

#[test]
fn every_row_has_its_own_network_and_names_its_rfc() {
    for (at, range) in RANGES.iter().enumerate() {
        assert_eq!(range.network, range.network.trunc());
        assert!(range.row.reference.starts_with("RFC "), "{range:?}");
        assert!(RANGES[at + 1..].iter().all(|other| other.network != range.network), "{range:?}");
    }
}
