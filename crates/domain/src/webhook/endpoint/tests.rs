//! Tests of spellings that are rejected, and of similar spellings that are accepted.
//!
//! This file tests the form of the URL; `hosts` tests the host.

mod hosts;

use proptest::prelude::*;

use super::*;
use EndpointError as E;

fn allow(networks: &str) -> AllowedNetworks {
    networks.parse().expect("networks")
}

fn parse(text: &str) -> Result<Endpoint, EndpointError> {
    Endpoint::parse(text, &AllowedNetworks::default())
}

fn accepted(text: &str) -> Endpoint {
    parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// Asserts that each text is rejected with this error, both from a user and from the database.
fn malformed(error: &EndpointError, texts: &[&str]) {
    for text in texts {
        assert_eq!(parse(text).as_ref(), Err(error), "{text:?}");
        assert_eq!(Endpoint::from_stored(text).as_ref(), Err(error), "{text:?}");
    }
}

#[test]
fn well_formed_endpoints_are_accepted() {
    for (text, called) in [
        ("https://example.com", "https://example.com/"),
        ("https://example.com/", "https://example.com/"),
        ("HTTPS://Example.COM/Hook", "https://example.com/Hook"),
        ("https://example.com/my/webhook/endpoint", "https://example.com/my/webhook/endpoint"),
        ("https://example.com:443/hook", "https://example.com/hook"),
        ("https://example.com:8443/hook", "https://example.com:8443/hook"),
        ("https://example.com:65535/", "https://example.com:65535/"),
        ("https://example.com:1/", "https://example.com:1/"),
        ("https://example.com:/hook", "https://example.com/hook"),
        ("https://example.com?tenant=a&b=c", "https://example.com/?tenant=a&b=c"),
        ("https://example.com/a@b?c=d@e:f", "https://example.com/a@b?c=d@e:f"),
        ("https://example.com/%5C%20%0A%00", "https://example.com/%5C%20%0A%00"),
        ("https://example.com/a/../b", "https://example.com/b"),
        ("https://example.com/caf\u{e9}", "https://example.com/caf%C3%A9"),
        ("https://example.com//127.0.0.1/", "https://example.com//127.0.0.1/"),
        ("https://example.com/?url=http://127.0.0.1/", "https://example.com/?url=http://127.0.0.1/"),
    ] {
        let endpoint = accepted(text);
        assert_eq!((endpoint.as_str(), endpoint.to_string().as_str()), (text, text));
        assert_eq!(endpoint.url().as_str(), called);
    }
}

#[test]
fn parts_are_read_from_the_normalised_url() {
    let named = accepted("https://Hooks.Example.com:8443/x");
    assert_eq!(
        (named.host(), named.port(), named.literal_ip()),
        (Host::Domain("hooks.example.com"), 8443, None)
    );
    let v4 = accepted("https://0x8.010.2056/");
    assert_eq!((v4.port(), v4.literal_ip()), (443, Some("8.8.8.8".parse().expect("address"))));
    let v6 = accepted("https://[2606:4700::1111]/");
    assert_eq!(v6.literal_ip(), Some("2606:4700::1111".parse().expect("address")));
}

#[test]
fn plain_http_is_rejected_with_a_hint_to_https() {
    malformed(
        &E::PlainHttp,
        &[
            "http://example.com/hook",
            "HTTP://example.com/hook",
            "hTTp://example.com",
            "http://127.0.0.1/",
            "http://[::1%eth0]/",
            "http://user@example.com/#x",
            "http:",
            "http:example.com",
            "http://",
        ],
    );
    assert!(E::PlainHttp.to_string().contains("endpoints must support the HTTPS protocol"));
}

#[test]
fn other_schemes_and_texts_without_a_host_are_rejected() {
    malformed(
        &E::NotHttps,
        &[
            "",
            "example.com",
            "example.com:443/hook",
            "//example.com/hook",
            "/hook",
            "ftp://example.com/",
            "file:///etc/passwd",
            "gopher://127.0.0.1:6379/",
            "wss://example.com/",
            "httpss://example.com/",
            "https+unix://example.com/",
            "javascript:alert(1)",
            "data:text/plain,x",
            "https",
            "https:",
            "https:/",
            "https://",
            "https:///",
            "https:example.com",
            "https:/example.com/",
            "https:///example.com/",
            "https:////example.com/",
            "https://?example.com",
            "https://#example.com",
            "https:127.0.0.1",
            "https:///127.0.0.1/",
            "url:https://example.com",
        ],
    );
    malformed(&E::NotHttps, &["https://:443/", "https://:/hook"]);
}

#[test]
fn characters_that_parsers_remove_silently_are_rejected() {
    malformed(
        &E::Unprintable,
        &[
            " https://example.com/",
            "https://example.com/ ",
            "\thttps://example.com/",
            "https://example.com/\n",
            "https://example.com/\r\n",
            "\u{0}https://example.com/",
            "https://example.com/\u{0}",
            "https://exam\nple.com/",
            "https://exam\tple.com/",
            "ht\ntps://example.com/",
            "https:/\n/example.com/",
            "https://example.com/a b",
            "https://example.com/a\tb",
            "https://example.com/a\r\nX-Injected: 1",
            "https://example.com/\u{7f}",
            "https://example.com/\u{85}",
            "https://example.com/\u{a0}",
            "https://example.com/\u{2028}",
            "https://example.com/\u{3000}",
            "https://127.0.0.1\u{3000}/",
            "http ://example.com/",
        ],
    );
    malformed(
        &E::Backslash,
        &[
            "https:\\\\example.com\\hook",
            "https:/\\example.com",
            "https://example.com\\@127.0.0.1/",
            "https://127.0.0.1\\@example.com/",
            "https://example.com/a\\b",
            "https://example.com/?a\\b",
        ],
    );
}

#[test]
fn user_info_is_rejected_even_if_it_is_empty() {
    malformed(
        &E::UserInfo,
        &[
            "https://user@example.com/",
            "https://user:password@example.com/",
            "https://:password@example.com/",
            "https://@example.com/",
            "https://:@example.com/",
            "https://example.com@127.0.0.1/",
            "https://127.0.0.1@example.com/",
            "https://example.com:443@127.0.0.1/",
            "https://a@b@example.com/",
            "https://user%40example.com@example.com",
        ],
    );
}

#[test]
fn a_fragment_is_rejected_even_if_it_is_empty() {
    malformed(
        &E::Fragment,
        &[
            "https://example.com/#",
            "https://example.com#",
            "https://example.com/#part",
            "https://example.com/?a=b#part",
            "https://example.com#@127.0.0.1/",
            "https://127.0.0.1#",
        ],
    );
}

#[test]
fn invalid_ports_are_rejected() {
    malformed(
        &E::Port,
        &[
            "https://example.com:0/",
            "https://example.com:000",
            "https://example.com:65536/",
            "https://example.com:99999999999/",
            "https://example.com:-1/",
            "https://example.com:https/",
            "https://example.com:443:443/",
            "https://[2606:4700::1111]:0/",
            "https://8.8.8.8:0",
        ],
    );
}

#[test]
fn the_length_is_counted_in_characters_of_the_original_text() {
    let of = |length: usize, c: char| {
        let start = "https://example.com/";
        start.chars().chain(std::iter::repeat(c)).take(length).collect::<String>()
    };
    for c in ['a', '\u{e9}', '\u{1f600}'] {
        assert_eq!(accepted(&of(2048, c)).as_str().chars().count(), 2048);
        malformed(&E::TooLong, &[&of(2049, c), &of(1_000_000, c)]);
    }
}

#[test]
fn each_error_is_one_sentence_that_says_what_to_write() {
    let forbidden = parse("https://127.0.0.1/").expect_err("loopback");
    assert_eq!(
        forbidden.to_string(),
        "must have a public host, but address 127.0.0.1 is forbidden: Loopback (RFC 1122)"
    );
    let localhost = parse("https://a.LocalHost./").expect_err("localhost");
    assert_eq!(
        localhost.to_string(),
        "must have a public host, but a.localhost. is the machine itself (RFC 6761)"
    );
    let others = [
        E::TooLong,
        E::Unprintable,
        E::Backslash,
        E::PlainHttp,
        E::NotHttps,
        E::UserInfo,
        E::Fragment,
        E::Port,
        E::HostAddress,
        E::HostName,
        E::HostUncallable,
        E::Malformed,
    ];
    for error in others {
        let text = error.to_string();
        assert!(text.starts_with("must ") && !text.contains('\n') && !text.ends_with('.'), "{text}");
    }
}

/// Generates texts from pieces of URLs and of attacks on URL parsers.
fn urlish() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "https://",
            "HTTPS:",
            "http://",
            "/",
            "\\",
            "@",
            ":",
            "#",
            "?",
            ".",
            "[",
            "]",
            "%",
            "%2e",
            "%00",
            "::",
            "::ffff:",
            "64:ff9b::",
            "2002:",
            "5efe:",
            "127",
            "0x7f",
            "0177",
            "2130706433",
            "1",
            "0",
            "localhost",
            "example",
            "com",
            "xn--",
            "\u{ff11}",
            "\u{3002}",
            "\u{ad}",
            "\u{200b}",
            "\u{df}",
            " ",
            "\t",
            "443",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Asserts that a text is either rejected or a valid endpoint.
fn assert_sound(text: &str) {
    let Ok(endpoint) = parse(text) else { return };
    let url = endpoint.url();
    assert_eq!((url.scheme(), url.username(), url.password(), url.fragment()), ("https", "", None, None));
    assert_eq!(endpoint.as_str(), text);
    assert_ne!(endpoint.port(), 0);
    match endpoint.host() {
        Host::Domain(name) => {
            let labels: Vec<&str> = name.trim_end_matches('.').split('.').collect();
            assert!(labels.iter().all(|label| !label.is_empty()), "{name}");
            assert_ne!(labels.last(), Some(&"localhost"));
            assert!(labels.join(".").parse::<IpAddr>().is_err(), "{name}");
        }
        Host::Ipv4(v4) => assert_eq!(address::check_address(v4.into(), &AllowedNetworks::default()), Ok(())),
        Host::Ipv6(v6) => assert_eq!(address::check_address(v6.into(), &AllowedNetworks::default()), Ok(())),
    }
    assert_eq!(Endpoint::from_stored(text).as_ref(), Ok(&endpoint));
    let again = accepted(url.as_str());
    assert_eq!((again.url(), again.host()), (url, endpoint.host()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn any_text_is_rejected_or_a_valid_endpoint(text in any::<String>()) {
        assert_sound(&text);
        assert_sound(&format!("https://{text}"));
    }

    #[test]
    fn any_composed_text_is_rejected_or_a_valid_endpoint(text in urlish()) {
        assert_sound(&text);
        assert_sound(&format!("https://{text}"));
        assert_sound(&format!("https://{text}/hook"));
    }
}
