//! The wire format of deliveries: any bytes are either decoded, or refused with an error that fits into a header.
//! Decoded deliveries are encoded to a message that decodes to the same deliveries.

use broker::wire::{WireData, decode, encode, join_deliveries};
use fuzz_corpus::{mutated_inputs, parse_corpus};
use proptest::prelude::*;

const CORPUS: &str = include_str!("corpus/deliveries.txt");
const TOKENS: &[&str] = &[
    "\"generation\":",
    "\"trigger\":",
    "\"repeated\":",
    "\"notBefore\":",
    "\"data\":",
    "true",
    "null",
    "{",
    "}",
    "[",
    "\"",
    "\\",
    "\\ud800",
    "-1",
    "4294967296",
    "\0",
    "9999-12-31T23:59:59-23:59",
];
/// Longest text of an error, in bytes.
const MAX_ERROR_BYTES: usize = 600;

fn assert_decoded_or_refused(body: &[u8]) {
    match decode(body) {
        Ok(deliveries) => {
            let written =
                deliveries.iter().map(|d| encode(&d.progress, &d.head, WireData::of(&d.data))).collect();
            assert_eq!(decode(&join_deliveries(written)).expect("an encoded message"), deliveries);
        }
        Err(error) => {
            let reason = error.to_string();
            assert!((1..=MAX_ERROR_BYTES).contains(&reason.len()), "{} bytes: {reason:.200}", reason.len());
        }
    }
}

#[test]
fn the_corpus_is_decoded_or_refused() {
    parse_corpus(CORPUS).iter().for_each(|body| assert_decoded_or_refused(body));
}

#[test]
fn the_error_of_a_long_message_is_short() {
    let long = parse_corpus(CORPUS)[0].clone();
    let long = String::from_utf8(long).expect("text").replace("fresh", &"x".repeat(200_000));
    assert_decoded_or_refused(long.as_bytes());
    assert!(decode(long.as_bytes()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn mutations_of_the_corpus_are_decoded_or_refused(body in mutated_inputs(parse_corpus(CORPUS), TOKENS)) {
        assert_decoded_or_refused(&body.0);
    }
}
