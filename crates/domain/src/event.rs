//! Event messages as producers publish them: decoded, or refused with a stable reason.

pub mod catalogue;
pub mod event_type;
pub mod schema;

use std::fmt;

use chrono::TimeDelta;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use self::event_type::EventType;
use crate::ids::{BrandId, EventId};
use crate::limits::{CREATED_AHEAD_SECONDS, EVENT_BODY_BYTES, MESSAGE_ID_CHARS, REJECT_DETAIL_BYTES};
use crate::text::shortened;
use crate::time::{self, Timestamp};
use crate::vocabulary::vocabulary;

vocabulary! {
    /// Why a message went to the queue of rejected ones: the header `x-reject-reason`.
    RejectReason {
        /// Over 256 KiB.
        TooLarge = "too_large",
        /// Not UTF-8 JSON, not an object, or a key twice.
        InvalidJson = "invalid_json",
        /// `brandId`, `type` or `data` is not there.
        MissingField = "missing_field",
        /// Neither `id` nor `message_id`.
        MissingId = "missing_id",
        /// `id` is not a ULID.
        InvalidId = "invalid_id",
        /// `message_id` is empty or too long.
        InvalidMessageId = "invalid_message_id",
        /// `brandId` is not one.
        InvalidBrandId = "invalid_brand_id",
        /// `type` is not one.
        InvalidType = "invalid_type",
        /// `created` is not RFC 3339.
        InvalidCreated = "invalid_created",
        /// `created` lies before the retention time or too far ahead.
        CreatedOutOfRange = "created_out_of_range",
        /// No such brand.
        UnknownBrand = "unknown_brand",
        /// No such type in the catalogue.
        UnknownType = "unknown_type",
        /// `data` does not fit the type's enforced schema.
        SchemaViolation = "schema_violation",
        /// The routing key, a property or the name of a header is not UTF-8, or the headers are too many or nested too deeply.
        Unreadable = "unreadable",
        /// Its `expiration` passed before a router took it.
        Expired = "expired",
        /// It came back several times without being handled.
        Poison = "poison",
        /// PostgreSQL refuses to store it.
        StorageRefused = "storage_refused",
    }
}

/// A message that the router does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Rejection {
    /// The stable code.
    pub reason: RejectReason,
    /// Never longer than [`REJECT_DETAIL_BYTES`]: only [`Self::new`] sets it.
    detail: String,
}

impl Rejection {
    /// A rejection of this reason. A detail of more than [`REJECT_DETAIL_BYTES`] is shortened, because it may repeat
    /// what the producer sent.
    #[must_use]
    pub fn new(reason: RejectReason, detail: impl AsRef<str>) -> Self {
        Self { reason, detail: shortened(detail.as_ref(), REJECT_DETAIL_BYTES).into_owned() }
    }

    /// What is wrong and what to do, for the producer's developers.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

/// What makes two messages of a brand the same event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identity {
    /// The producer's own ULID, `id` in the body.
    Id(EventId),
    /// The AMQP property `message_id`; the platform draws the ULID.
    MessageId(String),
}

impl fmt::Display for Identity {
    /// The key under which the identity is deduplicated; the two kinds never meet.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "i:{id}"),
            Self::MessageId(id) => write!(f, "m:{id}"),
        }
    }
}

/// An event as its producer sent it.
#[derive(Debug, Clone)]
pub struct IncomingEvent<'a> {
    /// What it is deduplicated by.
    pub identity: Identity,
    /// Whose it is.
    pub brand_id: BrandId,
    /// What happened.
    pub event_type: EventType,
    /// When it happened, where the producer says so.
    pub created: Option<Timestamp>,
    /// The data, byte for byte.
    pub data: &'a str,
}

/// The keys of the message that count; others are ignored. Raw, so that each gets its own reason.
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
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
}

/// Takes `null` for a value, since `data` may be any.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// Decodes the body of an event message and its `message_id`; `now` and `retention` bound `created`.
///
/// # Errors
/// The first thing that is wrong with it, from the outside in.
pub fn decode<'a>(
    body: &'a [u8],
    message_id: Option<&str>,
    now: Timestamp,
    retention: TimeDelta,
) -> Result<IncomingEvent<'a>, Rejection> {
    let message = parse(body)?;
    let brand_id = text(message.brand_id, "brandId")?
        .parse()
        .map_err(|e: crate::ids::InvalidId| Rejection::new(RejectReason::InvalidBrandId, e.to_string()))?;
    let event_type =
        text(message.event_type, "type")?.parse().map_err(|e: self::event_type::InvalidEventType| {
            Rejection::new(RejectReason::InvalidType, format!("type {e}"))
        })?;
    let data = message.data.ok_or_else(|| missing("data"))?.get();
    let identity = identity(message.id, message_id)?;
    let created = message.created.map(|raw| created(raw, now, retention)).transpose()?;
    Ok(IncomingEvent { identity, brand_id, event_type, created, data })
}

fn parse(body: &[u8]) -> Result<Message<'_>, Rejection> {
    if body.len() > EVENT_BODY_BYTES {
        let detail = format!("the body has {} bytes, the limit is {EVENT_BODY_BYTES}", body.len());
        return Err(Rejection::new(RejectReason::TooLarge, detail));
    }
    let invalid = |detail: String| Rejection::new(RejectReason::InvalidJson, detail);
    // serde would take an array for a struct: the message is an object.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(invalid("the body must be a JSON object".to_owned()));
    }
    let text = std::str::from_utf8(body).map_err(|e| invalid(format!("the body is not UTF-8: {e}")))?;
    serde_json::from_str(text).map_err(|e| invalid(format!("the body is not a JSON event: {e}")))
}

