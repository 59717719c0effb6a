//! Webhook secrets at rest: AES-256-GCM under the master key, bound to the brand and the webhook.
//!
//! A sealed secret is `key id (4) · nonce (12) · ciphertext and tag`. The key id tells which master
//! key sealed it, so that a rotation can read both.

use std::fmt;
use std::str::FromStr;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::ids::{BrandId, WebhookId};
use domain::signature::Secret;
use sha2::{Digest, Sha256};

use crate::error::StoreError;

const KEY_BYTES: usize = 32;
const KEY_ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 12;

/// The master key (`POSTRIDER_MASTER_KEY`): 32 bytes in base64. Its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct MasterKey([u8; KEY_BYTES]);

impl FromStr for MasterKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(Self)
            .ok_or_else(|| "it must be 32 bytes in base64; draw one with: openssl rand -base64 32".to_owned())
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// Seals and opens webhook secrets. Its `Debug` shows nothing of the key.
#[derive(Clone)]
pub struct Vault {
    cipher: Aes256Gcm,
    key_id: [u8; KEY_ID_BYTES],
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

impl Vault {
    /// A vault under this master key.
    #[must_use]
    pub fn new(key: &MasterKey) -> Self {
        let digest = Sha256::digest(key.0);
        let mut key_id = [0; KEY_ID_BYTES];
        key_id.copy_from_slice(&digest[..KEY_ID_BYTES]);
        Self { cipher: Aes256Gcm::new(&Key::<Aes256Gcm>::from(key.0)), key_id }
    }

    /// Seals a secret for storage, under a fresh random nonce.
    #[must_use]
    pub fn seal(&self, brand: &BrandId, webhook: WebhookId, secret: &Secret) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let aad = associated_data(brand, webhook);
        let payload = Payload { msg: secret.as_bytes(), aad: &aad };
        let sealed = self
            .cipher
            .encrypt(&Nonce::from(nonce), payload)
            .unwrap_or_else(|_| unreachable!("AES-GCM fails only beyond 64 GiB"));
        [self.key_id.as_slice(), &nonce, &sealed].concat()
    }

    /// Opens a stored secret.
    ///
    /// # Errors
    /// When it was sealed under another master key, for another webhook, or was altered.
    pub fn open(&self, brand: &BrandId, webhook: WebhookId, stored: &[u8]) -> Result<Secret, StoreError> {
        let unreadable =
            |why: &str| StoreError::Unreadable(format!("the secret of webhook {webhook}: {why}"));
        let (key_id, rest) =
            stored.split_at_checked(KEY_ID_BYTES).ok_or_else(|| unreadable("it is cut short"))?;
        if key_id != self.key_id {
            return Err(unreadable("it was sealed under another POSTRIDER_MASTER_KEY"));
        }
        let (nonce, sealed) =
            rest.split_at_checked(NONCE_BYTES).ok_or_else(|| unreadable("it is cut short"))?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| unreadable("it is cut short"))?;
        let aad = associated_data(brand, webhook);
        let opened = self.cipher.decrypt(&Nonce::from(nonce), Payload { msg: sealed, aad: &aad });
        opened.map(Secret::from_bytes).map_err(|_| unreadable("it was altered or belongs to another webhook"))
    }
}

fn associated_data(brand: &BrandId, webhook: WebhookId) -> Vec<u8> {
    [brand.as_str().as_bytes(), b"/", webhook.0.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(byte: u8) -> Vault {
        Vault::new(&STANDARD.encode([byte; KEY_BYTES]).parse().expect("key"))
    }

    #[test]
    fn a_sealed_secret_opens_only_where_it_belongs() {
        let (secret, brand) = (Secret::draw(), "acme".parse().expect("brand"));
        let webhook = WebhookId(uuid::Uuid::from_u128(7));
        let sealed = vault(1).seal(&brand, webhook, &secret);
        assert_eq!(vault(1).open(&brand, webhook, &sealed).expect("opens"), secret);
        assert!(!sealed.windows(8).any(|w| secret.as_bytes().windows(8).any(|s| s == w)));
        assert_ne!(sealed, vault(1).seal(&brand, webhook, &secret), "nonces are fresh");

        assert!(vault(2).open(&brand, webhook, &sealed).is_err(), "another key");
        assert!(vault(1).open(&"other".parse().expect("brand"), webhook, &sealed).is_err(), "another brand");
        assert!(
            vault(1).open(&brand, WebhookId(uuid::Uuid::from_u128(8)), &sealed).is_err(),
            "another webhook"
        );
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(vault(1).open(&brand, webhook, &altered).is_err(), "altered at {at}");
            assert!(vault(1).open(&brand, webhook, &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_master_key_is_32_bytes_of_base64() {
        assert!(STANDARD.encode([0; 31]).parse::<MasterKey>().is_err());
        assert!("short".parse::<MasterKey>().is_err());
    }
}
