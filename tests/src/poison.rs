//! Messages of a hostile or careless producer: unexpected properties, headers, bodies and sizes, each with
//! the permitted outcomes. RabbitMQ accepts all of them.

use std::time::Duration;

use serde_json::json;
use ulid::Ulid;

use crate::event::Event;
use crate::raw_amqp::{Properties, Text, encode_field, nested_arrays, nested_tables, text_field};

/// Depths of header tables. The first overflows a thread's stack in a debug build, the second in any build.
pub const DEPTHS: [usize; 2] = [1_200, 15_000];
/// More than the 256 KiB of an event.
pub const LARGE_BYTES: usize = 300_000;
/// Nearly the maximum that RabbitMQ 4 accepts.
pub const HUGE_BYTES: usize = 16_000_000;
/// Length of a key in `data` that does not fit into a header when it is quoted in full.
pub const LONG_KEY_CHARS: usize = 200_000;
/// Expirations of events that may expire before they are routed, in milliseconds.
pub const EXPIRATIONS: [u64; 4] = [1, 20, 200, 1_000];
/// The time after which the last of them has expired.
pub const ALL_EXPIRED: Duration = Duration::from_millis(1_200);

/// A schema that types unknown keys.
#[must_use]
pub fn strict_schema() -> serde_json::Value {
    json!({"additionalProperties": {"type": "string"}})
}

/// Bytes that are not UTF-8: `ü` in Latin-1, a byte that never occurs, half a character.
const NOT_UTF8: [&[u8]; 3] = [b"\xfc", b"\xff", b"order-\xe2\x82"];
/// The short strings that RabbitMQ passes on unchanged.
const SHORT_STRINGS: [Text; 8] = [
    Text::ContentType,
    Text::ContentEncoding,
    Text::CorrelationId,
    Text::ReplyTo,
    Text::MessageId,
    Text::Type,
    Text::AppId,
    Text::ClusterId,
];
/// The reasons of a message that is unreadable, or that stopped its consumer.
const UNREADABLE: &[&str] = &["unreadable", "poison"];

/// The permitted outcomes of a confirmed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is, whole, among the rejected messages, for one of these reasons.
    Rejected(&'static [&'static str]),
    /// It arrives as an event, or is among the rejected messages for one of these reasons.
    ArrivesOrRejected(&'static [&'static str]),
    /// Its type is not enabled for the brand, so that it is gone, and not among the rejected messages.
    Dropped,
}

/// A message that a hostile producer sends.
#[derive(Debug, Clone)]
pub struct HostileMessage {
    /// A name of the defect, for reports.
    pub what: String,
    /// Its routing key.
    pub key: Vec<u8>,
    /// Its properties.
    pub properties: Properties,
    /// Its body.
    pub body: Vec<u8>,
    /// The event in it, if it may arrive as one.
    pub event: Option<Event>,
    /// The permitted outcomes.
    pub fate: Fate,
}

impl HostileMessage {
    /// Creates a good event that may still be rejected for one of these reasons.
    #[must_use]
    pub fn valid(what: &str, event: Event, reasons: &'static [&'static str]) -> Self {
        let fine = Self::unreadable(what.to_owned(), event, Properties::default());
        Self { fate: Fate::ArrivesOrRejected(reasons), ..fine }
    }

    /// Creates an event that is good except for its properties or its routing key.
    fn unreadable(what: String, event: Event, properties: Properties) -> Self {
        let key = event.event_type.clone().into_bytes();
        let body = event.body().into_bytes();
        let fate = Fate::ArrivesOrRejected(UNREADABLE);
        Self { what, key, properties, body, event: Some(event), fate }
    }

    fn refused(reasons: &'static [&'static str], what: &str, body: Vec<u8>) -> Self {
        Self {
            what: what.to_owned(),
            key: b"SOME.KEY".to_vec(),
            properties: Properties::default(),
            body,
            event: None,
            fate: Fate::Rejected(reasons),
        }
    }
}

