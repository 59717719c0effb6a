//! Request signatures after Standard Webhooks 1.0: scheme `v1`, and `v1a` beside it where it is asked for.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use ring::signature::Ed25519KeyPair;
use sha2::Sha256;

use super::signing_key::SigningKey;
use crate::vocabulary::vocabulary;

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

vocabulary! {
    /// How requests are signed.
    Scheme {
        /// HMAC-SHA256 with the webhook's secret: every request has it.
        V1 = "v1",
        /// Ed25519 with the webhook's private key: those have it who ask for it.
        V1a = "v1a",
    }
}

/// What signs a webhook's requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// For `v1`.
    pub secret: Secret,
    /// For `v1a`, where it is asked for.
    pub signing_key: Option<SigningKey>,
}

impl Keys {
    /// Draws new ones, with a key for `v1a` where that is asked for.
    #[must_use]
    pub fn draw(asymmetric: bool) -> Self {
        Self { secret: Secret::draw(), signing_key: asymmetric.then(SigningKey::draw) }
    }

    /// The keys made ready for signing, in the order of their signatures.
    pub fn signers(&self) -> impl Iterator<Item = Signer> {
        std::iter::once(Signer::new(&self.secret)).chain(self.signing_key.as_ref().map(Signer::asymmetric))
    }
}

/// A key made ready for signing: what depends on it alone is computed once, not for each request.
#[derive(Clone)]
pub struct Signer(Prepared);

#[derive(Clone)]
enum Prepared {
    V1(Hmac<Sha256>),
    V1a(Arc<Ed25519KeyPair>),
}

impl Signer {
    /// Prepares a secret.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        let mac =
            Hmac::new_from_slice(&secret.0).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
        Self(Prepared::V1(mac))
    }

    /// Prepares a private key.
    #[must_use]
    pub fn asymmetric(key: &SigningKey) -> Self {
        Self(Prepared::V1a(Arc::new(key.pair())))
    }

    /// The signature of one request, `v1,<base64>` or `v1a,<base64>`, over `{id}.{timestamp}.{body}`.
    #[must_use]
    pub fn sign(&self, id: &str, unix_seconds: i64, body: &[u8]) -> String {
        let head = format!("{id}.{unix_seconds}.");
        match &self.0 {
            Prepared::V1(mac) => {
                let mac = mac.clone().chain_update(head).chain_update(body);
                format!("{},{}", Scheme::V1, STANDARD.encode(mac.finalize().into_bytes()))
            }
            Prepared::V1a(pair) => {
                let signature = pair.sign(&[head.as_bytes(), body].concat());
                format!("{},{}", Scheme::V1a, STANDARD.encode(signature))
            }
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(…)")
    }
}

/// The `webhook-signature` header: one signature for each key, the current ones first.
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

    /// Verified by the very library that signs; tests/it/asymmetric.rs has another one verify.
    #[test]
    fn a_private_key_signs_what_its_public_key_verifies() {
        use ring::signature::{ED25519, UnparsedPublicKey};
        let key = SigningKey::draw();
        let signed = Signer::asymmetric(&key).sign("msg_1", 1_614_265_330, b"{}");
        let signature = STANDARD.decode(signed.strip_prefix("v1a,").expect("v1a")).expect("base64");
        let public = key.public_key();
        let public = STANDARD.decode(public.strip_prefix("whpk_").expect("whpk_")).expect("base64");
        let verified = |message: &[u8]| UnparsedPublicKey::new(&ED25519, &public).verify(message, &signature);
        assert!(verified(b"msg_1.1614265330.{}").is_ok());
        assert!(verified(b"msg_1.1614265330.{ }").is_err());
    }

    #[test]
    fn who_asks_for_v1a_gets_both() {
        let schemes = |asymmetric| -> Vec<String> {
            let keys = Keys::draw(asymmetric);
            let signed = keys.signers().map(|signer| signer.sign("id", 1, b"{}"));
            signed.filter_map(|text| Some(text.split_once(',')?.0.to_owned())).collect()
        };
        assert_eq!(
            (schemes(false), schemes(true)),
            (vec!["v1".to_owned()], vec!["v1".to_owned(), "v1a".to_owned()])
        );
    }

    #[test]
    fn both_secrets_sign_during_an_overlap() {
        let signers = [Signer::new(&Secret::draw()), Signer::new(&Secret::draw())];
        let header = header(&signers, "id", 1, b"{}");
        let parts: Vec<_> = header.split(' ').collect();
        assert_eq!(parts, [signers[0].sign("id", 1, b"{}"), signers[1].sign("id", 1, b"{}")]);
    }
}
