//! Request signatures after Standard Webhooks 1.0, scheme `v1`.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const PREFIX: &str = "whsec_";
/// Bytes of a secret that we draw.
pub const SECRET_BYTES: usize = 32;

/// A text that is no webhook secret. It does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook secret is whsec_ and base64")]
pub struct InvalidSecret;

/// A webhook's signing secret. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Draws a new one of 32 random bytes.
    #[must_use]
    pub fn draw() -> Self {
        Self(rand::random::<[u8; SECRET_BYTES]>().to_vec())
    }

    /// The secret of these key bytes.
    #[must_use]
    pub fn from_bytes(key: Vec<u8>) -> Self {
        Self(key)
    }

    /// The key bytes, to be encrypted.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The form that endpoint owners are shown: `whsec_` and base64.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }
}

impl FromStr for Secret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidSecret)?;
        STANDARD.decode(encoded).map(Self).map_err(|_| InvalidSecret)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A secret made ready for signing: the key schedule is computed once, not for each request.
#[derive(Clone)]
pub struct Signer(Hmac<Sha256>);

impl Signer {
    /// Prepares a secret.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self(
            Hmac::new_from_slice(&secret.0).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length")),
        )
    }

    /// The signature of one request, `v1,<base64>`, over `{id}.{timestamp}.{body}`.
    #[must_use]
    pub fn sign(&self, id: &str, unix_seconds: i64, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(id.as_bytes());
        mac.update(format!(".{unix_seconds}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(…)")
    }
}

/// The `webhook-signature` header: one signature for each secret, the current one first.
#[must_use]
pub fn header(signers: &[Signer], id: &str, unix_seconds: i64, body: &[u8]) -> String {
    signers.iter().map(|signer| signer.sign(id, unix_seconds, body)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contracts_vectors() {
        for (secret, id, at, body, expected) in [
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
        ] {
            let signer = Signer::new(&secret.parse().expect("secret"));
            assert_eq!(signer.sign(id, at, body.as_bytes()), expected);
        }
    }

    #[test]
    fn drawn_secrets_have_32_bytes_and_stay_out_of_debug() {
        let secret = Secret::draw();
        assert_eq!(secret.as_bytes().len(), 32);
        assert_eq!(secret.reveal().parse::<Secret>().expect("reads back"), secret);
        assert_eq!(format!("{secret:?} {:?}", Signer::new(&secret)), "Secret(…) Signer(…)");
        assert_ne!(Secret::draw(), secret);
    }

    #[test]
    fn both_secrets_sign_during_an_overlap() {
        let signers = [Signer::new(&Secret::draw()), Signer::new(&Secret::draw())];
        let header = header(&signers, "id", 1, b"{}");
        let parts: Vec<_> = header.split(' ').collect();
        assert_eq!(parts, [signers[0].sign("id", 1, b"{}"), signers[1].sign("id", 1, b"{}")]);
    }
}