/// Returns a message for each short string that is not UTF-8, including a routing key and the name of a
/// header. `draw` creates good events.
pub fn short_string_messages(mut draw: impl FnMut() -> Event) -> Vec<HostileMessage> {
    let mut all = Vec::new();
    for (place, property) in SHORT_STRINGS.into_iter().enumerate() {
        let value = NOT_UTF8[place % NOT_UTF8.len()];
        let properties = Properties::default().text(property, value);
        all.push(HostileMessage::unreadable(format!("{property:?} {value:?}"), draw(), properties));
    }
    for value in NOT_UTF8 {
        let keyed =
            HostileMessage::unreadable(format!("routing key {value:?}"), draw(), Properties::default());
        all.push(HostileMessage { key: value.to_vec(), ..keyed });
        let headers = Properties::default().headers(&text_field(value, b"value"));
        all.push(HostileMessage::unreadable(format!("name of a header {value:?}"), draw(), headers));
        let inner = encode_field(b"table", b'F', &long_table(&text_field(value, b"value")));
        let headers = Properties::default().headers(&inner);
        all.push(HostileMessage::unreadable(format!("name in a table {value:?}"), draw(), headers));
    }
    all.push(named_by_message_id_alone());
    all
}

/// Returns a message whose only identity is a `message_id` that is not UTF-8.
fn named_by_message_id_alone() -> HostileMessage {
    let body = json!({"brandId": unique_text("nobody"), "type": "SOME.KEY", "data": {}}).to_string();
    let reasons = &["unreadable", "poison", "invalid_message_id", "unknown_brand"];
    let hostile =
        HostileMessage::refused(reasons, "no id except a message_id that is not UTF-8", body.into_bytes());
    HostileMessage { properties: Properties::default().text(Text::MessageId, NOT_UTF8[0]), ..hostile }
}

/// Returns messages with headers nested thousands deep, as arrays and as tables, with many headers, and with
/// values of odd types.
pub fn header_messages(mut draw: impl FnMut() -> Event) -> Vec<HostileMessage> {
    let mut all = Vec::new();
    for depth in DEPTHS {
        for (what, fields) in
            [("arrays", nested_arrays(b"deep", depth)), ("tables", nested_tables(b"deep", depth))]
        {
            let properties = Properties::default().headers(&fields);
            all.push(HostileMessage::unreadable(format!("{what} nested {depth} deep"), draw(), properties));
        }
    }
    let many: Vec<u8> = (0..4_000).flat_map(|n| text_field(format!("h{n}").as_bytes(), b"v")).collect();
    let forged = [
        text_field(b"x-reject-reason", b"forged"),
        text_field(b"x-death", b"forged"),
        text_field(b"traceparent", b"\xff"),
        encode_field(b"x-delivery-count", b'l', &i64::MAX.to_be_bytes()),
    ];
    for (what, fields) in [("4,000 headers", many), ("forged headers of the broker", forged.concat())] {
        let properties = Properties::default().headers(&fields);
        all.push(HostileMessage::unreadable(what.to_owned(), draw(), properties));
    }
    all
}

/// Returns bodies that the router rejects, each for the reason that the contract names.
#[must_use]
pub fn body_messages(brand: &str, event_type: &str) -> Vec<HostileMessage> {
    let fine = || Event::new(brand, event_type);
    let changed = |name: &str, value: &str| with_field(&fine(), name, value);
    let mut all = vec![
        HostileMessage::refused(&["invalid_json"], "no bytes", Vec::new()),
        HostileMessage::refused(&["invalid_json"], "no JSON", unique_text("not JSON").into_bytes()),
        HostileMessage::refused(&["invalid_json"], "not UTF-8", not_utf8(&fine())),
        HostileMessage::refused(&["invalid_json"], "cut off", cut_off(&fine())),
        HostileMessage::refused(&["invalid_json"], "an array", format!("[{}]", fine().body()).into_bytes()),
        HostileMessage::refused(
            &["invalid_json"],
            "a byte order mark",
            format!("\u{feff}{}", fine().body()).into_bytes(),
        ),
        HostileMessage::refused(&["invalid_json"], "200,000 brackets", many_brackets()),
        HostileMessage::refused(&["missing_id"], "no id", Event { id: None, ..fine() }.body().into_bytes()),
    ];
    for field in ["brandId", "type", "data"] {
        let what = format!("no {field}");
        all.push(HostileMessage::refused(&["missing_field"], &what, without_field(&fine(), field)));
    }
    for (reason, name, value) in [
        (&["invalid_brand_id"], "brandId", "\"no brand!\""),
        (&["invalid_type"], "type", "\"lower.case\""),
        (&["invalid_id"], "id", "\"7\""),
        (&["invalid_created"], "created", "\"yesterday\""),
        (&["created_out_of_range"], "created", "\"2021-04-08T19:36:02.938Z\""),
        (&["created_out_of_range"], "created", "\"2121-04-08T19:36:02.938Z\""),
        (&["unknown_brand"], "brandId", "\"nobody-knows\""),
        (&["unknown_type"], "type", "\"NOBODY.KNOWS\""),
    ] {
        all.push(HostileMessage::refused(reason, &format!("{name} {value}"), changed(name, value)));
    }
    // As text the number would be a valid name.
    let numbers: [(&'static [&'static str], &str); 3] = [
        (&["invalid_brand_id", "unknown_brand"], "brandId"),
        (&["invalid_type", "unknown_type"], "type"),
        (&["invalid_id"], "id"),
    ];
    for (reasons, name) in numbers {
        all.push(HostileMessage::refused(reasons, &format!("{name} a number"), changed(name, "7")));
    }
    all.push(large_event(&fine(), LARGE_BYTES));
    all
}

