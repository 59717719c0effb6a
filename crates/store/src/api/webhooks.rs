//! Webhooks, the subscriptions of brands.

use domain::event::event_type::TypePattern;
use domain::ids::{BrandId, WebhookId};
use domain::time::Timestamp;
use domain::webhook::signature::Keys;
use domain::webhook::signing_key::SigningKey;
use domain::webhook::{CustomHeaders, DisabledReason, WebhookStatus};
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use crate::api::transaction::AuditedTransaction;
use crate::db::{Executor, Params};
use crate::error::StoreError;
use crate::keyset::KeysetPosition;
use crate::rows::{read, read_word};
use crate::secrets::headers::{read_header_names, read_headers};
use crate::secrets::keyring::SecretKeyring;

/// A webhook, without its secret and the values of its custom headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its identity.
    pub id: WebhookId,
    /// The brand that it belongs to.
    pub brand_id: BrandId,
    /// The URL of its endpoint, as the brand wrote it.
    pub endpoint: String,
    /// The types and groups that it subscribes to.
    pub events: Vec<TypePattern>,
    /// Its status.
    pub status: WebhookStatus,
    /// The reason, when the platform or support disabled it.
    pub disabled: Option<Disabled>,
    /// Its description.
    pub description: Option<String>,
    /// The names of its custom headers, in their order.
    pub header_names: Vec<String>,
    /// Maximum number of requests in flight.
    pub max_concurrency: i32,
    /// Maximum number of requests per second.
    pub rate_per_second: Option<i32>,
    /// Whether its requests also carry a `v1a` signature.
    pub asymmetric: bool,
    /// When it was created.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

/// The reason and time of a disabled webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disabled {
    /// The reason.
    pub reason: DisabledReason,
    /// The health statistics, or the text that support wrote.
    pub detail: Option<String>,
    /// When it was disabled.
    pub at: Timestamp,
}

/// Custom headers in the form in which they are stored.
///
/// They are plain while a process of a release before V10 may read them, and if there are none. The other form is not even
/// a parameter of the statement, because PostgreSQL may log parameters.
struct StoredHeaders<'a> {
    plain: Option<Json<&'a CustomHeaders>>,
    sealed: Option<Vec<u8>>,
    names: Option<Vec<String>>,
}

impl<'a> StoredHeaders<'a> {
    async fn choose_form(
        change: &AuditedTransaction<'_>,
        keyring: &SecretKeyring,
        webhook: &Webhook,
        headers: &'a CustomHeaders,
    ) -> Result<Self, StoreError> {
        let names = headers.names();
        if names.is_empty() || are_plain_headers_read(change).await? {
            return Ok(Self { plain: Some(Json(headers)), sealed: None, names: None });
        }
        let sealed = keyring.seal_headers(&webhook.brand_id, webhook.id, headers);
        Ok(Self { plain: None, sealed: Some(sealed), names: Some(names) })
    }
}

async fn are_plain_headers_read(change: &AuditedTransaction<'_>) -> Result<bool, StoreError> {
    let row = change.query_row(sql!("secrets/plain_headers_are_read"), &[]).await?;
    row.as_ref().map_or(Ok(true), |row| read(row, "plain"))
}

/// Creates a webhook with its keys and custom headers, and returns it with the times of the database.
///
/// # Errors
/// When the database fails.
pub async fn insert_webhook(
    change: &AuditedTransaction<'_>,
    keyring: &SecretKeyring,
    new: &Webhook,
    headers: &CustomHeaders,
    keys: &Keys,
) -> Result<Option<Webhook>, StoreError> {
    let sealed = keyring.seal(&new.brand_id, new.id, &keys.secret);
    let sealed_key = keys.signing_key.as_ref().map(|key| keyring.seal_key(&new.brand_id, new.id, key));
    let stored = StoredHeaders::choose_form(change, keyring, new, headers).await?;
    let row = change
        .query_row(
            sql!("webhooks/insert"),
            &[
                &new.id.0,
                &new.brand_id.as_str(),
                &new.endpoint,
                &pattern_words(&new.events),
                &new.status.as_str(),
                &new.description,
                &new.max_concurrency,
                &new.rate_per_second,
                &sealed,
                &sealed_key,
                &stored.plain,
                &stored.sealed,
                &stored.names,
            ],
        )
        .await?;
    row.as_ref().map(read_webhook).transpose()
}

