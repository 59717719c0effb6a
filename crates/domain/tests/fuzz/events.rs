//! Event messages ([`domain::event::decode_event`]).

use chrono::TimeDelta;
use domain::delivery::envelope::{EventHead, encode_envelope};
use domain::event::{IncomingEvent, RejectReason, Rejection, decode_event};
use domain::ids::{AttemptId, EventId, WebhookId};
use domain::limits::{MAX_EVENT_BODY_BYTES, MAX_MESSAGE_ID_CHARS};
use domain::time::{self, Timestamp};
use fuzz_corpus::{mutated_inputs, parse_corpus};
use proptest::prelude::*;
use serde_json::Value;

use crate::assert_reason;

const CORPUS: &str = include_str!("../corpus/events.txt");
const TOKENS: &[&str] = &[
    "\"id\":",
    "\"brandId\":",
    "\"type\":",
    "\"created\":",
    "\"data\":",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "null",
    "1e999",
    "-0",
    "\u{feff}",
    "\0",
    "\u{2028}",
    "01F2SFVYVD0H873S2VRT8VQSPM",
    "9999-12-31T23:59:59-23:59",
];

fn now() -> Timestamp {
    time::parse_timestamp("2021-04-08T19:36:02.938Z").expect("valid")
}

fn decode_message<'a>(message: &'a [u8], message_id: Option<&str>) -> Result<IncomingEvent<'a>, Rejection> {
    decode_event(message, message_id, now(), TimeDelta::days(7))
}

fn assert_sound(message: &[u8], message_id: Option<&str>) {
    match decode_message(message, message_id) {
        Ok(event) => assert_reads_back(&event, message_id),
        Err(rejection) => {
            assert_reason(rejection.detail());
            assert_eq!(rejection.reason == RejectReason::TooLarge, message.len() > MAX_EVENT_BODY_BYTES);
        }
    }
}

/// Asserts that the envelope of an accepted event is valid and is decoded to the same event.
fn assert_reads_back(event: &IncomingEvent<'_>, message_id: Option<&str>) {
    let id: EventId = "01F2SFVYVD0H873S2VRT8VQSPM".parse().expect("an id");
    let created = event.created.unwrap_or_else(now);
    assert_eq!(time::parse_timestamp(&time::format_timestamp(created)), Some(created));
    let head =
        EventHead { id, brand_id: event.brand_id.clone(), created, event_type: event.event_type.clone() };
    let envelope = encode_envelope(&head, WebhookId(uuid::Uuid::nil()), AttemptId::generate(0), event.data);
    let keys: Vec<String> = serde_json::from_slice::<serde_json::Map<String, Value>>(&envelope)
        .map(|object| object.keys().cloned().collect())
        // `data` may be nested too deeply for serde_json or contain a lone surrogate; it is still JSON and is passed
        // on.
        .unwrap_or_default();
    assert!(keys.is_empty() || keys.len() == 7, "the envelope has {keys:?}");
    let again = decode_message(&envelope, message_id);
    if envelope.len() <= MAX_EVENT_BODY_BYTES {
        let again = again.expect("an envelope is an event");
        assert_eq!((&again.brand_id, &again.event_type), (&event.brand_id, &event.event_type));
        assert_eq!((again.data, again.created), (event.data, Some(created)));
    }
    let key = event.identity.to_string();
    assert!(key.len() <= 2 + 4 * MAX_MESSAGE_ID_CHARS && !key.contains('\0'), "{key:?}");
}

#[test]
fn each_input_of_the_corpus_is_accepted_or_rejected_with_a_reason() {
    for message in parse_corpus(CORPUS) {
        for message_id in [None, Some("m-1"), Some(""), Some("\0"), Some(&*"ä".repeat(129))] {
            assert_sound(&message, message_id);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn each_mutated_input_is_accepted_or_rejected_with_a_reason(message in mutated_inputs(parse_corpus(CORPUS), TOKENS), message_id in prop::option::of(".{0,140}")) {
        assert_sound(&message.0, message_id.as_deref());
    }
}
