//! Named tokens of support. The database stores only their SHA-256.
//!
//! They are apart from the tokens of brands, so that a statement about a brand's tokens cannot find one.

use domain::time::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::api::tokens::Digest;
use crate::api::transaction::AuditedTransaction;
use crate::db::Executor;
use crate::error::StoreError;
use crate::keyset::KeysetPosition;
use crate::pool::Store;
use crate::rows::read;

/// The advisory lock of a transaction that creates a support token.
const CREATE_LOCK: i64 = 0x0070_6f73_7472_7374;

/// A named token of support, without the token.
#[derive(Debug, Clone)]
pub struct NamedSupportToken {
    /// Its identity, which is no secret.
    pub id: Uuid,
    /// Its display name: who uses it.
    pub name: String,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last used, to the minute; `None` if it was not used.
    pub last_used: Option<Timestamp>,
    /// When it stops being valid.
    pub expires: Option<Timestamp>,
}

/// Blocks other creations until the transaction ends, and counts the tokens, including expired ones.
///
/// # Errors
/// When the database fails.
pub async fn lock_and_count(change: &AuditedTransaction<'_>) -> Result<i64, StoreError> {
    change.query_row(sql!("support_tokens/lock"), &[&CREATE_LOCK]).await?;
    let row = change.query_row(sql!("support_tokens/count"), &[]).await?;
    row.as_ref().map_or(Ok(0), |row| read(row, "count"))
}

/// Creates a token.
///
/// # Errors
/// When the database fails.
pub async fn insert_token(
    change: &AuditedTransaction<'_>,
    name: &str,
    sha256: &Digest,
    expires: Option<Timestamp>,
) -> Result<Option<NamedSupportToken>, StoreError> {
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&Uuid::new_v4(), &name, &sha256.as_slice(), &expires];
    change.query_row(sql!("support_tokens/insert"), &params).await?.as_ref().map(read_token).transpose()
}

/// Finds a token by its SHA-256, unless it has expired.
///
/// # Errors
/// When the database fails.
pub async fn find_token(
    db: &impl Executor,
    sha256: &Digest,
) -> Result<Option<NamedSupportToken>, StoreError> {
    db.query_row(sql!("support_tokens/find"), &[&sha256.as_slice()])
        .await?
        .as_ref()
        .map(read_token)
        .transpose()
}

/// Lists at most `limit` tokens after `after`, the oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list_tokens(
    db: &impl Executor,
    after: KeysetPosition,
    limit: i64,
) -> Result<Vec<NamedSupportToken>, StoreError> {
    let rows = db.query_rows(sql!("support_tokens/page"), &[&after.at, &after.id, &limit]).await?;
    rows.iter().map(read_token).collect()
}

/// Deletes a token, which is invalid from then on, and returns it.
///
/// # Errors
/// When the database fails.
pub async fn delete_token(
    change: &AuditedTransaction<'_>,
    id: Uuid,
) -> Result<Option<NamedSupportToken>, StoreError> {
    change.query_row(sql!("support_tokens/delete"), &[&id]).await?.as_ref().map(read_token).transpose()
}

/// Keeps a token from being deleted until the transaction ends. Returns whether it is still valid.
///
/// # Errors
/// When the database fails.
pub async fn lock_valid(change: &AuditedTransaction<'_>, id: Uuid) -> Result<bool, StoreError> {
    Ok(change.query_row(sql!("support_tokens/lock_valid"), &[&id]).await?.is_some())
}

/// Records when tokens were last used. A token whose recorded use is less than 50 seconds older is left as it
/// is: a process records a token once a minute, and must not miss by a moment.
///
/// # Errors
/// When the database fails.
pub async fn record_uses(store: &Store, uses: &[(Uuid, Timestamp)]) -> Result<(), StoreError> {
    let (tokens, times): (Vec<_>, Vec<_>) = uses.iter().copied().unzip();
    store.execute(sql!("support_tokens/record_uses"), &[&tokens, &times]).await?;
    Ok(())
}

fn read_token(row: &Row) -> Result<NamedSupportToken, StoreError> {
    Ok(NamedSupportToken {
        id: read(row, "id")?,
        name: read(row, "name")?,
        created: read(row, "created")?,
        last_used: read(row, "last_used")?,
        expires: read(row, "expires")?,
    })
}
