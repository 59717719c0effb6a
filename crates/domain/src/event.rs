//! Event messages, which producers publish, and their decoding.
//!
//! A message that cannot be decoded is rejected with a stable reason ([`RejectReason`]), so that its producer can react
//! to the reason. [`event_type`] names what happened, [`catalogue`] says which types a brand may receive, and
//! [`schema`] checks the `data`.

pub mod catalogue;
pub mod event_type;
mod readable;
pub mod schema;

use std::fmt;

use chrono::TimeDelta;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use self::event_type::EventType;
pub use self::readable::{ReadableEvent, read_readable_event};
use crate::ids::{BrandId, EventId};
use crate::limits::{
    MAX_CREATED_AHEAD_SECONDS, MAX_EVENT_BODY_BYTES, MAX_EVENT_KEY_CHARS, MAX_MESSAGE_ID_CHARS,
    MAX_REJECT_DETAIL_BYTES,
};
use crate::text::truncate_text;
use crate::time::{self, Timestamp};
use crate::vocabulary::vocabulary;

vocabulary! {
    /// The reason why the router rejected a message, in the header `x-reject-reason`.
    RejectReason {
        /// The body is larger than 256 KiB.
        TooLarge = "too_large",
        /// The body is not UTF-8 JSON, not an object, or has a key twice.
        InvalidJson = "invalid_json",
        /// `brandId`, `type` or `data` is missing.
        MissingField = "missing_field",
        /// The message has neither `id` nor `message_id`.
        MissingId = "missing_id",
        /// `id` is not a ULID.
        InvalidId = "invalid_id",
        /// `message_id` is empty or too long.
        InvalidMessageId = "invalid_message_id",
        /// `brandId` is not a brand id.
        InvalidBrandId = "invalid_brand_id",
        /// `type` is not an event type.
        InvalidType = "invalid_type",
        /// `key` is not a string, or too long.
        InvalidKey = "invalid_key",
        /// `created` is not an RFC 3339 time.
        InvalidCreated = "invalid_created",
        /// `created` is older than the retention time or too far in the future.
        CreatedOutOfRange = "created_out_of_range",
        /// The brand does not exist.
        UnknownBrand = "unknown_brand",
        /// The catalogue does not contain the type.
        UnknownType = "unknown_type",
        /// Only the platform itself publishes events of this type.
        BuiltInType = "built_in_type",
        /// `data` does not match the type's enforced schema.
        SchemaViolation = "schema_violation",
        /// The routing key, a property or a header name is not UTF-8, or the headers exceed their limits.
        Unreadable = "unreadable",
        /// The `expiration` of the message passed before a router received it.
        Expired = "expired",
        /// The message was delivered to routers several times, and none handled it.
        Poison = "poison",
        /// PostgreSQL refuses to store the event.
        StorageRefused = "storage_refused",
    }
}

/// The rejection of a message by the router.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Rejection {
    /// The stable reason.
    pub reason: RejectReason,
    /// At most [`MAX_REJECT_DETAIL_BYTES`] long, because only [`Self::new`] sets it.
    detail: String,
}

impl Rejection {
    /// Creates a rejection.
    ///
    /// A detail of more than [`MAX_REJECT_DETAIL_BYTES`] is truncated, because it may repeat parts of the message. NUL is
    /// replaced by U+FFFD, because PostgreSQL cannot store it.
    #[must_use]
    pub fn new(reason: RejectReason, detail: impl AsRef<str>) -> Self {
        // Truncate twice: first so that the work is bounded, then because U+FFFD is longer than NUL.
        let detail = truncate_text(detail.as_ref(), MAX_REJECT_DETAIL_BYTES).replace('\0', "\u{fffd}");
        Self { reason, detail: truncate_text(&detail, MAX_REJECT_DETAIL_BYTES).into_owned() }
    }

    /// Returns the explanation for the producer's developers.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

/// The key that makes two messages of a brand the same event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identity {
    /// The ULID that the producer chose, `id` in the body.
    Id(EventId),
    /// The AMQP property `message_id`; the platform generates the ULID.
    MessageId(String),
}

