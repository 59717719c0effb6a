//! Encryption of webhook secrets and custom headers at rest: AES-256-GCM under the master key.
//!
//! A sealed secret is `key id (4) · nonce (12) · ciphertext and tag`. The associated data binds it to the brand, the
//! webhook and its purpose. The key id names the master key, so that secrets under an old master key stay readable
//! during a rotation.

use std::fmt;
use std::str::FromStr;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use domain::ids::{BrandId, WebhookId};
use domain::webhook::CustomHeaders;
use domain::webhook::signature::Secret;
use domain::webhook::signing_key::SigningKey;
use sha2::{Digest, Sha256};

use crate::error::StoreError;

const KEY_BYTES: usize = 32;
const KEY_ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 12;
/// What a sealed value of a webhook is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Secret,
    SigningKey,
    Headers,
}

impl Purpose {
    /// The purpose in the associated data. That of secrets is empty, because secrets were sealed before signing keys
    /// existed.
    fn associated_data(self) -> &'static [u8] {
        match self {
            Self::Secret => b"",
            Self::SigningKey => b"/v1a",
            Self::Headers => b"/headers",
        }
    }

    /// The value in an error.
    fn noun(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::SigningKey => "signing key",
            Self::Headers => "custom headers",
        }
    }
}

/// The master key (`POSTRIDER_MASTER_KEY`): 32 bytes in base64. Its `Debug` hides the key.
#[derive(Clone)]
pub struct MasterKey([u8; KEY_BYTES]);

impl FromStr for MasterKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| {
            "it must be 32 bytes in base64; generate one with: openssl rand -base64 32".to_owned()
        })
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// Old master keys under which secrets in the database may still be encrypted.
#[derive(Debug, Clone, Default)]
pub struct OldMasterKeys(Vec<MasterKey>);

impl FromStr for OldMasterKeys {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let keys = text.split(',').map(str::trim).filter(|key| !key.is_empty());
        keys.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

/// The master keys that encrypt webhook secrets at rest.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Secrets at rest")]
pub struct KeyringSettings {
    /// Encrypts webhook secrets at rest: 32 bytes in base64, the same for every api and deliverer
    #[arg(long, env = "POSTRIDER_MASTER_KEY", value_name = "BASE64", hide_env_values = true)]
    pub master_key: MasterKey,
    /// Old master keys, separated by commas: they decrypt secrets until --reseal-secrets of the api has re-encrypted
    /// all of them
    #[arg(
        long,
        env = "POSTRIDER_OLD_MASTER_KEYS",
        value_name = "BASE64",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true
    )]
    pub old_master_keys: OldMasterKeys,
}

/// Identifies a master key without revealing it: the start of its SHA-256.
type KeyId = [u8; KEY_ID_BYTES];

/// Seals and opens webhook secrets. Its `Debug` hides the keys.
#[derive(Clone)]
pub struct SecretKeyring {
    /// First the master key, which seals, and then the old keys, which only open.
    keys: Vec<(KeyId, Aes256Gcm)>,
}

impl fmt::Debug for SecretKeyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKeyring(…)")
    }
}

impl SecretKeyring {
    /// Creates a keyring with this master key alone.
    #[must_use]
    pub fn new(key: &MasterKey) -> Self {
        Self { keys: vec![create_cipher(key)] }
    }

    /// Creates a keyring with the master key and the old master keys of the settings.
    #[must_use]
    pub fn from_settings(settings: &KeyringSettings) -> Self {
        let keys = std::iter::once(&settings.master_key).chain(&settings.old_master_keys.0);
        Self { keys: keys.map(create_cipher).collect() }
    }

    /// Returns the prefix of every secret that is sealed under the current master key.
    #[must_use]
    pub fn key_prefix(&self) -> &[u8] {
        &self.keys[0].0
    }

    /// Seals a secret for storage, under a fresh random nonce.
    #[must_use]
    pub fn seal(&self, brand: &BrandId, webhook: WebhookId, secret: &Secret) -> Vec<u8> {
        self.seal_bytes(&associated_data(brand, webhook, Purpose::Secret), secret.as_bytes())
    }

    /// Seals a private key for storage.
    #[must_use]
    pub fn seal_key(&self, brand: &BrandId, webhook: WebhookId, key: &SigningKey) -> Vec<u8> {
        self.seal_bytes(&associated_data(brand, webhook, Purpose::SigningKey), key.as_bytes())
    }

