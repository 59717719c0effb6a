//! Re-encrypting all webhook secrets and custom headers after a change of the master key, while all services run.

use domain::ids::{BrandId, WebhookId};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::Params;
use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::{read, read_word};
use crate::secrets::headers::seal_plain_headers;
use crate::secrets::keyring::SecretKeyring;

/// The result of [`reencrypt_secrets`].
#[derive(Debug, Default)]
pub struct Reencrypted {
    /// Webhooks whose secrets and headers were re-encrypted under the master key.
    pub done: u64,
    /// Webhooks whose plain headers were sealed.
    pub sealed: u64,
    /// The errors of webhooks whose secrets could not be decrypted.
    pub unreadable: Vec<StoreError>,
}

/// Re-encrypts all secrets and headers that are encrypted under an old master key, and seals headers that are still plain.
///
/// It may be interrupted at any point and run again. A secret that an API request changes meanwhile is skipped, because
/// the API encrypts it under the current master key.
///
/// # Errors
/// When the database fails. Secrets that were re-encrypted before stay so.
pub async fn reencrypt_secrets(store: &Store, keyring: &SecretKeyring) -> Result<Reencrypted, StoreError> {
    let mut reencrypted = Reencrypted::default();
    let mut after = Uuid::nil();
    loop {
        let rows = store.query(sql!("secrets/find_under_old_keys"), &[&keyring.key_prefix(), &after]).await?;
        let Some(last) = rows.last() else { break };
        after = read(last, "id")?;
        for row in &rows {
            match reencrypt_webhook(store, keyring, row).await {
                Ok(changed) => reencrypted.done += changed,
                Err(error @ StoreError::Unreadable(_)) => reencrypted.unreadable.push(error),
                Err(error) => return Err(error),
            }
        }
    }
    reencrypted.sealed = seal_plain_headers(store, keyring).await?;
    Ok(reencrypted)
}

async fn reencrypt_webhook(store: &Store, keyring: &SecretKeyring, row: &Row) -> Result<u64, StoreError> {
    let id: Uuid = read(row, "id")?;
    let brand: BrandId = read_word(row, "brand_id")?;
    let webhook = WebhookId(id);
    let reencrypt_secret = |sealed: &[u8]| {
        let secret = keyring.open(&brand, webhook, sealed)?;
        Ok::<_, StoreError>(keyring.seal(&brand, webhook, &secret))
    };
    let reencrypt_key = |sealed: &[u8]| {
        let key = keyring.open_key(&brand, webhook, sealed)?;
        Ok::<_, StoreError>(keyring.seal_key(&brand, webhook, &key))
    };
    let reencrypt_headers = |sealed: &[u8]| {
        let headers = keyring.open_headers(&brand, webhook, sealed)?;
        Ok::<_, StoreError>(keyring.seal_headers(&brand, webhook, &headers))
    };
    let secrets: [Option<&[u8]>; 2] = [read(row, "secret")?, read(row, "previous_secret")?];
    let keys: [Option<&[u8]>; 2] = [read(row, "signing_key")?, read(row, "previous_signing_key")?];
    let headers: Option<&[u8]> = read(row, "sealed_headers")?;
    let [secret, previous] = secrets.map(|sealed| sealed.map(reencrypt_secret).transpose());
    let [key, previous_key] = keys.map(|sealed| sealed.map(reencrypt_key).transpose());
    let new_headers = headers.map(reencrypt_headers).transpose()?;
    let found: Params<'_> = &[&id, &secrets[0], &secrets[1], &keys[0], &keys[1], &headers];
    let replacements: Params<'_> = &[&secret?, &previous?, &key?, &previous_key?, &new_headers];
    store.execute(sql!("secrets/reencrypt"), &[found, replacements].concat()).await
}
