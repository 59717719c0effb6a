//! The parts of a message that can be read although it is rejected, so that people find out what became of it.

use chrono::TimeDelta;
use serde_json::value::RawValue;

use super::{Identity, is_event_key, parse_message_of_any_size, read_created, read_identity, read_text};
use crate::ids::BrandId;
use crate::limits::MAX_EVENT_TYPE_CHARS;
use crate::text::truncate_text;
use crate::time::Timestamp;

/// The readable parts of a message that may be invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadableEvent {
    /// Its brand, which may not exist.
    pub brand_id: BrandId,
    /// Its identity.
    pub identity: Identity,
    /// The text of its type, which may be no event type; truncated to the length of a type.
    pub event_type: Option<String>,
    /// When it happened, if that is valid.
    pub created: Option<Timestamp>,
    /// Its key, if that is valid.
    pub key: Option<String>,
}

/// Reads what can be read of a message; `None` without a valid brand and identity. `now` and `retention` limit `created`.
///
/// The identity is `id`, or the `message_id` if `id` is invalid. A message that was rejected because it is too large is read,
/// too; the broker limits its size, and its values are borrowed from the body.
#[must_use]
pub fn read_readable_event(
    body: &[u8],
    message_id: Option<&str>,
    now: Timestamp,
    retention: TimeDelta,
) -> Option<ReadableEvent> {
    let message = parse_message_of_any_size(body).ok()?;
    let brand_id = read_text(message.brand_id, "brandId").ok()?.parse().ok()?;
    let identity = read_identity(message.id, message_id).or_else(|_| read_identity(None, message_id)).ok()?;
    let text = |raw: &RawValue| serde_json::from_str::<String>(raw.get()).ok();
    // PostgreSQL cannot store NUL.
    let event_type = message.event_type.and_then(text).filter(|text| !text.contains('\0'));
    Some(ReadableEvent {
        brand_id,
        identity,
        event_type: event_type.map(|text| truncate_text(&text, MAX_EVENT_TYPE_CHARS).into_owned()),
        created: message.created.and_then(|raw| read_created(raw, now, retention).ok()),
        key: message.key.and_then(text).filter(|key| is_event_key(key)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::parse_timestamp;

    const ULID: &str = "01F2SFVYVD0H873S2VRT8VQSPM";

    fn read(body: &str, message_id: Option<&str>) -> Option<ReadableEvent> {
        let now = parse_timestamp("2021-04-08T19:36:02.938Z").expect("valid");
        read_readable_event(body.as_bytes(), message_id, now, TimeDelta::days(7))
    }

    #[test]
    fn an_identity_and_a_brand_suffice() {
        let event = read(&format!(r#"{{"id":"{ULID}","brandId":"acme","type":"no type"}}"#), None);
        let event = event.expect("readable");
        assert_eq!(event.identity.to_string(), format!("i:{ULID}"));
        assert_eq!((event.event_type.as_deref(), event.created, event.key), (Some("no type"), None, None));
        assert_eq!(read(r#"{"brandId":"acme"}"#, None), None);
        assert_eq!(read(&format!(r#"{{"id":"{ULID}"}}"#), Some("m")), None);
        assert_eq!(read("{", Some("m")), None);
    }

    #[test]
    fn valid_parts_of_an_invalid_message_are_kept() {
        let body = r#"{"id":7,"brandId":"acme","type":7,"key":"k","created":"2021-04-08T19:00:00Z"}"#;
        let event = read(body, Some("m")).expect("readable");
        assert_eq!(event.identity.to_string(), "m:m");
        assert_eq!((event.event_type, event.key.as_deref()), (None, Some("k")));
        assert!(event.created.is_some());
        let old = read(r#"{"brandId":"acme","key":7,"created":"2001-04-08T19:00:00Z"}"#, Some("m"));
        let old = old.expect("readable");
        assert_eq!((old.created, old.key), (None, None), "outside of the retention");
    }

    #[test]
    fn a_message_that_is_too_large_is_readable() {
        let data = "x".repeat(crate::limits::MAX_EVENT_BODY_BYTES);
        let event = read(&format!(r#"{{"id":"{ULID}","brandId":"acme","data":"{data}"}}"#), None);
        assert_eq!(event.expect("readable").identity.to_string(), format!("i:{ULID}"));
    }

    #[test]
    fn a_long_type_is_truncated_and_nul_is_left_out() {
        let event = read(&format!(r#"{{"brandId":"a","type":"{}"}}"#, "A".repeat(500)), Some("m"));
        assert!(event.expect("readable").event_type.expect("a type").len() <= MAX_EVENT_TYPE_CHARS);
        assert_eq!(
            read(r#"{"brandId":"a","type":"A\u0000"}"#, Some("m")).expect("readable").event_type,
            None
        );
    }
}
