//! Endpoint URLs, and the addresses that may be hidden in them ([`domain::webhook::endpoint`],
//! [`domain::webhook::address`]).

use domain::limits::MAX_ENDPOINT_CHARS;
use domain::webhook::address::{self, AllowedNetworks};
use domain::webhook::endpoint::{self, Endpoint};
use fuzz_corpus::{mutated_texts, parse_corpus};
use proptest::prelude::*;
use url::{Host, Url};

use crate::assert_reason;

const CORPUS: &str = include_str!("../corpus/endpoints.txt");
const TOKENS: &[&str] = &[
    "https://",
    "http://",
    "//",
    "/",
    "\\",
    "@",
    "#",
    "?",
    ":",
    ":443",
    ":0",
    "[",
    "]",
    "%",
    "%25",
    "%2e",
    ".",
    "。",
    "127.0.0.1",
    "0x7f",
    "017700000001",
    "::ffff:",
    "64:ff9b::",
    "2002:",
    "localhost",
    "xn--",
    "\u{ad}",
    "\u{200d}",
    "\t",
    "\r\n",
    " ",
    "①",
    "ß",
    "ａ",
];

fn assert_sound(text: &str) {
    match Endpoint::parse(text, &AllowedNetworks::default()) {
        Ok(endpoint) => assert_callable(&endpoint, text),
        Err(error) => assert_reason(&error.to_string()),
    }
}

/// Asserts that an accepted endpoint keeps its text, and that the URL has one meaning.
fn assert_callable(endpoint: &Endpoint, text: &str) {
    assert_eq!(endpoint.as_str(), text);
    assert!(text.chars().count() <= MAX_ENDPOINT_CHARS && text.is_char_boundary("https://".len()));
    assert_eq!(Endpoint::from_stored(text).as_ref(), Ok(endpoint));
    let url = endpoint.url();
    assert_eq!((url.scheme(), url.username(), url.password(), url.fragment()), ("https", "", None, None));
    assert_eq!(Url::parse(url.as_str()).as_ref(), Ok(url), "the normalised URL is parsed back to itself");
    assert!(http::Uri::try_from(url.as_str()).is_ok(), "a request can be built for {url}");
    assert!(endpoint::server_name(url).is_some(), "TLS can name the host of {url}");
    assert!(endpoint.port() > 0);
    match endpoint.host() {
        Host::Domain(name) => {
            assert!(!name.is_empty() && name.is_ascii(), "{name}");
            assert_ne!(name.trim_end_matches('.').rsplit('.').next(), Some("localhost"));
            assert!(name.parse::<std::net::IpAddr>().is_err(), "{name}");
        }
        Host::Ipv4(address) => {
            assert!(address::check_address(address.into(), &AllowedNetworks::default()).is_ok())
        }
        Host::Ipv6(address) => {
            assert!(address::check_address(address.into(), &AllowedNetworks::default()).is_ok())
        }
    }
}

#[test]
fn each_input_of_the_corpus_is_accepted_or_rejected_with_a_reason() {
    for text in parse_corpus(CORPUS) {
        assert_sound(&String::from_utf8_lossy(&text));
    }
}

#[test]
fn no_spelling_of_the_corpus_hides_a_forbidden_address() {
    let from = CORPUS.find("# Addresses in spellings that hide them").expect("the section");
    let to = CORPUS.find("# Readers that disagree").expect("the section after it");
    for text in parse_corpus(&CORPUS[from..to]) {
        let text = String::from_utf8(text).expect("text");
        assert!(Endpoint::parse(&text, &AllowedNetworks::default()).is_err(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn each_mutated_input_is_accepted_or_rejected_with_a_reason(text in mutated_texts(parse_corpus(CORPUS), TOKENS)) {
        assert_sound(&text);
    }
}