impl fmt::Display for Identity {
    /// Writes the deduplication key, which has a prefix so that the two kinds never collide.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "i:{id}"),
            Self::MessageId(id) => write!(f, "m:{id}"),
        }
    }
}

/// A decoded event message.
#[derive(Debug, Clone)]
pub struct IncomingEvent<'a> {
    /// Key for deduplication.
    pub identity: Identity,
    /// Brand of the event.
    pub brand_id: BrandId,
    /// Type of the event.
    pub event_type: EventType,
    /// When the event happened, if the producer set `created`.
    pub created: Option<Timestamp>,
    /// The producer's own word to search for, such as an order id.
    pub key: Option<String>,
    /// The data, byte for byte as the producer wrote it.
    pub data: &'a str,
}

/// The keys of a message; other keys are ignored.
///
/// The values are raw, so that an invalid one is rejected with the reason of its key.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow, rename = "brandId")]
    brand_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    event_type: Option<&'a RawValue>,
    #[serde(borrow)]
    created: Option<&'a RawValue>,
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "deserialize_present")]
    data: Option<&'a RawValue>,
}

/// Deserializes `null` as a value, because `data` may be any JSON value.
fn deserialize_present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// Reads brand and type of an event message, without checking the rest; `None` if the message has no valid ones.
#[must_use]
pub fn peek_brand_and_type(body: &[u8]) -> Option<(BrandId, EventType)> {
    let message = parse_message(body).ok()?;
    let brand_id = read_text(message.brand_id, "brandId").ok()?.parse().ok()?;
    let event_type = read_text(message.event_type, "type").ok()?.parse().ok()?;
    Some((brand_id, event_type))
}

/// Decodes the body and the `message_id` of an event message; `now` and `retention` limit `created`.
///
/// # Errors
/// The first error in the message, from the outside in.
pub fn decode_event<'a>(
    body: &'a [u8],
    message_id: Option<&str>,
    now: Timestamp,
    retention: TimeDelta,
) -> Result<IncomingEvent<'a>, Rejection> {
    let message = parse_message(body)?;
    let brand_id = read_text(message.brand_id, "brandId")?
        .parse()
        .map_err(|e: crate::ids::InvalidId| Rejection::new(RejectReason::InvalidBrandId, e.to_string()))?;
    let event_type =
        read_text(message.event_type, "type")?.parse().map_err(|e: self::event_type::InvalidEventType| {
            Rejection::new(RejectReason::InvalidType, format!("type {e}"))
        })?;
    let data = message.data.ok_or_else(|| missing_field("data"))?.get();
    let identity = read_identity(message.id, message_id)?;
    let created = message.created.map(|raw| read_created(raw, now, retention)).transpose()?;
    let key = message.key.map(read_key).transpose()?;
    Ok(IncomingEvent { identity, brand_id, event_type, created, key, data })
}

/// Reads the brand of a message that may be invalid otherwise; `None` if the body has no valid `brandId`.
#[must_use]
pub fn read_brand_id(body: &[u8]) -> Option<BrandId> {
    read_text(parse_message(body).ok()?.brand_id, "brandId").ok()?.parse().ok()
}

/// Reads the type of a message that may be invalid otherwise; `None` if the body has no valid `type`.
#[must_use]
pub fn read_event_type(body: &[u8]) -> Option<EventType> {
    read_text(parse_message(body).ok()?.event_type, "type").ok()?.parse().ok()
}

fn parse_message(body: &[u8]) -> Result<Message<'_>, Rejection> {
    if body.len() > MAX_EVENT_BODY_BYTES {
        let detail = format!("the body has {} bytes, the limit is {MAX_EVENT_BODY_BYTES}", body.len());
        return Err(Rejection::new(RejectReason::TooLarge, detail));
    }
    parse_message_of_any_size(body)
}