/// Creates an event that is too large because of its padding.
#[must_use]
pub fn large_event(event: &Event, bytes: usize) -> HostileMessage {
    let padded = event.clone().data(&format!("\"{}\"", "x".repeat(bytes)));
    HostileMessage::refused(&["too_large"], &format!("{bytes} bytes"), padded.body().into_bytes())
}

/// Creates an event of a type that is known and not enabled.
#[must_use]
pub fn not_enabled(brand: &str, event_type: &str) -> HostileMessage {
    let body = Event::new(brand, event_type).body().into_bytes();
    HostileMessage { fate: Fate::Dropped, ..HostileMessage::refused(&[], "a type that is not enabled", body) }
}

/// Returns events that may expire before they are routed.
pub fn expiring_events(mut draw: impl FnMut() -> Event) -> Vec<HostileMessage> {
    let expiring = |millis: u64| {
        let properties = Properties::default().text(Text::Expiration, millis.to_string().as_bytes());
        let hostile = HostileMessage::unreadable(format!("expires after {millis} ms"), draw(), properties);
        HostileMessage { fate: Fate::ArrivesOrRejected(&["expired"]), ..hostile }
    };
    EXPIRATIONS.into_iter().cycle().take(EXPIRATIONS.len() * 3).map(expiring).collect()
}

/// Creates an event that violates [`strict_schema`], with a key that does not fit into a header.
#[must_use]
pub fn long_key(brand: &str, event_type: &str) -> Event {
    Event::new(brand, event_type).data(&format!(r#"{{"{}":1}}"#, "k".repeat(LONG_KEY_CHARS)))
}

/// Creates events of the strict type that violate its schema with one long key, with several, and with nested
/// ones.
#[must_use]
pub fn long_keys(brand: &str, event_type: &str) -> Vec<HostileMessage> {
    let part = "k".repeat(LONG_KEY_CHARS / 4);
    let several: Vec<String> = (0..4).map(|n| format!(r#""{part}{n}":1"#)).collect();
    let several = Event::new(brand, event_type).data(&format!("{{{}}}", several.join(",")));
    let violations =
        [("a key of 200,000 characters", long_key(brand, event_type)), ("four long keys", several)];
    let refused = |(what, event): (&str, Event)| {
        HostileMessage::refused(&["schema_violation"], what, event.body().into_bytes())
    };
    violations.into_iter().map(refused).collect()
}

/// Encodes the fields of a table with their length in front.
fn long_table(fields: &[u8]) -> Vec<u8> {
    let length = u32::try_from(fields.len()).expect("a length of 32 bits");
    [&length.to_be_bytes(), fields].concat()
}

/// Returns text that occurs only once.
fn unique_text(text: &str) -> String {
    format!("{text}-{}", Ulid::generate())
}

fn many_brackets() -> Vec<u8> {
    format!("\"{}\"{}", Ulid::generate(), "[".repeat(200_000)).into_bytes()
}

fn cut_off(event: &Event) -> Vec<u8> {
    let mut body = event.body().into_bytes();
    body.pop();
    body
}

fn not_utf8(event: &Event) -> Vec<u8> {
    let body = event.clone().data("\"?\"").body().into_bytes();
    body.iter().map(|byte| if *byte == b'?' { 0xff } else { *byte }).collect()
}

/// Returns the body with another value of this field, as JSON.
fn with_field(event: &Event, name: &str, value: &str) -> Vec<u8> {
    let mut body: serde_json::Value = serde_json::from_str(&event.body()).expect("the body of an event");
    // Makes the body unique, whatever the field is.
    body["data"] = json!({"n": Ulid::generate().to_string()});
    body[name] = serde_json::from_str(value).expect("a value");
    body.to_string().into_bytes()
}

fn without_field(event: &Event, name: &str) -> Vec<u8> {
    let mut body: serde_json::Value = serde_json::from_str(&event.body()).expect("the body of an event");
    body.as_object_mut().expect("an object").remove(name);
    body.to_string().into_bytes()
}
