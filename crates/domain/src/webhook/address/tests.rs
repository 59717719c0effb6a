//! Tests of errors, embedding forms, allowed networks and names with several addresses.
//!
//! `rows` tests the edges of every range. `oracle` compares the table with a second implementation of the rules.

mod oracle;
mod rows;

use super::*;

/// Parses an address.
fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| panic!("{text} is no address"))
}

fn networks(text: &str) -> AllowedNetworks {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// Returns the name of the range that forbids `text`, or `None` if requests may go there.
fn forbidden(text: &str) -> Option<&'static str> {
    check_address(ip(text), &AllowedNetworks::default()).err().map(|error| error.range())
}

#[test]
fn the_error_names_the_address_and_the_range() {
    let error = check_address(ip("127.0.0.1"), &AllowedNetworks::default()).expect_err("loopback");
    assert_eq!(error.to_string(), "address 127.0.0.1 is forbidden: Loopback (RFC 1122)");
    assert_eq!(
        (error.address(), error.range(), error.reference()),
        (ip("127.0.0.1"), "Loopback", "RFC 1122")
    );
    let error = check_address(ip("::ffff:8.8.8.8"), &AllowedNetworks::default()).expect_err("mapped");
    assert_eq!(error.to_string(), "address ::ffff:8.8.8.8 is forbidden: IPv4-mapped Address (RFC 4291)");
}

#[test]
fn public_addresses_are_accepted() {
    for public in [
        "1.1.1.1",
        "8.8.8.8",
        "93.184.216.34",
        "100.63.255.255",
        "172.15.0.1",
        "172.32.0.1",
        "192.167.255.255",
        "223.255.255.255",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2400:cb00::1",
        "2606:4700:4700::1111",
        "2a00:1450:4001:82a::200e",
        "3ffe::1",
    ] {
        assert_eq!(forbidden(public), None, "{public}");
    }
}

#[test]
fn forms_that_embed_an_ipv4_address_are_always_forbidden() {
    for v4 in [[127, 0, 0, 1], [10, 1, 2, 3], [169, 254, 169, 254], [8, 8, 8, 8], [93, 184, 216, 34]] {
        let [a, b, c, d] = v4;
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let dotted = format!("{a}.{b}.{c}.{d}");
        for (text, name) in [
            (format!("::ffff:{dotted}"), "IPv4-mapped Address"),
            (format!("::{dotted}"), "IPv4-compatible Address (deprecated)"),
            (format!("::ffff:0:{dotted}"), "IPv4-translated Address (SIIT)"),
            (format!("64:ff9b::{dotted}"), "NAT64 well-known prefix"),
            (format!("64:ff9b:1::{dotted}"), "NAT64 local-use prefix"),
            (format!("64:ff9b:1:{high:x}:{:x}:{:x}::", low >> 8, low << 8), "NAT64 local-use prefix"),
            (format!("2002:{high:x}:{low:x}::1"), "6to4"),
            (format!("2001:0:{high:x}:{low:x}::"), "Teredo"),
            (format!("2001:0:4136:e378:8000:63bf:{:x}:{:x}", !high, !low), "Teredo"),
            (format!("2606:4700::5efe:{dotted}"), "ISATAP"),
            (format!("2606:4700::200:5efe:{dotted}"), "ISATAP"),
        ] {
            assert_eq!(forbidden(&text), Some(name), "{text}");
        }
    }
}

#[test]
fn isatap_is_an_interface_identifier_behind_any_prefix() {
    for prefix in ["2000:0:0:0", "2606:4700:1:2", "2a00:1450:4001:82a", "3ffe:ffff:ffff:ffff", "2001:4:112:0"]
    {
        for (identifier, is_isatap) in [
            ("0:5efe:808:808", true),
            ("200:5efe:808:808", true),
            ("0:5efe:0:0", true),
            ("200:5efe:ffff:ffff", true),
            ("1:5efe:808:808", false),
            ("100:5efe:808:808", false),
            ("201:5efe:808:808", false),
            ("300:5efe:808:808", false),
            ("0:5efd:808:808", false),
            ("0:5eff:808:808", false),
            ("5efe:0:808:808", false),
            ("0:0:5efe:808", false),
        ] {
            let text = format!("{prefix}:{identifier}");
            assert_eq!(forbidden(&text), is_isatap.then_some("ISATAP"), "{text}");
        }
    }
    assert!(forbidden("fe80::5efe:10.0.0.1").is_some());
    assert!(forbidden("fe80::200:5efe:8.8.8.8").is_some());
}

#[test]
fn an_allowed_network_takes_precedence_and_allows_no_other_address() {
    let allowed = networks("127.0.0.0/8, fd00::/8");
    for open in ["127.0.0.0", "127.0.0.1", "127.255.255.255", "fd00::1", "fdff::1", "8.8.8.8", "2606:4700::1"]
    {
        assert_eq!(check_address(ip(open), &allowed), Ok(()), "{open}");
    }
    for closed in ["10.0.0.1", "0.0.0.0", "::1", "fc00::1", "fe80::1", "ff02::1"] {
        assert!(check_address(ip(closed), &allowed).is_err(), "{closed}");
    }
}