/// Parses a message without a limit, for which the caller has a reason.
fn parse_message_of_any_size(body: &[u8]) -> Result<Message<'_>, Rejection> {
    let invalid = |detail: String| Rejection::new(RejectReason::InvalidJson, detail);
    // serde would accept an array for a struct, but the message must be an object.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(invalid("the body must be a JSON object".to_owned()));
    }
    let text = std::str::from_utf8(body).map_err(|e| invalid(format!("the body is not UTF-8: {e}")))?;
    serde_json::from_str(text).map_err(|e| invalid(format!("the body is not a JSON event: {e}")))
}

fn missing_field(field: &str) -> Rejection {
    Rejection::new(RejectReason::MissingField, format!("{field} is required"))
}

/// Returns the text of a required field.
///
/// A value that is not a string is returned as JSON, so that the parser of the field rejects it.
fn read_text(raw: Option<&RawValue>, field: &str) -> Result<String, Rejection> {
    let raw = raw.ok_or_else(|| missing_field(field))?;
    Ok(serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().to_owned()))
}

fn read_identity(id: Option<&RawValue>, message_id: Option<&str>) -> Result<Identity, Rejection> {
    if let Some(raw) = id {
        let given: String = serde_json::from_str(raw.get()).unwrap_or_default();
        let id = given.parse().map_err(|e| Rejection::new(RejectReason::InvalidId, format!("id {e}")))?;
        return Ok(Identity::Id(id));
    }
    let Some(message_id) = message_id else {
        let detail = "give the event an id (a ULID) in the body, or the message a message_id";
        return Err(Rejection::new(RejectReason::MissingId, detail));
    };
    if message_id.is_empty() || message_id.chars().count() > MAX_MESSAGE_ID_CHARS || message_id.contains('\0')
    {
        let detail = format!("message_id must have 1 to {MAX_MESSAGE_ID_CHARS} characters");
        return Err(Rejection::new(RejectReason::InvalidMessageId, detail));
    }
    Ok(Identity::MessageId(message_id.to_owned()))
}

/// Reads `key`. PostgreSQL cannot store NUL.
fn read_key(raw: &RawValue) -> Result<String, Rejection> {
    let given: Option<String> = serde_json::from_str(raw.get()).ok();
    given.filter(|key| is_event_key(key)).ok_or_else(|| {
        let detail = format!("key must be a string of at most {MAX_EVENT_KEY_CHARS} characters without NUL");
        Rejection::new(RejectReason::InvalidKey, detail)
    })
}

/// Returns whether a text can be the `key` of an event.
#[must_use]
pub fn is_event_key(text: &str) -> bool {
    text.chars().count() <= MAX_EVENT_KEY_CHARS && !text.contains('\0')
}