    /// Seals the names and values of custom headers for storage.
    #[must_use]
    pub fn seal_headers(&self, brand: &BrandId, webhook: WebhookId, headers: &CustomHeaders) -> Vec<u8> {
        let json = serde_json::to_vec(headers).expect("a map of texts is JSON");
        self.seal_bytes(&associated_data(brand, webhook, Purpose::Headers), &json)
    }

    fn seal_bytes(&self, aad: &[u8], msg: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload { msg, aad };
        let (key_id, cipher) = &self.keys[0];
        let sealed = cipher.encrypt(&Nonce::from(nonce), payload).expect("AES-GCM fails only beyond 64 GiB");
        [key_id.as_slice(), &nonce, &sealed].concat()
    }

    /// Opens a stored secret.
    ///
    /// # Errors
    /// When it was sealed under an unknown master key or for another webhook, or when it was altered.
    pub fn open(&self, brand: &BrandId, webhook: WebhookId, stored: &[u8]) -> Result<Secret, StoreError> {
        self.open_bytes(brand, webhook, Purpose::Secret, stored).map(Secret::from_bytes)
    }

    /// Opens a stored private key.
    ///
    /// # Errors
    /// Those of [`Self::open`].
    pub fn open_key(
        &self,
        brand: &BrandId,
        webhook: WebhookId,
        stored: &[u8],
    ) -> Result<SigningKey, StoreError> {
        let seed = self.open_bytes(brand, webhook, Purpose::SigningKey, stored)?.try_into();
        let seed =
            seed.map_err(|_| StoreError::Unreadable(format!("the signing key of webhook {webhook}")))?;
        Ok(SigningKey::from_bytes(seed))
    }

    /// Opens stored custom headers.
    ///
    /// # Errors
    /// Those of [`Self::open`].
    pub fn open_headers(
        &self,
        brand: &BrandId,
        webhook: WebhookId,
        stored: &[u8],
    ) -> Result<CustomHeaders, StoreError> {
        let json = self.open_bytes(brand, webhook, Purpose::Headers, stored)?;
        // The error of the parser would repeat a part of the values.
        serde_json::from_slice(&json)
            .map_err(|_| StoreError::Unreadable(format!("the custom headers of webhook {webhook}")))
    }

    fn open_bytes(
        &self,
        brand: &BrandId,
        webhook: WebhookId,
        purpose: Purpose,
        stored: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let unreadable =
            |why: &str| StoreError::Unreadable(format!("the {} of webhook {webhook}: {why}", purpose.noun()));
        let (key_id, rest) =
            stored.split_at_checked(KEY_ID_BYTES).ok_or_else(|| unreadable("it is cut short"))?;
        let (_, cipher) = self
            .keys
            .iter()
            .find(|(own, _)| own == key_id)
            .ok_or_else(|| unreadable("it was sealed under another POSTRIDER_MASTER_KEY"))?;
        let (nonce, sealed) =
            rest.split_at_checked(NONCE_BYTES).ok_or_else(|| unreadable("it is cut short"))?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| unreadable("it is cut short"))?;
        let aad = associated_data(brand, webhook, purpose);
        let opened = cipher.decrypt(&Nonce::from(nonce), Payload { msg: sealed, aad: &aad });
        opened.map_err(|_| unreadable("it was altered or belongs to another webhook"))
    }
}

fn create_cipher(key: &MasterKey) -> (KeyId, Aes256Gcm) {
    let digest = Sha256::digest(key.0);
    let mut key_id = [0; KEY_ID_BYTES];
    key_id.copy_from_slice(&digest[..KEY_ID_BYTES]);
    (key_id, Aes256Gcm::new(&Key::<Aes256Gcm>::from(key.0)))
}