#[test]
fn an_allowed_ipv4_network_does_not_allow_forms_that_embed_ipv4() {
    for allowed in ["127.0.0.0/8", "0.0.0.0/0"] {
        for embedding in [
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b:1::127.0.0.1",
            "2002:7f00:1::",
            "2001::7f00:1",
            "2606:4700::5efe:127.0.0.1",
        ] {
            assert!(check_address(ip(embedding), &networks(allowed)).is_err(), "{embedding} with {allowed}");
        }
    }
}

#[test]
fn an_allowed_ipv6_network_allows_an_embedding_form_but_not_the_embedded_address() {
    let allowed = networks("::ffff:127.0.0.0/104,2606:4700::5efe:a00:1");
    assert_eq!(check_address(ip("::ffff:127.0.0.1"), &allowed), Ok(()));
    assert_eq!(check_address(ip("2606:4700::5efe:10.0.0.1"), &allowed), Ok(()));
    for closed in ["127.0.0.1", "10.0.0.1", "::ffff:126.0.0.1", "::ffff:10.0.0.1", "2606:4700::5efe:10.0.0.2"]
    {
        let address = ip(closed);
        assert!(check_address(address, &allowed).is_err(), "{closed}");
    }
    assert!(check_address(ip("127.0.0.1"), &networks("::/0")).is_err());
    assert_eq!(check_address(ip("::ffff:127.0.0.1"), &networks("::/0")), Ok(()));
}

#[test]
fn networks_are_parsed_from_text() {
    for nothing in ["", " ", ",", " , "] {
        assert!(networks(nothing).is_empty(), "{nothing:?}");
        assert_eq!(networks(nothing), AllowedNetworks::default());
    }
    let net = |text: &str| text.parse::<IpNet>().expect("network");
    for (text, expected) in [
        ("10.0.0.0/8", vec![net("10.0.0.0/8")]),
        ("10.0.0.1", vec![net("10.0.0.1/32")]),
        ("::1", vec![net("::1/128")]),
        ("10.1.2.3/8", vec![net("10.0.0.0/8")]),
        (" 10.0.0.0/8 ,\tfd00::/8, ", vec![net("10.0.0.0/8"), net("fd00::/8")]),
    ] {
        assert_eq!(networks(text), AllowedNetworks::new(expected), "{text:?}");
    }
}

#[test]
fn an_invalid_network_is_named() {
    for (text, bad) in [
        ("localhost", "localhost"),
        ("10.0.0.0/33", "10.0.0.0/33"),
        ("10.0.0.0/8,fd00::/129", "fd00::/129"),
        ("10.0.0.0/8,10.0.0/8,::1", "10.0.0/8"),
        ("10.0.0.0/-1", "10.0.0.0/-1"),
        ("10.0.0.0/", "10.0.0.0/"),
        ("10.0.0.0/+8", "10.0.0.0/+8"),
        ("10.0.0.0/8/8", "10.0.0.0/8/8"),
        ("10.0.0.0 /8", "10.0.0.0 /8"),
        ("::/256", "::/256"),
        ("/8", "/8"),
        ("010.0.0.0/8", "010.0.0.0/8"),
        ("fe80::1%eth0/64", "fe80::1%eth0/64"),
        ("10.0.0.0/8;::1", "10.0.0.0/8;::1"),
    ] {
        let error = text.parse::<AllowedNetworks>().expect_err(text);
        assert_eq!(error.entry(), bad);
        assert!(error.to_string().starts_with(&format!("\"{bad}\" is no network")), "{error}");
    }
}

#[test]
fn one_forbidden_address_rejects_the_name() {
    let none = AllowedNetworks::default();
    let all = |texts: &[&str], allowed: &AllowedNetworks| {
        check_addresses(texts.iter().map(|text| ip(text)), allowed)
    };
    assert_eq!(all(&[], &none), Ok(()));
    assert_eq!(all(&["8.8.8.8", "2606:4700::1"], &none), Ok(()));
    for answers in [
        ["127.0.0.1", "8.8.8.8", "1.1.1.1"],
        ["8.8.8.8", "127.0.0.1", "1.1.1.1"],
        ["8.8.8.8", "1.1.1.1", "127.0.0.1"],
    ] {
        assert_eq!(all(&answers, &none).map_err(|error| error.address()), Err(ip("127.0.0.1")));
        assert_eq!(all(&answers, &networks("127.0.0.1")), Ok(()));
    }
    let mixed = all(&["127.0.0.1", "10.0.0.1"], &networks("127.0.0.0/8"));
    assert_eq!(mixed.map_err(|error| error.address()), Err(ip("10.0.0.1")));
}
