//! Cursors: the position and the filter with which a list continues.
//!
//! A cursor is opaque to clients and valid only in the list that returned it. It carries no authority, because
//! every page is authorized again.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Longest cursor that is decoded, in bytes; real cursors are far shorter.
const MAX_CURSOR_BYTES: usize = 2048;

/// The text is no cursor of this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a cursor of this list; pass nextCursor of the previous page unchanged")]
pub struct InvalidCursor;

/// Encodes `state` as a cursor of `list`.
pub fn encode<T: Serialize>(list: &str, state: &T) -> String {
    let json = serde_json::to_vec(&(list, state)).expect("a cursor holds plain data");
    URL_SAFE_NO_PAD.encode(json)
}

/// Decodes a cursor of `list`.
///
/// # Errors
/// When the text is not a cursor, or a cursor of another list.
pub fn decode<T: DeserializeOwned>(list: &str, cursor: &str) -> Result<T, InvalidCursor> {
    if cursor.len() > MAX_CURSOR_BYTES {
        return Err(InvalidCursor);
    }
    let json = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| InvalidCursor)?;
    let (of, state): (String, T) = serde_json::from_slice(&json).map_err(|_| InvalidCursor)?;
    let raw: Value = serde_json::from_slice(&json).map_err(|_| InvalidCursor)?;
    if of == list && !has_nul(&raw) { Ok(state) } else { Err(InvalidCursor) }
}

/// Whether a text has U+0000, which PostgreSQL refuses. No parameter may have it, so that a real cursor has none.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(members) => members.values().any(has_nul),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_valid_only_in_its_own_list() {
        let cursor = encode("webhooks/acme", &(7, "x".to_owned()));
        assert_eq!(decode("webhooks/acme", &cursor), Ok((7, "x".to_owned())));
        assert_eq!(decode::<(i32, String)>("webhooks/other", &cursor), Err(InvalidCursor));
        assert_eq!(decode::<String>("webhooks/acme", &cursor), Err(InvalidCursor));
    }

    #[test]
    fn invalid_cursors_are_refused() {
        for bad in ["", "x", "????", "AAAA", &encode("a", &1)[1..], &"A".repeat(5000), "W10", "bnVsbA"] {
            assert_eq!(decode::<i32>("a", bad), Err(InvalidCursor), "{bad}");
        }
        assert_eq!(decode::<Vec<String>>("a", &encode("a", &["\0"])), Err(InvalidCursor));
        assert!(decode::<Vec<String>>("a", &encode("a", &["\\u0000"])).is_ok());
    }
}
