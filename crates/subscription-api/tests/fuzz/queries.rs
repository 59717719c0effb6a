//! Fuzz target: query strings and the cursors in them.

use axum::extract::FromRequestParts;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::ids::WebhookId;
use domain::time::Timestamp;
use fuzz_corpus::{mutated_texts, parse_corpus};
use proptest::prelude::*;
use store::keyset::KeysetPosition;
use subscription_api::testing::{EventListing, Query, Result};
use url::form_urlencoded::byte_serialize;
use uuid::Uuid;

use crate::{assert_refusal, now};

const CORPUS: &str = include_str!("../corpus/queries.txt");
const TOKENS: &[&str] = &[
    "&",
    "=",
    "%",
    "%00",
    "%ff",
    "+",
    "from=",
    "to=",
    "type=",
    "status=",
    "order=",
    "limit=",
    "cursor=",
    "*",
    "2021-04-08T19:36:02.938Z",
    "9999-12-31T23:59:59Z",
    "-0001",
    "desc",
    "failed",
    "NOTIFICATION",
    "1e3",
    "0",
];
const WEBHOOK: WebhookId = WebhookId(Uuid::from_u128(7));

/// Parses a query string as the handler does. `None` when HTTP itself refuses it.
fn parse(text: &str) -> Option<Result<EventListing>> {
    let (parts, _) = Request::get(format!("/events?{text}")).body(()).ok()?.into_parts();
    let mut parts = parts;
    let Ok(mut query) = now(Query::from_request_parts(&mut parts, &()));
    let limit = query.take_limit();
    assert!((1..=1000).contains(&limit));
    Some(EventListing::parse(query, WEBHOOK, Timestamp::UNIX_EPOCH))
}

/// Asserts that a query is a 400, or has a range and a cursor that continues the same list.
fn assert_sound(text: &str) {
    match parse(text) {
        None => {}
        Some(Err(problem)) => assert_refusal(problem, &[400]),
        Some(Ok(listing)) => {
            let range = listing.range();
            let place = KeysetPosition { at: Timestamp::UNIX_EPOCH, id: Uuid::from_u128(9) };
            let cursor = listing.cursor(WEBHOOK, place);
            let next = parse(&format!("cursor={cursor}")).expect("HTTP takes it").expect("our own cursor");
            let next = next.range();
            assert_eq!((next.order, next.status), (range.order, range.status), "{text}");
            let other = listing.cursor(WebhookId(Uuid::from_u128(8)), place);
            let refused = parse(&format!("cursor={other}")).expect("HTTP takes it");
            assert_refusal(refused.expect_err("another webhook's"), &[400]);
        }
    }
}

fn cursor_of(json: &str) -> String {
    format!("cursor={}", URL_SAFE_NO_PAD.encode(json))
}

#[test]
fn the_corpus_is_accepted_or_refused_with_a_reason() {
    for text in parse_corpus(CORPUS) {
        assert_sound(&String::from_utf8_lossy(&text));
    }
}

#[test]
fn a_large_query_gets_a_short_refusal() {
    let many: String = (0..8_000).map(|n| format!("k{n}=&")).collect();
    let twice = format!("{0}=1&{0}=2", "x".repeat(30_000));
    for text in
        [many, twice, format!("from={}", "1".repeat(60_000)), format!("cursor={}", "A".repeat(60_000))]
    {
        let refused = parse(&text).expect("HTTP takes it").expect_err("no parameter is known");
        assert!(serde_json::to_string(&format!("{refused:?}")).expect("text").len() < 20_000);
        assert_refusal(refused, &[400]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn mutations_are_accepted_or_refused_with_a_reason(text in mutated_texts(parse_corpus(CORPUS), TOKENS)) {
        assert_sound(&text);
        // Once more as the values of parameters, escaped, so that the whole text arrives.
        for name in ["from", "type", "status", "cursor", "limit"] {
            assert_sound(&format!("{name}={}", byte_serialize(text.as_bytes()).collect::<String>()));
        }
    }

    #[test]
    fn mutated_cursors_are_accepted_or_refused_with_a_reason(json in mutated_texts(parse_corpus(CURSORS), TOKENS)) {
        assert_sound(&cursor_of(&json));
    }
}

/// The decoded contents of cursors.
const CURSORS: &str = r#"
["events/00000000-0000-0000-0000-000000000007",[{"from":"1970-01-01T00:00:00.000Z","to":null,"pattern":null,"status":null,"descending":false},["1970-01-01T00:00:00.000Z","00000000-0000-0000-0000-000000000009"]]]
["events/00000000-0000-0000-0000-000000000007",[{"from":"-9999-01-01T00:00:00.000Z","to":"9999-12-31T23:59:59.999Z","pattern":"*","status":"held","descending":true},["9999-12-31T23:59:59.999Z","ffffffff-ffff-ffff-ffff-ffffffffffff"]]]
["events/00000000-0000-0000-0000-000000000008",[{},[]]]
[]
"#;
