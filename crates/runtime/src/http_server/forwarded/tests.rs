use axum::http::HeaderValue;
use proptest::prelude::*;

use super::*;

const PEER: &str = "10.0.0.1";

fn parse(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn proxies() -> TrustedProxies {
    "10.0.0.0/8, 2001:db8:aaaa::/48".parse().expect("networks")
}

fn find(peer: &str, headers: &[(&'static str, &str)]) -> IpAddr {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).expect("a value"));
    }
    proxies().find_client(parse(peer), &map)
}

#[test]
fn only_a_trusted_proxy_is_believed() {
    let header = [("x-forwarded-for", "203.0.113.7")];
    assert_eq!(find("192.0.2.1", &header), parse("192.0.2.1"));
    assert_eq!(find(PEER, &header), parse("203.0.113.7"));
    assert_eq!(find("::ffff:10.0.0.1", &header), parse("203.0.113.7"));
    assert_eq!(find(PEER, &[]), parse(PEER));
    assert_eq!(TrustedProxies::default().find_client(parse(PEER), &HeaderMap::new()), parse(PEER));
}

#[test]
fn the_client_is_the_last_hop_that_is_no_trusted_proxy() {
    for (value, client) in [
        ("203.0.113.7, 10.1.1.1", "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7, 10.1.1.1", "203.0.113.7"),
        ("10.9.9.9, 203.0.113.7:4711", "203.0.113.7"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:db8::1, 2001:db8:aaaa::1", "2001:db8::1"),
        ("10.1.1.1, 10.2.2.2", "10.1.1.1"),
        ("203.0.113.7, nonsense, 10.1.1.1", "10.1.1.1"),
        ("", PEER),
        ("nonsense", PEER),
    ] {
        assert_eq!(find(PEER, &[("x-forwarded-for", value)]), parse(client), "{value}");
    }
    let both = [("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "203.0.113.7")];
    assert_eq!(find(PEER, &both), parse("203.0.113.7"), "the last header is the last proxy's");
}

#[test]
fn forwarded_is_read_as_rfc_7239_says() {
    for (value, client) in [
        ("for=203.0.113.7", "203.0.113.7"),
        ("For=\"[2001:db8::1]:4711\";proto=https;by=10.0.0.1", "2001:db8::1"),
        ("for=198.51.100.1, for=203.0.113.7;host=\"a,b;for=1.1.1.1\", for=10.1.1.1", "203.0.113.7"),
        ("for=203.0.113.7;ext=\"\\\",for=198.51.100.1\"", "203.0.113.7"),
        ("for=unknown", PEER),
        ("for=_hidden, for=10.1.1.1", "10.1.1.1"),
        ("proto=https", PEER),
    ] {
        assert_eq!(find(PEER, &[("forwarded", value)]), parse(client), "{value}");
    }
    let spoofed = [("forwarded", "for=198.51.100.1"), ("x-forwarded-for", "203.0.113.7")];
    assert_eq!(find(PEER, &spoofed), parse("203.0.113.7"));
}

#[test]
fn the_setting_takes_networks_and_addresses() {
    assert_eq!("".parse(), Ok(TrustedProxies::default()));
    assert!("192.0.2.1".parse::<TrustedProxies>().is_ok_and(|proxies| proxies.contains(parse("192.0.2.1"))));
    assert!("10.0.0.0/33".parse::<TrustedProxies>().is_err());
    assert!("proxy.example".parse::<TrustedProxies>().is_err());
}

proptest! {
    #[test]
    fn any_header_yields_an_address_and_nothing_else_moves_the_client(
        invented in "[ -~]{0,200}",
        client in any::<u32>().prop_map(|bits| std::net::Ipv4Addr::from_bits(bits | 0xc000_0000)),
    ) {
        for (name, appended) in [
            ("x-forwarded-for", format!("{invented}, {client}, 10.1.1.1")),
            ("x-forwarded-for", format!("{client}")),
        ] {
            prop_assert_eq!(find(PEER, &[(name, appended.as_str())]), IpAddr::V4(client));
        }
        let _ = find(PEER, &[("forwarded", &invented)]);
        let _ = find(PEER, &[("x-forwarded-for", &invented)]);
    }
}