fn associated_data(brand: &BrandId, webhook: WebhookId, purpose: Purpose) -> Vec<u8> {
    [brand.as_str().as_bytes(), b"/", webhook.0.as_bytes(), purpose.associated_data()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring(byte: u8) -> SecretKeyring {
        SecretKeyring::new(&STANDARD.encode([byte; KEY_BYTES]).parse().expect("key"))
    }

    #[test]
    fn a_sealed_secret_opens_only_for_its_brand_webhook_and_key() {
        let secret = Secret::generate();
        let brand = "acme".parse().expect("brand");
        let webhook = WebhookId(uuid::Uuid::from_u128(7));
        let sealed = keyring(1).seal(&brand, webhook, &secret);
        assert_eq!(keyring(1).open(&brand, webhook, &sealed).expect("opens"), secret);
        assert!(!sealed.windows(8).any(|w| secret.as_bytes().windows(8).any(|s| s == w)));
        assert_ne!(sealed, keyring(1).seal(&brand, webhook, &secret), "nonces are fresh");

        assert!(keyring(2).open(&brand, webhook, &sealed).is_err(), "another key");
        assert!(
            keyring(1).open(&"other".parse().expect("brand"), webhook, &sealed).is_err(),
            "another brand"
        );
        assert!(
            keyring(1).open(&brand, WebhookId(uuid::Uuid::from_u128(8)), &sealed).is_err(),
            "another webhook"
        );
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(keyring(1).open(&brand, webhook, &altered).is_err(), "altered at {at}");
            assert!(keyring(1).open(&brand, webhook, &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_signing_key_does_not_open_as_a_secret_nor_a_secret_as_a_signing_key() {
        let key = SigningKey::generate();
        let brand = "acme".parse().expect("brand");
        let webhook = WebhookId(uuid::Uuid::from_u128(7));
        let sealed = keyring(1).seal_key(&brand, webhook, &key);
        assert_eq!(keyring(1).open_key(&brand, webhook, &sealed).expect("opens"), key);
        assert!(keyring(1).open(&brand, webhook, &sealed).is_err());
        let secret = keyring(1).seal(&brand, webhook, &Secret::generate());
        assert!(keyring(1).open_key(&brand, webhook, &secret).is_err());
    }

    #[test]
    fn sealed_headers_open_as_headers_of_their_webhook_alone() {
        let headers = CustomHeaders([("Authorization".to_owned(), "Bearer hush-hush".to_owned())].into());
        let brand = "acme".parse().expect("brand");
        let webhook = WebhookId(uuid::Uuid::from_u128(7));
        let sealed = keyring(1).seal_headers(&brand, webhook, &headers);
        assert_eq!(keyring(1).open_headers(&brand, webhook, &sealed).expect("opens"), headers);
        assert!(!sealed.windows(9).any(|part| part == b"hush-hush"));
        assert!(keyring(1).open(&brand, webhook, &sealed).is_err(), "as a secret");
        assert!(keyring(2).open_headers(&brand, webhook, &sealed).is_err(), "another key");
        let other = WebhookId(uuid::Uuid::from_u128(8));
        assert!(keyring(1).open_headers(&brand, other, &sealed).is_err(), "another webhook");
        let secret = keyring(1).seal(&brand, webhook, &Secret::generate());
        assert!(keyring(1).open_headers(&brand, webhook, &secret).is_err(), "a secret");
    }

    #[test]
    fn an_old_key_opens_and_the_new_one_seals() {
        let key = |byte| STANDARD.encode([byte; KEY_BYTES]);
        let old_master_keys = format!("{}, {}", key(2), key(1)).parse().expect("keys");
        let both = SecretKeyring::from_settings(&KeyringSettings {
            master_key: key(3).parse().expect("key"),
            old_master_keys,
        });
        let secret = Secret::generate();
        let brand = "acme".parse().expect("brand");
        let webhook = WebhookId(uuid::Uuid::from_u128(7));
        let sealed = keyring(1).seal(&brand, webhook, &secret);
        assert_eq!(both.open(&brand, webhook, &sealed).expect("opens"), secret);
        assert!(!sealed.starts_with(both.key_prefix()));
        let reencrypted = both.seal(&brand, webhook, &secret);
        assert!(reencrypted.starts_with(both.key_prefix()));
        assert_eq!(keyring(3).open(&brand, webhook, &reencrypted).expect("opens"), secret);
        assert!("x".parse::<OldMasterKeys>().is_err() && "".parse::<OldMasterKeys>().is_ok());
    }

    #[test]
    fn a_master_key_is_32_bytes_of_base64() {
        assert!(STANDARD.encode([0; 31]).parse::<MasterKey>().is_err());
        assert!("short".parse::<MasterKey>().is_err());
    }
}
