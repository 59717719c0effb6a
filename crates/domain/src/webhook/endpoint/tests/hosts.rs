//! Tests of hosts: every spelling of a forbidden address, and similar public addresses.

use std::net::Ipv4Addr;

use super::*;

/// Asserts that each host is rejected because of this range, without and with a port and a path.
///
/// The same text is accepted from the database, because every connection checks the address again.
fn forbidden(range: &str, hosts: &[&str]) {
    for host in hosts {
        for text in [format!("https://{host}"), format!("HTTPS://{host}:8443/hook?a=b")] {
            match parse(&text) {
                Err(E::Forbidden(error)) => assert_eq!(error.range(), range, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
            assert!(Endpoint::from_stored(&text).is_ok(), "{text}");
        }
    }
}

fn public(hosts: &[&str]) {
    for host in hosts {
        accepted(&format!("https://{host}/hook"));
    }
}

#[rustfmt::skip] // Tables: many short words a line.
#[test]
fn ipv4_loopback_in_every_spelling() {
    forbidden("Loopback", &[
        // Dotted and short.
        "127.0.0.1", "127.0.0.1.", "127.1", "127.0.1", "127.1.", "127.0.257", "127.65537", "127.255.255.254",
        // Decimal, octal, hexadecimal, mixed.
        "2130706433", "2130706433.", "2147483647",
        "0177.0.0.1", "0177.0.0.01", "0177.1", "017700000001", "00000177.0.0.1",
        "0x7f.0.0.1", "0X7F.0x0.0x0.0x1", "0x7f.1", "0x7f000001", "0x7F000001.", "0x000000007f000001", "0x7f.0.1",
        "127.0x1", "0177.0x1", "127.00000.0x000.01", "127.0x.0x.1",
        // Percent-encoded.
        "%31%32%37.0.0.1", "127%2e0%2E0%2e1", "127.0.0.1%2e", "%30x7f000001", "%EF%BC%91%EF%BC%92%EF%BC%97.1",
        // Full-width, circled, mathematical, superscript digits; ideographic and full-width dots.
        "\u{ff11}\u{ff12}\u{ff17}.0.0.1", "\u{2460}\u{2461}\u{2466}.\u{24ea}.\u{24ea}.\u{2460}", "\u{1d7cf}27.0.0.1",
        "\u{b9}\u{b2}\u{2077}.0.0.\u{2081}", "\u{ff10}\u{ff58}7f.1", "0\u{2179}7f.1",
        "127\u{3002}0\u{3002}0\u{3002}1", "127\u{ff0e}0\u{ff0e}0\u{ff0e}1", "127\u{ff61}1",
        // Characters that IDNA ignores.
        "127.0.0.\u{ad}1", "12\u{200b}7.0.0.1", "127.0.0.1\u{2060}", "\u{feff}127.0.0.1",
    ]);
}

#[rustfmt::skip] // Tables: many short words a line.
#[test]
fn other_ipv4_ranges_in_several_spellings() {
    forbidden("This host on this network", &["0", "0.0.0.0", "0x", "0x0", "00", "0.0", "0.", "\u{ff10}"]);
    forbidden("This network", &["1", "0.1", "0.0.0.1", "0x1", "0.255.255.255"]);
    forbidden("Private-Use", &[
        "10.0.0.1", "10.1", "012.0.0.1", "0xa.1", "167772161", "10.255.255.255", "172.16.0.1", "172.31.255.255",
        "0xac.0x10.1", "2886729729", "192.168.0.1", "192.168.1", "0300.0250.1", "0xc0a80001", "3232235521",
    ]);
    forbidden("Link Local", &[
        "169.254.169.254", "169.254.43518", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.16689662",
    ]);
    forbidden("Shared Address Space", &["100.64.0.1", "100.100.100.200", "1681915905", "0x64.0x7f.0xffff"]);
    forbidden("IETF Protocol Assignments", &["192.0.0.192", "0300.0.0.0300"]);
    forbidden("IPv4 Service Continuity Prefix", &["192.0.0.1", "192.1"]);
    forbidden("IPv4 dummy address", &["192.0.0.8", "192.010"]);
    forbidden("NAT64/DNS64 Discovery", &["192.0.0.170", "192.0.0.171", "0xc00000ab"]);
    forbidden("Documentation (TEST-NET-1)", &["192.0.2.1", "0xc0.0x0.0x201"]);
    forbidden("Documentation (TEST-NET-2)", &["198.51.100.7"]);
    forbidden("Documentation (TEST-NET-3)", &["203.0.113.7"]);
    forbidden("Deprecated (6to4 Relay Anycast)", &["192.88.99.1"]);
    forbidden("6a44-relay anycast address", &["192.88.99.2"]);
    forbidden("Benchmarking", &["198.18.0.1", "198.19.255.255"]);
    forbidden("Multicast", &["224.0.0.1", "239.255.255.255", "0xe0000001"]);
    forbidden("Reserved (class E)", &["240.0.0.1", "4294967294"]);
    forbidden("Limited Broadcast", &[
        "255.255.255.255", "4294967295", "0xffffffff", "037777777777", "255.0xffffff",
    ]);
}

#[rustfmt::skip] // Tables: many short words a line.
#[test]
fn ipv6_in_every_spelling() {
    forbidden("Unspecified Address", &["[::]", "[0:0:0:0:0:0:0:0]", "[::0.0.0.0]"]);
    forbidden("Loopback Address", &["[::1]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::0.0.0.1]"]);
    forbidden("IPv4-mapped Address", &[
        "[::ffff:127.0.0.1]", "[::FFFF:7F00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[0000:0:0:0:0:ffff:7f00:0001]",
        "[::ffff:8.8.8.8]", "[::ffff:169.254.169.254]", "[::ffff:0:0]",
    ]);
    forbidden("IPv4-compatible Address (deprecated)", &[
        "[::127.0.0.1]", "[::7f00:1]", "[::8.8.8.8]", "[0:0:0:0:0:0:10.0.0.1]",
    ]);
    forbidden("IPv4-translated Address (SIIT)", &["[::ffff:0:127.0.0.1]", "[::ffff:0:808:808]"]);
    forbidden("NAT64 well-known prefix", &["[64:ff9b::127.0.0.1]", "[64:FF9B::808:808]", "[64:ff9b::a9fe:a9fe]"]);
    forbidden("NAT64 local-use prefix", &["[64:ff9b:1::10.0.0.1]", "[64:ff9b:1:7f00:0:100::]", "[64:ff9b:1::808:808]"]);
    forbidden("6to4", &["[2002:7f00:1::]", "[2002:0808:0808::1]", "[2002:a9fe:a9fe::a9fe:a9fe]"]);
    forbidden("Teredo", &["[2001::1]", "[2001:0:4136:e378:8000:63bf:80ff:fffe]"]);
    forbidden("ISATAP", &[
        "[2606:4700::5efe:127.0.0.1]", "[2606:4700::200:5efe:8.8.8.8]", "[2a00:1450:0:1:0:5efe:a00:1]",
    ]);
    forbidden("Unique-Local", &["[fc00::1]", "[fd00:ec2::254]", "[FDFF::1]"]);
    forbidden("Link-Local Unicast", &["[fe80::1]", "[fe80::5efe:10.0.0.1]", "[febf::1]"]);
    forbidden("Site-Local Unicast (deprecated)", &["[fec0::1]", "[feff::1]"]);
    forbidden("Multicast", &["[ff02::1]", "[ff0e::1]"]);
    forbidden("Documentation", &["[2001:db8::1]", "[3fff::1]", "[3fff:fff::1]"]);
    forbidden("Discard-Only Address Block", &["[100::1]"]);
    forbidden("Dummy IPv6 Prefix", &["[100:0:0:1::1]"]);
    forbidden("Benchmarking", &["[2001:2::1]"]);
    forbidden("IETF Protocol Assignments", &["[2001:1::4]", "[2001:100::1]"]);
    forbidden("Deprecated (previously ORCHID)", &["[2001:10::1]"]);
    forbidden("Segment Routing (SRv6) SIDs", &["[5f00::1]"]);
    forbidden("Reserved by IETF, not global unicast", &["[200::1]", "[4000::1]", "[fe00::1]", "[::1:2:3:4]"]);
}

#[rustfmt::skip] // Tables: many short words a line.
#[test]
fn similar_public_addresses_are_accepted() {
    public(&[
        "1.1.1.1", "8.8.8.8", "8.8.8.8.", "134744072", "0x08080808", "010.010.010.010", "8.8.2056", "8.526344",
        "\u{ff18}.8.8.8", "126.255.255.255", "128.0.0.1", "2147483648", "0x7effffff", "11.0.0.0", "172.15.255.255",
        "172.32.0.0", "192.167.255.255", "169.253.1.1", "100.128.0.0", "192.0.0.9", "192.0.0.10", "192.31.196.1",
        "192.52.193.1", "192.175.48.1", "198.20.0.0", "223.255.255.255", "[2606:4700:4700::1111]", "[2000::]",
        "[2001:200::1]", "[2001:1::1]", "[2001:4:112::1]", "[2001:20::1]", "[2001:db9::1]", "[2003::1]",
        "[2620:4f:8000::1]", "[3fff:1000::1]", "[2606:4700::1:5efe:808:808]", "[2a00:1450:4001:82a::200e]",
    ]);
}

#[rustfmt::skip] // Tables: many short words a line.
#[test]
fn localhost_is_rejected_in_every_spelling() {
    for host in [
        "localhost", "localhost.", "LOCALHOST", "LocalHost.", "a.localhost", "a.b.localhost.", "localhost.localhost",
        "%6cocalhost", "local%68ost", "localhost%2e", "\u{ff4c}\u{ff4f}calhost", "loca\u{ad}lhost", "localho\u{17f}t",
        "localhost\u{3002}", "a\u{ff0e}localhost", "\u{24db}ocalhost", "_x.localhost",
    ] {
        let text = format!("https://{host}:8443/hook");
        assert!(matches!(parse(&text), Err(E::Localhost(_))), "{text}: {:?}", parse(&text));
        assert!(Endpoint::from_stored(&text).is_ok(), "{text}");
        for networks in ["127.0.0.0/8", "::1", "127.0.0.1/32", "10.0.0.0/8,::/0"] {
            assert!(Endpoint::parse(&text, &allow(networks)).is_ok(), "{text} with {networks}");
        }
        for networks in ["10.0.0.0/8", "127.0.0.2/32", "fd00::/8"] {
            assert!(Endpoint::parse(&text, &allow(networks)).is_err(), "{text} with {networks}");
        }
    }
    public(&[
        "localhost.example.com", "my.mylocalhost", "a.localhosts", "a.xlocalhost.", "a.localhost-a",
        "127.0.0.1.example.com",
    ]);
}

#[test]
fn an_allowed_network_allows_an_address_in_every_spelling() {
    let with = |host: &str, networks| Endpoint::parse(&format!("https://{host}/"), &allow(networks));
    for host in ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "127.0.0.1.", "\u{ff11}27.0.0.1"] {
        assert!(with(host, "127.0.0.0/8").is_ok(), "{host}");
    }
    for host in ["10.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::127.0.0.1]"] {
        assert!(with(host, "127.0.0.0/8").is_err(), "{host}");
    }
    assert!(with("[::ffff:127.0.0.1]", "::ffff:0:0/96").is_ok());
    assert_eq!(Endpoint::parse("http://127.0.0.1", &allow("0.0.0.0/0,::/0")), Err(E::PlainHttp));
}

#[rustfmt::skip] // Tables: many short words a line.
#[test]
fn malformed_addresses_are_rejected() {
    malformed(&E::HostAddress, &[
        "https://127.0.0.256/", "https://1.2.3.4.5/", "https://256.1/", "https://4294967296/", "https://0x100000000/",
        "https://127.0.0.08/", "https://example.1/", "https://example.0x7f/", "https://127.0..1/",
        "https://.127.0.0.1/", "https://[::1", "https://[]/", "https://[:::1]/", "https://[::1::]/",
        "https://[1:2:3:4:5:6:7]/", "https://[::ffff:127.0.0.256]/", "https://[::127.1]/", "https://[::0x7f.0.0.1]/",
        "https://[127.0.0.1]/", "https://[localhost]/", "https://[v1.x]/", "https://[::g]/",
        // Zone ids (RFC 6874), which have a meaning on one machine only.
        "https://[fe80::1%eth0]/", "https://[fe80::1%25eth0]/", "https://[::1%25]/", "https://[fe80::1%1]/",
    ]);
}

#[rustfmt::skip] // Tables: many short words a line.
#[test]
fn invalid_dns_names_are_rejected() {
    let label = format!("https://{}.com/", "a".repeat(64));
    let long = format!("https://{}abcdef/", "abcdef.".repeat(36));
    malformed(&E::HostName, &[
        "https://./", "https://../", "https://127.0.0.1../", "https://localhost../", "https://example..com/",
        "https://.example.com/", "https://.localhost/", "https://*.example.com/", "https://exa$mple.com/",
        "https://(example).com/", "https://a,b.com/", "https://a;b.com/", "https://a!b.com/", "https://a'b.com/",
        "https://exam%00ple.com/", "https://exam%20ple.com/", "https://a%2fb.com/", "https://127.0.0.1%2f.example.com/",
        "https://127.0.0.1%23.example.com/", "https://a%40b.com/", "https://a\u{ff20}b.com/",
        "https://a\u{ff0f}b.com/", "https://a\u{ff03}b.com/", "https://a<b.com/", "https://a^b.com/",
        "https://a|b.com/", "https://%ff.com/", "https://%zz.com/", "https://xn--a/", "https://xn--/",
        "https://xn--a.com/", "https://\u{fffd}.com/", "https://ex[am]ple.com/", &label, &long,
    ]);
}

#[rustfmt::skip] // Tables: many short words a line.
#[test]
fn valid_dns_names_are_accepted() {
    let label = format!("{}.com", "a".repeat(63));
    let host = format!("{}a", "abcdef.".repeat(36));
    assert_eq!(host.len(), 253);
    public(&[
        "example.com", "example.com.", "a.b", "a-b.example.com", "_hooks.example.com", "1.example.com",
        "127.0.0.1.nip.io", "0x7f.example", "1e100.net", "xn--bcher-kva.example", "b\u{fc}cher.example",
        "\u{4f8b}\u{3048}.jp", "\u{1f4a9}.la", "%65xample.com", "internal.example", "local.alt.example", "a1.b2", &label, &host,
    ]);
    assert_eq!(accepted("https://B\u{dc}CHER.example/").host(), Host::Domain("xn--bcher-kva.example"));
}

/// Only the resolvers of a private network know such names, and a look-up alone would tell which ones they know.
#[test]
fn a_name_of_a_private_network_is_rejected_unless_networks_are_allowed() {
    #[rustfmt::skip]
    let hosts = [
        "a", "hooks", "postgres", "postgres.", "kubernetes", "mylocalhost", "xn--bcher-kva", "%61", "a1",
        "postgresql-rw.postrider.svc.cluster.local", "printer.LOCAL.", "metadata.google.internal",
        "host.docker.internal", "nas.home.arpa", "example.onion", "name.alt",
    ];
    for host in hosts {
        let text = format!("https://{host}:8443/hook");
        assert!(matches!(parse(&text), Err(E::PrivateName(_))), "{text}: {:?}", parse(&text));
        assert!(Endpoint::parse(&text, &allow("10.0.0.0/8")).is_ok(), "{text} in development");
        assert!(Endpoint::from_stored(&text).is_ok(), "{text}");
    }
}

/// Returns ten spellings of one IPv4 address in a URL.
fn spellings(address: Ipv4Addr) -> [String; 10] {
    let [a, b, c, d] = address.octets();
    let bits = address.to_bits();
    let (low16, low24) = (bits & 0xffff, bits & 0xff_ffff);
    let wide = |c: char| if c.is_ascii_digit() { char::from_u32(c as u32 + 0xfee0).unwrap_or(c) } else { c };
    [
        address.to_string(),
        format!("{address}."),
        bits.to_string(),
        format!("0x{bits:x}"),
        format!("0{bits:o}"),
        format!("0x{a:X}.0{b:o}.{c}.{d}"),
        format!("{a}.{b}.{low16}"),
        format!("0{a:o}.0x{low24:x}"),
        format!("{a}%2e{b}\u{3002}{c}.{d}"),
        address.to_string().chars().map(wide).collect(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_spelling_of_an_ipv4_address_is_treated_like_the_address(bits: u32, special in 0_usize..22) {
        let firsts = [0, 10, 100, 127, 169, 172, 192, 198, 203, 224, 255];
        let bits = firsts.get(special).map_or(bits, |first| first << 24 | bits & 0xff_ffff);
        let address = Ipv4Addr::from_bits(bits);
        let judged = address::check_address(address.into(), &AllowedNetworks::default()).map_err(E::Forbidden);
        for host in spellings(address) {
            let endpoint = parse(&format!("https://{host}/"));
            prop_assert_eq!(endpoint.as_ref().err(), judged.as_ref().err(), "{}", host);
            prop_assert!(endpoint.is_err() || endpoint.is_ok_and(|e| e.literal_ip() == Some(address.into())));
        }
    }

    #[test]
    fn every_ipv6_address_is_treated_alike_in_each_spelling(bits: u128, special in 0_usize..16) {
        let firsts = [0, 0x64, 0x2001, 0x2002, 0x2606, 0x2a00, 0x3fff, 0xfd00, 0xfe80];
        let bits = firsts.get(special).map_or(bits, |first| first << 112 | bits >> 16);
        let address = Ipv6Addr::from_bits(bits);
        let judged = address::check_address(address.into(), &AllowedNetworks::default()).map_err(E::Forbidden);
        let long = address.segments().map(|segment| format!("{segment:04X}")).join(":");
        for host in [address.to_string(), long] {
            let endpoint = parse(&format!("https://[{host}]/"));
            prop_assert_eq!(endpoint.as_ref().err(), judged.as_ref().err(), "{}", host);
        }
    }
}

#[test]
fn a_host_that_tls_cannot_name_is_refused_only_from_a_user() {
    let name_of = |length: usize| {
        let labels = "a".repeat(61) + ".";
        format!("{}{}.com", labels.repeat(3), "b".repeat(length - 3 * labels.len() - ".com".len()))
    };
    let with_dot = name_of(253) + ".";
    for host in ["a-.example.com", "-a.example.com", "a.-.com", "example.com-", "-example.com.", &with_dot] {
        let text = format!("https://{host}/hook");
        assert_eq!(parse(&text), Err(E::HostUncallable), "{text}");
        // The webhook stays readable, and its attempts say why they fail.
        assert!(Endpoint::from_stored(&text).is_ok(), "{text}");
    }
    public(&[
        "a_b.example.com",
        "_a.example.com",
        "r3---sn.example.com",
        "example.xn--p1ai",
        "0x.example",
        &name_of(253),
    ]);
}
