//! The messages of webhooks' queues: any bytes are read, or refused with a reason that fits into a
//! header, and what is read is written back to the same.

use broker::wire::{decode, encode, join};
use mutate::{corpus, mutated};
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
/// Longest text of a refusal, in bytes.
const LONGEST_REASON: usize = 600;

fn assert_sound(body: &[u8]) {
    match decode(body) {
        Ok(deliveries) => {
            let written = deliveries.iter().map(|d| encode(&d.progress, &d.head, &d.data)).collect();
            assert_eq!(decode(&join(written)).expect("what we wrote"), deliveries);
        }
        Err(error) => {
            let reason = error.to_string();
            assert!((1..=LONGEST_REASON).contains(&reason.len()), "{} bytes: {reason:.200}", reason.len());
        }
    }
}

#[test]
fn the_corpus_is_read_or_refused_with_a_reason() {
    corpus(CORPUS).iter().for_each(|body| assert_sound(body));
}

#[test]
fn what_is_wrong_is_told_in_short_however_long_it_is() {
    let long = corpus(CORPUS)[0].clone();
    let long = String::from_utf8(long).expect("text").replace("fresh", &"x".repeat(200_000));
    assert_sound(long.as_bytes());
    assert!(decode(long.as_bytes()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn so_is_whatever_comes_of_it(body in mutated(corpus(CORPUS), TOKENS)) {
        assert_sound(&body.0);
    }
}
