//! Signatures of requests according to Standard Webhooks 1.0.
//!
//! Every request has a signature of scheme `v1`. A webhook that asks for `v1a` gets that signature in addition.

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

/// Prefix of the text form of a secret.
const SECRET_PREFIX: &str = "whsec_";
/// Size of a generated secret.
pub const SECRET_BYTES: usize = 32;

/// An error about a text that is no webhook secret; it does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook secret is whsec_ and base64")]
pub struct InvalidSecret;

/// A webhook's signing secret, which `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Generates a secret of 32 random bytes.
    #[must_use]
    pub fn generate() -> Self {
        Self(rand::random::<[u8; SECRET_BYTES]>().to_vec())
    }

    /// Creates a secret from its key bytes.
    #[must_use]
    pub fn from_bytes(key: Vec<u8>) -> Self {
        Self(key)
    }

    /// Returns the key bytes, for encryption.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the text form that endpoint owners see: `whsec_` and base64.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{SECRET_PREFIX}{}", STANDARD.encode(&self.0))
    }
}

impl FromStr for Secret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix(SECRET_PREFIX).ok_or(InvalidSecret)?;
        STANDARD.decode(encoded).map(Self).map_err(|_| InvalidSecret)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

vocabulary! {
    /// A signature scheme.
    Scheme {
        /// HMAC-SHA256 with the webhook's secret, on every request.
        V1 = "v1",
        /// Ed25519 with the webhook's private key, if the webhook asks for it.
        V1a = "v1a",
    }
}

/// The keys that sign a webhook's requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// Secret for `v1`.
    pub secret: Secret,
    /// Private key for `v1a`, if the webhook asks for it.
    pub signing_key: Option<SigningKey>,
}

impl Keys {
    /// Generates keys, including a key for `v1a` if `asymmetric`.
    #[must_use]
    pub fn generate(asymmetric: bool) -> Self {
        Self { secret: Secret::generate(), signing_key: asymmetric.then(SigningKey::generate) }
    }

    /// Returns the prepared keys, in the order of their signatures.
    pub fn signers(&self) -> impl Iterator<Item = Signer> {
        std::iter::once(Signer::new(&self.secret))
            .chain(self.signing_key.as_ref().map(Signer::from_signing_key))
    }
}

/// A prepared key, so that work that depends only on the key happens once.
#[derive(Clone)]
pub struct Signer(Prepared);

#[derive(Clone)]
enum Prepared {
    V1(Hmac<Sha256>),
    V1a(Arc<Ed25519KeyPair>),
}

impl Signer {
    /// Prepares a secret for `v1`.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        let mac = Hmac::new_from_slice(&secret.0).expect("HMAC accepts keys of any length");
        Self(Prepared::V1(mac))
    }

    /// Prepares a private key for `v1a`.
    #[must_use]
    pub fn from_signing_key(key: &SigningKey) -> Self {
        Self(Prepared::V1a(Arc::new(key.key_pair())))
    }

    /// Signs `{id}.{timestamp}.{body}` and returns `v1,<base64>` or `v1a,<base64>`.
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

/// Returns the `webhook-signature` header: one signature for each key, in the order of `signers`.
#[must_use]
pub fn sign_request(signers: &[Signer], id: &str, unix_seconds: i64, body: &[u8]) -> String {
    signers.iter().map(|signer| signer.sign(id, unix_seconds, body)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_vectors_of_the_contract_are_reproduced() {
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
    fn generated_secrets_have_32_bytes_and_debug_does_not_show_them() {
        let secret = Secret::generate();
        assert_eq!(secret.as_bytes().len(), 32);
        assert_eq!(secret.reveal().parse::<Secret>().expect("reads back"), secret);
        assert_eq!(format!("{secret:?} {:?}", Signer::new(&secret)), "Secret(…) Signer(…)");
        assert_ne!(Secret::generate(), secret);
    }

    /// Uses the same library to verify; `tests/it/asymmetric.rs` verifies with another one.
    #[test]
    fn the_public_key_verifies_signatures_of_the_private_key() {
        use ring::signature::{ED25519, UnparsedPublicKey};
        let key = SigningKey::generate();
        let signed = Signer::from_signing_key(&key).sign("msg_1", 1_614_265_330, b"{}");
        let signature = STANDARD.decode(signed.strip_prefix("v1a,").expect("v1a")).expect("base64");
        let public = key.public_key();
        let public = STANDARD.decode(public.strip_prefix("whpk_").expect("whpk_")).expect("base64");
        let verified = |message: &[u8]| UnparsedPublicKey::new(&ED25519, &public).verify(message, &signature);
        assert!(verified(b"msg_1.1614265330.{}").is_ok());
        assert!(verified(b"msg_1.1614265330.{ }").is_err());
    }

    #[test]
    fn a_webhook_that_asks_for_v1a_gets_both_signatures() {
        let schemes = |asymmetric| -> Vec<String> {
            let keys = Keys::generate(asymmetric);
            let signed = keys.signers().map(|signer| signer.sign("id", 1, b"{}"));
            signed.filter_map(|text| Some(text.split_once(',')?.0.to_owned())).collect()
        };
        assert_eq!(
            (schemes(false), schemes(true)),
            (vec!["v1".to_owned()], vec!["v1".to_owned(), "v1a".to_owned()])
        );
    }

    #[test]
    fn both_secrets_sign_during_a_rotation_overlap() {
        let signers = [Signer::new(&Secret::generate()), Signer::new(&Secret::generate())];
        let header = sign_request(&signers, "id", 1, b"{}");
        let parts: Vec<_> = header.split(' ').collect();
        assert_eq!(parts, [signers[0].sign("id", 1, b"{}"), signers[1].sign("id", 1, b"{}")]);
    }
}