fn read_created(raw: &RawValue, now: Timestamp, retention: TimeDelta) -> Result<Timestamp, Rejection> {
    let given: Option<String> = serde_json::from_str(raw.get()).ok();
    let at = given.as_deref().and_then(time::parse_timestamp).ok_or_else(|| {
        Rejection::new(RejectReason::InvalidCreated, format!("created {}", time::TIMESTAMP_RULE))
    })?;
    if at < now - retention || at > now + TimeDelta::seconds(MAX_CREATED_AHEAD_SECONDS) {
        let detail = format!(
            "created is {}; it must lie within the last {} s and at most {MAX_CREATED_AHEAD_SECONDS} s ahead",
            time::format_timestamp(at),
            retention.num_seconds()
        );
        return Err(Rejection::new(RejectReason::CreatedOutOfRange, detail));
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ULID: &str = "01F2SFVYVD0H873S2VRT8VQSPM";

    fn now() -> Timestamp {
        time::parse_timestamp("2021-04-08T19:36:02.938Z").expect("valid")
    }

    fn reason(body: &str, message_id: Option<&str>) -> RejectReason {
        decode_event(body.as_bytes(), message_id, now(), TimeDelta::days(7)).expect_err(body).reason
    }

    #[test]
    fn the_brand_of_an_invalid_message_is_read_if_it_is_valid() {
        for (body, brand) in [
            (r#"{"brandId":"acme"}"#, Some("acme")),
            (r#"{"brandId":"acme","type":1,"created":"x"}"#, Some("acme")),
            (r#"{"brandId":"no brand"}"#, None),
            (r#"{"brandId":1}"#, Some("1")),
            (r#"{"brandId":"a","brandId":"b"}"#, None),
            ("not JSON", None),
            ("[]", None),
        ] {
            assert_eq!(read_brand_id(body.as_bytes()).as_ref().map(BrandId::as_str), brand, "{body}");
        }
        let long = format!(r#"{{"brandId":"acme","data":"{}"}}"#, "x".repeat(MAX_EVENT_BODY_BYTES));
        assert_eq!(read_brand_id(long.as_bytes()), None, "the work is bounded");
    }

    #[test]
    fn a_detail_has_no_nul_and_is_never_too_long() {
        let detail = |text: &str| Rejection::new(RejectReason::UnknownType, text).detail().to_owned();
        assert_eq!(detail("type A\0B"), "type A\u{fffd}B");
        let long = detail(&"\0".repeat(MAX_REJECT_DETAIL_BYTES));
        assert!(long.len() <= MAX_REJECT_DETAIL_BYTES && !long.contains('\0'), "{}", long.len());
    }

    #[test]
    fn data_is_unchanged_to_the_byte() {
        for data in
            ["12345678901234567890", "1.10", "null", r#"{"z":1, "a" : [1.0e5,"\u0000"]}"#, r#""x""#, "[]"]
        {
            let body = format!(r#"{{"id":"{ULID}","brandId":"acme","type":"A.B","data":{data} }}"#);
            let event = decode_event(body.as_bytes(), None, now(), TimeDelta::days(7)).expect("valid");
            assert_eq!(event.data, data);
        }
    }

    #[test]
    fn the_id_takes_precedence_over_the_message_id_and_one_of_them_suffices() {
        let identity = |body: &str, m| {
            decode_event(body.as_bytes(), m, now(), TimeDelta::days(7)).expect("valid").identity.to_string()
        };
        let with = format!(r#"{{"id":"{ULID}","brandId":"b","type":"A","data":1}}"#);
        assert_eq!(identity(&with, Some("m1")), format!("i:{ULID}"));
        assert_eq!(identity(&with.replace(ULID, &ULID.to_lowercase()), None), format!("i:{ULID}"));
        assert_eq!(identity(r#"{"brandId":"b","type":"A","data":1}"#, Some("m1")), "m:m1");
        assert_eq!(identity(r#"{"id":null,"brandId":"b","type":"A","data":1,"more":2}"#, Some("m1")), "m:m1");
    }

    #[test]
    fn the_key_is_optional_and_counted_in_characters() {
        let key = |member: &str| {
            let body = format!(r#"{{"brandId":"b","type":"A",{member}"data":1}}"#);
            decode_event(body.as_bytes(), Some("m"), now(), TimeDelta::days(7)).expect("valid").key
        };
        assert_eq!(key(""), None);
        assert_eq!(key(r#""key":null,"#), None);
        assert_eq!(key(r#""key":"order \"7\"","#).as_deref(), Some("order \"7\""));
        let longest = "é".repeat(MAX_EVENT_KEY_CHARS);
        assert_eq!(key(&format!(r#""key":"{longest}","#)), Some(longest));
    }

    #[test]
    fn every_error_has_its_reason() {
        use RejectReason::*;
        let long = "x".repeat(129);
        let long_key = format!(r#"{{"key":"{long}","brandId":"b","type":"A","data":1}}"#);
        for (body, message_id, expected) in [
            ("", None, InvalidJson),
            ("[]", None, InvalidJson),
            (r#"["01F2SFVYVD0H873S2VRT8VQSPM","b","A",null,1]"#, None, InvalidJson),
            (r#"{"brandId":"b","brandId":"b","type":"A","data":1}"#, Some("m"), InvalidJson),
            (r#"{"type":"A","data":1}"#, Some("m"), MissingField),
            (r#"{"brandId":"b","data":1}"#, Some("m"), MissingField),
            (r#"{"brandId":"b","type":"A"}"#, Some("m"), MissingField),
            (r#"{"brandId":"b c","type":"A","data":1}"#, Some("m"), InvalidBrandId),
            (r#"{"brandId":7,"type":"A.b","data":1}"#, Some("m"), InvalidType),
            (r#"{"brandId":"b","type":"a","data":1}"#, Some("m"), InvalidType),
            (r#"{"brandId":"b","type":"A","data":1}"#, None, MissingId),
            (r#"{"brandId":"b","type":"A","data":1}"#, Some(""), InvalidMessageId),
            (r#"{"brandId":"b","type":"A","data":1}"#, Some(&long), InvalidMessageId),
            (r#"{"id":"nope","brandId":"b","type":"A","data":1}"#, Some("m"), InvalidId),
            (r#"{"id":5,"brandId":"b","type":"A","data":1}"#, Some("m"), InvalidId),
            (r#"{"key":7,"brandId":"b","type":"A","data":1}"#, Some("m"), InvalidKey),
            (r#"{"key":["a"],"brandId":"b","type":"A","data":1}"#, Some("m"), InvalidKey),
            (r#"{"key":"a\u0000","brandId":"b","type":"A","data":1}"#, Some("m"), InvalidKey),
            (&long_key, Some("m"), InvalidKey),
            (r#"{"created":"yesterday","brandId":"b","type":"A","data":1}"#, Some("m"), InvalidCreated),
            (
                r#"{"created":"2021-04-08T19:35:60Z","brandId":"b","type":"A","data":1}"#,
                Some("m"),
                InvalidCreated,
            ),
            (r#"{"created":5,"brandId":"b","type":"A","data":1}"#, Some("m"), InvalidCreated),
            (
                r#"{"created":"2021-04-01T19:36:02.937Z","brandId":"b","type":"A","data":1}"#,
                Some("m"),
                CreatedOutOfRange,
            ),
            (
                r#"{"created":"2021-04-08T19:41:02.939Z","brandId":"b","type":"A","data":1}"#,
                Some("m"),
                CreatedOutOfRange,
            ),
        ] {
            assert_eq!(reason(body, message_id), expected, "{body}");
        }
        assert_eq!(reason(&" ".repeat(MAX_EVENT_BODY_BYTES + 1), None), TooLarge);
        let not_utf8 =
            decode_event(b"{\"brandId\":\"\xff\"}", None, now(), TimeDelta::days(7)).expect_err("not UTF-8");
        assert_eq!(not_utf8.reason, InvalidJson);
    }

    #[test]
    fn a_long_detail_is_truncated_with_an_ellipsis() {
        let kept = Rejection::new(RejectReason::InvalidType, "x".repeat(MAX_REJECT_DETAIL_BYTES));
        assert_eq!(kept.detail(), "x".repeat(MAX_REJECT_DETAIL_BYTES));
        let cut = Rejection::new(RejectReason::InvalidType, "é".repeat(MAX_REJECT_DETAIL_BYTES));
        assert!(cut.detail().len() <= MAX_REJECT_DETAIL_BYTES && cut.detail().ends_with("é…"), "{cut}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_rejected(body in prop::collection::vec(any::<u8>(), 0..300), message_id in prop::option::of(".{0,140}")) {
            let _ = decode_event(&body, message_id.as_deref(), now(), TimeDelta::days(7));
        }

        #[test]
        fn any_json_data_is_unchanged(number in "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", key in "[a-z\u{e4}\u{1f600}]{0,8}") {
            let data = format!(r#"{{"{key}": {number} }}"#);
            let body = format!(r#"{{"brandId":"b","type":"A","data":{data}}}"#);
            let event = decode_event(body.as_bytes(), Some("m"), now(), TimeDelta::days(7)).expect("valid");
            prop_assert_eq!(event.data, data);
        }
    }
}
