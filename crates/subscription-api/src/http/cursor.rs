//! Cursors: where a list goes on, and with which filter. Opaque to clients, worth nothing anywhere
//! but in the list that gave them. They carry no authority: every page is authorised anew.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest cursor that is looked at, in bytes; ours are far shorter.
const MAX_CURSOR_BYTES: usize = 2048;

/// A text that is no cursor of this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no cursor of this list; take nextCursor of the page before, unchanged")]
pub struct InvalidCursor;

/// Writes a cursor of `list` that holds `state`.
pub fn encode<T: Serialize>(list: &str, state: &T) -> String {
    let json =
        serde_json::to_vec(&(list, state)).unwrap_or_else(|_| unreachable!("our states are plain data"));
    URL_SAFE_NO_PAD.encode(json)
}

/// Reads a cursor of `list`.
///
/// # Errors
/// When it is none, or one of another list.
pub fn decode<T: DeserializeOwned>(list: &str, cursor: &str) -> Result<T, InvalidCursor> {
    if cursor.len() > MAX_CURSOR_BYTES {
        return Err(InvalidCursor);
    }
    let json = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| InvalidCursor)?;
    let (of, state): (String, T) = serde_json::from_slice(&json).map_err(|_| InvalidCursor)?;
    if of == list { Ok(state) } else { Err(InvalidCursor) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_in_its_own_list_only() {
        let cursor = encode("webhooks/acme", &(7, "x".to_owned()));
        assert_eq!(decode("webhooks/acme", &cursor), Ok((7, "x".to_owned())));
        assert_eq!(decode::<(i32, String)>("webhooks/other", &cursor), Err(InvalidCursor));
        assert_eq!(decode::<String>("webhooks/acme", &cursor), Err(InvalidCursor));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in ["", "x", "????", "AAAA", &encode("a", &1)[1..], &"A".repeat(5000), "W10", "bnVsbA"] {
            assert_eq!(decode::<i32>("a", bad), Err(InvalidCursor), "{bad}");
        }
    }
}
