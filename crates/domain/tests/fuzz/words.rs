//! Short texts from outside: ids, event types, patterns, timestamps and networks.

use std::fmt::Display;
use std::str::FromStr;

use domain::event::event_type::{EventType, TypePattern};
use domain::ids::{BrandId, EventId, WebhookId};
use domain::time;
use domain::webhook::address::AllowedNetworks;
use fuzz_corpus::{mutated_texts, parse_corpus};
use proptest::prelude::*;

use crate::assert_reason;

const CORPUS: &str = include_str!("../corpus/words.txt");
const TOKENS: &[&str] =
    &[".", "*", "_", "-", "/", ",", ":", "T", "Z", "+23:59", "-23:59", "\0", "ä", " ", "0"];

/// Asserts that an accepted word is parsed back from its own text.
fn assert_reads_back<T: FromStr + Display + PartialEq + std::fmt::Debug>(text: &str)
where
    T::Err: Display + std::fmt::Debug,
{
    match text.parse::<T>() {
        Ok(word) => assert_eq!(word.to_string().parse::<T>().expect("its own text"), word),
        Err(error) => assert_reason(&error.to_string()),
    }
}

fn assert_sound(text: &str) {
    assert_reads_back::<BrandId>(text);
    assert_reads_back::<EventId>(text);
    assert_reads_back::<WebhookId>(text);
    assert_reads_back::<EventType>(text);
    assert_reads_back::<TypePattern>(text);
    if let Some(at) = time::parse_timestamp(text) {
        assert_eq!(time::parse_timestamp(&time::format_timestamp(at)), Some(at), "{text}");
    }
    let _: Result<AllowedNetworks, _> = text.parse();
}

#[test]
fn each_input_of_the_corpus_is_accepted_or_rejected_with_a_reason() {
    for text in parse_corpus(CORPUS) {
        assert_sound(&String::from_utf8_lossy(&text));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn each_mutated_input_is_accepted_or_rejected_with_a_reason(text in mutated_texts(parse_corpus(CORPUS), TOKENS)) {
        assert_sound(&text);
    }
}