fn missing(field: &str) -> Rejection {
    Rejection::new(RejectReason::MissingField, format!("{field} is required"))
}

/// A field that must be there; a value that is no string is handed on as it stands, to be refused.
fn text(raw: Option<&RawValue>, field: &str) -> Result<String, Rejection> {
    let raw = raw.ok_or_else(|| missing(field))?;
    Ok(serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().to_owned()))
}

fn identity(id: Option<&RawValue>, message_id: Option<&str>) -> Result<Identity, Rejection> {
    if let Some(raw) = id {
        let given: String = serde_json::from_str(raw.get()).unwrap_or_default();
        let id = given.parse().map_err(|e| Rejection::new(RejectReason::InvalidId, format!("id {e}")))?;
        return Ok(Identity::Id(id));
    }
    let Some(message_id) = message_id else {
        let detail = "give the event an id (a ULID) in the body, or the message a message_id";
        return Err(Rejection::new(RejectReason::MissingId, detail));
    };
    if message_id.is_empty() || message_id.chars().count() > MESSAGE_ID_CHARS || message_id.contains('\0') {
        let detail = format!("message_id must have 1 to {MESSAGE_ID_CHARS} characters");
        return Err(Rejection::new(RejectReason::InvalidMessageId, detail));
    }
    Ok(Identity::MessageId(message_id.to_owned()))
}

fn created(raw: &RawValue, now: Timestamp, retention: TimeDelta) -> Result<Timestamp, Rejection> {
    let given: Option<String> = serde_json::from_str(raw.get()).ok();
    let at = given.as_deref().and_then(time::parse).ok_or_else(|| {
        let detail = "created must be an RFC 3339 date and time, such as 2021-04-08T19:36:02.938Z";
        Rejection::new(RejectReason::InvalidCreated, detail)
    })?;
    if at < now - retention || at > now + TimeDelta::seconds(CREATED_AHEAD_SECONDS) {
        let detail = format!(
            "created is {}; it must lie within the last {} s and at most {CREATED_AHEAD_SECONDS} s ahead",
            time::format(at),
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
        time::parse("2021-04-08T19:36:02.938Z").expect("valid")
    }

    fn reason(body: &str, message_id: Option<&str>) -> RejectReason {
        decode(body.as_bytes(), message_id, now(), TimeDelta::days(7)).expect_err(body).reason
    }

    #[test]
    fn data_stays_byte_for_byte() {
        for data in
            ["12345678901234567890", "1.10", "null", r#"{"z":1, "a" : [1.0e5,"\u0000"]}"#, r#""x""#, "[]"]
        {
            let body = format!(r#"{{"id":"{ULID}","brandId":"acme","type":"A.B","data":{data} }}"#);
            let event = decode(body.as_bytes(), None, now(), TimeDelta::days(7)).expect("valid");
            assert_eq!(event.data, data);
        }
    }

    #[test]
    fn the_id_wins_over_the_message_id_and_either_will_do() {
        let of = |body: &str, m| {
            decode(body.as_bytes(), m, now(), TimeDelta::days(7)).expect("valid").identity.to_string()
        };
        let with = format!(r#"{{"id":"{ULID}","brandId":"b","type":"A","data":1}}"#);
        assert_eq!(of(&with, Some("m1")), format!("i:{ULID}"));
        assert_eq!(of(&with.replace(ULID, &ULID.to_lowercase()), None), format!("i:{ULID}"));
        assert_eq!(of(r#"{"brandId":"b","type":"A","data":1}"#, Some("m1")), "m:m1");
        assert_eq!(of(r#"{"id":null,"brandId":"b","type":"A","data":1,"more":2}"#, Some("m1")), "m:m1");
    }

    #[test]
    fn every_fault_has_its_reason() {
        use RejectReason::*;
        let long = "x".repeat(129);
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
            (r#"{"created":"yesterday","brandId":"b","type":"A","data":1}"#, Some("m"), InvalidCreated),
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
        assert_eq!(reason(&" ".repeat(EVENT_BODY_BYTES + 1), None), TooLarge);
        let not_utf8 =
            decode(b"{\"brandId\":\"\xff\"}", None, now(), TimeDelta::days(7)).expect_err("not UTF-8");
        assert_eq!(not_utf8.reason, InvalidJson);
    }

    #[test]
    fn a_long_detail_is_shortened_and_says_so() {
        let kept = Rejection::new(RejectReason::InvalidType, "x".repeat(REJECT_DETAIL_BYTES));
        assert_eq!(kept.detail(), "x".repeat(REJECT_DETAIL_BYTES));
        let cut = Rejection::new(RejectReason::InvalidType, "é".repeat(REJECT_DETAIL_BYTES));
        assert!(cut.detail().len() <= REJECT_DETAIL_BYTES && cut.detail().ends_with("é…"), "{cut}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(body in prop::collection::vec(any::<u8>(), 0..300), message_id in prop::option::of(".{0,140}")) {
            let _ = decode(&body, message_id.as_deref(), now(), TimeDelta::days(7));
        }

        #[test]
        fn any_json_data_passes_unaltered(number in "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", key in "[a-z\u{e4}\u{1f600}]{0,8}") {
            let data = format!(r#"{{"{key}": {number} }}"#);
            let body = format!(r#"{{"brandId":"b","type":"A","data":{data}}}"#);
            let event = decode(body.as_bytes(), Some("m"), now(), TimeDelta::days(7)).expect("valid");
            prop_assert_eq!(event.data, data);
        }
    }
}
