//! Brand tokens. The database stores only their SHA-256.

use std::str::FromStr;

use domain::ids::BrandId;
use domain::time::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::api::transaction::AuditedTransaction;
use crate::db::Executor;
use crate::error::StoreError;
use crate::keyset::KeysetPosition;
use crate::pool::Store;
use crate::rows::{read, read_word};

/// The SHA-256 of a token.
pub type Digest = [u8; 32];

/// The rights of a token within its brand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Read everything except secrets.
    Read,
    /// Change everything, and read secrets.
    Write,
}

impl Role {
    /// Returns the word of the API for the role.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl FromStr for Role {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "read" => Ok(Self::Read),
            "write" => Ok(Self::Write),
            _ => Err("must be \"read\" or \"write\""),
        }
    }
}

/// A brand's token, without the token.
#[derive(Debug, Clone)]
pub struct Token {
    /// Its identity, which is no secret.
    pub id: Uuid,
    /// The brand that it belongs to.
    pub brand_id: BrandId,
    /// Its display name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last used, to the minute; `None` if it was not used since that is recorded.
    pub last_used: Option<Timestamp>,
    /// When it stops being valid.
    pub expires: Option<Timestamp>,
}

/// Creates a token of a brand that exists.
///
/// # Errors
/// When the database fails.
pub async fn insert_token(
    change: &AuditedTransaction<'_>,
    brand: &BrandId,
    name: &str,
    role: Role,
    sha256: &Digest,
    expires: Option<Timestamp>,
) -> Result<Option<Token>, StoreError> {
    let id = Uuid::new_v4();
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
        [&id, &brand.as_str(), &name, &role.as_str(), &sha256.as_slice(), &expires];
    change.query_row(sql!("tokens/insert"), &params).await?.as_ref().map(read_token).transpose()
}

/// Finds a token by its SHA-256, unless it has expired.
///
/// # Errors
/// When the database fails.
pub async fn find_token(db: &impl Executor, sha256: &Digest) -> Result<Option<Token>, StoreError> {
    db.query_row(sql!("tokens/find"), &[&sha256.as_slice()]).await?.as_ref().map(read_token).transpose()
}

/// Lists at most `limit` tokens of a brand after `after`, the oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list_tokens(
    db: &impl Executor,
    brand: &BrandId,
    after: KeysetPosition,
    limit: i64,
) -> Result<Vec<Token>, StoreError> {
    let rows = db.query_rows(sql!("tokens/page"), &[&brand.as_str(), &after.at, &after.id, &limit]).await?;
    rows.iter().map(read_token).collect()
}

/// Counts the tokens of a brand.
///
/// # Errors
/// When the database fails.
pub async fn count_tokens(change: &AuditedTransaction<'_>, brand: &BrandId) -> Result<i64, StoreError> {
    let row = change.query_row(sql!("tokens/count"), &[&brand.as_str()]).await?;
    row.as_ref().map_or(Ok(0), |row| read(row, "count"))
}

/// Deletes a token of a brand, which is invalid from then on, and returns it.
///
/// # Errors
/// When the database fails.
pub async fn delete_token(
    change: &AuditedTransaction<'_>,
    brand: &BrandId,
    id: Uuid,
) -> Result<Option<Token>, StoreError> {
    change
        .query_row(sql!("tokens/delete"), &[&brand.as_str(), &id])
        .await?
        .as_ref()
        .map(read_token)
        .transpose()
}

/// Keeps a token from being deleted until the transaction ends. Returns whether it is still valid.
///
/// # Errors
/// When the database fails.
pub async fn lock_valid(change: &AuditedTransaction<'_>, id: Uuid) -> Result<bool, StoreError> {
    Ok(change.query_row(sql!("tokens/lock_valid"), &[&id]).await?.is_some())
}

/// Records when tokens were last used. A token whose recorded use is less than 50 seconds older is left as it
/// is: a process records a token once a minute, and must not miss by a moment.
///
/// # Errors
/// When the database fails.
pub async fn record_uses(store: &Store, uses: &[(Uuid, Timestamp)]) -> Result<(), StoreError> {
    let (tokens, times): (Vec<_>, Vec<_>) = uses.iter().copied().unzip();
    store.execute(sql!("tokens/record_uses"), &[&tokens, &times]).await?;
    Ok(())
}

fn read_token(row: &Row) -> Result<Token, StoreError> {
    Ok(Token {
        id: read(row, "id")?,
        brand_id: read_word(row, "brand_id")?,
        name: read(row, "name")?,
        role: read_word(row, "role")?,
        created: read(row, "created")?,
        last_used: read(row, "last_used")?,
        expires: read(row, "expires")?,
    })
}
