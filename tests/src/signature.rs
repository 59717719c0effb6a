//! Verifies Standard Webhooks 1.0 as a receiver would, written from the specification and not from our code.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use sha2::Sha256;

/// Maximum distance of a request's timestamp from now, in seconds, the same as in the published libraries.
const MAX_AGE_SECONDS: u64 = 5 * 60;

/// Checks the three headers of a request against its body, the secret (`whsec_…`) and the clock (`now`, Unix
/// seconds).
///
/// # Errors
/// Describes the defect in words.
pub fn verify(secret: &str, headers: &HeaderMap, body: &[u8], now: u64) -> Result<(), String> {
    let id = header_text(headers, "webhook-id")?;
    let timestamp = header_text(headers, "webhook-timestamp")?;
    let seconds: u64 = timestamp.parse().map_err(|_| format!("webhook-timestamp is {timestamp:?}"))?;
    if seconds.abs_diff(now) > MAX_AGE_SECONDS {
        return Err(format!("webhook-timestamp {seconds} is too far from {now}"));
    }
    let mac = mac(secret, id, timestamp, body)?;
    let signatures = header_text(headers, "webhook-signature")?;
    let fits = |candidate: &str| {
        let bytes = candidate.strip_prefix("v1,").and_then(|text| STANDARD.decode(text).ok());
        bytes.is_some_and(|bytes| mac.clone().verify_slice(&bytes).is_ok())
    };
    if signatures.split(' ').any(fits) { Ok(()) } else { Err(format!("no signature fits: {signatures}")) }
}

/// Returns the signature with this secret, in the form of the header.
///
/// # Errors
/// When the secret is not `whsec_` and base64.
pub fn sign(secret: &str, id: &str, timestamp: &str, body: &[u8]) -> Result<String, String> {
    Ok(format!("v1,{}", STANDARD.encode(mac(secret, id, timestamp, body)?.finalize().into_bytes())))
}

fn mac(secret: &str, id: &str, timestamp: &str, body: &[u8]) -> Result<Hmac<Sha256>, String> {
    let key = secret.strip_prefix("whsec_").ok_or("the secret does not begin with whsec_")?;
    let key = STANDARD.decode(key).map_err(|e| format!("the secret is not base64: {e}"))?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|e| e.to_string())?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    Ok(mac)
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or_else(|| format!("no {name}"))?;
    if values.next().is_some() {
        return Err(format!("{name} is there twice"));
    }
    value.to_str().map_err(|_| format!("{name} is not text"))
}

/// Returns the current time in Unix seconds.
#[must_use]
pub fn unix_now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const VECTORS: [(&str, &str, u64, &str, &str); 2] = [
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
    ];

    fn headers(id: &str, timestamp: u64, signature: &str) -> HeaderMap {
        [("webhook-id", id), ("webhook-timestamp", &timestamp.to_string()), ("webhook-signature", signature)]
            .into_iter()
            .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")))
            .collect()
    }

    #[test]
    fn the_test_vectors_of_the_contract_verify() {
        for (secret, id, timestamp, body, signature) in VECTORS {
            assert_eq!(sign(secret, id, &timestamp.to_string(), body.as_bytes()).as_deref(), Ok(signature));
            for shown in [signature.to_owned(), format!("v1,AAAA v2,x {signature}")] {
                verify(secret, &headers(id, timestamp, &shown), body.as_bytes(), timestamp + 300)
                    .expect(&shown);
            }
        }
    }

    #[test]
    fn altered_requests_do_not_verify() {
        let (secret, id, timestamp, body, signature) = VECTORS[0];
        let good = headers(id, timestamp, signature);
        let other = headers("msg_other", timestamp, signature);
        assert!(verify(secret, &good, b"{\"test\": 2432232315}", timestamp).is_err());
        assert!(verify(secret, &other, body.as_bytes(), timestamp).is_err());
        assert!(verify(VECTORS[1].0, &good, body.as_bytes(), timestamp).is_err());
        assert!(verify(secret, &good, body.as_bytes(), timestamp + 301).is_err());
        assert!(verify(secret, &headers(id, timestamp, "v1,"), body.as_bytes(), timestamp).is_err());
    }
}
