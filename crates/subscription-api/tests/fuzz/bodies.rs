//! Fuzz target: request bodies and the webhooks that are parsed from them.

use axum::body::Body;
use axum::extract::FromRequest;
use axum::http::Request;
use domain::webhook::address::AllowedNetworks;
use fuzz_corpus::{mutated_inputs, parse_corpus};
use proptest::prelude::*;
use serde_json::value::RawValue;
use subscription_api::testing::{
    Fields, JsonBody, MAX_BODY_BYTES, Result, ValidationErrors, WebhookPatch, validators,
};

use crate::{assert_refusal, now};

const CORPUS: &str = include_str!("../corpus/bodies.txt");
const TOKENS: &[&str] = &[
    "\"endpoint\":",
    "\"events\":",
    "\"headers\":",
    "\"enabled\":",
    "\"maxConcurrency\":",
    "\"ratePerSecond\":",
    "null",
    "true",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "\\n",
    "1e999",
    "-0",
    "1.0",
    "\u{feff}",
    "\0",
    "NOTIFICATION",
    "https://",
];

fn parse_body(bytes: &[u8]) -> Result<Box<RawValue>> {
    let request = Request::post("/").header("content-type", "application/json");
    let request = request.body(Body::from(bytes.to_vec())).expect("a request");
    now(JsonBody::from_request(request, &())).map(|body| body.0)
}

/// Reads an object with every validator that handlers use.
fn read_all(raw: &RawValue, errors: &mut ValidationErrors) -> Option<()> {
    let mut fields = Fields::parse(raw, "", errors)?;
    let _ = fields.optional("description", validators::nonempty_text(1024));
    let _ = fields.optional("enabled", validators::boolean);
    let _ = fields.optional("maxConcurrency", validators::integer(1..=100));
    let _ = fields.clearable("ratePerSecond", validators::integer(1..=10_000));
    let _ = fields.optional("events", validators::bounded_list(500));
    let _ = fields.optional("headers", validators::custom_headers);
    let _ = fields.optional("from", validators::bound);
    let _ = fields.optional("schema", validators::raw_json(1000));
    fields.finish();
    Some(())
}

fn assert_sound(bytes: &[u8]) {
    let raw = match parse_body(bytes) {
        Ok(raw) => raw,
        Err(problem) => return assert_refusal(problem, &[400, 413]),
    };
    assert!(std::str::from_utf8(bytes).expect("text").contains(raw.get()), "the text is kept unchanged");
    let readers: [fn(&RawValue, &mut ValidationErrors) -> Option<()>; 3] = [
        |raw, errors| WebhookPatch::parse_new(raw, &AllowedNetworks::default(), errors).map(drop),
        |raw, errors| WebhookPatch::parse_patch(raw, &AllowedNetworks::default(), errors).map(drop),
        read_all,
    ];
    for reader in readers {
        let mut errors = ValidationErrors::default();
        let read = reader(&raw, &mut errors);
        if let Err(errors) = errors.into_result(read) {
            assert_refusal(errors.into(), &[422]);
        }
    }
}

#[test]
fn the_corpus_is_accepted_or_refused_with_a_reason() {
    parse_corpus(CORPUS).iter().for_each(|bytes| assert_sound(bytes));
}

#[test]
fn a_large_body_gets_a_short_refusal() {
    let many: String = (0..40_000).map(|n| format!("\"k{n}\":{n},")).collect();
    let long = "x".repeat(MAX_BODY_BYTES / 2);
    for text in
        [format!("{{{many}\"a\":1}}"), format!("{{\"{long}\":1}}"), format!("{{\"events\":[\"{long}\"]}}")]
    {
        assert!(text.len() <= MAX_BODY_BYTES);
        assert_sound(text.as_bytes());
    }
    assert_refusal(parse_body(&vec![b' '; MAX_BODY_BYTES + 1]).expect_err("too large"), &[413]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn mutations_are_accepted_or_refused_with_a_reason(input in mutated_inputs(parse_corpus(CORPUS), TOKENS)) {
        assert_sound(&input.0);
    }
}