/// Updates the mutable columns of a webhook that is not deleted, without its headers, and returns the updated webhook.
///
/// # Errors
/// When the database fails.
pub async fn update_webhook(
    change: &AuditedTransaction<'_>,
    to: &Webhook,
) -> Result<Option<Webhook>, StoreError> {
    let disabled = to.disabled.as_ref();
    let row = change
        .query_row(
            sql!("webhooks/update"),
            &[
                &to.id.0,
                &to.endpoint,
                &pattern_words(&to.events),
                &to.status.as_str(),
                &disabled.map(|disabled| disabled.reason.as_str()),
                &disabled.and_then(|disabled| disabled.detail.as_deref()),
                &disabled.map(|disabled| disabled.at),
                &to.description,
                &to.max_concurrency,
                &to.rate_per_second,
            ],
        )
        .await?;
    row.as_ref().map(read_webhook).transpose()
}

/// Deletes a webhook. False when it does not exist.
///
/// It receives nothing and only support sees it. Its events stay readable until they expire.
///
/// # Errors
/// When the database fails.
pub async fn delete_webhook(change: &AuditedTransaction<'_>, id: WebhookId) -> Result<bool, StoreError> {
    Ok(change.query_row(sql!("webhooks/delete"), &[&id.0]).await?.is_some())
}

/// Finds a webhook of any brand and status.
///
/// # Errors
/// When the database fails.
pub async fn find_webhook(db: &impl Executor, id: WebhookId) -> Result<Option<Webhook>, StoreError> {
    db.query_row(sql!("webhooks/find"), &[&id.0]).await?.as_ref().map(read_webhook).transpose()
}

/// Finds a webhook of any brand and status, and locks it until the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn lock_webhook(
    change: &AuditedTransaction<'_>,
    id: WebhookId,
) -> Result<Option<Webhook>, StoreError> {
    change.query_row(sql!("webhooks/lock"), &[&id.0]).await?.as_ref().map(read_webhook).transpose()
}

/// Finds the current keys of a webhook that is not deleted.
///
/// # Errors
/// When the database fails, or a key is encrypted under an unknown master key.
pub async fn find_keys(
    db: &impl Executor,
    keyring: &SecretKeyring,
    brand: &BrandId,
    id: WebhookId,
) -> Result<Option<Keys>, StoreError> {
    let Some(row) = db.query_row(sql!("webhooks/find_keys"), &[&id.0, &brand.as_str()]).await? else {
        return Ok(None);
    };
    let sealed_key: Option<&[u8]> = read(&row, "signing_key")?;
    Ok(Some(Keys {
        secret: keyring.open(brand, id, read(&row, "secret")?)?,
        signing_key: sealed_key.map(|sealed| keyring.open_key(brand, id, sealed)).transpose()?,
    }))
}

/// Finds the custom headers of a webhook that is not deleted.
///
/// # Errors
/// When the database fails, or the headers are encrypted under an unknown master key.
pub async fn find_headers(
    db: &impl Executor,
    keyring: &SecretKeyring,
    brand: &BrandId,
    id: WebhookId,
) -> Result<Option<CustomHeaders>, StoreError> {
    let row = db.query_row(sql!("webhooks/find_headers"), &[&id.0, &brand.as_str()]).await?;
    row.map(|row| read_headers(&row, keyring, brand, id)).transpose()
}

