//! Private keys for signatures that third parties can verify: Ed25519, scheme `v1a` of Standard Webhooks 1.0.
//!
//! A receiver that verifies `v1` could also sign, because both take the same secret. With `v1a` the endpoint's owner,
//! and anybody to whom the owner shows a request, verifies with a public key.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair};

/// Size of a key, which is the seed of RFC 8032 §5.1.5.
pub const SEED_BYTES: usize = 32;
/// Prefix of the text form of a public key.
const PUBLIC_PREFIX: &str = "whpk_";

/// A webhook's private key, which neither `Debug` nor the API shows.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey([u8; SEED_BYTES]);

impl SigningKey {
    /// Generates a key.
    #[must_use]
    pub fn generate() -> Self {
        Self(rand::random())
    }

    /// Creates the key of a seed.
    #[must_use]
    pub fn from_bytes(seed: [u8; SEED_BYTES]) -> Self {
        Self(seed)
    }

    /// Returns the seed, for encryption.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the public key for endpoint owners: `whpk_` and base64.
    #[must_use]
    pub fn public_key(&self) -> String {
        format!("{PUBLIC_PREFIX}{}", STANDARD.encode(self.key_pair().public_key()))
    }

    /// Returns the prepared key pair.
    #[must_use]
    pub(crate) fn key_pair(&self) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&self.0).expect("any 32 bytes are a seed")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032 §7.1, test 1.
    #[test]
    fn the_key_of_the_rfc_is_reproduced() {
        let seed = [
            0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
            0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
        ];
        let key = SigningKey::from_bytes(seed);
        assert_eq!(key.public_key(), "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
        assert!(STANDARD.encode(key.key_pair().sign(b"")).starts_with("5VZDAMNgrHKQhuLMgG6Cio"));
    }

    #[test]
    fn generated_keys_differ_and_debug_does_not_show_them() {
        assert_ne!(SigningKey::generate(), SigningKey::generate());
        assert_eq!(format!("{:?}", SigningKey::generate()), "SigningKey(…)");
    }
}
