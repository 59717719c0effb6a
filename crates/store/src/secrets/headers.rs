//! The custom headers of webhooks at rest, and sealing those that the release before wrote.
//!
//! A row has one of two forms. Sealed: the column `headers` is NULL. Plain: it has names and values. Headers are written
//! plain while a process that reads that form alone may be running, and sealed once none is.

use domain::ids::{BrandId, WebhookId};
use domain::webhook::CustomHeaders;
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::{read, read_word};
use crate::secrets::keyring::SecretKeyring;

/// Reads the custom headers of a row in either form.
pub(crate) fn read_headers(
    row: &Row,
    keyring: &SecretKeyring,
    brand: &BrandId,
    webhook: WebhookId,
) -> Result<CustomHeaders, StoreError> {
    let plain: Option<Json<CustomHeaders>> = read(row, "headers")?;
    let sealed: Option<&[u8]> = read(row, "sealed_headers")?;
    match (plain, sealed) {
        (Some(Json(headers)), _) => Ok(headers),
        (None, Some(sealed)) => keyring.open_headers(brand, webhook, sealed),
        (None, None) => Ok(CustomHeaders::default()),
    }
}

/// Reads the names of the custom headers of a row in either form.
pub(crate) fn read_header_names(row: &Row) -> Result<Vec<String>, StoreError> {
    let plain: Option<Json<CustomHeaders>> = read(row, "headers")?;
    let names: Option<Vec<String>> = read(row, "header_names")?;
    Ok(plain.map(|Json(headers)| headers.names()).or(names).unwrap_or_default())
}

/// Seals the plain headers of all webhooks, and returns how many.
///
/// It seals nothing while a process of the release before may be running. It leaves out a webhook whose secret is not
/// under the current master key, because a process with a wrong key would make the headers unreadable for the others.
/// It may be interrupted at any point and run again, also at the same time.
///
/// # Errors
/// When the database fails. Headers that were sealed before stay so.
pub async fn seal_plain_headers(store: &Store, keyring: &SecretKeyring) -> Result<u64, StoreError> {
    let mut sealed = 0;
    let mut after = Uuid::nil();
    loop {
        let rows = store.query(sql!("secrets/find_plain_headers"), &[&keyring.key_prefix(), &after]).await?;
        let Some(last) = rows.last() else { return Ok(sealed) };
        after = read(last, "id")?;
        for row in &rows {
            sealed += seal_row(store, keyring, row).await?;
        }
    }
}

async fn seal_row(store: &Store, keyring: &SecretKeyring, row: &Row) -> Result<u64, StoreError> {
    let id: Uuid = read(row, "id")?;
    let brand: BrandId = read_word(row, "brand_id")?;
    let webhook = WebhookId(id);
    // A secret that this process cannot open belongs to a process with another key, which seals the headers as well.
    if keyring.open(&brand, webhook, read(row, "secret")?).is_err() {
        return Ok(0);
    }
    let Json(headers): Json<CustomHeaders> = read(row, "headers")?;
    let digest: &[u8] = read(row, "digest")?;
    let sealed = keyring.seal_headers(&brand, webhook, &headers);
    store.execute(sql!("secrets/seal_headers"), &[&id, &digest, &sealed, &headers.names()]).await
}