/// Replaces the custom headers of a webhook that is not deleted. The next [`update_webhook`] returns the change.
///
/// # Errors
/// When the database fails.
pub async fn set_headers(
    change: &AuditedTransaction<'_>,
    keyring: &SecretKeyring,
    webhook: &Webhook,
    headers: &CustomHeaders,
) -> Result<(), StoreError> {
    let stored = StoredHeaders::choose_form(change, keyring, webhook, headers).await?;
    let params: Params<'_> = &[&webhook.id.0, &stored.plain, &stored.sealed, &stored.names];
    change.query_rows(sql!("webhooks/set_headers"), params).await?;
    Ok(())
}

/// Sets or removes the signing key of a webhook that is not deleted. The next [`update_webhook`] returns the change.
///
/// # Errors
/// When the database fails.
pub async fn set_signing_key(
    change: &AuditedTransaction<'_>,
    keyring: &SecretKeyring,
    webhook: &Webhook,
    key: Option<&SigningKey>,
) -> Result<(), StoreError> {
    let sealed = key.map(|key| keyring.seal_key(&webhook.brand_id, webhook.id, key));
    change.query_rows(sql!("webhooks/set_signing_key"), &[&webhook.id.0, &sealed]).await?;
    Ok(())
}

/// Replaces the keys of a webhook that is not deleted. The old keys also sign for `overlap_seconds`.
///
/// Returns when the old keys expire. The outer `None` means that the webhook does not exist.
///
/// # Errors
/// When the database fails.
pub async fn rotate_keys(
    change: &AuditedTransaction<'_>,
    keyring: &SecretKeyring,
    webhook: &Webhook,
    keys: &Keys,
    overlap_seconds: i32,
) -> Result<Option<Option<Timestamp>>, StoreError> {
    let sealed = keyring.seal(&webhook.brand_id, webhook.id, &keys.secret);
    let sealed_key =
        keys.signing_key.as_ref().map(|key| keyring.seal_key(&webhook.brand_id, webhook.id, key));
    let params: Params<'_> = &[&webhook.id.0, &sealed, &f64::from(overlap_seconds), &sealed_key];
    let row = change.query_row(sql!("webhooks/rotate_keys"), params).await?;
    row.map(|row| read(&row, "previous_secret_expires")).transpose()
}

/// When the keys of a webhook were last rotated.
#[derive(Debug, Clone, Copy)]
pub struct Rotation {
    /// When the secret was last rotated; `None` if it was not since that is recorded.
    pub rotated: Option<Timestamp>,
    /// Until when the previous keys sign as well, while they do.
    pub previous_expires: Option<Timestamp>,
}

/// Finds when the keys of a webhook that is not deleted were rotated.
///
/// # Errors
/// When the database fails.
pub async fn find_rotation(
    db: &impl Executor,
    brand: &BrandId,
    id: WebhookId,
) -> Result<Option<Rotation>, StoreError> {
    let row = db.query_row(sql!("webhooks/find_rotation"), &[&id.0, &brand.as_str()]).await?;
    row.map(|row| {
        Ok(Rotation {
            rotated: read(&row, "secret_rotated")?,
            previous_expires: read(&row, "previous_expires")?,
        })
    })
    .transpose()
}

/// Ends the overlap of a rotation, so that the previous keys sign no more. False if they did not sign.
///
/// # Errors
/// When the database fails.
pub async fn end_previous_keys(change: &AuditedTransaction<'_>, id: WebhookId) -> Result<bool, StoreError> {
    Ok(change.query_row(sql!("webhooks/end_previous_keys"), &[&id.0]).await?.is_some())
}

/// A selection of webhooks.
#[derive(Debug, Clone, Copy, Default)]
pub struct WebhookSelection<'a> {
    /// Only webhooks of this brand.
    pub brand: Option<&'a BrandId>,
    /// Only webhooks of this status.
    pub status: Option<WebhookStatus>,
    /// Only webhooks with this text in the endpoint or the description, in lower case.
    pub text: Option<&'a str>,
    /// Without these webhooks.
    pub except: &'a [uuid::Uuid],
}

