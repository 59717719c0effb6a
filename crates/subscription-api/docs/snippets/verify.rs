use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// An older request may be a replay.
const TOLERANCE_SECONDS: u64 = 5 * 60;

/// Returns whether Postrider sent the request. `body` is the raw body, not parsed JSON.
///
/// `None` means that a header or the secret is missing or malformed.
pub fn verify(secret: &str, headers: &http::HeaderMap, body: &[u8]) -> Option<bool> {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let (id, timestamp) = (header("webhook-id")?, header("webhook-timestamp")?);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    if now.abs_diff(timestamp.parse().ok()?) > TOLERANCE_SECONDS {
        return Some(false);
    }
    let key = STANDARD.decode(secret.trim_start_matches("whsec_")).ok()?;
    if key.is_empty() {
        return Some(false); // anybody can sign with an empty secret
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    // During a rotation there are several signatures. One valid signature is enough.
    let is_valid = |given: &str| {
        let given = given.strip_prefix("v1,").and_then(|text| STANDARD.decode(text).ok());
        given.is_some_and(|given| mac.clone().verify_slice(&given).is_ok())
    };
    Some(header("webhook-signature")?.split(' ').any(is_valid))
}
