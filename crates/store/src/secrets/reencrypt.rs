//! Sealing all webhook secrets anew after the master key was changed, while everything runs.

use domain::ids::{BrandId, WebhookId};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::Params;
use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::{read, read_word};
use crate::secrets::keyring::SecretKeyring;

/// What came of it.
#[derive(Debug, Default)]
pub struct Reencrypted {
    /// Webhooks whose secrets are sealed under the master key now.
    pub done: u64,
    /// Webhooks whose secrets could not be opened, with the reason.
    pub unreadable: Vec<StoreError>,
}

/// Seals what is not sealed under the vault's master key. It may be stopped anywhere and run again, and
/// leaves alone what somebody else changes meanwhile: that is sealed anew anyway.
///
/// # Errors
/// When the database fails; what was sealed stays so.
pub async fn reencrypt_secrets(store: &Store, keyring: &SecretKeyring) -> Result<Reencrypted, StoreError> {
    let (mut reencrypted, mut after) = (Reencrypted::default(), Uuid::nil());
    loop {
        let rows = store.query(sql!("secrets/find_under_old_keys"), &[&keyring.key_prefix(), &after]).await?;
        let Some(last) = rows.last() else { return Ok(reencrypted) };
        after = read(last, "id")?;
        for row in &rows {
            match reencrypt_webhook(store, keyring, row).await {
                Ok(changed) => reencrypted.done += changed,
                Err(error @ StoreError::Unreadable(_)) => reencrypted.unreadable.push(error),
                Err(error) => return Err(error),
            }
        }
    }
}

async fn reencrypt_webhook(store: &Store, keyring: &SecretKeyring, row: &Row) -> Result<u64, StoreError> {
    let (id, brand): (Uuid, BrandId) = (read(row, "id")?, read_word(row, "brand_id")?);
    let webhook = WebhookId(id);
    let secret_anew = |sealed: &[u8]| {
        let secret = keyring.open(&brand, webhook, sealed)?;
        Ok::<_, StoreError>(keyring.seal(&brand, webhook, &secret))
    };
    let key_anew = |sealed: &[u8]| {
        let key = keyring.open_key(&brand, webhook, sealed)?;
        Ok::<_, StoreError>(keyring.seal_key(&brand, webhook, &key))
    };
    let secrets: [Option<&[u8]>; 2] = [read(row, "secret")?, read(row, "previous_secret")?];
    let keys: [Option<&[u8]>; 2] = [read(row, "signing_key")?, read(row, "previous_signing_key")?];
    let [secret, previous] = secrets.map(|sealed| sealed.map(secret_anew).transpose());
    let [key, previous_key] = keys.map(|sealed| sealed.map(key_anew).transpose());
    let found: Params<'_> = &[&id, &secrets[0], &secrets[1], &keys[0], &keys[1]];
    let anew: Params<'_> = &[&secret?, &previous?, &key?, &previous_key?];
    store.execute(sql!("secrets/reencrypt"), &[found, anew].concat()).await
}
