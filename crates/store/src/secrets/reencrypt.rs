//! Sealing all webhook secrets anew after the master key was changed, while everything runs.

use domain::ids::{BrandId, WebhookId};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::Params;
use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::{read, read_word};
use crate::secrets::keyring::Vault;

/// What came of it.
#[derive(Debug, Default)]
pub struct Resealed {
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
pub async fn all(store: &Store, vault: &Vault) -> Result<Resealed, StoreError> {
    let (mut resealed, mut after) = (Resealed::default(), Uuid::nil());
    loop {
        let rows = store.query(sql!("webhooks/sealed_otherwise"), &[&vault.mark(), &after]).await?;
        let Some(last) = rows.last() else { return Ok(resealed) };
        after = read(last, "id")?;
        for row in &rows {
            match one(store, vault, row).await {
                Ok(changed) => resealed.done += changed,
                Err(error @ StoreError::Unreadable(_)) => resealed.unreadable.push(error),
                Err(error) => return Err(error),
            }
        }
    }
}

async fn one(store: &Store, vault: &Vault, row: &Row) -> Result<u64, StoreError> {
    let (id, brand): (Uuid, BrandId) = (read(row, "id")?, read_word(row, "brand_id")?);
    let webhook = WebhookId(id);
    let secret_anew = |sealed: &[u8]| {
        let secret = vault.open(&brand, webhook, sealed)?;
        Ok::<_, StoreError>(vault.seal(&brand, webhook, &secret))
    };
    let key_anew = |sealed: &[u8]| {
        let key = vault.open_key(&brand, webhook, sealed)?;
        Ok::<_, StoreError>(vault.seal_key(&brand, webhook, &key))
    };
    let secrets: [Option<&[u8]>; 2] = [read(row, "secret")?, read(row, "previous_secret")?];
    let keys: [Option<&[u8]>; 2] = [read(row, "signing_key")?, read(row, "previous_signing_key")?];
    let [secret, previous] = secrets.map(|sealed| sealed.map(secret_anew).transpose());
    let [key, previous_key] = keys.map(|sealed| sealed.map(key_anew).transpose());
    let found: Params<'_> = &[&id, &secrets[0], &secrets[1], &keys[0], &keys[1]];
    let anew: Params<'_> = &[&secret?, &previous?, &key?, &previous_key?];
    store.execute(sql!("webhooks/reseal"), &[found, anew].concat()).await
}