/// Lists at most `limit` webhooks after `after`, the oldest first, without deleted ones.
///
/// # Errors
/// When the database fails.
pub async fn list_webhooks(
    db: &impl Executor,
    selection: &WebhookSelection<'_>,
    after: KeysetPosition,
    limit: i64,
) -> Result<Vec<Webhook>, StoreError> {
    let status = selection.status.map(WebhookStatus::as_str);
    let rows = match selection.brand {
        Some(brand) => {
            let brand = brand.as_str();
            let params: Params<'_> =
                &[&status, &selection.text, &selection.except, &after.at, &after.id, &limit, &brand];
            db.query_rows(sql!("webhooks/page_of_brand"), params).await?
        }
        None => {
            let params: Params<'_> =
                &[&status, &selection.text, &selection.except, &after.at, &after.id, &limit];
            db.query_rows(sql!("webhooks/page_of_all"), params).await?
        }
    };
    rows.iter().map(read_webhook).collect()
}

/// Finds webhooks that are not deleted, in no order. `text` selects as in [`WebhookSelection`].
///
/// # Errors
/// When the database fails.
pub async fn find_webhooks(
    db: &impl Executor,
    ids: &[uuid::Uuid],
    text: Option<&str>,
) -> Result<Vec<Webhook>, StoreError> {
    let rows = db.query_rows(sql!("webhooks/find_many"), &[&ids, &text]).await?;
    rows.iter().map(read_webhook).collect()
}

/// Counts the webhooks of a brand, without deleted ones.
///
/// # Errors
/// When the database fails.
pub async fn count_webhooks(change: &AuditedTransaction<'_>, brand: &BrandId) -> Result<i64, StoreError> {
    let row = change.query_row(sql!("webhooks/count"), &[&brand.as_str()]).await?;
    row.as_ref().map_or(Ok(0), |row| read(row, "count"))
}

/// Counts the webhooks that name this event type itself, without deleted ones.
///
/// # Errors
/// When the database fails.
pub async fn count_webhooks_naming_type(
    change: &AuditedTransaction<'_>,
    type_name: &str,
) -> Result<i64, StoreError> {
    let row = change.query_row(sql!("webhooks/count_naming_type"), &[&type_name]).await?;
    row.as_ref().map_or(Ok(0), |row| read(row, "count"))
}

fn pattern_words(patterns: &[TypePattern]) -> Vec<&str> {
    patterns.iter().map(TypePattern::as_str).collect()
}

fn read_webhook(row: &Row) -> Result<Webhook, StoreError> {
    let events: Vec<String> = read(row, "events")?;
    let pattern =
        |text: &String| text.parse().map_err(|_| StoreError::Unreadable(format!("event type {text:?}")));
    Ok(Webhook {
        id: WebhookId(read(row, "id")?),
        brand_id: read_word(row, "brand_id")?,
        endpoint: read(row, "endpoint")?,
        events: events.iter().map(pattern).collect::<Result<_, _>>()?,
        status: read_word(row, "status")?,
        disabled: read_disabled(row)?,
        description: read(row, "description")?,
        header_names: read_header_names(row)?,
        max_concurrency: read(row, "max_concurrency")?,
        rate_per_second: read(row, "rate_per_second")?,
        asymmetric: read(row, "asymmetric")?,
        created: read(row, "created")?,
        updated: read(row, "updated")?,
    })
}

fn read_disabled(row: &Row) -> Result<Option<Disabled>, StoreError> {
    let at: Option<Timestamp> = read(row, "disabled_at")?;
    at.map(|at| {
        Ok(Disabled { reason: read_word(row, "disabled_reason")?, detail: read(row, "disabled_detail")?, at })
    })
    .transpose()
}
