//! Keys for signatures that everybody may verify: Ed25519, scheme `v1a` of Standard Webhooks 1.0.
//!
//! Whoever verifies `v1` could also sign, since it takes the same secret. With `v1a` the endpoint's owner, and
//! anybody that the owner shows a request to, verifies with a public key.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair};

/// Bytes of a key: the seed of RFC 8032 §5.1.5.
pub const SEED_BYTES: usize = 32;
/// What public keys begin with.
const PUBLIC_PREFIX: &str = "whpk_";

/// A webhook's private key. Its `Debug` shows nothing of it, and no API does.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey([u8; SEED_BYTES]);

impl SigningKey {
    /// Draws a new one.
    #[must_use]
    pub fn draw() -> Self {
        Self(rand::random())
    }

    /// The key of this seed.
    #[must_use]
    pub fn from_bytes(seed: [u8; SEED_BYTES]) -> Self {
        Self(seed)
    }

    /// The seed, to be encrypted.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What endpoint owners verify with: `whpk_` and the base64 of the public key.
    #[must_use]
    pub fn public_key(&self) -> String {
        format!("{PUBLIC_PREFIX}{}", STANDARD.encode(self.pair().public_key()))
    }

    /// The key made ready for signing.
    #[must_use]
    pub(crate) fn pair(&self) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&self.0)
            .unwrap_or_else(|_| unreachable!("every 32 bytes are a seed"))
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
    fn the_rfcs_key() {
        let seed = [
            0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
            0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
        ];
        let key = SigningKey::from_bytes(seed);
        assert_eq!(key.public_key(), "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
        assert!(STANDARD.encode(key.pair().sign(b"")).starts_with("5VZDAMNgrHKQhuLMgG6Cio"));
    }

    #[test]
    fn keys_are_drawn_and_stay_out_of_debug() {
        assert_ne!(SigningKey::draw(), SigningKey::draw());
        assert_eq!(format!("{:?}", SigningKey::draw()), "SigningKey(…)");
    }
}
